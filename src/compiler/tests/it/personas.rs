//! Personas: a volume of each replica's own, what agents are told of it, steps, and the lock.

use claw_compiler::compile;
use claw_compiler::facts::{
    Context, Facts, FileFact, KnownPersona, LockedPersona, Need, PersonaFact, PodSpec, missing,
};
use claw_compiler::lockfile::{Found, Lockfile};
use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::{Mode, Observed, steps};
use claw_types::diag::Diagnostics;
use claw_types::persona::Archive;
use claw_types::span::SourceMap;

use crate::world::{file, text};

/// Returns the plan of a pod, what was found, and the lock of the plan; `lock` is what the pod is locked by, and then nobody else is asked.
fn planned(
    pod: &str,
    fact: &dyn Fn(&mut SourceMap) -> PersonaFact,
    lock: Option<&Lockfile>,
) -> (Option<Plan>, Vec<String>, Option<Lockfile>) {
    let mut sources = SourceMap::new();
    let file = sources.add("claw-pod.yml", pod);
    let contract = sources.add("AGENTS.md", "# A\n");
    let spec = PodSpec::of("claw-pod.yml", file, "pod");
    let mut facts = Facts::default();
    if let Some(lock) = lock {
        lock.tell(true, &mut facts, &mut sources);
    }
    loop {
        let needs = missing(&spec, &facts, &Context { sources: &sources, drivers: claw_drivers::ALL, version: "0" });
        if needs.is_empty() {
            break;
        }
        let needs = if lock.is_some() { facts.without_engine(needs) } else { needs };
        for need in needs {
            match need {
                Need::Persona(name) => drop(facts.personas.insert(name, fact(&mut sources))),
                Need::File(path) => drop(facts.files.insert(path, FileFact::Text(contract))),
                need => facts.suppose(need, contract),
            }
        }
    }
    let context = Context { sources: &sources, drivers: claw_drivers::ALL, version: "0" };
    let mut diag = Diagnostics::new();
    let plan = compile(&spec, &facts, &context, &mut diag).ok();
    let found = diag.sorted().into_iter().map(|each| format!("{}: {}", each.code.name(), each.message)).collect();
    let lock = plan.as_ref().map(|plan| Lockfile::of(plan, &facts, &Found::default(), &context));
    (plan, found, lock)
}

fn known(text: &'static str, artifact: Option<&'static str>) -> impl Fn(&mut SourceMap) -> PersonaFact {
    move |sources| {
        PersonaFact::Known(KnownPersona {
            digest: "sha256:aa".to_owned(),
            artifact: artifact.map(ToOwned::to_owned),
            archive: Some(Archive::new(text.into())),
            texts: vec![sources.add("p/SOUL.md", text)],
        })
    }
}

fn pod(persona: &str, more: &str) -> String {
    format!(
        "services: {{bot: {{image: x, command: [/bot], x-claw: {{type: generic, agent: AGENTS.md, persona: '{persona}'{more}}}}}}}\n"
    )
}

#[test]
fn each_replica_has_a_volume_of_its_own_and_is_told_where() {
    let (plan, found, lock) = planned(&pod("personas/a", ", count: 2"), &known("calm", None), None);
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(found, Vec::<String>::new());
    let written = text(&plan);
    for volume in ["bot-persona", "bot-1-persona"] {
        assert!(plan.project.volumes.contains_key(volume), "{volume}");
        let mount =
            format!("source: \"{volume}\"\n        target: \"/persona\"\n        volume:\n          nocopy: true\n");
        assert!(written.contains(&mount), "{written}");
    }
    assert_eq!(written.matches("CLAW_PERSONA_DIR: \"/persona\"").count(), 2, "{written}");
    let line = "- Persona: `personas/a`, at `/persona`: read it first; it is yours to change, what you change stays, and the contract stands above it";
    assert!(file(&plan, "claw/CLAWDAPUS.md").contains(line));
    assert_eq!(lock.expect("a lock").personas.len(), 0, "what lies in the pod needs no lock");
    let list = steps(&plan, &Observed::default(), &Mode::default());
    let at =
        |line: &str| list.iter().find(|step| step.to_string() == line).unwrap_or_else(|| panic!("{line}: {list:?}"));
    let seed = at("copy persona of bot-1: its volume is new");
    assert!(seed.after.contains(&at("create volume bot-1-persona: it is missing").id));
    assert!(at("start container bot-1: it is new").after.contains(&seed.id), "{list:?}");
    assert_eq!((seed.action.name(), seed.action.is_of_container()), ("seed", false));
}

#[test]
fn a_volume_that_was_filled_is_not_filled_again() {
    let (plan, _, _) = planned(&pod("personas/a", ""), &known("calm", None), None);
    let plan = plan.expect("a plan");
    let observed = Observed { volumes: ["bot-persona".to_owned()].into(), ..Observed::default() };
    let seeds = |observed: &Observed| {
        steps(&plan, observed, &Mode::default()).iter().filter(|step| step.action.name() == "seed").count()
    };
    assert_eq!(seeds(&observed), 0);
    let unit = plan.units.keys().next().expect("an agent").clone();
    assert_eq!(seeds(&Observed { unseeded: [unit].into(), ..observed }), 1, "a run that ended early");
}

#[test]
fn an_artifact_is_locked_and_then_needs_neither_engine_nor_registry() {
    let text = pod("ghcr.io/acme/a:1", "");
    let (plan, _, lock) = planned(&text, &known("calm", Some("sha256:bb")), None);
    let lock = lock.expect("a lock");
    let locked = LockedPersona { digest: "sha256:bb".to_owned(), content: "sha256:aa".to_owned() };
    assert_eq!(lock.personas.get("ghcr.io/acme/a:1"), Some(&locked));
    let never = |_: &mut SourceMap| -> PersonaFact { panic!("nobody is asked") };
    let (offline, found, again) = planned(&text, &never, Some(&lock));
    let offline = offline.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(crate::world::text(&offline), crate::world::text(&plan.expect("a plan")));
    assert_eq!(again.expect("a lock").personas, lock.personas);
    let (none, found, _) = planned(&pod("ghcr.io/acme/b:1", ""), &never, Some(&lock));
    assert!(none.is_none());
    assert_eq!(
        found,
        ["unusable-persona: the persona `ghcr.io/acme/b:1` is not in `claw.lock`, and nothing else was asked"]
    );
    let mut moved = lock.clone();
    moved.personas.insert("ghcr.io/acme/a:1".to_owned(), LockedPersona { digest: "sha256:cc".to_owned(), ..locked });
    assert_eq!(moved.changes(&lock), ["persona ghcr.io/acme/a:1: sha256:bb is now sha256:cc"]);
}

#[test]
fn what_a_persona_says_is_looked_through() {
    let said = "a\u{200b}b\n";
    let (_, found, _) = planned(&pod("personas/a", ""), &known(said, None), None);
    assert!(found.len() == 1 && found[0].starts_with("suspicious-text: `hidden-unicode`"), "{found:?}");
    let (plan, _, _) = planned(&pod("ghcr.io/acme/a:1", ""), &known(said, Some("sha256:bb")), None);
    assert!(plan.is_none(), "an error in what somebody else wrote");
}

#[test]
fn what_is_there_already_and_what_is_nowhere_is_said() {
    let (_, found, _) = planned(&pod("personas/a", ""), &|_| PersonaFact::Missing, None);
    assert_eq!(found, ["missing-file: the persona `personas/a` does not exist"]);
    let (_, found, _) = planned(&pod("personas/a", ""), &|_| PersonaFact::Unusable("holds no file".to_owned()), None);
    assert_eq!(found, ["unusable-persona: the persona `personas/a` holds no file"]);
    let taken = pod("personas/a", "").trim_end().to_owned() + "\nvolumes: {bot-persona: {}}\n";
    let (_, found, _) = planned(&taken, &known("calm", None), None);
    assert!(found.iter().any(|each| each.starts_with("name-collision: the volume `bot-persona`")), "{found:?}");
    let mounted =
        pod("personas/a", "").replace("image: x,", "image: x, volumes: ['data:/persona'],") + "volumes: {data: {}}\n";
    let (_, found, _) = planned(&mounted, &known("calm", None), None);
    assert!(found.iter().any(|each| each == "name-collision: `bot` has two mounts at `/persona`"), "{found:?}");
}
