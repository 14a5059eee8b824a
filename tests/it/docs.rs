//! The examples in the documents work, and every directive and key has one.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Folder, claw, claw_with, files, root};

/// Returns the blocks of a page with an info string, each with the heading it stands under.
fn blocks(page: &str, info: &str) -> Vec<(String, String)> {
    let (mut heading, mut open, mut found) = (String::new(), None, Vec::new());
    for line in text(page).lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (None, None) if line.starts_with('#') => heading = line.to_owned(),
            (None, None) => {}
            (Some((language, block)), Some(_)) => {
                if language == info {
                    found.push((heading.clone(), std::mem::take(block)));
                }
                open = None;
            }
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    found
}

fn text(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).expect("a page")
}

/// What the lines `# → …` at the end of a block expect.
fn effects(block: &str) -> Vec<&str> {
    block.lines().filter_map(|line| line.strip_prefix("# → ")).collect()
}

/// Variables that the examples name.
const VARIABLES: &[(&str, &str)] = &[
    ("ANTHROPIC_API_KEY", "k"),
    ("OPENAI_API_KEY", "k"),
    ("OPENROUTER_API_KEY", "k"),
    ("LAB_KEY", "k"),
    ("DISCORD_BOT_TOKEN", "k"),
    ("DATABASE_URL", "k"),
];

fn fixtures(name: &str) -> Folder {
    let folder = Folder::new(name);
    for (path, text) in files(&root().join("testdata/docs")) {
        folder.write(&path, &text);
    }
    folder
}

/// Compiles a pod and returns where what was generated is not what the block says.
fn differences(folder: &Folder, block: &str, generated: BTreeMap<String, String>) -> Vec<String> {
    let run = claw_with(&folder.0, &["compile", "-o", "out"], VARIABLES);
    let is_wrong = effects(block).iter().any(|effect| effect.starts_with("error "));
    if (run.code == Some(0)) == is_wrong {
        return vec![format!("{block}\n{}", run.stderr)];
    }
    let mut made = generated;
    if run.code == Some(0) {
        made.extend(files(&folder.0.join("out")));
    }
    let holds = |effect: &str| match effect.split_once(' ') {
        Some((severity @ ("warning" | "error"), code)) => run.stderr.contains(&format!("{severity}[{code}]")),
        _ => {
            let (file, wanted) = effect.split_once(": ").expect("a file and a text");
            let named = |path: &str| path.rsplit('/').next() == Some(file);
            made.iter().any(|(path, text)| named(path) && text.contains(wanted))
        }
    };
    let lacking = effects(block).into_iter().filter(|effect| !holds(effect));
    lacking.map(|effect| format!("{effect}\n{block}\n{}{made:#?}", run.stderr)).collect()
}

#[test]
fn every_clawfile_in_the_documents_does_what_it_says() {
    let mut wrong = Vec::new();
    for (heading, block) in blocks("docs/clawfile.md", "dockerfile clawfile") {
        let folder = fixtures("clawfile");
        let contract = if block.contains("\nAGENT ") { "" } else { "{agent: AGENTS.md}" };
        let pod = format!(
            "x-claw: {{providers: {{demo: {{base_url: 'http://library:80'}}}}}}\nservices:\n  bot: {{build: ., command: [run], x-claw: {contract}}}\n  library: {{image: x}}\n"
        );
        folder.write("Clawfile", &block).write("claw-pod.yml", &pod);
        let run = claw(&folder.0, &["build", "--emit"]);
        assert_eq!(run.code, Some(0), "{heading}: {run:?}");
        let generated = BTreeMap::from([("Dockerfile.generated".to_owned(), run.stdout)]);
        wrong.extend(differences(&folder, &block, generated));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_pod_file_in_the_documents_does_what_it_says() {
    let mut wrong = Vec::new();
    for (_, block) in blocks("docs/pod.md", "yaml pod") {
        let folder = fixtures("pod");
        folder.write("Clawfile", "FROM claw/infra\nCLAW_TYPE generic\nAGENT AGENTS.md\n").write("claw-pod.yml", &block);
        wrong.extend(differences(&folder, &block, BTreeMap::new()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the keys of the tables in the compiler's source, by table.
fn tables() -> BTreeMap<String, Vec<String>> {
    let source = text("src/compiler/pod.rs");
    let (mut found, mut table) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            name.clone_into(&mut table);
        } else if let Some((_, key)) = line.strip_suffix("\",").and_then(|line| line.split_once(" = \"")) {
            found.entry(table.clone()).or_default().push(key.to_owned());
        }
    }
    found
}

#[test]
fn every_directive_has_a_heading_and_an_example() {
    let source = text("src/compiler/clawfile/directive.rs");
    let table = source.split("KEYWORDS: &[&str] = &[").nth(1).and_then(|rest| rest.split(']').next());
    let keywords: Vec<&str> = table.expect("the table").split('"').skip(1).step_by(2).collect();
    assert!(keywords.len() > 10, "{keywords:?}");
    let blocks = blocks("docs/clawfile.md", "dockerfile clawfile");
    for keyword in keywords {
        let heading = format!("### {keyword}");
        let own = blocks.iter().find(|(own, _)| *own == heading);
        let has_example = own.is_some_and(|(_, block)| block.contains(&format!("\n{keyword} ")));
        assert!(has_example, "docs/clawfile.md: no `{heading}` with an example");
    }
}

#[test]
fn every_key_has_a_heading_and_an_example() {
    let tables = tables();
    assert!(tables.len() > 10, "{tables:?}");
    let blocks = blocks("docs/pod.md", "yaml pod");
    let prose = outside_blocks(&text("docs/pod.md"));
    for key in tables["PodBlock"].iter().chain(&tables["AgentBlock"]) {
        let heading = format!("### {key}");
        let own = blocks.iter().find(|(own, _)| *own == heading);
        let has_example = own.is_some_and(|(_, block)| block.contains(&format!("{key}:")));
        assert!(has_example, "docs/pod.md: no `{heading}` with an example");
    }
    let examples: String = blocks.iter().map(|(_, block)| block.as_str()).collect();
    let nested: BTreeSet<&String> = tables.values().flatten().collect();
    for key in nested {
        assert!(examples.contains(&format!("{key}:")), "docs/pod.md: no example has `{key}`");
        let is_told = |span: &str| span.split(|each: char| !is_of_key(each)).any(|word| word == key);
        assert!(prose.split('`').skip(1).step_by(2).any(is_told), "docs/pod.md: `{key}` is not described");
    }
}

fn is_of_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Returns a page without its fenced blocks.
fn outside_blocks(page: &str) -> String {
    page.split("\n```").step_by(2).collect()
}

#[test]
fn the_pod_file_in_the_readme_is_one() {
    let clawfile = blocks("README.md", "").into_iter().find(|(_, block)| block.starts_with("FROM ")).expect("one").1;
    let pods = blocks("README.md", "yaml");
    assert_eq!(pods.len(), 1);
    let folder = Folder::new("documents");
    folder.write("claw-pod.yml", &pods[0].1).write("Clawfile", &clawfile).write("AGENTS.md", "# A\n");
    let run = claw(&folder.0, &["check"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
}

/// `docs/contract.md` shows files by their names: those below `/claw/` are what the others compile to.
#[test]
fn the_example_of_what_an_agent_reads_is_current() {
    let path = root().join("docs/contract.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let mut parts: Vec<String> = page.split("```").map(ToOwned::to_owned).collect();
    let named = |part: &String| {
        let (head, text) = part.split_once('\n')?;
        Some((head.split_once(' ')?.1.to_owned(), text.to_owned()))
    };
    let folder = Folder::new("contract-page");
    for (name, text) in parts.iter().skip(1).step_by(2).filter_map(named).filter(|(name, _)| !name.starts_with('/')) {
        folder.write(&name, &text);
    }
    let run = claw(&folder.0, &["compile", "-o", "out"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let made = crate::files(&folder.0.join("out"));
    let mut shown = 0;
    for part in parts.iter_mut().skip(1).step_by(2) {
        let Some((name, text)) = named(part).filter(|(name, _)| name.starts_with('/')) else { continue };
        let file = made.iter().find(|(path, _)| path.ends_with(&name)).map(|(_, text)| text);
        let file = file.unwrap_or_else(|| panic!("no {name}"));
        shown += 1;
        if std::env::var_os("CLAW_SNAP").is_some() {
            *part = format!("markdown {name}\n{file}");
        } else {
            assert_eq!(&text, file, "{name}: `make snap` after reading why");
        }
    }
    assert_eq!(shown, 2);
    if std::env::var_os("CLAW_SNAP").is_some() {
        std::fs::write(&path, parts.join("```")).expect("written");
    }
}

#[test]
fn the_page_of_secrets_says_what_is() {
    let texts = |info: &str| blocks("docs/secrets.md", info).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let pods = texts("yaml");
    assert_eq!(pods.len(), 2);
    let folder = Folder::new("secrets-page");
    folder
        .write("AGENTS.md", "# A\n")
        .write("held/phrase.txt", "x\n")
        .write("held/blob", "x")
        .write("more.env", "MORE_KEY=x\n");
    folder.write(".env", "COMPANY_BOT_TOKEN=x\nAPI_KEY=x\n");
    for pod in &pods {
        folder.write("claw-pod.yml", pod);
        let run = claw(&folder.0, &["check"]);
        assert_eq!(run.code, Some(0), "{pod}: {run:?}");
        assert!(!run.stderr.contains("error"), "{pod}: {run:?}");
    }
    folder.write("claw-pod.yml", &pods[0]);
    assert_eq!(texts("text"), [claw(&folder.0, &["secrets", "list"]).stdout]);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for page in crate::files(&root().join("docs"))
        .into_keys()
        .map(|name| format!("docs/{name}"))
        .chain(["README.md".to_owned()])
    {
        let text = text(&page);
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.starts_with("http") {
                continue;
            }
            let target = if file.is_empty() { root().join(&page) } else { folder.join(file) };
            assert!(target.exists(), "{page}: {link}");
            let Ok(text) = std::fs::read_to_string(&target) else { continue };
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            assert!(anchor.is_empty() || headings.any(|heading| slug(heading) == anchor), "{page}: {link}");
        }
    }
}

/// Returns the anchor of a heading.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|each| each.is_alphanumeric() || matches!(each, '-' | '_')).collect()
}
