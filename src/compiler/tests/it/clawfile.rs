//! The Clawfile front end: the corpus of real Dockerfiles, and cases of our own.

use claw_compiler::clawfile::{self, Clawfile};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

fn parse(text: &str) -> (Option<Clawfile>, Vec<(usize, String)>) {
    let mut sources = SourceMap::new();
    let file = sources.add("Clawfile", text);
    let mut diag = Diagnostics::new();
    let clawfile = clawfile::parse(sources.get(file).expect("added"), &["reference", "generic"], &mut diag).ok();
    let found = diag.sorted().into_iter();
    (
        clawfile,
        found
            .map(|each| (sources.position(each.primary).line, format!("{}: {}", each.code.name(), each.message)))
            .collect(),
    )
}

#[test]
fn corpus_of_dockerfiles_has_buildkits_verdict_and_lowers_to_itself() {
    let Some(corpora) = crate::corpora() else { return };
    let root = corpora.join("dockerfile");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).expect("JSON");
    let cases = manifest["cases"].as_array().expect("cases");
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("id");
        let Ok(bytes) = std::fs::read(root.join(case["file"].as_str().expect("file"))) else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (clawfile, errors) = parse(&text);
        let is_valid = case["valid"].as_bool().expect("valid");
        match (&clawfile, is_valid) {
            (Some(clawfile), true) if clawfile.lower() != text => wrong.push(format!("{id}: lowers to something else")),
            (Some(_), true) => {}
            (None, true) => wrong.push(format!("{id}: refused: {errors:?}")),
            (Some(_), false) => wrong.push(format!("{id}: accepted, BuildKit says {}", case["error"])),
            (None, false) => {
                let theirs = case["error"].as_str().unwrap_or("");
                let line =
                    theirs.split_once("on line ").and_then(|(_, rest)| rest.split(':').next()?.parse::<usize>().ok());
                if line.is_some_and(|line| errors.first().map(|error| error.0) != Some(line)) {
                    wrong.push(format!("{id}: {theirs}, and ours is {errors:?}"));
                }
            }
        }
        if let Some(clawfile) = &clawfile {
            let expected: serde_json::Value =
                serde_json::from_str(&read(case["expected"].as_str().unwrap_or(""))).unwrap_or_default();
            wrong.extend(compare(clawfile, &expected).map(|difference| format!("{id}: {difference}")));
        }
    }
    assert!(wrong.is_empty(), "{}/{}\n{}", cases.len() - wrong.len(), cases.len(), wrong.join("\n"));
}

/// Returns the first difference of a file to BuildKit's tree of it.
fn compare(clawfile: &Clawfile, expected: &serde_json::Value) -> Option<String> {
    let theirs = expected["ast"]["children"].as_array()?;
    if theirs.len() != clawfile.instructions.len() {
        return Some(format!("{} instructions, BuildKit has {}", clawfile.instructions.len(), theirs.len()));
    }
    for ((instruction, node), theirs) in clawfile.instructions.iter().zip(&clawfile.nodes).zip(theirs) {
        let node = node.as_ref()?;
        let number = |key: &str| theirs[key].as_u64().and_then(|line| usize::try_from(line).ok());
        if (number("start"), number("end")) != (Some(instruction.start_line), Some(instruction.end_line)) {
            return Some(format!(
                "{} at {}-{}, BuildKit {theirs}",
                node.keyword, instruction.start_line, instruction.end_line
            ));
        }
        let strings = |value: &serde_json::Value| -> Vec<String> {
            value
                .as_array()
                .map_or(Vec::new(), |all| all.iter().map(|each| each.as_str().unwrap_or("").to_owned()).collect())
        };
        let is_json = theirs["json"].as_bool().unwrap_or(false);
        if node.flags != strings(&theirs["flags"]) || node.is_json != is_json {
            return Some(format!("flags {:?} json {}, BuildKit {theirs}", node.flags, node.is_json));
        }
        if node.child.is_none() && node.args != strings(&theirs["args"]) {
            return Some(format!("args {:?}, BuildKit {theirs}", node.args));
        }
        let ours: Vec<_> =
            instruction.heredocs.iter().map(|h| (h.name.clone(), h.content.clone(), h.expand, h.chomp)).collect();
        let heredocs = theirs["heredocs"].as_array().cloned().unwrap_or_default();
        let theirs: Vec<_> = heredocs
            .iter()
            .map(|h| {
                let text = |key: &str| h[key].as_str().unwrap_or("").to_owned();
                (text("name"), text("content"), h["expand"] == true, h["chomp"] == true)
            })
            .collect();
        if ours != theirs {
            return Some(format!("heredocs {ours:?}, BuildKit {theirs:?}"));
        }
    }
    None
}

#[test]
fn directives_become_comments_and_labels() {
    let text = "# syntax=docker/dockerfile:1\nFROM scratch\nclaw_type reference\nAGENT AGENTS.md\nMODEL primary a/b\n\
                MODEL fallback c/d\nMODEL fallback e/f\nINVOKE */5 * * * * say \"$HI\" \\\n  twice # not a comment\nCMD [\"x\"]";
    let (clawfile, errors) = parse(text);
    assert_eq!(errors, []);
    assert_eq!(
        clawfile.expect("valid").lower(),
        "# syntax=docker/dockerfile:1\nFROM scratch\n# claw: claw_type reference\n# claw: AGENT AGENTS.md\n\
         # claw: MODEL primary a/b\n# claw: MODEL fallback c/d\n# claw: MODEL fallback e/f\n\
         # claw: INVOKE */5 * * * * say \"$HI\"\n# claw: twice # not a comment\nCMD [\"x\"]\n\
         LABEL claw.agent.file=\"AGENTS.md\" \\\n      claw.invoke.0=\"*/5 * * * *\tsay \\\"\\$HI\\\"   twice # not a comment\" \\\n      \
         claw.model.fallback=\"c/d\" \\\n      claw.model.fallback.1=\"e/f\" \\\n      claw.model.primary=\"a/b\" \\\n      \
         claw.type=\"reference\"\n"
    );
}

#[test]
fn labels_read_back_as_the_directives_they_were() {
    let text = "FROM scratch\nCLAW_TYPE reference\nAGENT a.md\nPERSONA p\nMODEL primary a/b\nMODEL fallback c/d\nMODEL fallback e/f\n\
                CLLAMA passthrough\nHANDLE Discord\nSURFACE volume://cache rw\nSURFACE service://api\nSKILL s.md\n\
                INVOKE 0 9 * * mon good morning\nPRIVILEGE runtime claw\nCONFIGURE reference config set history 4\n\
                TRACK apt\nACT echo hi\n";
    let (clawfile, errors) = parse(text);
    assert_eq!(errors, []);
    let clawfile = clawfile.expect("valid");
    let mut diag = Diagnostics::new();
    let span = claw_types::span::Span::start_of(claw_types::span::FileId(0));
    let again = clawfile::label::read(&clawfile.labels(), "x", span, &mut diag);
    let again = clawfile::label::write(again.iter().map(|directive| &directive.value));
    assert_eq!(again, clawfile.labels());
    assert_eq!(diag.iter().count(), 0);
}

#[test]
fn every_mistake_of_a_file_is_reported_at_its_place() {
    let (_, errors) = parse(
        "CLAW_TYPE reference\nFROM scratch\nMODLE primary a/b\nMODEL primary b\nSURFACE volume://c sometimes\n\
         HANDLE discrod\nONBUILD AGENT x\nINVOKE 61 * * * * hi\nAGENT a.md # mine\nCLAW_TYPO x\nCLAW_TYPE referense\n",
    );
    let found: Vec<_> = errors.iter().map(|(line, text)| format!("{line} {text}")).collect();
    assert_eq!(
        found,
        [
            "1 misplaced-directive: the directive `CLAW_TYPE` stands before `FROM`",
            "3 unknown-instruction: unknown instruction `MODLE`",
            "4 bad-model: `b` is not a model",
            "5 bad-surface: `sometimes` is not an access mode",
            "6 unknown-platform: there is no platform `discrod`",
            "7 misplaced-directive: the directive `AGENT` cannot stand under `ONBUILD`",
            "8 bad-schedule: `61 * * * *` is not a schedule: `61` as minute: it goes from 0 to 59",
            "9 directive-syntax: `AGENT` takes no comment on its line",
            "10 unknown-instruction: unknown instruction `CLAW_TYPO`",
            "11 unknown-runtime: there is no runtime `referense`",
        ]
    );
}

#[test]
fn the_last_stage_follows_stages_to_their_base() {
    let (clawfile, errors) = parse(
        "FROM alpine:3 AS base\nUSER 1000\nENTRYPOINT [\"/a\"]\nFROM other\nFROM base\nCMD b c\nEXPOSE 80\nLABEL k=\"v w\"\n",
    );
    assert_eq!(errors, []);
    let facts = clawfile.expect("valid").last_stage();
    assert_eq!(facts.base.as_deref(), Some("alpine:3"));
    assert_eq!((facts.user.as_deref(), facts.entrypoint), (Some("1000"), Some(vec!["/a".to_owned()])));
    assert_eq!(facts.command, Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), "b c".to_owned()]));
    assert_eq!(facts.labels.get("k").map(String::as_str), Some("v w"));
}

#[test]
fn names_of_stages_are_the_same_in_any_case() {
    let (clawfile, errors) = parse("FROM alpine:3 AS Base\nUSER 1000\nFROM base\nFROM BASE\n");
    assert_eq!(errors, []);
    let facts = clawfile.expect("valid").last_stage();
    assert_eq!((facts.base.as_deref(), facts.user.as_deref()), (Some("alpine:3"), Some("1000")));
}

#[test]
fn a_directive_for_each_manager_that_is_tracked() {
    let (clawfile, errors) = parse("FROM scratch\nCLAW_TYPE reference\nTRACK apt pip\n");
    assert_eq!(errors, []);
    let labels = clawfile.expect("valid").labels();
    assert_eq!(labels.get("claw.track.0").map(String::as_str), Some("apt"));
    assert_eq!(labels.get("claw.track.1").map(String::as_str), Some("pip"));
}

#[test]
fn many_fallbacks_are_as_many_labels() {
    let text = format!("FROM scratch\nCLAW_TYPE reference\n{}", "MODEL fallback a/b\n".repeat(20_000));
    let labels = parse(&text).0.expect("valid").labels();
    assert_eq!(labels.len(), 20_001);
    assert!(labels.contains_key("claw.model.fallback.19999"));
}

#[test]
fn a_word_of_megabytes_is_cut_in_its_message() {
    let (_, errors) = parse(&format!("FROM scratch\n{}\n", "X".repeat(3_000_000)));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].1.len() < 200, "{}", errors[0].1.len());
}

#[test]
fn what_a_file_may_read_of_its_context_is_told_from_its_text() {
    let reads = |text: &str| parse(text).0.expect("a file").reads();
    let some = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
    assert_eq!(reads("FROM a\nRUN make\n"), some(&[]));
    assert_eq!(reads("FROM a\nCOPY ./tools/x b/*.txt /opt/\n"), some(&["b", "tools/x"]));
    assert_eq!(
        reads("FROM a\nCOPY [\"one file\", \"/x/\"]\nADD https://h/f /f\nADD c.tgz /c\n"),
        some(&["one file", "c.tgz"])
    );
    assert_eq!(reads("FROM a AS b\nCOPY x /x\nFROM c\nCOPY --from=b /x /y\n"), some(&["x"]));
    assert_eq!(reads("FROM a\nRUN --mount=type=cache,target=/c make\n"), some(&[]));
    for all in [
        "FROM a\nCOPY . /x\n",
        "FROM a\nCOPY *.md /x/\n",
        "FROM a\nARG F\nCOPY $F /x\n",
        "FROM a\nCOPY ../x /x\n",
        "FROM a\nRUN --mount=target=/src make\n",
        "FROM a\nRUN --mount=type=bind,source=b,target=/b make\n",
        "# syntax=docker/dockerfile:1\nFROM a\n",
        "FROM node:8-onbuild\n",
    ] {
        assert_eq!(reads(all), None, "{all}");
    }
}
