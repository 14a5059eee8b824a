//! The examples in the documents work.

use crate::{Folder, claw, root};

/// Returns the blocks of a language in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).expect("a page");
    let parts = text.split("```");
    let inside = parts.skip(1).step_by(2).map(ToOwned::to_owned);
    inside.filter_map(|block| block.strip_prefix(&format!("{language}\n")).map(ToOwned::to_owned)).collect()
}

#[test]
fn the_pod_files_in_the_documents_are_some() {
    let clawfile = blocks("README.md", "").into_iter().find(|block| block.starts_with("FROM ")).expect("a Clawfile");
    let pods: Vec<String> = ["README.md", "docs/pod.md"].iter().flat_map(|page| blocks(page, "yaml")).collect();
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let folder = Folder::new("documents");
        folder.write("claw-pod.yml", &pod).write("Clawfile", &clawfile);
        folder.write("AGENTS.md", "# A\n").write("contracts/writer.md", "# W\n");
        let run = claw(&folder.0, &["check"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{pod}: {run:?}");
    }
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
        let file = file.ok_or(&name).expect("a file");
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
fn every_link_between_documents_leads_somewhere() {
    for page in crate::files(&root().join("docs"))
        .into_keys()
        .map(|name| format!("docs/{name}"))
        .chain(["README.md".to_owned()])
    {
        let text = std::fs::read_to_string(root().join(&page)).expect("a page");
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_outside = link.starts_with("http") || link.starts_with('#');
            assert!(is_outside || folder.join(link).exists(), "{page}: {link}");
        }
    }
}
