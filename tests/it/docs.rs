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

#[test]
fn the_page_of_secrets_says_what_is() {
    let pods = blocks("docs/secrets.md", "yaml");
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
    let shown = blocks("docs/secrets.md", "text");
    assert_eq!(shown, [claw(&folder.0, &["secrets", "list"]).stdout]);
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
