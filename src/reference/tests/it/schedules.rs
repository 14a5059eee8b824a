//! Schedules, against a clock that is moved by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_reference::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::door::raw;
use crate::{Running, prepare, start};

/// A clock that stands still until the test sends it another time, which ends a sleep.
struct Steps {
    now: Mutex<DateTime<Utc>>,
    next: tokio::sync::Mutex<mpsc::UnboundedReceiver<DateTime<Utc>>>,
}

impl Clock for Steps {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().expect("the time")
    }

    async fn sleep(&self, _: Duration) {
        match self.next.lock().await.recv().await {
            Some(time) => *self.now.lock().expect("the time") = time,
            None => std::future::pending().await,
        }
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn clock(now: &str) -> (mpsc::UnboundedSender<DateTime<Utc>>, Steps) {
    let (steps, next) = mpsc::unbounded_channel();
    (steps, Steps { now: Mutex::new(time(now)), next: tokio::sync::Mutex::new(next) })
}

fn schedules(rows: &[(&str, &str)]) -> Value {
    let row =
        |(id, cron): &(&str, &str)| json!({"id": id, "schedule": cron, "message": format!("do {id}"), "to": null});
    rows.iter().map(row).collect()
}

struct Timed {
    agent: Running,
    steps: mpsc::UnboundedSender<DateTime<Utc>>,
}

async fn timed(name: &str, now: &str, change: impl FnOnce(&mut Value)) -> Timed {
    let (steps, clock) = clock(now);
    Timed { agent: prepare(name, change).await.start(clock).await, steps }
}

impl Timed {
    fn step(&self, now: &str) {
        self.steps.send(time(now)).expect("a clock");
    }

    async fn shown(&self) -> Value {
        let (_, health) = raw(&self.agent.address, "GET /health", "").await;
        serde_json::from_str::<Value>(&health).expect("JSON")["schedules"].clone()
    }

    /// Returns the value of each schedule's key once it is as expected, or the last one seen.
    async fn until(&self, key: &str, expected: &[&str]) {
        let mut seen = Vec::new();
        for _ in 0..2_000 {
            seen = self.shown().await.as_array().expect("schedules").iter().map(|row| row[key].clone()).collect();
            if seen == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(seen, expected);
    }

    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.agent.folder.join("state/schedules.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn fired(&self) -> Vec<String> {
        let log = self.log();
        let word = |line: &Value| format!("{} {}", line["id"].as_str().expect("id"), line["at"].as_str().expect("at"));
        log.iter().map(word).collect()
    }
}

#[tokio::test]
async fn health_shows_when_each_fires_next_in_its_time_zone() {
    let rows = [
        ("a", "0 9 * * mon"),
        ("b", "*/5 * * * *"),
        ("c", "0 12 L * *"),
        ("d", "30 2 * * *"),
        ("e", "0 0 * * 5L"),
        ("f", "0 0 29 2 *"),
    ];
    // A Saturday; at two in the night after it, Berlin's clocks go to three.
    let timed = timed("next", "2026-03-28T12:00:00Z", |document| {
        document["timezone"] = json!("Europe/Berlin");
        document["schedules"] = schedules(&rows);
    })
    .await;
    let row = |id: &str, next: &str| json!({"id": id, "next": next, "last": null, "last_status": null});
    let expected = json!([
        row("a", "2026-03-30T09:00:00+02:00"),
        row("b", "2026-03-28T13:05:00+01:00"),
        row("c", "2026-03-31T12:00:00+02:00"),
        row("d", "2026-03-29T03:00:00+02:00"),
        // The last Friday of March was the day before.
        row("e", "2026-04-24T00:00:00+02:00"),
        row("f", "2028-02-29T00:00:00+01:00"),
    ]);
    assert_eq!(timed.shown().await, expected);
}

#[tokio::test]
async fn a_time_that_the_change_of_clocks_leaves_out_fires_after_it() {
    let timed = timed("gap", "2026-03-29T00:58:00Z", |document| {
        document["timezone"] = json!("Europe/Berlin");
        document["schedules"] = schedules(&[("night", "30 2 * * *")]);
        document["schedules"][0]["to"] = json!("chat:1");
    })
    .await;
    timed.step("2026-03-29T00:59:59Z");
    timed.step("2026-03-29T01:00:00Z");
    timed.until("last", &["2026-03-29T03:00:00+02:00"]).await;
    timed.until("next", &["2026-03-30T02:30:00+02:00"]).await;
    let line = json!({
        "id": "night", "at": "2026-03-29T03:00:00+02:00", "status": "answered", "to": "chat:1",
        "reply": "I am Writer. Turn 1: do night",
    });
    assert_eq!(timed.log(), [line]);
    assert!(timed.agent.folder.join("state/conversations/schedule-night.jsonl").is_file());
}

#[tokio::test]
async fn a_time_that_comes_twice_fires_once() {
    let timed = timed("fold", "2026-10-25T00:00:00Z", |document| {
        document["timezone"] = json!("Europe/Berlin");
        document["schedules"] = schedules(&[("night", "30 2 * * *")]);
    })
    .await;
    timed.step("2026-10-25T00:30:00Z");
    timed.until("last", &["2026-10-25T02:30:00+02:00"]).await;
    timed.step("2026-10-25T01:30:00Z");
    timed.step("2026-10-26T01:30:00Z");
    timed.until("last", &["2026-10-26T02:30:00+01:00"]).await;
    assert_eq!(timed.fired(), ["night 2026-10-25T02:30:00+02:00", "night 2026-10-26T02:30:00+01:00"]);
}

#[tokio::test]
async fn what_a_jump_of_the_clock_missed_is_skipped() {
    let timed = timed("jump", "2026-11-11T12:00:00Z", |document| {
        document["schedules"] = schedules(&[("a", "*/5 * * * *")]);
    })
    .await;
    timed.step("2026-11-11T12:06:01Z");
    timed.until("next", &["2026-11-11T12:10:00+00:00"]).await;
    timed.step("2026-11-11T15:00:30.5Z");
    timed.until("last", &["2026-11-11T15:00:00+00:00"]).await;
    assert_eq!(timed.fired(), ["a 2026-11-11T15:00:00+00:00"]);
}

#[tokio::test]
async fn a_clock_that_goes_back_fires_nothing_twice_and_loses_nothing_after() {
    let timed = timed("back", "2026-11-11T12:00:00Z", |document| {
        document["schedules"] = schedules(&[("a", "*/5 * * * *")]);
    })
    .await;
    timed.step("2026-11-11T12:05:00Z");
    timed.until("last", &["2026-11-11T12:05:00+00:00"]).await;
    timed.step("2026-11-11T12:04:59Z");
    timed.step("2026-11-11T12:05:01Z");
    timed.step("2026-11-11T09:00:30Z");
    timed.until("next", &["2026-11-11T09:05:00+00:00"]).await;
    timed.step("2026-11-11T09:05:00Z");
    timed.until("last", &["2026-11-11T09:05:00+00:00"]).await;
    assert_eq!(timed.fired(), ["a 2026-11-11T12:05:00+00:00", "a 2026-11-11T09:05:00+00:00"]);
}

#[tokio::test]
async fn two_at_one_minute_both_fire_in_the_order_of_their_ids() {
    let timed = timed("order", "2026-11-11T12:00:00Z", |document| {
        document["schedules"] = schedules(&[("b", "5 12 * * *"), ("a", "*/5 * * * *"), ("c", "5 * * * *")]);
    })
    .await;
    timed.step("2026-11-11T12:05:00Z");
    timed.until("last_status", &["answered"; 3]).await;
    let at = "2026-11-11T12:05:00+00:00";
    assert_eq!(timed.fired(), [format!("a {at}"), format!("b {at}"), format!("c {at}")]);
}

#[tokio::test]
async fn a_long_turn_hides_no_other_schedule_and_is_not_fired_again_meanwhile() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (asked, mut arrived) = mpsc::unbounded_channel();
    let closed = Arc::clone(&gate);
    let slow = axum::routing::post(move || async move {
        asked.send(()).expect("the test");
        closed.acquire().await.expect("opened").forget();
        axum::Json(json!({"choices": [{"message": {"role": "assistant", "content": "done"}}]}))
    });
    let provider = start(axum::Router::new().route("/chat/completions", slow)).await;
    let timed = timed("slow", "2026-11-11T12:00:00Z", |document| {
        document["models"][0]["base_url"] = json!(format!("http://{provider}"));
        document["schedules"] = schedules(&[("a", "* * * * *"), ("b", "2 * * * *")]);
    })
    .await;
    timed.step("2026-11-11T12:01:00Z");
    arrived.recv().await.expect("asked");
    timed.step("2026-11-11T12:02:00Z");
    timed.step("2026-11-11T12:09:30Z");
    timed.until("next", &["2026-11-11T12:10:00+00:00", "2026-11-11T13:02:00+00:00"]).await;
    gate.add_permits(2);
    timed.until("last_status", &["answered"; 2]).await;
    assert_eq!(timed.fired(), ["a 2026-11-11T12:01:00+00:00", "b 2026-11-11T12:02:00+00:00"]);
}

#[tokio::test]
async fn a_firing_that_fails_is_written_down_with_its_reason() {
    let timed = timed("failed", "2026-11-11T12:00:00Z", |document| {
        document["models"] = json!([]);
        document["schedules"] = schedules(&[("a", "*/5 * * * *")]);
    })
    .await;
    timed.step("2026-11-11T12:05:00Z");
    timed.until("last_status", &["failed"]).await;
    let line = json!({
        "id": "a", "at": "2026-11-11T12:05:00+00:00", "status": "failed", "to": null,
        "error": "no model answered: none is declared",
    });
    assert_eq!(timed.log(), [line]);
}

#[tokio::test]
async fn a_restart_knows_the_last_firing_and_has_what_it_fell_on() {
    let lines = "{\"id\":\"a\",\"at\":\"2026-11-11T12:00:00Z\",\"status\":\"answered\"}\n\
                 {\"id\":\"b\",\"at\":\"2026-11-11T09:00:00Z\",\"status\":\"failed\"}\n{\"id\":\"b\",\"at\":\"2026";
    let (steps, clock) = clock("2026-11-11T12:05:40Z");
    let prepared = prepare("restarted", |document| {
        document["schedules"] = schedules(&[("a", "*/5 * * * *"), ("b", "0 * * * *"), ("c", "5 12 * * *")]);
    })
    .await;
    std::fs::create_dir_all(prepared.folder.join("state")).expect("a folder");
    std::fs::write(prepared.folder.join("state/schedules.jsonl"), lines).expect("written");
    let timed = Timed { agent: prepared.start(clock).await, steps };
    for _ in 0..2_000 {
        if timed.shown().await[0]["last"] == "2026-11-11T12:05:00+00:00" {
            break;
        }
    }
    let expected = json!([
        {"id": "a", "next": "2026-11-11T12:10:00+00:00", "last": "2026-11-11T12:05:00+00:00", "last_status": "answered"},
        {"id": "b", "next": "2026-11-11T13:00:00+00:00", "last": "2026-11-11T09:00:00Z", "last_status": "failed"},
        {"id": "c", "next": "2026-11-12T12:05:00+00:00", "last": null, "last_status": null},
    ]);
    assert_eq!(timed.shown().await, expected);
    let text = std::fs::read_to_string(timed.agent.folder.join("state/schedules.jsonl")).expect("the log");
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["at"], "2026-11-11T12:05:00+00:00");
}

#[tokio::test]
async fn what_cannot_be_kept_stops_the_start_and_is_named() {
    let refusal = async |rows: &[(&str, &str)], zone: Value| {
        let (_steps, clock) = clock("2026-11-11T12:00:00Z");
        let prepared = prepare("refused", |document| {
            document["schedules"] = schedules(rows);
            document["timezone"] = zone;
        })
        .await;
        prepared.ready(clock).map(|_| ()).expect_err("refused").to_string()
    };
    let kept = "the schedule `a` cannot be kept: ";
    for (cron, why) in [
        ("0 * * * * *", "`0 * * * * *` has not five fields"),
        ("@daily", "`@daily` has not five fields"),
        ("0 0 31 2 *", "`0 0 31 2 *` never comes"),
        ("60 * * * *", "`60 * * * *`: Component error: Number out of bounds."),
    ] {
        assert_eq!(refusal(&[("z", "* * * * *"), ("a", cron)], Value::Null).await, format!("{kept}{why}"));
    }
    let twice = refusal(&[("a", "* * * * *"), ("a", "0 * * * *")], Value::Null).await;
    assert_eq!(twice, format!("{kept}there are two of that id"));
    let id = refusal(&[("../a", "* * * * *")], Value::Null).await;
    assert_eq!(id, "the schedule `../a` cannot be kept: its id is not made of at most 55 letters, digits, `-`, `_`");
    let zone = refusal(&[("a", "* * * * *")], json!("Europe/Nowhere")).await;
    assert_eq!(zone, "`Europe/Nowhere` is not a time zone");
}
