//! Any text as an env file: no panic, and no finding shows a value.
#![no_main]

use claw_compose::load::dotenv;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut sources = SourceMap::new();
    let file = sources.add(".env", text);
    let mut diag = Diagnostics::new();
    let none = std::collections::BTreeMap::<String, String>::new();
    for is_raw in [false, true] {
        dotenv::parse(sources.get(file).expect("added"), &none, is_raw, &mut diag);
    }
    assert!(diag.iter().all(|each| each.is_masked));
});
