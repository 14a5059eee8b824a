//! Tests of the compose front end: its own cases, and the conformance corpora where they lie beside the project.

mod interpolation;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
/// Returns the folder of the corpora, where it is there.
fn corpora() -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no corpora");
    None
}
