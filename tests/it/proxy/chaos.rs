//! What goes wrong from outside: a full disk, a process that is killed or told to stop, callers that crawl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Act, Gateway, Provider, agent, completion, json_answer, manifest, question, send, stream};

fn models() -> Value {
    json!({"primary": ["openai/gpt-4o"]})
}

/// A stream that takes a while.
fn slow(ms: u64) -> Vec<Act> {
    let mut acts = stream(&[
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}\n\n",
        "data: [DONE]\n\n",
    ]);
    acts.insert(2, Act::Wait(ms));
    acts
}

fn streamed() -> Value {
    json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hello"}], "stream": true, "max_tokens": 100})
}

#[test]
fn a_ledger_is_right_after_a_kill_at_any_moment() {
    let provider =
        Provider::new(|got| if got.json()["stream"] == true { slow(3000) } else { json_answer(&completion()) });
    let text = manifest(
        &provider,
        agent(models(), json!({"budgets": [{"usd": "5", "window": "day", "action": "hard_stop"}]})),
    );
    let mut gateway = Gateway::new("killed", &text);
    for _ in 0..3 {
        assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    }
    let port = gateway.port;
    let body = streamed().to_string();
    let caller = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let bytes =
            super::request_bytes("POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], body.as_bytes());
        stream.write_all(&bytes).expect("sent");
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    });
    let began = Instant::now();
    while gateway.state()["live"].as_array().expect("calls").is_empty() {
        assert!(began.elapsed().as_secs() < 5);
        std::thread::sleep(Duration::from_millis(5));
    }
    let reserved = gateway.state()["agents"][0]["budgets"][0]["reserved_usd"].as_str().expect("money").to_owned();
    gateway = gateway.killed(&text);
    caller.join().expect("ended");
    let recovered = gateway.audit("recovered", 1);
    assert_eq!(
        (recovered.len(), recovered[0]["cost"]["amount"].as_str(), recovered[0]["cost"]["status"].as_str()),
        (1, Some(reserved.as_str()), Some("estimated"))
    );
    let state = gateway.state();
    assert_eq!(
        (&state["totals"]["requests"], &state["agents"][0]["budgets"][0]["reserved_usd"]),
        (&json!(4), &json!("0.00"))
    );
    // A record that was cut off by a power cut goes, and nothing before it.
    let ledger = gateway.folder.0.join("ledger");
    let newest = std::fs::read_dir(&ledger)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .max()
        .expect("a file");
    std::fs::OpenOptions::new()
        .append(true)
        .open(&newest)
        .expect("open")
        .write_all(b"deadbeef {\"k\":\"res")
        .expect("written");
    let gateway = gateway.killed(&text);
    assert_eq!(gateway.state()["totals"], state["totals"]);
    gateway.alarm("put aside");
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
}

#[test]
fn told_to_stop_it_ends_what_it_began_and_takes_nothing_new() {
    let provider = Provider::new(|_| slow(3000));
    let mut gateway = Gateway::new("stopped", &manifest(&provider, agent(models(), json!({}))));
    let port = gateway.port;
    let body = streamed().to_string();
    let caller = std::thread::spawn(move || {
        send(port, "POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], body.as_bytes())
    });
    gateway.streams();
    assert!(Command::new("kill").args(["-TERM", &gateway.child.id().to_string()]).status().expect("kill").success());
    let answer = caller.join().expect("answered");
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let began = Instant::now();
    while gateway.child.try_wait().expect("asked").is_none() {
        assert!(began.elapsed().as_secs() < 10, "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
    let line = &gateway.audit("response", 1)[0];
    assert_eq!((line["end"].as_str(), line["cost"]["status"].as_str()), (Some("complete"), Some("exact")));
    assert_eq!(gateway.audit("stopped", 1).len(), 1);
}

#[test]
fn a_full_disk_lets_nothing_through_and_loses_nothing() {
    let folder = crate::Folder::new("proxy-full");
    let disk = folder.0.join("disk");
    std::fs::create_dir_all(&disk).expect("a folder");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).output().expect("mount runs");
    if !mounted.status.success() {
        eprintln!("skipped: no right to mount a small disk");
        return;
    }
    let provider =
        Provider::new(|got| if got.json()["stream"] == true { slow(5000) } else { json_answer(&completion()) });
    let mut gateway = Gateway::within(folder, &manifest(&provider, agent(models(), json!({}))), "disk/ledger");
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    // One call is under way while the disk fills up.
    let port = gateway.port;
    let body = streamed().to_string();
    let caller = std::thread::spawn(move || {
        send(port, "POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], body.as_bytes())
    });
    gateway.streams();
    let filler = disk.join("filler");
    let _ = std::fs::write(&filler, vec![0_u8; 1 << 20]);
    // What is left of the last page is used up by a call or two.
    let mut refused = None;
    for _ in 0..40 {
        let answer = gateway.chat(&question("openai/gpt-4o"));
        if answer.status == 503 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a full disk refuses");
    assert_eq!(refused.json()["error"]["code"], "ledger_unavailable");
    assert!(caller.join().expect("answered").text().ends_with("data: [DONE]\n\n"), "what is under way ends");
    assert_eq!(send(gateway.port, "GET", "/ready", &[], b"").status, 503);
    gateway.alarm("cannot be written");
    let spent = gateway.state()["totals"].clone();
    std::fs::remove_file(&filler).expect("removed");
    let began = Instant::now();
    while send(gateway.port, "GET", "/ready", &[], b"").status != 200 {
        assert!(began.elapsed().as_secs() < 10, "it does not recover");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    gateway.child.kill().expect("killed");
    gateway.child.wait().expect("gone");
    let folder = std::mem::replace(&mut gateway.folder, crate::Folder("/nowhere".into()));
    let text = manifest(&provider, agent(models(), json!({})));
    let mut again = Gateway::within(folder, &text, "disk/ledger");
    let after = again.state()["totals"].clone();
    assert_eq!(after["requests"].as_u64(), spent["requests"].as_u64().map(|count| count + 1), "{spent} and {after}");
    let disk = again.folder.0.join("disk");
    again.child.kill().expect("killed");
    again.child.wait().expect("gone");
    assert!(Command::new("umount").arg(&disk).status().expect("umount runs").success());
}

#[test]
fn callers_that_crawl_or_flood_take_nothing_from_others() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let gateway = Gateway::new("crawl", &manifest(&provider, agent(models(), json!({}))));
    let idle: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).expect("connected");
            stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n").expect("sent");
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(idle);
}

#[test]
fn a_million_rows_make_no_check_slower_and_no_start_longer() {
    let folder = crate::Folder::new("proxy-rows");
    let filled = crate::claw(&folder.0, &["cllama", "ledger-fill", "--ledger", "ledger", "--rows", "60000"]);
    assert_eq!(filled.code, Some(0), "{filled:?}");
    let files = std::fs::read_dir(folder.0.join("ledger")).expect("a folder").flatten();
    let sizes: Vec<u64> = files.map(|entry| entry.metadata().expect("a size").len()).collect();
    assert!(
        sizes.len() > 3 && sizes.iter().all(|size| *size < 2 << 20),
        "files are bounded, and a start reads one: {sizes:?}"
    );
    let provider = Provider::new(|_| json_answer(&completion()));
    let gateway = Gateway::within(folder, &manifest(&provider, agent(models(), json!({}))), "ledger");
    let costs = gateway.operator("GET", "/costs/api", b"").json();
    assert_eq!(
        (&costs["total_requests"], &costs["total_cost_usd"]),
        (&json!(30000), &json!(0.03)),
        "nothing is lost over files"
    );
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
}
