//! The corpus of compose files: claw takes and refuses what docker compose 2.40.3 does, or a list says why not.

use std::path::Path;

use claw_compose::shape::Shape;
use claw_compose::value::Value;
use claw_compose::write;

/// What claw takes though compose refuses it, and why.
const TAKEN: &[(&str, &str)] = &[
    ("loader.TestServiceDeviceRequestCountAndDeviceIdsExclusive", "a reservation without effect is not looked into"),
    ("loader.TestLoadSSHWithoutValueInBuildConfig", "`ssh:` with nothing is its absence"),
    ("loader.TestBadDevelopConfig", "`develop` has no effect and is not looked into"),
    ("develop.TestDevelopMissingAction", "`develop` has no effect and is not looked into"),
];

/// What claw refuses though compose takes it, and why; what is not there yet or not supported names itself.
const REFUSED: &[(&str, &str)] = &[
    ("loader.TestLoadTemplateDriver", "drivers of secrets and configs are for swarm"),
    ("volume-mounts__windows__compose.yaml", "paths of Windows"),
    ("volumes.TestImageVolume", "mounts of the type `image`"),
    ("volumes__compose.yaml", "mounts of the type `image`"),
    ("026.volumes_type_image_source_alpine_target_", "mounts of the type `image`"),
    ("015.volumes_v_v_ro_", "a volume of one letter is no drive, and has to be declared"),
    ("016.volumes_C_a_b_", "paths of Windows"),
    ("025.restart_sometimes", "compose leaves the restart policy to the engine, which refuses it"),
];

/// Returns whether a case is one file that stands alone: no second file, no environment, nothing read beside it.
fn is_alone(case: &serde_json::Value, text: &str) -> bool {
    let args: Vec<&str> =
        case["args"].as_array().map_or(Vec::new(), |args| args.iter().filter_map(|arg| arg.as_str()).collect());
    let has_env = case["env"].as_object().is_some_and(|env| !env.is_empty());
    let stands_out = ["extends:", "include:", "!reset", "!override", "env_file"].iter().any(|word| text.contains(word));
    matches!(args.as_slice(), ["-f", _]) && !has_env && !stands_out && case["stable"] == true
}

fn cases(corpora: &Path) -> Vec<(String, String, bool, String)> {
    let text = std::fs::read_to_string(corpora.join("compose/manifest.json")).expect("the manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let all = manifest["cases"].as_array().expect("cases").iter();
    all.filter_map(|case| {
        let file = case["args"].get(1)?.as_str()?;
        let folder = corpora.join("compose").join(case["input"].as_str()?).join(case["cwd"].as_str()?);
        let text = std::fs::read_to_string(folder.join(file)).ok().filter(|text| is_alone(case, text))?;
        let verdict = &case["verdict"]["2.40.3"];
        let why = verdict["error"].to_string();
        Some((case["id"].as_str()?.to_owned(), text, verdict["rc"] == 0, why))
    })
    .collect()
}

#[test]
fn files_are_taken_and_refused_as_compose_does() {
    let Some(corpora) = crate::corpora() else { return };
    let cases = cases(&corpora);
    let mut wrong = Vec::new();
    for (id, text, is_valid, why) in &cases {
        let (loaded, found) = crate::load(text, &[], &[]);
        let is_listed = |list: &[(&str, &str)]| list.iter().any(|(name, _)| id.ends_with(name));
        let mut errors = found.iter().filter(|each| each.starts_with("error["));
        match (loaded.is_some(), is_valid) {
            (true, false) if !is_listed(TAKEN) => wrong.push(format!("takes {id}: {why}")),
            (false, true) if !is_listed(REFUSED) => {
                let is_named =
                    |each: &String| each.starts_with("error[not-yet]") || each.starts_with("error[unsupported]");
                if !errors.all(is_named) {
                    wrong.push(format!("refuses {id}: {found:?}"));
                }
            }
            _ => {}
        }
    }
    assert!(cases.len() > 300, "{} cases", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn what_is_printed_loads_again_to_the_same() {
    let Some(corpora) = crate::corpora() else { return };
    let mut wrong = Vec::new();
    for (id, text, ..) in cases(&corpora) {
        let Some(loaded) = crate::load(&text, &["*"], &[]).0 else { continue };
        let value = loaded.project.encode().expect("a file");
        // No limit is printed as a text, which is no size when it is read; `emit` writes a number.
        if value == Value::Map(Vec::new()) || write::yaml(&value).contains("\"-1\"") {
            continue;
        }
        let (again, found) = crate::load(&write::yaml(&value), &["*"], &[]);
        let again = again.and_then(|again| again.project.encode());
        if again.as_ref() != Some(&value) {
            let again = again.map_or(String::new(), |value| write::yaml(&value));
            wrong.push(format!("{id}: {found:?}\n{}\n---\n{again}", write::yaml(&value)));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
