//! Any text as a pod file: no panic, asking ends, and there is a plan or a reason.
#![no_main]

use claw_compiler::facts::{Context, Facts, PodSpec, missing};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut sources = SourceMap::new();
    let file = sources.add("claw-pod.yml", text);
    let contract = sources.add("AGENTS.md", "# A\n");
    let mut diag = Diagnostics::new();
    let spec = PodSpec { profiles: vec!["*".into()], ..PodSpec::of("claw-pod.yml", file, "pod") };
    let context = Context { sources: &sources, drivers: claw_drivers::ALL, version: "0" };
    let mut facts = Facts::default();
    for _ in 0..8 {
        for need in missing(&spec, &facts, &context) {
            facts.suppose(need, contract);
        }
    }
    assert!(missing(&spec, &facts, &context).is_empty());
    let plan = claw_compiler::compile(&spec, &facts, &context, &mut diag);
    assert!(plan.is_ok() || diag.has_errors());
});
