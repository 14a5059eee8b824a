//! A package manager as a worker's path has it first: the real one is run, and what it changed is written down.
//!
//! What is there is asked of the manager itself, before and after: what somebody names is not what comes. Nothing in the image is
//! needed but the manager.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use claw_types::image::{WORKER_TOOLS, WORKER_TRACK};
use claw_types::track::{self, Call, Manager, Verb};
use serde_json::{Value, json};

/// Set for what a manager starts: a manager that it calls is a part of its own work.
const INSIDE: &str = "CLAW_TRACKED";

/// What `npm ls` says where nothing is installed, and what a value begins with that is no version.
const ADDRESS: &str = "@ ";

/// Returns the package manager a process was called as, where it is the shim on a worker's path: by the name it was called by.
pub fn called_as(name: &OsStr) -> Option<String> {
    let program = Path::new(name).file_name()?.to_str()?;
    let own = std::env::current_exe().ok()?;
    (own.starts_with(WORKER_TOOLS) && Manager::of(program).is_some()).then(|| program.to_owned())
}

/// Runs the real program of this name, and writes down what it changed. Returns its exit code.
///
/// # Errors
/// Where there is no such program behind the shim on the path, or the host does not start it.
pub fn track(program: &str, words: &[OsString]) -> io::Result<u8> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such program in this container");
    let real = real(program, &path, Path::new(WORKER_TOOLS)).ok_or_else(missing)?;
    let mut command = Command::new(&real);
    command.args(words);
    let is_inside = std::env::var_os(INSIDE).is_some();
    let Some((manager, call, head)) = change(program, words).filter(|_| !is_inside) else {
        return Err(command.exec());
    };
    let asking = Asking { manager, program: &real, head: &head };
    let before = asking.installed();
    let status = command.env(INSIDE, "1").status()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    if code == 0 {
        let line = line((manager, &call), (program, words), &before, &asking.installed());
        if let Some(line) = line
            && let Err(error) = append(Path::new(WORKER_TRACK), &line)
        {
            let _ = writeln!(io::stderr(), "claw: what `{program}` did is not written down: {error}");
        }
    }
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Returns the first program of a name on a path, what lies below `skipped` left out.
fn real(program: &str, path: &OsStr, skipped: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let places = std::env::split_paths(path).filter(|place| !place.starts_with(skipped));
    let is_program = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    places.map(|place| place.join(program)).find(is_program)
}

/// Returns what a call changes; of python `-m pip`, whose words come first then.
fn change(program: &str, words: &[OsString]) -> Option<(Manager, Call, Vec<String>)> {
    let manager = Manager::of(program)?;
    let words: Vec<String> = words.iter().map(|word| word.to_str().map(ToOwned::to_owned)).collect::<Option<_>>()?;
    let (head, rest) = match (program, words.as_slice()) {
        ("python" | "python3", [option, module, rest @ ..]) if option == "-m" && module == "pip" => {
            (vec![option.clone(), module.clone()], rest)
        }
        ("python" | "python3", _) => return None,
        (_, rest) => (Vec::new(), rest),
    };
    let call = track::call(manager, rest)?;
    Some((manager, call, head))
}

/// Whom to ask what is installed.
struct Asking<'a> {
    manager: Manager,
    program: &'a Path,
    head: &'a [String],
}

impl Asking<'_> {
    /// Returns the versions of what is installed; nothing where the manager does not say.
    fn installed(&self) -> BTreeMap<String, String> {
        match self.manager {
            Manager::Apt => {
                let format = "-f=${Package}\t${binary:Package}\t${Version}\t${db:Status-Status}\n";
                apt(&said(Command::new("dpkg-query").arg("-W").arg(format)))
            }
            Manager::Pip => {
                pip(&said(Command::new(self.program).args(self.head).args(["freeze", "--all", "--no-input"])))
            }
            Manager::Npm => npm(&said(Command::new(self.program).args(["ls", "-g", "--depth=0", "--json"]))),
        }
    }
}

fn said(command: &mut Command) -> String {
    let output = command.env(INSIDE, "1").stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// A package that is there for one architecture goes by its bare name, as people write it.
fn apt(text: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let mut cells = line.split('\t').map(ToOwned::to_owned);
        let (name, whole, version, status) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        (status == "installed").then_some((name, whole, version))
    };
    let rows: Vec<(String, String, String)> = text.lines().filter_map(row).collect();
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    rows.iter().for_each(|(name, _, _)| *counts.entry(name).or_default() += 1);
    let is_one = |name: &String| counts.get(name) == Some(&1);
    let named = |(name, whole, version): &(String, String, String)| {
        (if is_one(name) { name.clone() } else { whole.clone() }, version.clone())
    };
    rows.iter().map(named).collect()
}

fn pip(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut note = "";
    for line in text.lines() {
        let row = if let Some(place) = line.strip_prefix("-e ") {
            editable(note, place).map(|name| (name, format!("{ADDRESS}{place}")))
        } else if line.starts_with(['#', '-']) {
            None
        } else {
            let pinned = line.split_once("==").map(|(name, version)| (name, version.to_owned()));
            pinned.or_else(|| line.split_once(" @ ").map(|(name, at)| (name, format!("{ADDRESS}{at}"))))
        };
        note = line;
        if let Some((name, version)) = row {
            found.insert(Manager::Pip.same(name.trim()), version.trim().to_owned());
        }
    }
    found
}

/// Returns the name of a package that is installed from where it is edited: of its address, else of the comment above it,
/// `# Editable install with no version control (name==1.0)`, else of its directory.
fn editable<'t>(note: &'t str, place: &'t str) -> Option<&'t str> {
    let egg = place.split_once("#egg=").map(|(_, name)| name.split('&').next().unwrap_or(name));
    let noted = || {
        let (_, inner) = note.strip_prefix('#')?.strip_suffix(')')?.rsplit_once('(')?;
        inner.split("==").next()
    };
    let directory = || place.trim_end_matches('/').rsplit('/').next();
    egg.or_else(noted).or_else(directory).filter(|name| !name.trim().is_empty())
}

fn npm(text: &str) -> BTreeMap<String, String> {
    let told: Value = serde_json::from_str(text).unwrap_or_default();
    let rows = told["dependencies"].as_object().into_iter().flatten();
    let row = |(name, about): (&String, &Value)| {
        let from = about["resolved"].as_str().filter(|from| !from.starts_with("http"));
        let version = about["version"].as_str().map(ToOwned::to_owned);
        Some((name.clone(), from.map(|from| format!("{ADDRESS}{from}")).or(version)?))
    };
    rows.filter_map(row).collect()
}

/// Returns the line of a call; nothing where it changed nothing.
fn line(
    (manager, call): (Manager, &Call),
    (program, words): (&str, &[OsString]),
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Option<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let at = |versions: &BTreeMap<String, String>, name: &String| versions.get(name).map(|version| told(version));
    let changes: Vec<Value> =
        changed.map(|name| json!({ "name": name, "from": at(before, name), "to": at(after, name) })).collect();
    let named = call
        .named
        .iter()
        .filter_map(|named| Some(json!({ "name": named.name, "version": told(after.get(&named.name)?) })));
    let packages: Vec<Value> = named.collect();
    // What was asked for and was there already is a part of what is wanted, should it go and come again.
    if changes.is_empty() && (packages.is_empty() || call.verb == Verb::Remove) {
        return None;
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let argv = shown(words);
    let mut flags = call.flags.clone();
    let breaks = "--break-system-packages";
    let is_set = std::env::var("PIP_BREAK_SYSTEM_PACKAGES").is_ok_and(|value| matches!(value.as_str(), "1" | "true"));
    if manager == Manager::Pip && is_set && !flags.iter().any(|flag| flag == breaks) {
        flags.push(breaks.to_owned());
    }
    let flags: Vec<String> = flags.iter().map(|flag| told(flag)).collect();
    Some(
        json!({
            "time": now.as_secs(),
            "manager": manager.name(),
            "program": program,
            "argv": argv,
            "exit": 0,
            "flags": flags,
            "packages": packages,
            "changes": changes,
        })
        .to_string(),
    )
}

/// Returns what a manager or a caller says without what is secret in it.
fn told(text: &str) -> String {
    cut(&masked(text))
}

/// Takes a name and password out of an address: a log is no place for them.
fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match host.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://***{}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}

/// Parts of names of options and of queries whose values are nobody else's.
const SEALED: &[&str] = &["auth", "passw", "secret", "token"];

/// Returns the words of a call without what is secret in them: `--//host/:_authToken=x`, and the same in two words.
fn shown(words: &[OsString]) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    // The option before a word that may be its value.
    let mut option: Option<String> = None;
    for word in words {
        let word = masked(&word.to_string_lossy());
        let is_option = word.starts_with('-');
        let is_value = !is_option && option.is_some();
        let is_sealed = option.take().is_some_and(|option| sealed(&option).is_some());
        if is_option && !word.contains('=') {
            option = Some(word.clone());
        }
        match shown.last_mut().filter(|_| is_value && is_sealed) {
            // One word with its option: alone it would be read as a package's name.
            Some(last) => last.push_str("=***"),
            // The name of a package may have one of these parts, and its version is no secret.
            None if is_option || is_value || word.contains("://") => shown.push(cut(&word)),
            None => shown.push(word),
        }
    }
    shown
}

/// Returns where a text has a part that says that a secret follows.
fn sealed(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    SEALED.iter().filter_map(|part| text.find(part)).min()
}

/// Takes away what follows `=` after such a part.
fn cut(word: &str) -> String {
    let end = sealed(word).and_then(|at| Some(at + word[at..].find('=')?));
    end.map_or_else(|| word.to_owned(), |end| format!("{}=***", &word[..end]))
}

/// Appends a line in one write, so that lines of two managers at once stay two.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn managers_say_what_is_installed() {
        let map = |rows: &[(&str, &str)]| -> BTreeMap<String, String> {
            rows.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
        };
        let query = "curl\tcurl\t8.1-2\tinstalled\nvim\tvim\t2:9\tconfig-files\nz\tz:amd64\t1\tinstalled\n\
                     c6\tc6:amd64\t2\tinstalled\nc6\tc6:i386\t2\tinstalled\n";
        let two = [("c6:amd64", "2"), ("c6:i386", "2"), ("curl", "8.1-2"), ("z", "1")];
        assert_eq!(apt(query), map(&two));
        let freeze = "# a note\nFlask_X==3.0\n-e git+https://h/y#egg=y&subdirectory=s\n\
                      # Editable install with no version control (My_V==1.0)\n-e /w/v\n-e /w/u/\n\
                      --index-url x\nz @ file:///w/z.whl\n";
        let rows = [
            ("flask-x", "3.0"),
            ("my-v", "@ /w/v"),
            ("u", "@ /w/u/"),
            ("y", "@ git+https://h/y#egg=y&subdirectory=s"),
            ("z", "@ file:///w/z.whl"),
        ];
        assert_eq!(pip(freeze), map(&rows));
        let ls =
            r#"{"dependencies": {"a": {"version": "1.0.0"}, "@s/b": {"version": "2.0.0", "resolved": "file:../b"}}}"#;
        assert_eq!(npm(ls), map(&[("a", "1.0.0"), ("@s/b", "@ file:../b")]));
        assert_eq!(npm(""), map(&[]));
    }

    #[test]
    fn a_line_tells_what_changed_and_no_password() {
        let (_, call, _) = change("pip", &words("install -i https://me:pw@host/simple six")).expect("a change");
        let after = BTreeMap::from([("six".to_owned(), "1.17.0".to_owned())]);
        let argv = words("install -i https://me:pw@host/simple six");
        let text = line((Manager::Pip, &call), ("pip", &argv), &BTreeMap::new(), &after).expect("a line");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told["changes"], json!([{ "name": "six", "from": null, "to": "1.17.0" }]));
        assert_eq!(told["packages"], json!([{ "name": "six", "version": "1.17.0" }]));
        assert_eq!(told["flags"], json!(["--index-url=https://***@host/simple"]));
        assert!(!text.contains("pw"), "{text}");
        let gone = change("pip", &words("uninstall -y none")).expect("a change");
        assert_eq!(line((Manager::Pip, &gone.1), ("pip", &argv), &after, &after), None);
    }

    #[test]
    fn a_line_tells_no_token() {
        let told = |line: &str| shown(&words(line)).join(" ");
        for (line, wanted) in [
            ("i -g --//reg.example/:_authToken=s3cret a", "i -g --//reg.example/:_authToken=*** a"),
            ("i -g --//reg.example/:_authToken s3cret a", "i -g --//reg.example/:_authToken=*** a"),
            ("i -g --//reg.example/:_password=s3cret= a", "i -g --//reg.example/:_password=*** a"),
            ("install -o Acquire::Password=s3cret jq", "install -o Acquire::Password=*** jq"),
            ("install -oAcquire::Password=s3cret jq", "install -oAcquire::Password=*** jq"),
            ("install https://h.example/x.whl?a=b&Token=s3cret", "install https://h.example/x.whl?a=b&Token=***"),
            ("install --index-url=https://me:s3cret@h.example/x", "install --index-url=https://***@h.example/x"),
            ("install tokenizers==0.20 oauthlib", "install tokenizers==0.20 oauthlib"),
            ("install -y libpam-auth=1.2", "install -y libpam-auth=***"),
        ] {
            assert_eq!(told(line), wanted);
        }
        // Nor is a token a package that was asked for.
        let argv = words("i -g --//reg.example/:_authToken s3cret tsx");
        let (_, call, _) = change("npm", &argv).expect("a change");
        let after = BTreeMap::from([("tsx".to_owned(), "4.1.0".to_owned())]);
        let text = line((Manager::Npm, &call), ("npm", &argv), &BTreeMap::new(), &after).expect("a line");
        assert!(!text.contains("s3cret") && text.contains("tsx"), "{text}");
        // What a manager says it has may hold one too, and so may a flag that is kept.
        let argv =
            words("install --index-url=https://h.example/?token=s3cret https://h.example/x.whl?a=b&Token=s3cret");
        let (_, call, _) = change("pip", &argv).expect("a change");
        let after = BTreeMap::from([("x".to_owned(), "@ https://h.example/x.whl?a=b&Token=s3cret".to_owned())]);
        let text = line((Manager::Pip, &call), ("pip", &argv), &BTreeMap::new(), &after).expect("a line");
        assert!(!text.contains("s3cret") && text.contains("x.whl?a=b&Token=***"), "{text}");
    }

    #[test]
    fn python_is_a_manager_where_it_runs_pip() {
        assert!(change("python3", &words("-m pip install six")).is_some());
        assert!(change("python3", &words("-m venv /x")).is_none());
        assert!(change("python3", &words("x.py install")).is_none());
    }

    #[test]
    fn the_real_program_is_the_next_one_on_the_path() {
        let folder = std::env::temp_dir().join(format!("claw-real-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let own = folder.canonicalize().expect("a folder");
        std::os::unix::fs::symlink("/bin/sh", own.join("sh")).expect("a link");
        let path = format!("{}:/bin", own.display());
        let found = real("sh", OsStr::new(&path), &own);
        std::fs::remove_dir_all(&own).expect("removed");
        assert_eq!(found, Some(std::path::PathBuf::from("/bin/sh")));
        assert_eq!(real("no-such-program", OsStr::new("/bin"), Path::new("/run/claw")), None);
    }
}
