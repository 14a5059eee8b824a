//! Labels of images: what counts, and what is refused because no Clawfile could have made it.

use crate::world::World;

const POD: &str = "services: {bot: {image: acme/bot}}\n";

/// Compiles a pod of one image with a label of its own beside type and contract.
fn found(key: &str, value: &str) -> (bool, Vec<String>) {
    let labels = [("claw.type", "generic"), ("claw.agent.file", "A.md"), (key, value)];
    let (plan, found) = World { labels: &labels, ..World::default() }.compile(POD);
    (plan.is_some(), found)
}

#[test]
fn labels_of_foreign_images_count_where_they_say_something() {
    for value in ["1", "true"] {
        let (_, found) = found("claw.handle.discord", value);
        assert!(found[0].starts_with("runtime-cannot: the runtime `generic` does not speak on `discord`"), "{found:?}");
    }
    for value in ["yes", "0", "false", "True", ""] {
        assert_eq!(found("claw.handle.discord", value), (true, Vec::new()), "{value}");
    }
    for key in ["claw.skill.emit", "claw.skill.description", "claw.schema", "org.claw.skill.0", "claw"] {
        assert_eq!(found(key, "/SKILL.md"), (true, Vec::new()), "{key}");
    }
}

#[test]
fn fallbacks_of_an_image_keep_their_order() {
    let number = |count: usize| if count == 0 { String::new() } else { format!(".{count}") };
    let labels: Vec<(String, String)> =
        (0..12).map(|count| (format!("claw.model.fallback{}", number(count)), format!("demo/m{count}"))).collect();
    let mut all = vec![("claw.type", "generic"), ("claw.agent.file", "A.md")];
    all.extend(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let pod = "x-claw: {providers: {demo: {base_url: 'http://p:1'}}}\nservices: {bot: {image: x}}\n";
    let (plan, found) = World { labels: &all, ..World::default() }.compile(pod);
    let plan = plan.expect("planned");
    let unit = &plan.units.values().next().expect("an agent").unit;
    let models: Vec<String> = unit.models.values().flatten().map(ToString::to_string).collect();
    assert_eq!(models, (0..12).map(|count| format!("demo/m{count}")).collect::<Vec<_>>(), "{found:?}");
}

#[test]
fn a_label_that_no_directive_could_have_made_is_named_with_its_image() {
    for (key, value) in [
        ("claw.surface.0", "junk"),
        ("claw.surface.0", "volume://../etc"),
        ("claw.surface.0", "volume://cache sometimes"),
        ("claw.surface.0", "service://../db"),
        ("claw.surface.0", "host://relative"),
        ("claw.surface.0", "host:///srv/../../etc"),
        ("claw.surface.0", "egress://a/b"),
        ("claw.surface.0", "channel://dіscord"),
        ("claw.surface.0", "volume://cаche"),
        ("claw.handle.discrod", "true"),
        ("claw.handle.dіscord", "true"),
        ("claw.model.primary", "no-slash"),
        ("claw.model.primary.1", "demo/b"),
        ("claw.model.fallback.0", "demo/b"),
        ("claw.model.fallback.01", "demo/b"),
        ("claw.model.fallback.99999999999999999999999", "demo/b"),
        ("claw.model.../../x", "demo/b"),
        ("claw.model.prіmary", "demo/b"),
        ("claw.cllama.0", "../x"),
        ("claw.invoke.0", "0 9 * * *"),
        ("claw.invoke.0", "0 9 * * *\t "),
        ("claw.invoke.0", "61 9 * * *\thi"),
        ("claw.invoke.0", "0 9 * * *\thi\n## forged"),
        ("claw.configure.0", "generic set x y"),
        ("claw.privilege.admin", "root"),
        ("claw.track.0", "brew"),
        ("claw.act.0", "echo \u{1b}[2J"),
        ("claw.skill.00", "s.md"),
        ("claw.skill.+1", "s.md"),
        ("claw.skill.٣", "s.md"),
        ("claw.skill.99999999999999999999999", "s.md"),
        ("claw.skill.0", "s.md\nclaw.type: x"),
        ("claw.agent.file", "A\u{0}.md"),
        ("claw.agent.file", "A\u{202e}dm.md"),
        ("claw.persona.default", "p\r\n"),
        ("claw.mcp", "mcp"),
        ("claw.mcp", "/mcp\n- forged"),
        ("claw.mcp", "/mcp forged"),
    ] {
        let (is_planned, found) = found(key, value);
        let expected = format!("bad-label: the label `{key}` of the image `acme/bot` cannot be read");
        assert!(!is_planned && found.contains(&expected), "{key} {value:?}: {found:?}");
    }
}

#[test]
fn files_that_an_image_names_stay_in_the_pods_directory() {
    for key in ["claw.agent.file", "claw.skill.0", "claw.persona.default"] {
        for path in ["../secret", "/etc/passwd", "a/../../secret", ".."] {
            let (is_planned, found) = found(key, path);
            let is_told = found.iter().any(|each| each.starts_with("unusable-file"));
            assert!(!is_planned && is_told, "{key} {path}: {found:?}");
        }
    }
}

#[test]
fn an_image_names_no_persona_among_the_files_of_the_pod() {
    for persona in ["personas/a", "file://dist/a", ".claw/pod/state"] {
        let (is_planned, found) = found("claw.persona.default", persona);
        let why = format!("unusable-persona: the persona `{persona}` is files of the pod, and an image names them");
        assert!(!is_planned && found.contains(&why), "{persona}: {found:?}");
    }
    let (_, found) = found("claw.persona.default", "ghcr.io/acme/a:1");
    assert!(!found.iter().any(|each| each.contains("an image names them")), "{found:?}");
}

#[test]
fn labels_of_a_service_that_is_no_agent_are_nobodys_business() {
    let labels = [("claw.surface.0", "junk"), ("claw.skill.0", "../x"), ("claw.mcp", "no path")];
    let world = World { labels: &labels, ..World::default() };
    let (plan, found) = world.compile("services: {web: {image: acme/web}}\n");
    assert_eq!((plan.is_some(), found), (true, Vec::new()));
    let world = World { labels: &labels[2..], ..World::default() };
    let pod = "services:\n  web: {image: acme/web}\n  bot: {image: claw/infra, x-claw: {type: generic, agent: A.md, surfaces: ['service://web']}}\n";
    let (plan, found) = world.compile(pod);
    assert!(plan.is_none());
    assert_eq!(found, ["bad-surface: the MCP endpoint of `web` is no path: `no path`"]);
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let labels: Vec<(String, String)> =
        (0..5000).map(|count| (format!("claw.skill.{count}"), format!("s{count}.md"))).collect();
    let mut all = vec![("claw.type", "generic"), ("claw.agent.file", "A.md")];
    all.extend(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let (plan, found) = World { labels: &all, ..World::default() }.compile(POD);
    assert!(plan.is_none());
    assert_eq!(found[0], "bad-label: the image `acme/bot` has 5002 labels `claw.*`, and claw reads 1000", "{found:?}");

    let megabyte = "x".repeat(1 << 20);
    for key in ["claw.skill.0", "claw.act.0", "claw.agent.file", "claw.type", "claw.model.primary"] {
        let (is_planned, found) = self::found(key, &megabyte);
        assert!(!is_planned && found.iter().any(|each| each.starts_with("bad-label")), "{key}");
        assert!(found.iter().all(|each| each.len() < 2000), "{key}");
    }
    let key = format!("claw.model.{megabyte}");
    let (is_planned, found) = self::found(&key, "demo/a");
    assert!(!is_planned && found.iter().all(|each| each.len() < 2000));
    // What is not claw's is nobody's business.
    assert_eq!(self::found("org.acme.blob", &megabyte), (true, Vec::new()));
}

#[test]
fn labels_of_a_base_are_judged_like_those_of_an_image() {
    let labels = [("claw.type", "generic"), ("claw.skill.0", "../s.md"), ("claw.track.0", "brew")];
    let clawfile = Some("FROM acme/base\nCLAW_TYPE generic\nAGENT A.md\n");
    let world = World { labels: &labels, clawfile, ..World::default() };
    let (plan, found) = world.compile("services: {bot: {build: .}}\n");
    assert!(plan.is_none());
    assert!(found.iter().any(|each| each.contains("`claw.track.0` of the image `acme/base`")), "{found:?}");
    assert!(found.iter().any(|each| each.starts_with("unusable-file: the skill `../s.md`")), "{found:?}");
}
