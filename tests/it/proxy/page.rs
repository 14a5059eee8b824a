//! The operators' page in a real browser: on scripted states in every detail, and on the proxy itself.

use std::process::Command;

use serde_json::json;

use super::{Gateway, Provider, agent, completion, json_answer, manifest, question};
use crate::root;

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_browser() -> bool {
    let found = Command::new("sh").args(["-c", "command -v chromium"]).output().expect("sh runs").status.success();
    if !found {
        eprintln!("skipped: no browser, `make tools` installs chromium");
    }
    found
}

#[test]
fn the_page_shows_every_state_and_holds_against_hostile_names() {
    if !has_browser() {
        return;
    }
    let run = Command::new("timeout")
        .args(["300", "python3", "page_test.py"])
        .current_dir(root().join("tests/page"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3 runs");
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
}

#[test]
fn the_page_of_a_proxy_that_runs_shows_what_was_spent() {
    if !has_browser() {
        return;
    }
    let provider = Provider::new(|_| json_answer(&completion()));
    let budgets = json!({"budgets": [{"usd": "5", "window": "day", "action": "hard_stop"}]});
    let gateway = Gateway::new("page", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budgets)));
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    assert_eq!(gateway.chat(&question("openai/else")).status, 200);
    let shown = |token: &str| {
        let home = gateway.folder.0.join(format!("browser-{token}"));
        let output = Command::new("timeout")
            .args(["60", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--virtual-time-budget=3000", "--timeout=8000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", home.display()))
            .arg(format!("http://127.0.0.1:{}/#token={token}", gateway.admin))
            .output()
            .expect("chromium runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page = shown("operator");
    for text in [
        "data-agent=\"bot\"",
        "data-connection=\"live\"",
        "data-role=\"operator\"",
        "0.005",
        "gpt-4o",
        "model_clamped",
        "data-key=\"KEY\"",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(!page.contains("#token"), "the token is taken out of the address");
    let page = shown("looker");
    assert!(
        page.contains("data-role=\"read\"") && !page.contains("data-control="),
        "who may only look has nothing to press"
    );
    let page = shown("wrong");
    assert!(!page.contains("data-agent=\"bot\""), "nothing is shown without the token");
}
