//! Tests of the compose front end: its own cases, and the conformance corpora where they lie beside the project.

mod corpus;
mod errors;
mod files;
mod hostile;
mod interpolation;
mod letter;
mod load;
mod property;

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

type Found = Vec<claw_types::diag::Diagnostic>;

fn load_and_find(text: &str, profiles: &[&str], named: &[&str]) -> (Option<claw_compose::load::Loaded>, Found) {
    use claw_compose::load::{NoFiles, Options, decode, merge};
    let mut sources = claw_types::span::SourceMap::new();
    let file = sources.add("compose.yml", text);
    let source = sources.get(file).expect("added");
    let mut diag = claw_types::diag::Diagnostics::new();
    let env = std::collections::BTreeMap::<String, String>::new();
    let texts = |texts: &[&str]| texts.iter().map(|text| String::from(*text)).collect::<Vec<_>>();
    let options = Options {
        lookup: &env,
        keep: &|_, _| false,
        files: &NoFiles,
        name: Some("case"),
        directory: "case",
        judges: true,
    };
    let loaded = merge(&[("compose.yml", source)], &options, &mut diag).ok().and_then(|merged| {
        let (profiles, named) = (texts(profiles), texts(named));
        decode(merged, &options, &profiles, &named, &mut diag).ok()
    });
    let found: Found = diag.sorted().into_iter().cloned().collect();
    for each in &found {
        assert!(each.help.is_some(), "no help: {each:?}");
    }
    (loaded, found)
}

fn kind(each: &claw_types::diag::Diagnostic) -> String {
    format!("{}[{}]", each.severity.name(), each.code.name())
}

/// Returns what loading a text gives, and each finding as `severity[code] text at its place: message`.
fn load(text: &str, profiles: &[&str], named: &[&str]) -> (Option<claw_compose::load::Loaded>, Vec<String>) {
    let (loaded, found) = load_and_find(text, profiles, named);
    let show = |each: &claw_types::diag::Diagnostic| {
        let place = &text[each.primary.start as usize..each.primary.end as usize];
        format!("{} {place}: {}", kind(each), each.message)
    };
    (loaded, found.iter().map(show).collect())
}

/// Returns the findings of a text: where each begins, and `severity[code]`.
fn places(text: &str) -> Vec<(usize, String)> {
    let found = load_and_find(text, &[], &[]).1;
    found.iter().map(|each| (each.primary.start as usize, kind(each))).collect()
}
