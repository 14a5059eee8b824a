//! `docs/drivers.md`: what each runtime can do and how that is known, from the facts of its driver.

use claw_types::driver::{DriverFacts, ProbeKind, SecretDelivery};

const BEGIN: &str = "# Drivers

What each runtime can do, from its driver's facts. A new driver is a folder below `drivers/` and two lines in
`drivers/lib.rs`; its own page says more. `CLAW_TYPE <runtime>@<version>` says which version an image has: one that the driver was
not made for is a warning (`untested-runtime`).

| runtime | what it is | facts from | versions | wire formats | model slots | platforms | secrets | health | memory | user | image of claw's |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

const KNOWN: &str = "
## How each thing is known

`ran`: seen in the running program. `read`: read in its source or schema, and not run. `no`: the runtime does not do it.

";

const HEARD: &str = "
What ran is judged again by `make runtimes` and the suite, but for zeroclaw: its program is taken out of its image, which takes half
an hour to build, so CI does not judge it where that image is absent. Its tests then say `skipped`, and assert what claw itself makes,
no more; `sh scripts/zeroclaw.sh .runtimes/zeroclaw` builds it, and `make test-runtimes` does it too.

A driver whose capability is `read` while the runtime is known from running it says so where a pod uses that capability
(a note, `untested-runtime`): a note changes no exit code. A driver that was never run is a warning.

## Who is heard

One rule for all of them (`drivers/common/people.rs`). In a group that the pod names, and directly, nobody is heard whom the pod does
not let be heard there: where a runtime would hear more, `claw` makes nothing, and the error says which line of the pod says it
openly, and which runtimes take the pod as it stands. Where it hears fewer people, or needs a mention that the pod does not ask for,
that is a warning. A group that the pod does not name is one that the account should not be in: a runtime that does not tell groups
apart hears there whom the pod lets be heard elsewhere, which is a warning, and never anybody else. On telegram a guild is a group,
and its `channels` are what schedules answer to: no rule is made of them. Other bots of the pod are heard as far as the runtime can,
and what it does not hold of them is a warning.

`yes`: as the pod says. `told`: with a warning. `error`: refused. *One list* is the same people in one guild and directly, with a
mention; *a channel* is one channel of that guild alone.

";

/// A row of the first table.
fn row(facts: &DriverFacts) -> String {
    let formats: Vec<&str> = facts.formats.iter().map(|format| format.name()).collect();
    let secrets = match facts.secrets {
        SecretDelivery::Files => "files",
        SecretDelivery::Environment => "environment, by the shim",
    };
    let probe = match facts.probe {
        ProbeKind::Running => "the engine's word",
        ProbeKind::Exec => "a probe inside",
        ProbeKind::Http => "an endpoint inside",
    };
    let list = |names: &[&str], none: &str| if names.is_empty() { none.to_owned() } else { names.join(", ") };
    let base = facts.base.as_ref().map_or("none".to_owned(), |base| format!("`{}`", base.name()));
    let cells = [
        format!("[{name}](../drivers/{name}/README.md)", name = facts.name),
        facts.summary.to_owned(),
        facts.source.to_owned(),
        facts.versions.to_string(),
        list(&formats, "none"),
        list(facts.slots, "any"),
        list(facts.platforms, "none"),
        secrets.to_owned(),
        probe.to_owned(),
        format!("{} MiB", facts.memory_mib),
        format!("{}:{}", facts.user.0, facts.user.1),
        base,
    ];
    line(&cells)
}

fn line<T: AsRef<str>>(cells: &[T]) -> String {
    format!("| {} |\n", cells.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" | "))
}

/// The last section.
const VARIABLES: &str = "
## What the pod's variables cannot say

Some runtimes take variables over what their configuration says: `ZEROCLAW_…`, `PICOCLAW_…`, `NULLCLAW_…`, `MICROCLAW_…`, and those of hermes that say who
is heard (`GATEWAY_ALLOW_ALL_USERS`, `TELEGRAM_GROUP_ALLOWED_CHATS`, …). In an agent's `environment:` they are errors, since the pod would say one thing and the agent do
another. The Claude Agent SDK's own (`ANTHROPIC_…`, `CLAUDE_…`) do not reach it, and that is a warning; nanobot's file wins.
";

#[test]
fn the_table_of_drivers_is_current() {
    let facts = || claw_drivers::ALL.iter().map(|driver| driver.facts());
    let mut page = BEGIN.to_owned();
    page.extend(facts().map(row));
    page.push_str(KNOWN);
    for (index, facts) in facts().enumerate() {
        let rows = facts.standing.rows();
        if index == 0 {
            let names = ["runtime"].into_iter().chain(rows.iter().map(|(name, _)| *name));
            page.push_str(&line(&names.collect::<Vec<_>>()));
            page.push_str(&format!("|{}\n", "---|".repeat(rows.len() + 1)));
        }
        let words = [facts.name].into_iter().chain(rows.iter().map(|(_, standing)| standing.name()));
        page.push_str(&line(&words.collect::<Vec<_>>()));
    }
    for facts in facts() {
        for alias in facts.aliases {
            page.push_str(&format!("\n`{}` is `{}` here: {}.\n", alias.name, facts.name, alias.note));
        }
    }
    page.push_str(HEARD);
    page.push_str(&crate::heard::table());
    page.push_str(VARIABLES);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/drivers.md");
    if crate::is_snapping() {
        std::fs::write(&path, &page).expect("written");
    }
    assert_eq!(page, std::fs::read_to_string(path).unwrap_or_default(), "`make snap` after reading why");
}
