//! The examples: each compiles without a finding to its golden, and to the same bytes wherever it lies and however it is shuffled.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::peers::peer;
use crate::{Folder, claw_with, files, root};

/// Copies an example, its `.env` filled in as its README says.
fn copied(example: &Path, name: &str) -> Folder {
    let folder = Folder::new(name);
    for (path, text) in files(example).into_iter().filter(|(path, _)| !path.starts_with("expected/")) {
        folder.write(&path, &text);
        if path == ".env.example" {
            folder.write(".env", &text);
        }
    }
    folder
}

/// Compiles a copy of an example without an engine, and returns what was written and, as `findings`, what was said.
fn compiled(example: &Path, name: &str) -> BTreeMap<String, String> {
    let folder = copied(example, name);
    let run = claw_with(&folder.0, &["compile", "-o", "out"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let findings: Vec<&str> =
        run.stderr.lines().filter(|line| line.starts_with(['w', 'e']) || line.starts_with("note[")).collect();
    let mut made = files(&folder.0.join("out"));
    made.insert("findings".to_owned(), findings.iter().map(|line| format!("{line}\n")).collect());
    made
}

#[test]
fn every_example_compiles_to_its_golden() {
    for entry in std::fs::read_dir(root().join("examples")).expect("examples").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let made = compiled(&entry.path(), &format!("golden-{name}"));
        let golden = entry.path().join("expected");
        if std::env::var_os("CLAW_SNAP").is_some() {
            let _ = std::fs::remove_dir_all(&golden);
            for (path, text) in &made {
                let target = golden.join(renamed(path));
                std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
                std::fs::write(target, text).expect("written");
            }
        }
        let made: BTreeMap<String, String> = made.into_iter().map(|(path, text)| (renamed(&path), text)).collect();
        let expected = files(&golden);
        assert_eq!(
            made.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{name}: `make snap` after reading why"
        );
        for (path, text) in &expected {
            assert_eq!(made.get(path), Some(text), "{name}: {path}: `make snap` after reading why");
        }
    }
}

/// How a thing is known is told, and stops nobody who asks to be stopped by warnings.
#[test]
fn a_note_changes_no_exit_code() {
    let folder = copied(&root().join("examples/openclaw"), "note");
    let run = claw_with(&folder.0, &["check", "--strict"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert!(run.stderr.contains("note[untested-runtime]"), "{run:?}");
    assert!(!run.stderr.contains("warning[") && run.stdout.contains("1 note"), "{run:?}");
    assert_eq!(run.code, Some(0));
}

/// Goldens are no state: their folder and their compose file have names that nothing ignores.
fn renamed(path: &str) -> String {
    path.replace(".claw/", "claw/").replace("compose.generated.yml", "compose.yml").replace(".gitignore", "gitignore")
}

#[test]
fn the_same_pod_gives_the_same_bytes_in_two_places_and_in_any_order() {
    let example = root().join("examples/multi-claw");
    let first = compiled(&example, "here");
    assert_eq!(first, compiled(&example, "there-with-another-name"));
    let shuffled = Folder::new("shuffled");
    for (path, text) in files(&example).into_iter().filter(|(path, _)| !path.starts_with("expected/")) {
        shuffled.write(&path, &text);
    }
    let pod = std::fs::read_to_string(example.join("claw-pod.yml")).expect("the pod");
    let (head, services) = pod.split_once("services:\n").expect("services");
    let (services, tail) = services.split_once("\nvolumes:").expect("volumes");
    let mut blocks: Vec<&str> = services.split("\n\n").collect();
    blocks.reverse();
    shuffled.write("claw-pod.yml", &format!("volumes:{tail}\nservices:\n{}\n\n{head}", blocks.join("\n\n")));
    assert_eq!(first, compiled(&shuffled.0, "shuffled-copy"));
}

#[test]
fn docker_compose_reads_every_example() {
    let folders = std::fs::read_dir(root().join("examples")).expect("examples");
    let examples: Vec<_> = folders.map(|example| example.expect("an example").path()).collect();
    assert!(examples.len() >= 5);
    for peer in ["2.40", "2.26"].into_iter().filter_map(peer) {
        for example in &examples {
            let file = example.join("expected/compose.yml");
            let output = std::process::Command::new(&peer)
                .args(["-f", &file.display().to_string(), "config", "--quiet"])
                .env_clear()
                .output()
                .expect("docker compose runs");
            assert!(output.status.success(), "{file:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
