//! Any text as an OpenAPI description and as a listing of tools: no panic, the same text twice, no line that is not claw's.
#![no_main]

use claw_compiler::described;
use claw_types::span::{FileId, Source};

libfuzzer_sys::fuzz_target!(|text: String| {
    let source = Source { id: FileId(0), name: "api".to_owned(), text };
    let api = described::openapi(&source, "shop", &[8080]);
    assert_eq!(api, described::openapi(&source, "shop", &[8080]));
    for listing in api.into_iter().chain(described::tools(&source, "shop")) {
        assert!(!listing.title.contains('\n'));
        assert!(listing.body.lines().all(|line| !line.starts_with("--- ") && !line.starts_with("```") && !line.starts_with("# ")));
    }
    let _ = described::digests(&source);
});
