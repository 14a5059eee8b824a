//! A driver is added by a folder and two lines: done here, in a copy of the project.

use std::path::Path;
use std::process::Command;

use crate::{Folder, root};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

#[test]
fn a_driver_is_a_folder_and_two_lines() {
    let folder = Folder::new("added-driver");
    for part in ["src", "drivers", "tests", ".cargo", "docs"] {
        copy(&root().join(part), &folder.0.join(part));
    }
    for file in ["Cargo.toml", "Cargo.lock", "clippy.toml"] {
        std::fs::copy(root().join(file), folder.0.join(file)).expect("copied");
    }
    copy(&root().join("testdata/driver/echo"), &folder.0.join("drivers/echo"));
    let list = folder.0.join("drivers/lib.rs");
    let text = std::fs::read_to_string(&list).expect("the list");
    let added = text.replacen("mod generic;\n", "mod echo;\nmod generic;\n", 1).replacen(
        "&generic::Generic,",
        "&echo::Echo, &generic::Generic,",
        1,
    );
    assert_eq!(added.len(), text.len() + "mod echo;\n&echo::Echo, ".len());
    std::fs::write(&list, added).expect("written");
    let output = Command::new(env!("CARGO"))
        .args([
            "test",
            "--offline",
            "--package",
            "claw-drivers",
            "--test",
            "conformance",
            "--",
            "--skip",
            "the_real_program",
        ])
        .current_dir(&folder.0)
        // Its goldens and its row in the table of drivers are new: they are written.
        .env("CLAW_SNAP", "1")
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("added-driver-target"))
        .output()
        .expect("cargo runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    assert!(
        String::from_utf8_lossy(&output.stdout)
            .contains("every_driver_lowers_every_kind_of_unit_the_same_way_twice ... ok")
    );
    assert!(folder.0.join("drivers/echo/cases/direct.txt").is_file());
    let table = std::fs::read_to_string(folder.0.join("docs/drivers.md")).expect("the table");
    assert!(table.contains("| [echo](../drivers/echo/README.md) | says what it is told |"));
}
