//! Bad input never panics: every prefix of a text, and a hostile character at every place of it.

use claw_compiler::clawfile;
use claw_compiler::facts::{Context, Facts, PodSpec, missing};
use claw_compose::load::dotenv;
use claw_compose::yaml;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

const CLAWFILE: &str = "# escape=`\n\u{feff}FROM a AS b\r\nRUN <<E cat <<-'F' `\n # c\n\n  x\nE\n\tF\nCLAW_TYPE reference\nMODEL primary a/b\n\
    INVOKE * * * * 1 \"$x\"\nCOPY --from=b [\"a\", \"b\"]\nENV a=\"b c\" d=e\nONBUILD RUN <<G\nG\nHEALTHCHECK --interval=1s CMD x\n\
    SURFACE volume://ab rw\nCONFIGURE reference config set a.b {\"c\":1}\nLABEL x=${y:-\u{fc}}\n";

const POD: &str = "x-claw: &d {pod: p, providers: {demo: {base_url: 'http://p:1', key: '${K}'}}}\nservices:\n  a: &a\n    image: \"i${V:-x}\"\n\
    \u{20}   environment: [A=b, C=${C}, D]\n    ports: ['127.0.0.1:80-81:90-91/udp']\n    volumes: ['v1:/x:ro', './y:/z']\n\
    \u{20}   command: sh -c 'a \"b\"'\n    x-claw: {type: reference, agent: a.md, models: {primary: demo/m}, surfaces: [service://b], count: 2}\n\
    \u{20} b: {<<: *a, depends_on: [a], healthcheck: {test: x, interval: 1m30s}, x-claw: {mcp: /m}}\nvolumes: {v1: }\n";

const DOTENV: &str = "\u{feff}A=b # c\nexport D = 'e f'\nG=\"h${A:-x}\\n\\$\"\nI\nJ: k\r\nL=\"open\n";

/// Returns every prefix of a text, and the text with a hostile piece at every place.
fn variants(text: &str) -> impl Iterator<Item = String> + '_ {
    let places = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let prefixes = places().map(|at| text[..at].to_owned());
    let pieces = ["\0", "\"", "'", "${", "}", "\n", "\\", "<<", "[", ": ", "*", "\u{1f600}", "\t"];
    let changed = places().flat_map(move |at| pieces.map(|piece| format!("{}{piece}{}", &text[..at], &text[at..])));
    prefixes.chain(changed)
}

/// Every finding points into its text.
fn judged(diag: &Diagnostics, sources: &SourceMap) {
    for each in diag.iter() {
        assert!(
            sources.get(each.primary.file).is_some_and(|source| each.primary.end as usize <= source.text.len()),
            "{each:?}"
        );
        sources.position(each.primary);
    }
}

#[test]
fn a_clawfile_may_be_anything() {
    for text in variants(CLAWFILE) {
        let mut sources = SourceMap::new();
        let file = sources.add("Clawfile", text);
        let mut diag = Diagnostics::new();
        if let Ok(clawfile) = clawfile::parse(sources.get(file).expect("added"), &["reference"], &mut diag) {
            let lines = |text: &str| text.lines().count();
            let lowered = clawfile.lower();
            assert!(lines(&lowered) >= lines(&sources.get(file).expect("added").text));
            clawfile.last_stage();
            clawfile.features();
        } else {
            assert!(diag.has_errors());
        }
        judged(&diag, &sources);
    }
}

#[test]
fn a_pod_file_may_be_anything() {
    for text in variants(POD) {
        let mut sources = SourceMap::new();
        let file = sources.add("claw-pod.yml", text);
        let contract = sources.add("a.md", "# A\n");
        let mut diag = Diagnostics::new();
        let spec = PodSpec::of("claw-pod.yml", file, "x");
        let mut facts = Facts::default();
        let context = || Context { sources: &sources, drivers: claw_drivers::ALL, version: "0" };
        for _ in 0..8 {
            for need in missing(&spec, &facts, &context()) {
                facts.suppose(need, contract);
            }
        }
        assert!(missing(&spec, &facts, &context()).is_empty(), "asking ends");
        let plan = claw_compiler::compile(&spec, &facts, &context(), &mut diag);
        assert!(plan.is_ok() || diag.has_errors());
        judged(&diag, &sources);
    }
}

#[test]
fn a_manual_may_be_anything() {
    let name = claw_types::id::SkillName::parse("x").expect("a name");
    for text in variants(
        "\u{feff}---\r\nname: a\ndescription: 'b: \u{fc}'\nmetadata: {c: [1, d]}\n---\n# E\n--- END: x (manual) ---\n",
    ) {
        let Ok(skill) = claw_compiler::resolve::manual(&text, &name) else { continue };
        let written = claw_compiler::emit::markdown::skill(&name, &skill).expect("written");
        let mut sources = SourceMap::new();
        let head = written.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).expect("front matter").0;
        let file = sources.add("skill", head);
        let tree = yaml::parse(sources.get(file).expect("added"), &mut Diagnostics::new()).expect("YAML");
        let keys: Vec<&str> = tree.entries().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["name", "description"], "{text:?}");
        assert!(!skill.description.is_empty() && !skill.description.contains('\n'), "{text:?}");
    }
}

#[test]
fn an_env_file_may_be_anything() {
    for text in variants(DOTENV) {
        let mut sources = SourceMap::new();
        let file = sources.add(".env", text);
        let mut diag = Diagnostics::new();
        let none = std::collections::BTreeMap::<String, String>::new();
        dotenv::parse(sources.get(file).expect("added"), &none, false, &mut diag);
        judged(&diag, &sources);
    }
}
