//! Tests of the compiler, stage by stage.

mod bake;
mod capability;
mod clawfile;
mod described;
mod directives;
mod documents;
mod effects;
mod hostile;
mod images;
mod language;
mod lockfile;
mod network;
mod personas;
mod plan;
mod property;
mod proxy;
mod resolve;
mod wild;
mod world;

use std::path::PathBuf;

/// Returns the folder of the corpora, where it is there.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn corpora() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no corpora");
    None
}
