//! `claw secrets`: the pod's secrets by name, and new tokens of claw's own. No value is read to be shown, and no engine is asked.

use std::collections::{BTreeMap, BTreeSet};

use claw_engine::vault::{Source, Standing, uses};
use claw_types::diag::{Code, nearest};
use claw_types::id::UnitId;
use claw_types::secret::SecretRef;
use serde_json::{Value, json};

use crate::args::{Global, Secrets};
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::session::{self, Session};
use crate::table::{row, table};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, command: &Secrets, ui: &Ui) -> Result<Exit, CommandError> {
    // That a secret has no value is what the list is for.
    let input = input::read_softening(global, &[Code::MissingSecret])?;
    match command {
        Secrets::List => session::with_input(input, "secrets-list", ui, async |session| Ok(list(&session))),
        Secrets::Rotate { names } => {
            session::with_input(input, "secrets-rotate", ui, async |session| rotate(&session, names))
        }
    }
}

/// Who uses a secret, and how it gets there.
#[derive(Default)]
struct Use {
    agents: BTreeSet<UnitId>,
    delivery: BTreeSet<(&'static str, String)>,
}

/// Returns every secret of the pod; those that are declared and that no agent uses too.
fn used(session: &Session<'_>) -> BTreeMap<SecretRef, Use> {
    let declared = session.plan.sources.keys().map(|name| (SecretRef::Named(name.clone()), Use::default()));
    let mut found: BTreeMap<SecretRef, Use> = declared.collect();
    for (id, unit) in &session.plan.belongings {
        let variables: BTreeSet<&str> = unit.variables().map(|(variable, _)| variable).collect();
        for (path, secret) in uses(unit) {
            // Who knows a token by its digest is made anew with it.
            if let SecretRef::TokenDigest(agent) = secret {
                found.entry(SecretRef::ProxyToken(agent.clone())).or_default().agents.insert(id.clone());
                continue;
            }
            let own = path.as_str().strip_prefix("secrets/").filter(|file| unit.secrets.contains_key(*file));
            let delivery = match own {
                Some(file) if variables.contains(file) => ("variable", file.to_owned()),
                Some(file) => ("file", format!("/run/secrets/{file}")),
                None => ("inside", path.to_string()),
            };
            let each = found.entry(secret.clone()).or_default();
            each.agents.insert(id.clone());
            each.delivery.insert(delivery);
        }
    }
    found
}

fn list(session: &Session<'_>) -> Exit {
    let vault = session.vault(&session.plan);
    let mut lines = vec![row(["NAME", "SOURCE", "AGENTS", "DELIVERY", "VALUE"])];
    let mut rows = Vec::new();
    for (secret, each) in used(session) {
        let standing = vault.standing(&secret);
        let agents: Vec<&str> = each.agents.iter().map(UnitId::as_str).collect();
        let delivery: Vec<String> = each.delivery.iter().map(|(kind, to)| format!("{kind} {to}")).collect();
        lines.push(vec![
            secret.file_name(),
            source(&standing),
            agents.join(", "),
            delivery.join(", "),
            value(&standing).to_owned(),
        ]);
        rows.push(json!({
            "name": secret.file_name(),
            "source": standing.source.name(),
            "place": standing.place,
            "agents": agents,
            "delivery": each.delivery.iter().map(|(kind, to)| json!({ "kind": kind, "to": to })).collect::<Vec<_>>(),
            "has_value": standing.is_set,
        }));
    }
    let text = if rows.is_empty() { "the pod has no secrets".to_owned() } else { table(&lines) };
    session.result("secrets-list", &text, json!({ "pod": session.plan.pod.as_str(), "secrets": rows }));
    Exit::Done
}

fn source(standing: &Standing) -> String {
    match &standing.place {
        Some(place) if place != standing.source.name() => format!("{} {place}", standing.source.name()),
        _ => standing.source.name().to_owned(),
    }
}

fn value(standing: &Standing) -> &'static str {
    match (standing.is_set, standing.source) {
        (Some(true), _) => "set",
        (Some(false), Source::Minted) => "made by `up`",
        (Some(false), _) => "not set",
        (None, _) => "asked for by `up`",
    }
}

fn rotate(session: &Session<'_>, names: &[String]) -> Result<Exit, CommandError> {
    let used = used(session);
    let chosen = chosen(session, &used, names)?;
    if !chosen.is_empty() {
        claw_engine::files::make_state(&session.input.root)?;
    }
    let vault = session.vault(&session.plan);
    for secret in &chosen {
        vault.rotate(secret)?;
    }
    let agents: BTreeSet<&str> =
        chosen.iter().filter_map(|secret| used.get(secret)).flat_map(|each| &each.agents).map(UnitId::as_str).collect();
    let agents: Vec<&str> = agents.into_iter().collect();
    let text = match chosen.len() {
        0 => "nothing to rotate: no agent has a token of claw's own".to_owned(),
        1 => format!("1 token made anew; the next `claw up` recreates `{}`", agents.join("`, `")),
        count => format!("{count} tokens made anew; the next `claw up` recreates `{}`", agents.join("`, `")),
    };
    let rotated: Vec<Value> = chosen
        .iter()
        .map(|secret| {
            let agents = used.get(secret).map(|each| each.agents.iter().map(UnitId::as_str).collect::<Vec<_>>());
            json!({ "name": secret.file_name(), "agents": agents.unwrap_or_default() })
        })
        .collect();
    session.result("secrets-rotate", &text, json!({ "pod": session.plan.pod.as_str(), "rotated": rotated }));
    Ok(Exit::Done)
}

fn is_own(secret: &SecretRef) -> bool {
    match secret {
        SecretRef::ProxyToken(_) | SecretRef::Minted(..) => true,
        SecretRef::TokenDigest(_) | SecretRef::Named(_) | SecretRef::Env(_) | SecretRef::EnvFile(..) => false,
    }
}

/// Returns the tokens that names mean: each is a token's or an agent's, and all of them are looked at before one is made anew.
fn chosen(
    session: &Session<'_>,
    used: &BTreeMap<SecretRef, Use>,
    names: &[String],
) -> Result<BTreeSet<SecretRef>, CommandError> {
    let own: Vec<(&SecretRef, &Use)> = used.iter().filter(|(secret, _)| is_own(secret)).collect();
    if names.is_empty() {
        return Ok(own.into_iter().map(|(secret, _)| secret.clone()).collect());
    }
    let mut chosen = BTreeSet::new();
    for name in names {
        let agents = session.plan.compose_services(name);
        let is_meant = |secret: &SecretRef, each: &Use| {
            secret.file_name() == *name
                || each.agents.iter().any(|agent| agents.iter().any(|own| own == agent.as_str()))
        };
        let meant: Vec<SecretRef> =
            own.iter().filter(|(secret, each)| is_meant(secret, each)).map(|(secret, _)| (*secret).clone()).collect();
        if meant.is_empty() {
            return Err(CommandError::Usage(refusal(session, used, name)));
        }
        chosen.extend(meant);
    }
    Ok(chosen)
}

/// Returns why a name means no token of claw's own, and where what it means is changed.
fn refusal(session: &Session<'_>, used: &BTreeMap<SecretRef, Use>, name: &str) -> String {
    let vault = session.vault(&session.plan);
    let is_it = |secret: &SecretRef, each: &Use| {
        let is_delivered =
            each.delivery.iter().any(|(_, to)| to == name || to.strip_prefix("/run/secrets/") == Some(name));
        secret.file_name() == name || is_delivered
    };
    if let Some((secret, _)) = used.iter().find(|(secret, each)| is_it(secret, each)) {
        let standing = vault.standing(secret);
        let place = standing.place.unwrap_or_default();
        let place = match standing.source {
            Source::Environment => format!("set `{place}` in the environment or in `.env`"),
            Source::DotEnv | Source::File | Source::EnvFile => format!("change it in `{place}`"),
            Source::Command => format!("change what `{place}` prints"),
            Source::Minted | Source::Unknown => "change it where it comes from".to_owned(),
        };
        return format!(
            "`{name}` is not a token of claw's own: {place}; `claw up` then recreates the agents that use it"
        );
    }
    if !session.plan.compose_services(name).is_empty() {
        return format!("`{name}` has no token of claw's own; `claw secrets list` shows who has one");
    }
    let agents = session.plan.units.keys().map(UnitId::as_str);
    let near = nearest(name, agents).map(|near| format!("; did you mean `{near}`?"));
    let hint = near.unwrap_or_else(|| "; `claw secrets list` shows what there is".to_owned());
    format!("there is no token and no agent `{name}`{hint}")
}
