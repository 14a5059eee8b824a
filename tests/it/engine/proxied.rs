//! A pod behind a proxy, on a real engine: agents without keys and without a way out get answers, and every cent is written down.

use serde_json::{Value, json};

use super::{Pod, build, docker, shell};

/// The example `governed`, with its key.
fn governed(name: &str) -> Pod {
    let pod = Pod::of("governed", name);
    pod.write(".env", "HOUSE_KEY=canary-house-key\n");
    pod
}

fn costs(pod: &Pod) -> Value {
    serde_json::from_str(&pod.ok(&["audit", "--costs", "--json"])).expect("JSON")
}

/// What answers from where an agent stands: the proxy's door and nothing else.
fn every_other_way_is_shut(pod: &Pod, port: &str) {
    // From where an agent stands, with tools that it does not have.
    shell(pod);
    let tag = format!("{}-box", pod.name);
    build(pod, &tag);
    let answers = |host: &str, port: &str, path: &str| {
        let beside = format!("container:{}", pod.container("clerk-0"));
        // What is piped must not end before the answer: the other side takes that for the caller's end.
        let script = format!("(printf 'GET {path} HTTP/1.0\\r\\n\\r\\n'; sleep 1) | nc -w 3 {host} {port}");
        let output = std::process::Command::new("docker")
            .args(["run", "--rm", "--network", &beside, &tag, "/bin/sh", "-c", &script])
            .output()
            .expect("docker runs");
        String::from_utf8_lossy(&output.stdout).split(' ').nth(1).map(ToOwned::to_owned)
    };
    let inside = format!("{{{{(index .NetworkSettings.Networks \"{}_claw-clerk-0\").IPAddress}}}}", pod.name);
    let door = docker(&["inspect", "-f", &inside, &pod.container("cllama-passthrough")]);
    assert_eq!(answers(&door, "8080", "/health").as_deref(), Some("200"), "the door");
    assert_eq!(answers(&door, "8081", "/state").as_deref(), Some("401"), "the operators' side asks for its token");
    let network = format!("{}_default", pod.name);
    let gateway = docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", &network]);
    let outside = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    let provider = docker(&["inspect", "-f", &outside, &pod.container("provider")]);
    for (host, port) in [(gateway.as_str(), port), (provider.as_str(), "8701"), ("1.1.1.1", "80")] {
        assert_eq!(answers(host, port, "/health"), None, "{host}:{port} is shut");
    }
}

/// Searches everything that claw and the engine write or say for the key and for tokens.
fn no_secret_is_shown(pod: &Pod) {
    // Neither the key nor a token is anywhere it could be read.
    let state = pod.folder.0.join(".claw").join(&pod.name).join("state/tokens");
    let tokens: Vec<String> = crate::files(&state).into_values().collect();
    assert_eq!(tokens.len(), 3, "two agents' and the operators'");
    let mut seen = std::fs::read_to_string(pod.folder.0.join("compose.generated.yml")).expect("the file");
    for service in ["clerk-0", "clerk-1", "cllama-passthrough", "provider"] {
        seen.push_str(&docker(&["inspect", &pod.container(service)]));
        seen.push_str(&docker(&["logs", &pod.container(service)]));
    }
    for command in [
        &["ps", "--json"][..],
        &["logs"],
        &["audit", "--json"],
        &["inspect", "--json"],
        &["plan"],
        &["secrets", "list"],
    ] {
        let run = pod.run(command);
        seen.push_str(&format!("{}{}", run.stdout, run.stderr));
    }
    for secret in tokens.iter().map(String::as_str).chain(["canary-house-key"]) {
        assert!(!seen.contains(secret), "a secret is shown");
    }
}

#[test]
fn agents_without_keys_are_answered_through_the_proxy_and_every_other_way_is_shut() {
    let pod = governed("governed");
    let run = pod.run(&["up", "-d", "--wait"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let address =
        run.stderr.lines().find_map(|line| line.split_once("operators at ")).expect("the address is printed").1;
    let address = address.split(' ').next().expect("a URL").trim_end_matches('/').to_owned();
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    assert!(pod.ok(&["ask", "clerk-0", "hello"]).contains("hello"));
    assert!(pod.ok(&["ask", "clerk-1", "hello again"]).contains("hello again"));

    // The provider saw the pod's key; no agent has it, nor the way to the provider.
    for agent in ["clerk-0", "clerk-1"] {
        let inspected = docker(&["inspect", &pod.container(agent)]);
        assert!(!inspected.contains("canary-house-key") && !inspected.contains("HOUSE_KEY"), "{inspected}");
        let networks = docker(&[
            "inspect",
            "-f",
            "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}",
            &pod.container(agent),
        ]);
        assert_eq!(networks.trim(), format!("{}_claw-{agent}", pod.name));
    }
    every_other_way_is_shut(&pod, address.rsplit(':').next().expect("a port"));
    let said = costs(&pod);
    assert_eq!(said["schema"], "claw.audit.v1");
    let rows = said["data"]["rows"].as_array().expect("rows");
    let names: Vec<&Value> = rows.iter().map(|row| &row["agent"]).collect();
    assert_eq!(names, ["clerk-0", "clerk-1"]);
    // The scripted provider counts messages: so many in, and one out, at 1 and 4 dollars a million.
    assert!(rows.iter().all(|row| row["pricing_status"] == "exact" && row["cost_usd"] == "0.000006"), "{said}");
    let lines = pod.ok(&["audit", "clerk-1", "--type", "response", "--json"]);
    let line: Value = serde_json::from_str(lines.trim()).expect("one line");
    assert_eq!(
        (&line["claw_id"], &line["effective_model"], &line["end"]),
        (&json!("clerk-1"), &json!("echo-1"), &json!("complete"))
    );
    assert!(pod.ok(&["audit"]).contains("clerk-0 response house/echo-1 200"));

    no_secret_is_shown(&pod);

    // Nothing changes by doing it again, and the ledger outlives the proxy.
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    docker(&["kill", "-s", "KILL", &pod.container("cllama-passthrough")]);
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(costs(&pod)["data"]["rows"], said["data"]["rows"]);
    let url = pod.ok(&["cllama", "url"]);
    assert!(url.starts_with("http://127.0.0.1:") && url.contains("/#token="), "{url}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_token_made_anew_shuts_the_old_one_out_and_a_key_for_an_agent_is_refused() {
    let pod = governed("rotated-token");
    pod.ok(&["up", "-d", "--wait"]);
    let before = (pod.id("cllama-passthrough"), pod.id("clerk-0"), pod.id("clerk-1"));
    pod.ok(&["secrets", "rotate", "clerk-0"]);
    pod.ok(&["up", "-d", "--wait"]);
    let after = (pod.id("cllama-passthrough"), pod.id("clerk-0"), pod.id("clerk-1"));
    assert!(
        before.0 != after.0 && before.1 != after.1 && before.2 == after.2,
        "who holds the token, and who knows it by its digest"
    );
    assert!(pod.ok(&["ask", "clerk-0", "hello"]).contains("hello"));
    assert!(pod.ok(&["ask", "clerk-1", "hello"]).contains("hello"));
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod");
    pod.write(
        "claw-pod.yml",
        &text.replace("    build: .\n", "    build: .\n    environment: {OTHER_NAME: \"${HOUSE_KEY}\"}\n"),
    );
    let refused = pod.run(&["up", "-d"]);
    assert_eq!((refused.code, refused.stderr.contains("error[key-in-agent]")), (Some(2), true), "{refused:?}");
}
