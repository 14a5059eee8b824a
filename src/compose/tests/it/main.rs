//! Tests of the compose front end: its own cases, and the conformance corpora where they lie beside the project.

mod corpus;
mod interpolation;
mod load;

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

/// Returns what loading a text gives, and each finding as `severity[code] text at its place: message`.
fn load(text: &str, profiles: &[&str], named: &[&str]) -> (Option<claw_compose::load::Loaded>, Vec<String>) {
    let mut sources = claw_types::span::SourceMap::new();
    let file = sources.add("compose.yml", text);
    let source = sources.get(file).expect("added");
    let mut diag = claw_types::diag::Diagnostics::new();
    let env = std::collections::BTreeMap::from([("COMPOSE_PROJECT_NAME".to_owned(), "case".to_owned())]);
    let texts = |texts: &[&str]| texts.iter().map(|text| String::from(*text)).collect::<Vec<_>>();
    let loaded = claw_compose::yaml::parse(source, &mut diag).ok().and_then(|tree| {
        let options =
            claw_compose::load::Options { lookup: &env, keep: &|_| false, unset: &mut |_: &str, _: &[String], _| None };
        let (profiles, named) = (texts(profiles), texts(named));
        claw_compose::load::load_with(tree, source, options, &profiles, &named, &mut diag).ok()
    });
    let show = |each: &&claw_types::diag::Diagnostic| {
        let place = &text[each.primary.start as usize..each.primary.end as usize];
        assert!(each.help.is_some(), "no help: {each:?}");
        format!("{}[{}] {place}: {}", each.severity.name(), each.code.name(), each.message)
    };
    (loaded, diag.sorted().iter().map(show).collect())
}
