//! Lines of a recipe in a Clawfile: where they stand and as whom they run.

use claw_compiler::clawfile::{self, Clawfile};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

fn parse(text: &str) -> Clawfile {
    let mut sources = SourceMap::new();
    let file = sources.add("Clawfile", text);
    let mut diag = Diagnostics::new();
    let parsed = clawfile::parse(sources.get(file).expect("added"), &["generic"], &mut diag);
    parsed.expect(text)
}

/// Bakes two lines, the base being root's where nothing else is said, and parses what came out.
fn baked(text: &str, inherited: Option<&str>) -> String {
    let lines = ["RUN a".to_owned(), "RUN b".to_owned()];
    let before = parse(text);
    let insertion = before.bake(&lines, inherited).expect("a place");
    let mut made = text.to_owned();
    made.insert_str(insertion.at, &insertion.text);
    let after = parse(&made);
    assert_eq!(after.labels(), before.labels());
    assert_eq!(
        after.last_stage().user,
        before.last_stage().user.or(inherited.filter(|user| !matches!(*user, "root" | "0:0")).map(ToOwned::to_owned))
    );
    assert_eq!(after.bake(&lines, inherited), None, "once: {made}");
    made.replace("# Installed in worker mode; written by `claw bake`.", "#!")
}

#[test]
fn lines_stand_before_the_user_an_image_ends_with() {
    let text = "FROM x\nRUN y\n# The agent.\nUSER node\nCLAW_TYPE generic\nCMD [\"z\"]\n";
    let made = "FROM x\nRUN y\n#!\nRUN a\nRUN b\n# The agent.\nUSER node\nCLAW_TYPE generic\nCMD [\"z\"]\n";
    assert_eq!(baked(text, Some("root")), made);
    let made = made.replace("#!\n", "#!\nUSER root\n");
    assert_eq!(baked(text, Some("1000")), made, "the base has another user");
    assert_eq!(baked(text, None), made, "or nobody knows");
}

#[test]
fn lines_stand_behind_the_last_thing_that_is_built() {
    let end = "CLAW_TYPE generic\nENTRYPOINT [\"z\"]\n";
    assert_eq!(baked(&format!("FROM x\n{end}"), Some("root")), format!("FROM x\n#!\nRUN a\nRUN b\n{end}"));
    assert_eq!(
        baked(&format!("FROM x\n{end}"), Some("app")),
        format!("FROM x\n#!\nUSER root\nRUN a\nRUN b\nUSER app\n{end}"),
        "the base's user comes back"
    );
    assert_eq!(
        baked(&format!("FROM x\nUSER $APP\nRUN y\nWORKDIR /w\n{end}"), Some("root")),
        format!("FROM x\nUSER $APP\nRUN y\nWORKDIR /w\n#!\nUSER root\nRUN a\nRUN b\nUSER $APP\n{end}")
    );
    assert_eq!(
        baked("FROM x\nCLAW_TYPE generic\nRUN y", Some("0:0")),
        "FROM x\nCLAW_TYPE generic\nRUN y\n#!\nRUN a\nRUN b\n"
    );
}

#[test]
fn stages_hand_on_their_user() {
    let text = "FROM x AS base\nUSER 1000:1000\nFROM Base\nCOPY a b\nCLAW_TYPE generic\n";
    let made = "FROM x AS base\nUSER 1000:1000\nFROM Base\nCOPY a b\n#!\nUSER root\nRUN a\nRUN b\nUSER 1000:1000\nCLAW_TYPE generic\n";
    assert_eq!(baked(text, Some("root")), made);
}

#[test]
fn line_ends_continuations_heredocs_and_escapes_stay() {
    let text = "# escape=`\r\nFROM x\r\nRUN y `\r\n  # no end\r\n  z\r\nRUN <<EOF\r\n# text\r\nEOF\r\nuser node\r\nCLAW_TYPE `\r\n generic\r\n";
    let made = text.replace("user node", "#!\r\nRUN a\r\nRUN b\r\nuser node");
    assert_eq!(baked(text, Some("root")), made);
    let text = "FROM x\nRUN <<EOF\nUSER no\n# text\nEOF\nCLAW_TYPE generic\n";
    assert_eq!(baked(text, Some("root")), text.replace("EOF\nCLAW", "EOF\n#!\nRUN a\nRUN b\nCLAW"));
}
