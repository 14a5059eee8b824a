//! Any labels of an image: no panic, and what is read writes itself again.
#![no_main]

use std::collections::BTreeMap;

use claw_compiler::clawfile::label;
use claw_types::diag::Diagnostics;
use claw_types::span::{FileId, Span};

libfuzzer_sys::fuzz_target!(|labels: BTreeMap<String, String>| {
    let labels = labels.into_iter().map(|(key, value)| (format!("claw.{key}"), value)).collect();
    let at = Span::start_of(FileId(0));
    let read = label::read(&labels, at, &mut Diagnostics::new());
    let written = label::write(read.iter().map(|each| &each.value));
    let again = label::read(&written, at, &mut Diagnostics::new());
    assert_eq!(label::write(again.iter().map(|each| &each.value)), written);
});
