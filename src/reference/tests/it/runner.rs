//! Two readers of schedules say the same: this runtime's, and the one that the driver of the Claude Agent SDK ships.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use serde_json::json;

const SCHEDULES: &[&str] = &[
    "* * * * *",
    "*/5 * * * *",
    "7-52/9 */3 * * *",
    "0 9 * * 1-5",
    "30 2 * * *",
    "0,30 2 * * *",
    "15 1,2 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "*/20 0-3 * * *",
    "59 23 31 12 *",
    "0 12 29 2 *",
    "0 12 1 jan,JUL mon",
    "0 12 ? * sun",
    "0 12 13 * fri",
    "0 12 */10 * 7",
    "0 12 * * */2",
    "0 12 L * *",
    "0 12 LW * *",
    "0 12 15W * *",
    "0 12 1W,31W * *",
    "0 12 * * 5L",
    "0 12 * * mon#1,3#2",
    "0 12 L * 2#5",
    "45 23 * 3,10 0",
];

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Atlantic/Azores",
    "America/Havana",
];

/// Around changes of clocks, ends of months and of years, and a leap year.
const STARTS: &[&str] = &[
    "2026-03-07T22:10:00Z",
    "2026-03-08T03:30:00Z",
    "2026-03-28T22:59:00Z",
    "2026-03-29T00:30:00Z",
    "2026-04-04T12:00:00Z",
    "2026-04-23T20:00:00Z",
    "2026-09-05T20:00:00Z",
    "2026-10-03T12:00:00Z",
    "2026-10-24T22:30:00Z",
    "2026-10-25T00:15:00Z",
    "2026-10-25T01:10:00Z",
    "2026-10-29T19:00:00Z",
    "2026-11-01T04:00:00Z",
    "2026-11-01T05:45:00Z",
    "2026-12-31T23:58:00Z",
    "2028-02-28T11:59:00Z",
];

/// Returns a node; nothing, said aloud, where there is none.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn node() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.runtimes/claude-agent-sdk/bin/node");
    let nodes = [own, PathBuf::from("node")];
    let runs =
        |node: &PathBuf| Command::new(node).arg("--version").output().is_ok_and(|output| output.status.success());
    let node = nodes.into_iter().find(runs);
    if node.is_none() {
        println!("skipped: no node; `make runtimes` installs one");
    }
    node
}

/// Asks the other reader.
fn asked(node: &Path, lines: &[String]) -> Vec<String> {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/claude-agent-sdk/runner.mjs");
    let mut child = Command::new(node)
        .arg(runner)
        .arg("next")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(lines.join("\n").as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text").lines().map(ToOwned::to_owned).collect()
}

fn line(cron: &str, zone: &str, after: &str) -> String {
    json!({"cron": cron, "zone": zone, "after": after}).to_string()
}

#[test]
fn two_readers_of_schedules_fire_at_the_same_times() {
    let Some(node) = node() else { return };
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for schedule in SCHEDULES {
        let cron = parser.parse(schedule).expect("a schedule");
        for zone in ZONES {
            let tz: Tz = zone.parse().expect("a zone");
            for start in STARTS {
                let mut at = start.parse::<DateTime<chrono::Utc>>().expect("a time").with_timezone(&tz);
                for _ in 0..4 {
                    lines.push(line(schedule, zone, &at.to_utc().to_rfc3339()));
                    at = cron.find_next_occurrence(&at, false).expect("a firing");
                    expected.push(at.to_rfc3339_opts(SecondsFormat::Secs, false));
                }
            }
        }
    }
    let told = asked(&node, &lines);
    assert_eq!(told.len(), lines.len());
    let differ = || lines.iter().zip(&told).zip(&expected).filter(|((_, told), expected)| told != expected);
    let shown: Vec<_> = differ().take(20).collect();
    assert!(shown.is_empty(), "{} of {} differ: {shown:#?}", differ().count(), lines.len());
}

#[test]
fn what_is_no_schedule_is_none_to_either() {
    let Some(node) = node() else { return };
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let bad = [
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5/10 * * * *",
        "5-1 * * * *",
        "a * * * *",
        "* * * * 5#6",
        "* *,5 * * *",
        "* * 15L * *",
        "@daily",
    ];
    let lines: Vec<String> = bad.iter().map(|cron| line(cron, "UTC", "2026-01-01T00:00:00Z")).collect();
    for (cron, told) in bad.iter().zip(asked(&node, &lines)) {
        assert!(told.starts_with("wrong: "), "{cron}: {told}");
        assert!(cron.starts_with('@') || parser.parse(cron).is_err(), "{cron}");
    }
}
