//! `claw top`, `images`, `port`: what containers run, are made of, and are reached by.

use claw_types::image::compose;
use serde_json::{Value, json};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::published::{gate, published};
use crate::session;
use crate::table::{row, table};
use crate::ui::Ui;

pub(crate) fn top(global: &Global, services: &[String], ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "top", ui, async |session| {
        let docker = session.docker().await?;
        let mut lines: Vec<Vec<String>> = Vec::new();
        let mut data = Vec::new();
        for seen in session.containers(services).await?.iter().filter(|seen| seen.state.is_running) {
            let mut found = docker.processes(&seen.id).await?.into_iter();
            let titles = found.next().unwrap_or_default();
            if lines.is_empty() {
                lines.push(std::iter::once("SERVICE".to_owned()).chain(titles.iter().cloned()).collect());
            }
            for process in found {
                let fields: serde_json::Map<String, Value> =
                    titles.iter().zip(&process).map(|(title, cell)| (title.to_lowercase(), json!(cell))).collect();
                data.push(json!({ "service": seen.service(), "name": seen.name, "process": fields }));
                lines.push(std::iter::once(seen.service().to_owned()).chain(process).collect());
            }
        }
        session.result("top", &table(&lines), json!({ "pod": session.plan.pod.as_str(), "processes": data }));
        Ok(Exit::Done)
    })
}

pub(crate) fn images(global: &Global, quiet: bool, services: &[String], ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "images", ui, async |session| {
        let mut lines = vec![row(["SERVICE", "IMAGE", "ID"])];
        let mut data = Vec::new();
        for seen in session.containers(services).await? {
            let image = seen.inspected["Config"]["Image"].as_str().unwrap_or("").to_owned();
            let id = seen.label(compose::IMAGE).to_owned();
            let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
            lines.push(row([seen.service(), &image, &short]));
            data.push(json!({ "service": seen.service(), "name": seen.name, "image": image, "id": id }));
        }
        if quiet {
            lines.iter().skip(1).for_each(|line| ui.bare(&format!("{}\n", line[2])));
            return Ok(Exit::Done);
        }
        session.result("images", &table(&lines), json!({ "pod": session.plan.pod.as_str(), "images": data }));
        Ok(Exit::Done)
    })
}

/// Prints the address of the host that leads to a port of a container.
pub(crate) fn port(
    global: &Global,
    (service, port): (&str, &str),
    (protocol, index): (&str, u32),
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let (port, protocol) = port.split_once('/').unwrap_or((port, protocol));
    if port.parse::<u16>().is_err() || !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err(CommandError::Usage(format!("`{port}/{protocol}` is no port: write `80` or `53/udp`")));
    }
    session::with(global, "port", ui, async |session| {
        let seen = session.container(service, index).await?;
        let all = session.containers(&[]).await?;
        let wanted = format!("{port}/{protocol}");
        let leading = published(&seen, gate(&all)).into_iter().filter(|each| each.inside == wanted);
        let mut addresses: Vec<String> = leading.map(|each| each.address).collect();
        addresses.sort_unstable();
        if addresses.is_empty() {
            return Err(CommandError::Usage(format!("`{service}` does not publish {port}/{protocol}")));
        }
        session.result("port", &addresses.join("\n"), json!({ "service": service, "addresses": addresses }));
        Ok(Exit::Done)
    })
}
