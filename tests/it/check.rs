//! `claw check` as a linter: what code scanners read, and what it changes itself.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::Value;

use crate::{Folder, Run, claw};

/// Everything here is certain, except what stands below `open`.
const POD: &str = "# the pod\r\nversion: '3'\r\nservices:\r\n  bot: # an agent\r\n    image: x\r\n    restrat: always\r\n    read_only: false   # why not\r\n    security_opt: [\"no-new-privileges:false\"]\r\n    x-claw:\r\n      type: generik\r\n      agent: AGENTS.md\r\n      surfaces:\r\n        - service://trading-apy\r\n        - 'host:///srv/data'\r\n        - egress://a.example read-only\r\n        - volume://cache\r\n        - volume://cache\r\n  trading-api:\r\n    image: y\r\n";

const FIXED: &str = "# the pod\r\nservices:\r\n  bot: # an agent\r\n    image: x\r\n    restart: on-failure:5\r\n    read_only: true   # why not\r\n    security_opt: [\"no-new-privileges:true\"]\r\n    x-claw:\r\n      type: generic\r\n      agent: AGENTS.md\r\n      surfaces:\r\n        - service://trading-api\r\n        - 'host:///srv/data read-only'\r\n        - egress://a.example\r\n        - volume://cache\r\n  trading-api:\r\n    image: y\r\n";

fn pod(name: &str, text: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("AGENTS.md", "# A\n").write("claw-pod.yml", text);
    folder
}

fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.0.join(name)).expect("a file")
}

/// Returns the only run of a document, after looking at what SARIF 2.1.0 asks of each part that claw writes.
fn sarif(run: &Run) -> Value {
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    let only = |value: &Value, allowed: &[&str]| {
        let own = keys(value);
        assert!(own.iter().all(|key| allowed.contains(&key.as_str())), "{own:?} beside {allowed:?}");
    };
    only(&document, &["$schema", "version", "runs"]);
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    only(run, &["tool", "columnKind", "invocations", "results"]);
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    assert!(run["invocations"][0]["executionSuccessful"].is_boolean());
    let driver = &run["tool"]["driver"];
    only(driver, &["name", "version", "semanticVersion", "rules"]);
    assert_eq!((driver["name"].as_str(), driver["version"].as_str()), (Some("claw"), Some(env!("CARGO_PKG_VERSION"))));
    let rules = driver["rules"].as_array().expect("rules");
    for rule in rules {
        only(rule, &["id", "shortDescription", "fullDescription", "help", "defaultConfiguration"]);
        for key in ["shortDescription", "fullDescription", "help"] {
            assert!(rule[key]["text"].as_str().is_some_and(|text| text.ends_with('.')), "{rule}");
        }
    }
    let ids: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["id"].as_str()).collect();
    assert_eq!(ids.len(), rules.len(), "each once");
    let place = |place: &Value| {
        let uri = place["artifactLocation"]["uri"].as_str().expect("a URI");
        assert!(!uri.starts_with('/') && uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri}");
        region(&place["region"]);
    };
    for result in run["results"].as_array().expect("results") {
        let known = ["ruleId", "ruleIndex", "level", "message", "locations", "relatedLocations", "fixes"];
        only(result, &known);
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(matches!(result["level"].as_str(), Some("error" | "warning")), "{result}");
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{result}");
        result["locations"].as_array().expect("places").iter().for_each(|each| place(&each["physicalLocation"]));
        for related in result["relatedLocations"].as_array().into_iter().flatten() {
            place(&related["physicalLocation"]);
            assert!(related["message"]["text"].is_string(), "{related}");
        }
        for fix in result["fixes"].as_array().into_iter().flatten() {
            assert!(fix["description"]["text"].is_string(), "{fix}");
            let change = &fix["artifactChanges"][0];
            assert!(change["artifactLocation"]["uri"].is_string(), "{fix}");
            change["replacements"].as_array().expect("some").iter().for_each(|each| region(&each["deletedRegion"]));
        }
    }
    run.clone()
}

fn region(region: &Value) {
    let number = |key: &str| region[key].as_u64().expect("a number");
    let (begin, end) = ((number("startLine"), number("startColumn")), (number("endLine"), number("endColumn")));
    assert!(begin.0 > 0 && begin.1 > 0 && begin <= end, "{region}");
}

#[test]
fn code_scanners_are_told_what_people_are() {
    let folder = pod(
        "sarif",
        "services:\n  bot:\n    image: x\n    x-claw: {type: generic, agent: AGENTS.md, surfaces: [\"host:///ü\", service://trading-apy]}\n  trading-api: {image: y}\n",
    );
    let run = claw(&folder.0, &["check", "--format", "sarif"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), ""), "{run:?}");
    let document = sarif(&run);
    let results = document["results"].as_array().expect("results");
    let of = |code: &str| results.iter().find(|each| each["ruleId"] == code).expect("a result");
    let region = serde_json::json!({
        "startLine": 4, "startColumn": 71, "endLine": 4, "endColumn": 92, "snippet": {"text": "service://trading-apy"},
    });
    let unknown = of("unknown-service");
    assert_eq!(unknown["level"], "error");
    assert_eq!(unknown["message"]["text"], "no service named `trading-apy`\nhelp: did you mean `trading-api`?");
    assert_eq!(unknown["locations"][0]["physicalLocation"]["region"], region);
    assert_eq!(unknown["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "claw-pod.yml");
    assert_eq!(
        unknown["fixes"],
        serde_json::json!([{
            "description": {"text": "write `trading-api`"},
            "artifactChanges": [{
                "artifactLocation": {"uri": "claw-pod.yml"},
                "replacements": [{
                    "deletedRegion": {"startLine": 4, "startColumn": 81, "endLine": 4, "endColumn": 92},
                    "insertedContent": {"text": "trading-api"},
                }],
            }],
        }])
    );
    let rules = document["tool"]["driver"]["rules"].as_array().expect("rules");
    let rule = rules.iter().find(|rule| rule["id"] == "unknown-service").expect("a rule");
    let explained = claw(&folder.0, &["explain", "unknown-service"]).stdout;
    assert_eq!(format!("unknown-service\n\n{}\n", rule["help"]["text"].as_str().expect("a text")), explained);
    assert_eq!(rule["defaultConfiguration"]["level"], "error");
}

#[test]
fn code_scanners_get_a_document_whatever_comes() {
    let none = pod("sarif-none", "services:\n  web: {image: \"x:1\", profiles: [off]}\n");
    let run = claw(&none.0, &["check", "--format", "sarif"]);
    assert_eq!((run.code, sarif(&run)["results"].as_array().map(Vec::len)), (Some(0), Some(0)), "{run:?}");
    let broken = pod("sarif-broken", "services:\n  web: [\n");
    let run = claw(&broken.0, &["check", "--format", "sarif"]);
    assert_eq!((run.code, &sarif(&run)["results"][0]["ruleId"]), (Some(2), &Value::from("yaml-syntax")), "{run:?}");
    let twice = pod("sarif twice", "services: {}\nservices: {}\n");
    let run = claw(&twice.0, &["check", "--format", "sarif"]);
    assert_eq!(
        sarif(&run)["results"][0]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"],
        1,
        "{run:?}"
    );
    let nothing = Folder::new("sarif-nothing");
    let run = claw(&nothing.0, &["check", "--format", "sarif"]);
    assert_eq!((run.code, &sarif(&run)["invocations"][0]["executionSuccessful"]), (Some(2), &Value::from(false)));
    let run = claw(&nothing.0, &["ps", "--format", "sarif"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), "error: `--format sarif` is for `claw check`\n"));
}

#[test]
fn what_must_not_be_shown_is_shown_in_no_format() {
    let text = "services:\n  bot:\n    image: x\n    restrat: always\n    environment:\n      BOT_TOKEN: canary-7f3a\n    x-claw: {type: generic, agent: AGENTS.md}\n";
    let folder = pod("sarif-secret", text);
    let formats = [&["--format", "sarif"][..], &["--format", "json"], &["--fix", "--dry-run"], &["--fix"]];
    for arguments in formats {
        let run = claw(&folder.0, &[&["check"], arguments].concat());
        assert!(!format!("{run:?}").contains("canary"), "{arguments:?}: {run:?}");
    }
    assert_eq!(read(&folder, "claw-pod.yml"), text.replace("restrat", "restart"));
    let run = claw(&folder.0, &["check", "--format", "sarif"]);
    let document = sarif(&run);
    let all = document["results"].as_array().expect("results");
    let secret = all.iter().find(|each| each["ruleId"] == "secret-in-environment").expect("a result");
    assert!(secret["locations"][0]["physicalLocation"]["region"].get("snippet").is_none(), "{secret}");
    // A line that holds one is left to people.
    let line = "{image: x, environment: {BOT_TOKEN: canary-7f3a}, x-claw: {type: generic, agent: AGENTS.md, surfaces: [service://trading-apy]}}";
    folder.write("claw-pod.yml", &format!("services:\n  bot: {line}\n  trading-api: {{image: y}}\n"));
    let run = claw(&folder.0, &["check", "--fix", "--dry-run"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), "2 errors, 0 warnings\n"), "{run:?}");
}

#[test]
fn what_is_certain_is_changed_and_nothing_else() {
    let folder = pod("fix", POD);
    let mut changed = String::new();
    // What the first errors hid is found when they are gone.
    for _ in 0..6 {
        changed.push_str(&claw(&folder.0, &["check", "--fix"]).stdout);
    }
    assert_eq!(read(&folder, "claw-pod.yml"), FIXED, "{changed}");
    assert!(changed.starts_with("claw-pod.yml:2: `version: '3'` taken out\n"), "{changed}");
    let run = claw(&folder.0, &["check", "--fix"]);
    assert_eq!((run.code, run.stderr.contains("error")), (Some(0), false), "{run:?}");
    assert_eq!(crate::files(&folder.0).len(), 2, "nothing lies about");
}

#[test]
fn what_would_open_something_is_not_guessed() {
    let agent = "x-claw: {type: generic, agent: AGENTS.md";
    for (wrong, near) in [
        (format!("    privilegd: true\n    {agent}}}\n"), "privileged"),
        (format!("    {agent}, allow: [privilege]}}\n"), "privileged"),
        (
            format!(
                "    {agent}, handles: {{discord: {{id: \"1\"}}}}, surfaces: [channel://discord: {{dm: {{policy: opne}}}}]}}\n"
            ),
            "open",
        ),
    ] {
        let text = format!("services:\n  bot:\n    image: x\n{wrong}");
        let folder = pod("fix-open", &text);
        let run = claw(&folder.0, &["check", "--fix"]);
        assert!(run.code == Some(2) && run.stderr.contains(&format!("did you mean `{near}`?")), "{run:?}");
        assert_eq!(read(&folder, "claw-pod.yml"), text);
    }
}

#[test]
fn a_fix_ends_as_the_second_check_does() {
    let text = "services:\n  bot:\n    image: x\n    restart: always\n    x-claw: {type: generic, agent: AGENTS.md}\n";
    let folder = pod("fix-exit", text);
    std::fs::set_permissions(folder.0.join("claw-pod.yml"), PermissionsExt::from_mode(0o640)).expect("a mode");
    assert_eq!(claw(&folder.0, &["check"]).code, Some(3));
    let run = claw(&folder.0, &["check", "--fix", "--dry-run"]);
    let diff =
        "--- a/claw-pod.yml\n+++ b/claw-pod.yml\n@@ -4,1 +4,1 @@\n-    restart: always\n+    restart: on-failure:5\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), diff), "{run:?}");
    assert_eq!(read(&folder, "claw-pod.yml"), text);
    let run = claw(&folder.0, &["check", "--fix", "--json"]);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let fixed = serde_json::json!([{"path": "claw-pod.yml", "line": 4, "from": "always", "to": "on-failure:5"}]);
    assert_eq!((run.code, &document["data"]["fixed"], &document["data"]["errors"]), (Some(0), &fixed, &Value::from(0)));
    assert_eq!(read(&folder, "claw-pod.yml"), text.replace("always", "on-failure:5"));
    assert_eq!(std::fs::metadata(folder.0.join("claw-pod.yml")).expect("a file").mode() & 0o777, 0o640);
    let run = claw(&folder.0, &["check", "--fix", "--dry-run"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1 agent, nothing to say\n"), "{run:?}");
    assert_eq!(claw(&folder.0, &["check", "--dry-run"]).code, Some(2), "there is nothing to try without `--fix`");
    assert_eq!(claw(&folder.0, &["check", "--fix", "-f", "-"]).code, Some(2));
}

#[test]
fn files_that_are_not_the_pods_to_change_stop_the_fix_before_it_writes() {
    let text = "services:\n  bot:\n    image: x\n    restrat: always\n    x-claw: {type: generic, agent: AGENTS.md}\n";
    let over = "services:\n  bot: {hostnmae: x}\n";
    let folder = Folder::new("fix-outside");
    folder.write("pod/AGENTS.md", "# A\n").write("pod/claw-pod.yml", text).write("out.yml", over);
    let (place, inside) = (folder.0.join("pod"), folder.0.join("pod/claw-pod.override.yml"));
    symlink("../out.yml", &inside).expect("a link");
    let run = claw(&place, &["check", "--fix"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("claw-pod.override.yml`: it is not in the pod's directory"), "{run:?}");
    std::fs::remove_file(&inside).expect("gone");
    folder.write("pod/claw-pod.override.yml", over);
    std::fs::set_permissions(&inside, PermissionsExt::from_mode(0o444)).expect("a mode");
    let run = claw(&place, &["check", "--fix"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("claw-pod.override.yml`: it is read-only"), "{run:?}");
    assert_eq!((read(&folder, "pod/claw-pod.yml"), read(&folder, "out.yml")), (text.to_owned(), over.to_owned()));
    // A link inside the directory stays one.
    std::fs::remove_file(&inside).expect("gone");
    folder.write("pod/more/over.yml", over);
    symlink("more/over.yml", &inside).expect("a link");
    let run = claw(&place, &["check", "--fix"]);
    assert_eq!(read(&folder, "pod/more/over.yml"), over.replace("hostnmae", "hostname"), "{run:?}");
    assert!(inside.is_symlink());
}

#[test]
fn what_another_place_says_is_not_changed_here() {
    let text = "x-held: &held {restart: always}\nservices:\n  bot:\n    <<: *held\n    image: x\n    hostname: ${NAME:-h}\n    x-claw: {type: generic, agent: AGENTS.md, surfaces: [\"service://${API:-trading-apy}\"]}\n  web: {<<: *held, image: y}\n  trading-api: {image: y}\n";
    let folder = pod("fix-shared", text);
    let run = claw(&folder.0, &["check", "--fix"]);
    assert_eq!((run.code, read(&folder, "claw-pod.yml").as_str()), (Some(2), text), "{run:?}");
}

#[test]
fn what_others_extend_too_is_not_tightened_for_one() {
    let base = "services:\n  base:\n    image: x\n    restart: always\n";
    for (other, file) in [("base/base.yml", "file: base/base.yml, "), ("claw-pod.yml", "")] {
        let own = format!(
            "  bot:\n    extends: {{{file}service: base}}\n    x-claw: {{type: generic, agent: AGENTS.md}}\n  web: {{extends: {{{file}service: base}}}}\n"
        );
        let text = if file.is_empty() { format!("{base}{own}") } else { format!("services:\n{own}") };
        let folder = pod("fix-extends", &text);
        if !file.is_empty() {
            folder.write(other, base);
        }
        let before = read(&folder, other);
        let run = claw(&folder.0, &["check", "--fix"]);
        assert!(run.code == Some(3) && run.stderr.contains("has `restart`"), "{run:?}");
        assert_eq!(read(&folder, other), before);
    }
}

#[test]
fn a_diff_is_one_that_patch_takes() {
    let text = POD.replace("restrat", "restart").replace("generik", "generic");
    let (folder, other) = (pod("fix-patch", &text), pod("fix-patched", &text));
    let diff = claw(&folder.0, &["check", "--fix", "--dry-run"]).stdout;
    folder.write("diff", &diff);
    assert_eq!(claw(&other.0, &["check", "--fix"]).code, Some(2));
    let patch =
        std::process::Command::new("patch").args(["--binary", "-p1", "-i", "diff"]).current_dir(&folder.0).output();
    // Not every host has it.
    let Ok(patch) = patch else { return };
    assert!(patch.status.success(), "{patch:?} {diff}");
    assert_eq!(read(&folder, "claw-pod.yml"), read(&other, "claw-pod.yml"));
}

#[test]
fn a_clawfile_is_one_of_the_pods_files() {
    let folder = pod("fix-clawfile", "services:\n  bot: {build: ., x-claw: {}}\n");
    folder.write("Clawfile", "FROM scratch\n# generik\nCLAW_TYPE generik\nAGENT AGENTS.md\nENTRYPONT [\"/bot\"]\n");
    let run = claw(&folder.0, &["check", "--fix"]);
    let fixed = "FROM scratch\n# generik\nCLAW_TYPE generic\nAGENT AGENTS.md\nENTRYPOINT [\"/bot\"]\n";
    assert_eq!(read(&folder, "Clawfile"), fixed, "{run:?}");
}
