//! `claw doctor --deep`: each attempt of a hostile agent is made without walls and by an agent, and the two are compared.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::time::{Duration, SystemTime};

use claw_engine::docker::{Docker, EngineFacts, Seen};
use claw_engine::pack;
use claw_hostile::echo;
use claw_types::image::INFRA_PROGRAM;
use serde_json::{Value, json};

use super::attempts::{Attempt, From, Targets, attempts};
use super::throwaway::Throwaway;
use crate::exit::CommandError;
use crate::table::{row, table};
use crate::ui::Ui;

/// The longest that an attempt may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How an attempt ended; nothing is known where it could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    succeeded: Option<bool>,
    detail: String,
}

/// What an attempt shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It succeeds without walls, and the agent's does not.
    Held,
    /// The agent's succeeds.
    NotHeld,
    /// It would not have succeeded anyway, or could not be made.
    NotShown,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::NotHeld => "not-held",
            Verdict::NotShown => "not-shown",
        }
    }
}

/// One attempt, made twice.
pub(super) struct Tried {
    name: &'static str,
    control: Ended,
    agent: Ended,
    verdict: Verdict,
}

fn verdict(control: &Ended, agent: &Ended) -> Verdict {
    match (control.succeeded, agent.succeeded) {
        (_, Some(true)) => Verdict::NotHeld,
        (Some(true), Some(false)) => Verdict::Held,
        (Some(false) | None, Some(false)) | (_, None) => Verdict::NotShown,
    }
}

/// Starts the pod, makes every attempt, and takes the pod away.
pub(super) async fn tried(docker: &Docker, facts: &EngineFacts, ui: &Ui) -> Result<Vec<Tried>, CommandError> {
    refuse(facts)?;
    let mark = mark();
    let here = listen().map_err(|error| CommandError::Deep(format!("ports of this host: {error}")))?;
    ui.progress("start a throw-away pod");
    let pod = Throwaway::write(&mark, facts.address.strip_prefix("unix://"), ui)?;
    pod.up().await?;
    let containers = docker.containers(pod.name()).await?;
    let containers: BTreeMap<&str, &Seen> = containers.iter().map(|seen| (seen.service(), seen)).collect();
    let targets = targets(&containers, pod.name(), here, mark)?;
    let id = |service: &str| containers.get(service).map_or("", |seen| seen.id.as_str());
    let mut all = Vec::new();
    for Attempt { name, from, control, agent } in attempts(&targets) {
        ui.progress(&format!("try {name}"));
        let without = if from == From::Control { "control" } else { "friend" };
        let control = run(docker, id(without), &control).await;
        let agent = run(docker, id("mole"), &agent).await;
        all.push(Tried { name, verdict: verdict(&control, &agent), control, agent });
    }
    Ok(all)
}

/// Refuses where the pod could not run, or would say nothing of this host.
fn refuse(facts: &EngineFacts) -> Result<(), CommandError> {
    let own = pack::architecture();
    let needs = |what: String| Err(CommandError::Deep(what));
    if facts.os != std::env::consts::OS || facts.architecture != own {
        return needs(format!(
            "an engine for {}/{own}: this one is {}/{}",
            std::env::consts::OS,
            facts.os,
            facts.architecture
        ));
    }
    if !pack::is_static() {
        return needs(
            "a claw that can be packed into an image: this one is dynamic, build it with +crt-static".to_owned(),
        );
    }
    if !facts.address.starts_with("unix://") {
        return needs(format!("an engine on this host: `{}` may be another's", facts.address));
    }
    Ok(())
}

/// Returns a text that no other process has in its environment.
fn mark() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("claw-doctor-{}-{}", std::process::id(), now.as_nanos())
}

/// Opens ports of this host; returns its address, as others see it, and the ports.
fn listen() -> std::io::Result<(Option<IpAddr>, [u16; 3])> {
    let any = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    // Nothing is sent: the kernel says from which address it would be.
    let probe = UdpSocket::bind(any)?;
    let own = probe.connect(("198.51.100.1", 9)).and_then(|()| probe.local_addr());
    let own = own.ok().map(|address| address.ip()).filter(|address| !address.is_loopback());
    // A datagram's answer comes from the address that it was sent to only where the socket has that one.
    let datagrams = own.map_or(any, |own| (own, 0));
    let (tcp, udp, names) = (TcpListener::bind(any)?, UdpSocket::bind(datagrams)?, UdpSocket::bind(datagrams)?);
    let ports = [tcp.local_addr()?, udp.local_addr()?, names.local_addr()?].map(|address| address.port());
    echo::tcp(tcp);
    echo::udp(udp);
    echo::names(names);
    Ok((own, ports))
}

/// Returns what there is to be reached.
fn targets(
    containers: &BTreeMap<&str, &Seen>,
    pod: &str,
    (host, ports): (Option<IpAddr>, [u16; 3]),
    mark: String,
) -> Result<Targets, CommandError> {
    let untold = |service: &str, network: &str| {
        CommandError::Deep(format!("the address of `{service}` on `{network}`, which the engine does not tell"))
    };
    let on = |service: &str, network: &str| {
        let networks = containers.get(service).map(|seen| &seen.inspected["NetworkSettings"]["Networks"]);
        networks.map_or(Value::Null, |networks| networks[format!("{pod}_{network}")].clone())
    };
    let address = |service: &str, network: &str, field: &str| {
        let found = on(service, network)[field].as_str().filter(|address| !address.is_empty()).map(ToOwned::to_owned);
        found.ok_or_else(|| untold(service, network))
    };
    let gateway = address("control", "default", "Gateway")?;
    let own = first_of(&on("mole", "claw-mole")).ok_or_else(|| untold("mole", "claw-mole"))?;
    Ok(Targets {
        host: host.or_else(|| gateway.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ports,
        gateway,
        own_gateway: own.to_string(),
        neighbour: address("neighbour", "claw-neighbour", "IPAddress")?,
        neighbour_gate: address("egress", "claw-neighbour", "IPAddress")?,
        mark,
    })
}

/// Returns the first address of the network that a container's address is on: where an engine puts the host, if it does.
fn first_of(network: &Value) -> Option<Ipv4Addr> {
    let own: Ipv4Addr = network["IPAddress"].as_str()?.parse().ok()?;
    let length = u32::try_from(network["IPPrefixLen"].as_u64()?).ok().filter(|length| (1..=30).contains(length))?;
    let mask = u32::MAX << (32 - length);
    Some(Ipv4Addr::from((u32::from(own) & mask) + 1))
}

/// Makes an attempt in a container.
async fn run(docker: &Docker, container: &str, words: &[String]) -> Ended {
    let mut command = vec![INFRA_PROGRAM.to_owned(), "hostile".to_owned()];
    command.extend(words.iter().cloned());
    let unknown = |detail: String| Ended { succeeded: None, detail };
    let output = match docker.exec(container, &command, PATIENCE).await {
        Ok(output) => output,
        Err(error) => return unknown(error.to_string()),
    };
    match serde_json::from_str::<Value>(&output.stdout) {
        Ok(line) => Ended {
            succeeded: line["succeeded"].as_bool(),
            detail: line["detail"].as_str().unwrap_or_default().to_owned(),
        },
        Err(_) => unknown(format!("it ended with {}: {}", output.exit_code, output.stderr.trim())),
    }
}

/// Returns whether no attempt of the agent's succeeded.
pub(super) fn is_held(tried: &[Tried]) -> bool {
    tried.iter().all(|each| each.verdict != Verdict::NotHeld)
}

/// The most characters of what stood in the way.
const CELL: usize = 60;

/// Returns a detail without the kernel's numbers, and no longer than a cell.
fn short(detail: &str) -> String {
    let mut pieces = detail.split(" (os error ");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    text.extend(pieces.filter_map(|piece| piece.split_once(')')).map(|(_, rest)| rest));
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns the attempts as a table.
pub(super) fn text(tried: &[Tried]) -> String {
    let cell = |ended: &Ended| match ended.succeeded {
        Some(true) => "succeeds".to_owned(),
        Some(false) => short(&ended.detail),
        None => "could not be made".to_owned(),
    };
    let mut lines = vec![row(["ATTEMPT", "WITHOUT WALLS", "AGENT", ""])];
    for each in tried {
        let verdict = match each.verdict {
            Verdict::Held => "held",
            Verdict::NotHeld => "NOT HELD",
            Verdict::NotShown => "not shown",
        };
        lines.push(row([each.name, &cell(&each.control), &cell(&each.agent), verdict]));
    }
    table(&lines)
}

/// Returns an attempt for programs.
pub(super) fn json(tried: &Tried) -> Value {
    let ended = |ended: &Ended| json!({ "succeeded": ended.succeeded, "detail": ended.detail });
    json!({
        "name": tried.name,
        "control": ended(&tried.control),
        "agent": ended(&tried.agent),
        "verdict": tried.verdict.word(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(succeeded: Option<bool>) -> Ended {
        Ended { succeeded, detail: String::new() }
    }

    #[test]
    fn what_an_agent_can_do_is_not_held_whatever_the_control_says() {
        for control in [Some(true), Some(false), None] {
            assert_eq!(verdict(&ended(control), &ended(Some(true))), Verdict::NotHeld);
        }
        let tried = |succeeded| {
            let (control, agent) = (ended(Some(true)), ended(Some(succeeded)));
            Tried { name: "x", verdict: verdict(&control, &agent), control, agent }
        };
        assert!(is_held(&[tried(false)]) && !is_held(&[tried(false), tried(true)]));
        assert!(text(&[tried(true)]).ends_with("NOT HELD"));
    }

    #[test]
    fn a_network_begins_at_its_first_address() {
        let network = json!({ "IPAddress": "10.1.2.21", "IPPrefixLen": 28 });
        assert_eq!(first_of(&network), Some(Ipv4Addr::new(10, 1, 2, 17)));
        assert_eq!(first_of(&json!({ "IPAddress": "", "IPPrefixLen": 0 })), None);
    }

    #[test]
    fn what_was_not_seen_to_succeed_shows_nothing() {
        assert_eq!(verdict(&ended(Some(true)), &ended(Some(false))), Verdict::Held);
        assert_eq!(verdict(&ended(Some(false)), &ended(Some(false))), Verdict::NotShown);
        assert_eq!(verdict(&ended(None), &ended(Some(false))), Verdict::NotShown);
        // An attempt that the agent could not make is no wall.
        assert_eq!(verdict(&ended(Some(true)), &ended(None)), Verdict::NotShown);
    }
}
