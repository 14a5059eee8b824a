//! What a test leaves behind on the engine goes with it, also when it panics.

use std::process::Command;

/// Whatever a test made under a name, gone at its end.
pub(super) struct Left(pub(super) String);

impl Drop for Left {
    fn drop(&mut self) {
        sweep(&self.0);
    }
}

/// Removes the containers, networks and volumes of a project and those with the mark of its test, and every image that is called like
/// it or was made by it. What does not work is left: it may be that there is no engine.
pub(super) fn sweep(name: &str) {
    // A container has the mark of its image.
    let labels = ["com.docker.compose.project", "test"].map(|key| format!("label={key}={name}"));
    for (list, order) in [
        (&["ps", "-aq"][..], &["rm", "-f", "-v"][..]),
        (&["network", "ls", "-q"], &["network", "rm"]),
        (&["volume", "ls", "-q"], &["volume", "rm", "-f"]),
    ] {
        for label in &labels {
            remove(order, &said(&[list, &["--filter", label]].concat()));
        }
    }
    let references = said(&["images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"]);
    let own = references.iter().filter(|line| is_of(line.split(' ').next().unwrap_or(""), name)).filter_map(|line| {
        let [repository, tag, digest] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some(if tag == "<none>" { format!("{repository}@{digest}") } else { format!("{repository}:{tag}") })
    });
    remove(&["rmi", "-f"], &own.collect::<Vec<_>>());
    // Those whose name another image has got since.
    remove(&["rmi"], &said(&["images", "-q", "--filter", "dangling=true", "--filter", &format!("label=test={name}")]));
}

/// Returns whether an image's repository is a name, or below it: of a project, or of a registry that ends with `/`.
fn is_of(repository: &str, name: &str) -> bool {
    let rest = repository.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || name.ends_with('/') || rest.starts_with('-'))
}

/// Returns the lines that docker's client says; none where it fails.
fn said(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(arguments).output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

fn remove(order: &[&str], what: &[String]) {
    if !what.is_empty() {
        let _ = Command::new("docker").args(order).args(what).output();
    }
}

#[test]
fn what_a_test_made_is_gone_with_it_and_nothing_else() {
    for (repository, name, is_own) in [
        ("claw-json-12", "claw-json-12", true),
        ("claw-json-12-writer", "claw-json-12", true),
        ("claw-json-123", "claw-json-12", false),
        ("claw/infra", "claw-json-12", false),
        ("127.0.0.1:5000/acme/bot", "127.0.0.1:5000/", true),
        ("127.0.0.1:50001/bot", "127.0.0.1:5000/", false),
    ] {
        assert_eq!(is_of(repository, name), is_own, "{repository} {name}");
    }
    let pod = super::Pod::new("left");
    super::shell(&pod);
    let (name, other) = (pod.name.clone(), format!("{}x", pod.name));
    let _other = Left(other.clone());
    let panicked = std::panic::catch_unwind(move || {
        let tag = format!("{}-box", pod.name);
        super::build(&pod, &tag);
        // The first of them has no name from here on.
        super::build(&pod, &tag);
        super::docker(&["tag", &tag, &other]);
        let label = format!("com.docker.compose.project={}", pod.name);
        super::docker(&["run", "-d", "--label", &label, &tag, "sleep", "1000"]);
        super::docker(&["volume", "create", "--label", &label, &format!("{}-data", pod.name)]);
        // Beside the project, and its test's all the same.
        super::docker(&["run", "-d", &tag, "sleep", "1000"]);
        super::docker(&["volume", "create", "--label", &pod.mark(), &format!("{}-beside", pod.name)]);
        super::docker(&["network", "create", "--label", &pod.mark(), &format!("{}-beside", pod.name)]);
        assert_eq!(pod.left(&["ps", "-a"]).len(), 1);
        panic!("as a test does");
    });
    assert!(panicked.is_err());
    let (project, mark) = (format!("label=com.docker.compose.project={name}"), format!("label=test={name}"));
    for order in [
        &["ps", "-aq", "--filter", &project][..],
        &["ps", "-aq", "--filter", &mark],
        &["network", "ls", "-q", "--filter", &mark],
        &["volume", "ls", "-q", "--filter", &project],
        &["volume", "ls", "-q", "--filter", &mark],
        &["images", "-q", &format!("{name}-box")],
        &["images", "-q", "--filter", "dangling=true", "--filter", &mark],
    ] {
        assert_eq!(super::docker(order), "", "{order:?}");
    }
    assert_ne!(super::docker(&["images", "-q", &format!("{name}x")]), "", "what is called otherwise stays");
}
