//! Properties of lowering, over generated Clawfiles.

use claw_compiler::clawfile::{self, label};
use claw_types::diag::Diagnostics;
use claw_types::span::{FileId, SourceMap, Span};
use proptest::prelude::*;

/// A line of a Dockerfile, or of claw, which may be continued.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("RUN echo hi".to_owned()),
        Just("RUN echo a \\\n  # a comment\n  && echo b".to_owned()),
        Just("RUN <<EOF\nMODEL primary no/directive\nEOF".to_owned()),
        Just("# a comment".to_owned()),
        Just(String::new()),
        "ENV K=[a-z]{1,5}".prop_map(|line| line),
        "MODEL [a-z]{3,8} a/[a-z$\"]{1,6}".prop_map(|line| line),
        "skill docs/[a-z]{1,6}\\.md".prop_map(|line| line),
        "SURFACE volume://[a-z]{2,6} (rw|ro)".prop_map(|line| line),
        "INVOKE \\*/5 \\* \\* \\* \\* [a-z $\"'\\\\#]{0,12}x".prop_map(|line| line),
        Just("CONFIGURE reference config \\\n   set a.b \\\n   {\"c\": 1}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn every_line_that_is_not_claws_stays_on_its_line(lines in proptest::collection::vec(line(), 0..12), crlf in any::<bool>()) {
        let text = format!("FROM scratch\nCLAW_TYPE reference\n{}\n", lines.join("\n"));
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let mut sources = SourceMap::new();
        let file = sources.add("Clawfile", text.as_str());
        let mut diag = Diagnostics::new();
        let source = sources.get(file).expect("added");
        if let Ok(clawfile) = clawfile::parse(source, &["reference"], &mut diag) {
            let lowered = clawfile.lower();
            let claws: Vec<(usize, usize)> = clawfile
                .instructions
                .iter()
                .zip(&clawfile.nodes)
                .filter(|(_, node)| node.is_none())
                .map(|(instruction, _)| (instruction.start_line, instruction.end_line))
                .collect();
            for (number, (before, after)) in text.split('\n').zip(lowered.split('\n')).enumerate() {
                let is_claws = claws.iter().any(|(start, end)| (*start..=*end).contains(&(number + 1)));
                // The text ends with a line break, so what follows it is where the labels begin.
                let is_last = number + 1 == text.split('\n').count();
                if !is_claws && !is_last {
                    prop_assert_eq!(before, after, "line {}", number + 1);
                } else if is_claws {
                    prop_assert!(after.trim_start().starts_with('#'), "line {}: {}", number + 1, after);
                }
            }
            // The Dockerfile is one: it parses, and its labels say what the directives said.
            let mut own = SourceMap::new();
            let file = own.add("Dockerfile.generated", lowered);
            let again = clawfile::parse(own.get(file).expect("added"), &["reference"], &mut Diagnostics::new());
            let labels = again.map(|again| again.last_stage().labels).unwrap_or_default();
            let at = Span::start_of(FileId(0));
            let read = label::read(&clawfile.labels(), "x", at, &mut Diagnostics::new());
            prop_assert_eq!(label::write(read.iter().map(|each| &each.value)), clawfile.labels());
            prop_assert!(labels.contains_key("claw.type"));
        }
    }
}
