//! Bad input never panics, and every finding has a help and a place between characters: every prefix of a text, and a
//! hostile piece at every place of it.

use std::collections::BTreeMap;

use claw_compose::load::dotenv;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

const FILE: &str = "x-é: &d {é: !reset ü}\nservices:\n  a: &a\n    image: \"i${V:-ü}\"\n    environment: [É=ü, C=é]\n    \
    ports: ['[::1]:80-81:90-91/udp']\n    volumes: ['vv:/é:ro', '~/ü:/z', {type: bind, source: é, target: /t}]\n    \
    command: sh -c 'é \"b\"'\n    extra_hosts: ['é=[::1]']\n    links: [b:ü]\n    container_name: ab\n    \
    healthcheck: {test: [CMD, é], interval: 1m}\n    deploy: {replicas: 1, labels: [é=ü], placement: {constraints: [é]}}\n  \
    b: {<<: *a, links: [], profiles: [é], pull_policy: every_1h, container_name: ba}\n\
    volumes: {vv: {external: {name: é}}}\nsecrets: {s: {file: ü}}\n";

const DOTENV: &str = "\u{feff}A=é # c\nexport D = 'e f'\nG=\"h${A:-ü}\\n\\$\"\nI\nJ: k\r\nL=\"é\n";

fn variants(text: &str) -> impl Iterator<Item = String> + '_ {
    // Inside a word of letters one place is like another.
    let is_word =
        |at: usize| text[..at].chars().rev().take(2).chain(text[at..].chars().take(1)).all(char::is_alphabetic);
    let places = || text.char_indices().map(|(at, _)| at).filter(move |at| !is_word(*at)).chain([text.len()]);
    let prefixes = places().map(|at| text[..at].to_owned());
    let pieces =
        ["\0", "\"", "'", "${", "}", "\n", "\\", "<<", "[", ": ", ":", "*", "\u{1f600}", "\t", "!reset ", "- "];
    let changed = places().flat_map(move |at| pieces.map(|piece| format!("{}{piece}{}", &text[..at], &text[at..])));
    prefixes.chain(changed)
}

#[test]
fn a_compose_file_may_be_anything() {
    let (loaded, found) = crate::load(&FILE.replace("!reset ", ""), &["*"], &[]);
    assert!(loaded.is_some(), "{found:?}");
    for text in variants(&FILE.replace("!reset ", "")) {
        let (loaded, found) = crate::load(&text, &["*"], &[]);
        assert!(loaded.is_some() || !found.is_empty(), "{text}");
    }
}

#[test]
fn an_env_file_may_be_anything_and_shows_nothing() {
    for text in variants(DOTENV) {
        let mut sources = SourceMap::new();
        let file = sources.add(".env", text.clone());
        let mut diag = Diagnostics::new();
        let none: BTreeMap<String, String> = BTreeMap::new();
        for is_raw in [false, true] {
            dotenv::parse(sources.get(file).expect("added"), &none, is_raw, &mut diag);
        }
        for each in diag.iter() {
            assert!(each.is_masked && each.help.is_some(), "{each:?}");
            assert!(text.get(each.primary.start as usize..each.primary.end as usize).is_some(), "{each:?}");
        }
    }
}
