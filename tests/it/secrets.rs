//! `claw secrets` and the sources of secrets, without an engine.

use crate::engine::json::check;
use crate::{Folder, claw, files};

const POD: &str = r#"x-claw:
  pod: demo
  secrets:
    PASSPHRASE: {file: phrase.txt}
    MADE: {command: [sh, -c, "echo canary-made"]}
    UNUSED: {env: NOBODY}
services:
  bot:
    image: x
    entrypoint: [/bin/x]
    environment:
      BOT_TOKEN: ${BOT_TOKEN}
      PHRASE: ${PASSPHRASE}
      MADE: ${MADE}
    env_file: [more.env]
    x-claw: {type: generic, agent: AGENTS.md}
  two:
    image: y
    entrypoint: [/bin/x]
    x-claw:
      type: generic
      agent: AGENTS.md
      count: 2
      cllama: passthrough
      models: {primary: openai/gpt-4o}
      cllama-env: {OPENAI_API_KEY: "${OPENAI_API_KEY}"}
"#;

fn pod(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("claw-pod.yml", POD).write("AGENTS.md", "# A\n").write("phrase.txt", "canary-phrase\n");
    folder
        .write(".env", "BOT_TOKEN=canary-bot\nOPENAI_API_KEY=canary-openai\n")
        .write("more.env", "EXTRA_KEY=canary-e\n");
    folder
}

fn tokens(folder: &Folder) -> Vec<(String, String)> {
    let found = files(&folder.0).into_iter().filter(|(path, _)| path.starts_with(".claw/demo/state/tokens/"));
    found.map(|(path, text)| (path.trim_start_matches(".claw/demo/state/tokens/").to_owned(), text)).collect()
}

#[test]
fn secrets_are_listed_by_name_with_their_source_users_and_delivery() {
    let folder = pod("secrets-list");
    let run = claw(&folder.0, &["secrets", "list"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let expected = "\
NAME             SOURCE              AGENTS                     DELIVERY                           VALUE
MADE             command sh          bot                        variable MADE                      asked for by `up`
PASSPHRASE       file phrase.txt     bot                        variable PHRASE                    set
UNUSED           environment NOBODY                                                                not set
BOT_TOKEN        .env                bot                        variable BOT_TOKEN                 set
OPENAI_API_KEY   .env                cllama-passthrough         file /run/secrets/OPENAI_API_KEY   set
EXTRA_KEY        env file more.env   bot                        variable EXTRA_KEY                 set
CLLAMA_TOKEN     minted              cllama-passthrough, two-0  variable CLLAMA_TOKEN              made by `up`
CLLAMA_TOKEN     minted              cllama-passthrough, two-1  variable CLLAMA_TOKEN              made by `up`
CLLAMA_UI_TOKEN  minted              cllama-passthrough         file /run/secrets/CLLAMA_UI_TOKEN  made by `up`
";
    assert_eq!(run.stdout, expected);
    let document = claw(&folder.0, &["secrets", "list", "--json"]);
    check("secrets-list", &document.stdout);
    assert!(!format!("{run:?}{document:?}").contains("canary"), "{document:?}");
    assert!(!folder.0.join(".claw").exists(), "nothing is written");
}

#[test]
fn a_secret_without_a_value_is_listed_as_one() {
    let folder = pod("secrets-unset");
    std::fs::remove_file(folder.0.join("phrase.txt")).expect("removed");
    let run = claw(&folder.0, &["secrets", "list"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.lines().any(|line| line.starts_with("PASSPHRASE ") && line.ends_with(" not set")), "{run:?}");
    assert_eq!(claw(&folder.0, &["check"]).code, Some(2), "everything else refuses it");
}

#[test]
fn an_empty_file_is_no_secret() {
    let folder = pod("secrets-empty");
    folder.write("phrase.txt", "");
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("error[missing-secret]: the secret `PASSPHRASE` is not set"), "{run:?}");
}

#[test]
fn tokens_of_claws_own_are_made_anew_all_of_one_agent_or_by_name() {
    let folder = pod("secrets-rotate");
    let all = claw(&folder.0, &["secrets", "rotate"]);
    assert_eq!(
        all.stdout, "3 tokens made anew; the next `claw up` recreates `cllama-passthrough`, `two-0`, `two-1`\n",
        "{all:?}"
    );
    let first = tokens(&folder);
    let paths: Vec<&str> = first.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["@cllama-passthrough/CLLAMA_UI_TOKEN", "two-0", "two-1"]);
    assert!(first.iter().all(|(_, token)| token.len() == 60) && first[1].1 != first[2].1);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &str| std::fs::metadata(folder.0.join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(".claw/demo/state/tokens/two-0"), mode(".claw/demo/state")), (0o600, 0o700));

    let one = claw(&folder.0, &["secrets", "rotate", "two-1"]);
    assert_eq!(one.stdout, "1 token made anew; the next `claw up` recreates `cllama-passthrough`, `two-1`\n");
    let second = tokens(&folder);
    let is_same: Vec<bool> = first.iter().zip(&second).map(|(one, other)| one == other).collect();
    assert_eq!(is_same, [true, true, false]);

    let document = claw(&folder.0, &["secrets", "rotate", "CLLAMA_TOKEN", "--json"]);
    check("secrets-rotate", &document.stdout);
    let third = tokens(&folder);
    let is_same: Vec<bool> = second.iter().zip(&third).map(|(one, other)| one == other).collect();
    assert_eq!(is_same, [true, false, false], "by its name");
    for (_, token) in first.iter().chain(&second).chain(&third) {
        assert!(!format!("{all:?}{one:?}{document:?}").contains(token), "a token is shown");
    }
}

#[test]
fn a_secret_that_is_not_claws_own_is_changed_where_it_comes_from() {
    let folder = pod("secrets-foreign");
    for (name, hint) in [
        ("BOT_TOKEN", "change it in `.env`"),
        ("PASSPHRASE", "change it in `phrase.txt`"),
        ("PHRASE", "change it in `phrase.txt`"),
        ("MADE", "change what `sh` prints"),
        ("EXTRA_KEY", "change it in `more.env`"),
        ("UNUSED", "set `NOBODY` in the environment or in `.env`"),
    ] {
        let run = claw(&folder.0, &["secrets", "rotate", "two", name]);
        let message = format!(
            "error: `{name}` is not a token of claw's own: {hint}; `claw up` then recreates the agents that use it\n"
        );
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.ends_with(&message), "{run:?}");
    }
    let run = claw(&folder.0, &["secrets", "rotate", "bot"]);
    assert!(
        run.stderr.ends_with("`bot` has no token of claw's own; `claw secrets list` shows who has one\n"),
        "{run:?}"
    );
    let run = claw(&folder.0, &["secrets", "rotate", "two-2"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.ends_with("there is no token and no agent `two-2`; did you mean `two-0`?\n"), "{run:?}");
    assert!(!folder.0.join(".claw").exists(), "nothing is made where a name is wrong");
}

#[test]
fn an_env_file_is_read_whole_or_refused_by_line() {
    let folder = pod("secrets-lines");
    folder.write("more.env", "PLAIN=p\nEXTRA_KEY=\"canary-open\nOTHER_KEY=canary\n");
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.ends_with("line 2: the value of `EXTRA_KEY` has a quote that is not closed\n"), "{run:?}");
    assert!(!format!("{run:?}").contains("canary"), "{run:?}");
    let raw = POD.replace("env_file: [more.env]", "env_file: [{path: more.env, format: raw}]");
    folder.write("more.env", "EXTRA_KEY=canary\n").write("claw-pod.yml", &raw);
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let message = "error[bad-value]: the env file `more.env` of an agent has `format: raw`, which claw does not read";
    assert!(run.stderr.contains(message), "{run:?}");
}
