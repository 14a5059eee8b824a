//! Secrets whose values are hard to carry: from every source, byte for byte, or refused by name before anything is made.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use super::{Pod, shell, sleeps};
use crate::Run;

/// The longest `NAME=value` of Linux, its end mark with it.
const LONGEST: usize = 128 * 1024;

/// Values by name.
fn values() -> Vec<(&'static str, Vec<u8>)> {
    let long: String = (0..8192).map(|each| format!("{each:05}$'\"")).collect();
    let texts = [
        ("QUOTES", "a \"b\" 'c' `d`"),
        ("BACKSLASHES", r"\ \\ \n \$ \"),
        ("LINES", "a\nb\n\nc"),
        ("END", "a\n"),
        ("ENDS", "a\n\n"),
        ("RETURN", "a\rb\r "),
        ("DOLLAR", "$HOME ${HOME} ${X:-y} $$ $$$ $(id) $1 $"),
        ("BLANKS", " \t a  "),
        ("HASH", "a #b # c"),
        ("WIDE", "\u{e4}\u{4e16}\u{1f600}"),
        ("OPTION", "--x=y=z"),
    ];
    let mut all: Vec<_> = texts.into_iter().map(|(name, text)| (name, text.as_bytes().to_vec())).collect();
    all.push(("LONG", long.into_bytes()));
    all.push(("BYTES", vec![b'a', 0xff, 0xc3, 0x28, 0x80, b'b']));
    all
}

/// A value as a dotenv file holds it.
fn quoted(value: &str) -> String {
    // A backslash before the quote would take it for a part of the value.
    if !value.contains(['\'', '\n', '\r']) && !value.ends_with('\\') {
        return format!("'{value}'");
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r"))
}

/// Runs claw with variables of any bytes.
fn run(pod: &Pod, arguments: &[&str], variables: &[(String, Vec<u8>)]) -> Run {
    let output = pod
        .command(arguments)
        .envs(variables.iter().map(|(name, value)| (name, OsStr::from_bytes(value))))
        .stdin(Stdio::null())
        .output()
        .expect("claw runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What docker's client prints, whatever it is.
fn bytes(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("docker").args(arguments).output().expect("the docker client runs");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// One agent with every value from every source that can hold it; returns the variables of claw's own environment and what
/// the agent has to find.
#[expect(clippy::type_complexity, reason = "two lists of the same kind")]
fn matrix(pod: &Pod) -> (Vec<(String, Vec<u8>)>, Vec<(String, Vec<u8>)>) {
    shell(pod);
    let (mut own, mut expected) = (Vec::new(), Vec::new());
    let (mut declared, mut environment, mut dotenv, mut env_file) =
        (String::new(), String::new(), String::new(), String::new());
    std::fs::create_dir_all(pod.folder.0.join("values")).expect("a folder");
    let mut files = values();
    files.push(("MOST", vec![b'x'; LONGEST - "F_MOST=".len() - 1]));
    for (name, value) in files {
        let text = std::str::from_utf8(&value).ok().filter(|_| name != "MOST");
        // The last line break of a file and of what a command prints is not the value's.
        let path = format!("values/{name}");
        std::fs::write(pod.folder.0.join(&path), [&value[..], b"\n"].concat()).expect("written");
        declared.push_str(&format!("    F_{name}: {{file: {path}}}\n    C_{name}: {{command: [cat, {path}]}}\n"));
        for kind in ["F", "C"] {
            environment.push_str(&format!("      {kind}_{name}: ${{{kind}_{name}}}\n"));
            expected.push((format!("{kind}_{name}"), value.clone()));
        }
        if name != "MOST" {
            environment.push_str(&format!("      E_{name}_KEY: ${{E_{name}_KEY}}\n"));
            own.push((format!("E_{name}_KEY"), value.clone()));
            expected.push((format!("E_{name}_KEY"), value.clone()));
        }
        if let Some(text) = text {
            environment.push_str(&format!("      D_{name}_KEY: ${{D_{name}_KEY}}\n"));
            dotenv.push_str(&format!("D_{name}_KEY={}\n", quoted(text)));
            env_file.push_str(&format!("V_{name}_KEY={}\n", quoted(text)));
            expected.extend(["D", "V"].map(|kind| (format!("{kind}_{name}_KEY"), value.clone())));
        }
    }
    pod.write(".env", &dotenv).write("more.env", &env_file).write("AGENTS.md", "# A\n");
    pod.write(
        "claw-pod.yml",
        &format!(
            "x-claw:\n  secrets:\n{declared}services:\n  bot:\n    build: box\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n    \
             env_file: [more.env]\n    environment:\n{environment}    x-claw: {{type: generic, agent: AGENTS.md}}\n"
        ),
    );
    (own, expected)
}

#[test]
fn a_value_arrives_byte_for_byte_from_every_source() {
    let pod = Pod::new("values");
    let (own, expected) = matrix(&pod);
    let up = run(&pod, &["up", "-d"], &own);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let container = pod.container("bot");
    sleeps(&container);
    let environment = bytes(&["exec", &container, "sh", "-c", "cat /proc/$(pidof sleep)/environ"]);
    let found: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
    for (name, value) in &expected {
        let line = [name.as_bytes(), b"=", value].concat();
        assert!(found.contains(&line.as_slice()), "{name} is not what it should be");
        assert_eq!(&bytes(&["exec", &container, "cat", &format!("/run/secrets/{name}")]), value, "the file of {name}");
    }
    // Nothing but these, what the container was made with, and what the engine and the shell of `exec` add.
    let made = bytes(&["inspect", "-f", "{{join .Config.Env \"\\n\"}}", &container]);
    let made = String::from_utf8(made).expect("UTF-8");
    let mut known: Vec<&str> = made.lines().filter_map(|line| line.split('=').next()).collect();
    known.extend(["PATH", "HOSTNAME", "HOME"]);
    for line in found.iter().filter(|line| !line.is_empty()) {
        let name = String::from_utf8_lossy(line.split(|byte| *byte == b'=').next().expect("a name")).into_owned();
        let is_ours = expected.iter().any(|(own, _)| *own == name);
        assert!(is_ours || known.contains(&name.as_str()), "{name} was added");
    }
    let again = run(&pod, &["up", "-d"], &own);
    assert_eq!(again.stdout, "nothing to do\n", "{}", again.stderr);
}

/// An agent with one declared secret.
fn single(pod: &Pod, source: &str) {
    shell(pod);
    pod.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        &format!(
            "x-claw:\n  secrets:\n    HARD: {source}\nservices:\n  bot:\n    build: box\n    command: [sleep, '1000']\n    \
             stop_signal: SIGKILL\n    environment:\n      TAKEN: ${{HARD}}\n    x-claw: {{type: generic, agent: AGENTS.md}}\n"
        ),
    );
}

#[test]
fn what_no_variable_can_hold_is_refused_by_name_before_anything_is_made() {
    let pod = Pod::new("refused");
    let way = "let the program read it from `/run/secrets`, as a `secrets:` entry of the service with `file:`";
    let taken = "error: `bot` takes the secret HARD from its variable `TAKEN`, and it";
    let long = vec![b'x'; LONGEST - "TAKEN=".len()];
    for (source, value, code, message) in [
        ("{file: hard}", &b"canary\0x"[..], 2, format!("{taken} holds a NUL byte, which no variable can: {way}\n")),
        ("{file: hard}", &long, 2, format!("{taken} is longer than the 128 KiB of one: {way}\n")),
        ("{command: [cat, hard]}", &long, 2, format!("{taken} is longer than the 128 KiB of one: {way}\n")),
        ("{file: hard}", b"\n", 2, "error: the secret HARD has no value: write it to `hard`\n".to_owned()),
        (
            "{command: [cat, hard]}",
            b"\n",
            1,
            "error: the command of the secret HARD failed: it printed nothing; what it printed is not shown, so run it yourself to see\n"
                .to_owned(),
        ),
        (
            "{command: [sh, -c, 'cat hard; cat hard >&2; exit 4']}",
            b"canary",
            1,
            "error: the command of the secret HARD failed: `sh` ended with exit status: 4; what it printed is not shown, so run it yourself to see\n"
                .to_owned(),
        ),
        (
            "{command: [no-such-program]}",
            b"canary",
            1,
            "error: the command of the secret HARD failed: cannot run `no-such-program`: No such file or directory (os error 2); what it printed is not shown, so run it yourself to see\n"
                .to_owned(),
        ),
    ] {
        single(&pod, source);
        std::fs::write(pod.folder.0.join("hard"), value).expect("written");
        for arguments in [&["up", "-d"][..], &["plan"], &["verify"]] {
            let run = run(&pod, arguments, &[]);
            assert_eq!((run.code, run.stderr.as_str()), (Some(code), message.as_str()), "{source} {arguments:?}");
        }
        assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new());
        assert_eq!(pod.left(&["network", "ls"]), Vec::<String>::new());
        assert_eq!(bytes(&["images", "-q", &format!("{}-bot", pod.name)]), b"", "no image was built");
        assert!(!pod.folder.0.join("compose.generated.yml").exists());
    }
    pod.write(".env", "");
    std::fs::write(pod.folder.0.join(".env"), b"BOT_TOKEN=canary\xff\n").expect("written");
    let run = run(&pod, &["up", "-d"], &[]);
    assert_eq!(run.code, Some(2));
    let file = pod.folder.0.join(".env").display().to_string();
    assert_eq!(run.stderr, format!("error: cannot read the env file `{file}`: it is not UTF-8 text\n"));
}

#[test]
fn a_runtime_that_reads_files_takes_any_bytes() {
    let pod = Pod::new("bytes");
    let value = [&b"a\0b\xff"[..], &vec![b'x'; 2 * LONGEST]].concat();
    std::fs::write(pod.folder.0.join("hard"), &value).expect("written");
    pod.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        "x-claw:\n  providers: {demo: {base_url: 'http://provider:8701/v1', key: '${HARD}'}}\n  secrets:\n    HARD: {file: hard}\nservices:\n  bot:\n    \
         image: claw/infra\n    x-claw: {type: reference, agent: AGENTS.md, models: {primary: demo/echo-1}}\n",
    );
    pod.ok(&["up", "-d"]);
    let archive = bytes(&["cp", &format!("{}:/run/secrets/HARD", pod.container("bot")), "-"]);
    // One file of a tar archive: a header of 512 bytes, then the content.
    assert_eq!(archive.get(512..512 + value.len()), Some(value.as_slice()));
}

#[test]
fn a_program_that_cannot_take_a_variable_reads_a_file_of_its_own() {
    let pod = Pod::new("own-file");
    shell(&pod);
    let value = vec![b'x'; 2 * LONGEST];
    std::fs::write(pod.folder.0.join("hard"), &value).expect("written");
    pod.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        "secrets:\n  hard: {file: hard}\nservices:\n  bot:\n    build: box\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n    \
         secrets: [hard]\n    x-claw: {type: generic, agent: AGENTS.md}\n",
    );
    pod.ok(&["up", "-d"]);
    assert_eq!(bytes(&["exec", &pod.container("bot"), "cat", "/run/secrets/hard"]), value);
}

#[test]
fn a_command_runs_once_for_each_command_of_claws() {
    let pod = Pod::new("once");
    single(&pod, "{command: [sh, -c, 'echo x >> ran; echo canary']}");
    let ran = || {
        let text = std::fs::read_to_string(pod.folder.0.join("ran")).unwrap_or_default();
        let _ = std::fs::remove_file(pod.folder.0.join("ran"));
        text.lines().count()
    };
    for (arguments, times) in [
        (&["check"][..], 0),
        (&["compile", "-o", "out"], 0),
        (&["secrets", "list"], 0),
        (&["plan"], 1),
        (&["up", "-d"], 1),
        (&["up", "-d"], 1),
        (&["verify"], 1),
        (&["ps"], 0),
        (&["logs"], 0),
        (&["down"], 0),
    ] {
        pod.ok(arguments);
        assert_eq!(ran(), times, "{arguments:?}");
    }
}

#[test]
fn ctrl_c_while_a_command_runs_is_an_interruption() {
    let pod = Pod::new("ctrl-c");
    single(&pod, "{command: [sh, -c, 'echo $$$$ > pid; exec sleep 1000']}");
    let child = pod.command(&["up", "-d"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("claw runs");
    let pid = || {
        let text = std::fs::read_to_string(pod.folder.0.join("pid")).ok()?;
        text.trim().parse::<u32>().ok()
    };
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let process = loop {
        match pid() {
            Some(process) => break process,
            None => assert!(std::time::Instant::now() < until, "the command never runs"),
        }
        std::thread::yield_now();
    };
    super::signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let is_there = || std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while is_there() {
        assert!(std::time::Instant::now() < until, "the command goes with claw");
        std::thread::yield_now();
    }
    assert_eq!(pod.left(&["network", "ls"]), Vec::<String>::new());
}
