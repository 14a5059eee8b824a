//! Any texts as compose files that extend, include and override each other: no panic, an end, and an error or a project; what is
//! printed of a project, loaded again, is the same.
#![no_main]

use std::collections::BTreeMap;

use claw_compose::load::normal::{self, Place};
use claw_compose::load::{self, EnvFile, Files, Found, Options};
use claw_compose::{print, write};
use claw_types::diag::Diagnostics;
use claw_types::span::{Source, SourceMap};

/// Stands between two files.
const MARK: &str = "\n%%\n";

struct Texts<'t> {
    base: Option<&'t Source>,
    variables: EnvFile,
}

impl Files for Texts<'_> {
    fn file(&self, path: &str) -> Option<Found<'_>> {
        let is_base = path.ends_with("b.yml");
        Some(self.base.filter(|_| is_base).map_or(Found::Missing, Found::Text))
    }

    fn env_file(&self, path: &str) -> Option<Option<&EnvFile>> {
        Some(Some(&self.variables).filter(|_| path.ends_with(".env")))
    }
}

fn lookup() -> BTreeMap<String, String> {
    [("A", "a"), ("N", "1"), ("E", ""), ("HOME", "/home/u")].map(|(name, value)| (name.into(), value.into())).into()
}

/// Returns what is printed of files; nothing where they are wrong.
fn printed(texts: &[&str], base: &str) -> Option<(String, String)> {
    let mut sources = SourceMap::new();
    let mains: Vec<_> = texts.iter().map(|text| sources.add("m.yml", *text)).collect();
    let base = sources.add("b.yml", base);
    let files = Texts { base: sources.get(base), variables: [("V".to_owned(), Some("v".to_owned()))].into() };
    let lookup = lookup();
    let options = Options {
        lookup: &lookup,
        keep: &|_, _| false,
        files: &files,
        name: None,
        directory: "fuzz",
        judges: false,
    };
    let mains: Vec<_> = mains.iter().filter_map(|id| Some(("m.yml", sources.get(*id)?))).collect();
    let mut diag = Diagnostics::new();
    let loaded = load::merge(&mains, &options, &mut diag).and_then(|merged| {
        let name = merged.name.clone();
        Ok((name, load::decode(merged, &options, &["*".to_owned()], &[], &mut diag)?))
    });
    let Ok((name, loaded)) = loaded else {
        assert!(diag.has_errors());
        return None;
    };
    let mut project = loaded.project;
    for service in project.services.values_mut() {
        service.env_file.clear();
        service.label_file.clear();
    }
    normal::normal(&mut project, &Place { root: "/fuzz", name: &name, lookup: &lookup });
    Some((write::yaml(&print::yaml(&project)), write::json(&print::json(&project))))
}

/// Docker compose itself prints no number of devices where it is 0, which means all when it is read, a dependency on a service
/// that is not there, and no limit as a text that is none.
fn is_closed(json: &str) -> bool {
    !json.contains("\"-1\"") && !json.contains("\"capabilities\"") && !json.contains("\"gpus\"") && !json.contains("\"required\": false")
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let parts: Vec<&str> = text.split(MARK).collect();
    let (mains, base) = match parts.as_slice() {
        [.., base] if parts.len() > 1 => (&parts[..parts.len() - 1], *base),
        _ => (&parts[..], ""),
    };
    if let Some((yaml, json)) = printed(mains, base).filter(|(_, json)| is_closed(json)) {
        let again = printed(&[&yaml], "");
        assert_eq!(again.map(|(_, json)| json), Some(json), "{yaml}");
    }
});
