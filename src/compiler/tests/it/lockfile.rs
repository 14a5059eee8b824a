//! `claw.lock`: read, written, and what changed between two of them.

use claw_compiler::lockfile::{LockedBuild, LockedImage, LockedTools, Lockfile};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

fn image(digest: &str, user: &str) -> LockedImage {
    LockedImage { digest: Some(format!("sha256:{digest}")), user: Some(user.to_owned()), ..LockedImage::default() }
}

fn lock() -> Lockfile {
    let mut lock = Lockfile { version: 1, claw: "1.0.0".to_owned(), ..Lockfile::default() };
    lock.images.insert("python:3".to_owned(), image("aaaaaaaaaaaaaaaa", "0"));
    lock.images.insert("redis".to_owned(), image("bbbbbbbbbbbbbbbb", "0"));
    lock.runtimes.insert("openclaw".to_owned(), "openclaw 1".to_owned());
    lock.builds.insert("library".to_owned(), LockedBuild { context: "c".to_owned(), image: LockedImage::default() });
    lock
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut sources = SourceMap::new();
    let file = sources.add("claw.lock", lock().text());
    let mut diag = Diagnostics::new();
    assert_eq!(Lockfile::parse(sources.get(file).expect("there"), &mut diag), Some(lock()));
    assert!(!diag.has_errors());
    let pins = lock().pins();
    assert_eq!(pins.get("redis").map(String::as_str), Some("sha256:bbbbbbbbbbbbbbbb"));
    for (text, why) in [
        ("{\"version\": 2, \"claw\": \"\", \"runtimes\": {}, \"images\": {}, \"builds\": {}}", "has the version 2"),
        ("{\"version\": 1, \"more\": 1}", "unknown field `more`"),
        ("", "EOF while parsing"),
    ] {
        let file = sources.add("claw.lock", text);
        let mut diag = Diagnostics::new();
        assert_eq!(Lockfile::parse(sources.get(file).expect("there"), &mut diag), None);
        let found: Vec<String> = diag.sorted().into_iter().map(|each| each.message.clone()).collect();
        assert!(found.len() == 1 && found[0].contains(why), "{found:?}");
    }
}

#[test]
fn a_listing_with_any_number_is_what_its_digest_says() {
    // Numbers that come back as their neighbours where they are read less than exactly.
    for number in
        ["0.29999999999999998", "5e-324", "2.2250738585072014e-308", "9007199254740993.0", "122.416294033786585"]
    {
        let answer = format!("[{{\"name\": \"a\", \"inputSchema\": {{\"default\": {number}}}}}]");
        let tools = LockedTools::of("http://a:1/mcp", serde_json::from_str(&answer).expect("JSON"));
        let mut lock = lock();
        lock.tools.insert("a".to_owned(), tools);
        let mut sources = SourceMap::new();
        let file = sources.add("claw.lock", lock.text());
        let mut diag = Diagnostics::new();
        let again = Lockfile::parse(sources.get(file).expect("there"), &mut diag);
        assert_eq!(again, Some(lock), "{number}");
    }
    let read: f64 = serde_json::from_str("122.416294033786585").expect("a number");
    assert_eq!(read.to_bits(), "122.416294033786585".parse::<f64>().expect("a number").to_bits());
}

#[test]
fn an_edited_listing_is_refused_and_the_rest_can_be_kept() {
    let mut edited = lock();
    let mut tools = LockedTools::of("http://a:1/mcp", serde_json::json!([{ "name": "a" }]));
    assert!(tools.is_whole());
    tools.tools = serde_json::json!([{ "name": "b" }]);
    assert!(!tools.is_whole());
    edited.tools.insert("a".to_owned(), tools);
    let mut sources = SourceMap::new();
    let file = sources.add("claw.lock", edited.text());
    let source = sources.get(file).expect("there").clone();
    let mut diag = Diagnostics::new();
    assert_eq!(Lockfile::parse(&source, &mut diag), None);
    assert!(diag.has_errors());
    assert_eq!(Lockfile::parse_edited(&source), Some(edited));
    for text in [lock().text().replace("\"version\": 1", "\"version\": 2"), "{}".to_owned(), String::new()] {
        let file = sources.add("claw.lock", text);
        assert_eq!(Lockfile::parse_edited(sources.get(file).expect("there")), None);
    }
}

#[test]
fn a_change_is_told_by_what_it_is() {
    assert_eq!(lock().changes(&lock()), Vec::<String>::new());
    let mut now = lock();
    now.images.remove("redis");
    now.images.insert("alpine".to_owned(), image("cccccccccccccccc", "0"));
    now.images.insert("python:3".to_owned(), image("dddddddddddddddd", "1000"));
    now.runtimes.insert("openclaw".to_owned(), "openclaw 2".to_owned());
    now.builds.get_mut("library").expect("there").context = "other".to_owned();
    now.claw = "2.0.0".to_owned();
    assert_eq!(
        now.changes(&lock()),
        [
            "alpine: added, sha256:cccccccccccc",
            "python:3: sha256:aaaaaaaaaaaa is now sha256:dddddddddddd",
            "python:3: its user changed",
            "redis: removed",
            "image of library: built from something else",
            "runtime openclaw: openclaw 1 is now openclaw 2",
            "claw: 1.0.0 is now 2.0.0",
        ]
    );
}
