//! Any text as a Clawfile: no panic, findings inside the text, and what is valid lowers to itself or to as many lines.
#![no_main]

use claw_compiler::clawfile;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut sources = SourceMap::new();
    let file = sources.add("Clawfile", text);
    let mut diag = Diagnostics::new();
    let source = sources.get(file).expect("added");
    match clawfile::parse(source, &["reference", "generic"], &mut diag) {
        Ok(clawfile) if clawfile.is_plain() => assert_eq!(clawfile.lower(), text),
        Ok(clawfile) => assert!(clawfile.lower().lines().count() >= text.lines().count()),
        Err(_) => assert!(diag.has_errors()),
    }
    for each in diag.iter() {
        assert!(each.primary.end as usize <= text.len());
        sources.position(each.primary);
    }
});
