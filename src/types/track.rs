//! Package managers whose changes are logged in worker mode, and what their command lines ask for. The shim asks whether a call changes
//! anything, the recipe which packages it names; both read it here.

/// A package manager that `TRACK` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manager {
    /// Debian's.
    Apt,
    /// Python's.
    Pip,
    /// Node's; packages that are installed for all (`-g`) alone.
    Npm,
}

/// Every manager, in the order in which what they install is needed.
pub const MANAGERS: [Manager; 3] = [Manager::Apt, Manager::Pip, Manager::Npm];

impl Manager {
    /// Returns the manager of a word of `TRACK`.
    pub fn parse(word: &str) -> Option<Self> {
        MANAGERS.into_iter().find(|manager| manager.name() == word)
    }

    /// Returns the word of `TRACK`.
    pub fn name(self) -> &'static str {
        match self {
            Manager::Apt => "apt",
            Manager::Pip => "pip",
            Manager::Npm => "npm",
        }
    }

    /// Returns the programs that stand for it on the path of a worker. Of python it is `-m pip` alone.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Manager::Apt => &["apt", "apt-get"],
            Manager::Pip => &["pip", "pip3", "python", "python3"],
            Manager::Npm => &["npm"],
        }
    }

    /// Returns the manager of a program by the name it is called by.
    pub fn of(program: &str) -> Option<Self> {
        MANAGERS.into_iter().find(|manager| manager.programs().contains(&program))
    }

    /// Returns a package's name as the manager compares it.
    pub fn same(self, name: &str) -> String {
        if self != Manager::Pip {
            return name.to_owned();
        }
        let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
    }

    /// Options that take the next word as their value, beside `--option=value`.
    fn valued(self) -> &'static [&'static str] {
        match self {
            Manager::Apt => &["-t", "--target-release", "--default-release", "-o", "--option", "-c", "--config-file"],
            Manager::Pip => &[
                "-r",
                "--requirement",
                "-c",
                "--constraint",
                "-e",
                "--editable",
                "-t",
                "--target",
                "--prefix",
                "--root",
                "-i",
                "--index-url",
                "--extra-index-url",
                "-f",
                "--find-links",
                "--platform",
                "--python-version",
                "--implementation",
                "--abi",
                "--upgrade-strategy",
                "--progress-bar",
                "--report",
                "--src",
                "--no-binary",
                "--only-binary",
                "--python",
                "--log",
                "--proxy",
                "--retries",
                "--timeout",
                "--exists-action",
                "--trusted-host",
                "--cert",
                "--client-cert",
                "--cache-dir",
                "--global-option",
                "-C",
                "--config-settings",
                "--root-user-action",
                "--group",
                "--keyring-provider",
                "--use-feature",
                "--use-deprecated",
            ],
            Manager::Npm => &[
                "--prefix",
                "--registry",
                "--tag",
                "--location",
                "-L",
                "--loglevel",
                "--omit",
                "--include",
                "--cache",
                "--userconfig",
                "--globalconfig",
                "-w",
                "--workspace",
                "--before",
                "--cpu",
                "--os",
                "--libc",
                "--install-strategy",
                "--allow-git",
            ],
        }
    }

    /// Options without which a package would not be installed the same way, and whether each has a value.
    fn kept(self) -> &'static [(&'static str, bool)] {
        match self {
            Manager::Apt => &[("-t", true), ("--target-release", true), ("--default-release", true)],
            Manager::Pip => &[
                ("--break-system-packages", false),
                ("--pre", false),
                ("--no-deps", false),
                ("-i", true),
                ("--index-url", true),
                ("--extra-index-url", true),
                ("--only-binary", true),
                ("--no-binary", true),
            ],
            Manager::Npm => {
                &[("--registry", true), ("--ignore-scripts", false), ("--legacy-peer-deps", false), ("--force", false)]
            }
        }
    }

    fn verb(self, word: &str) -> Option<Verb> {
        Some(match (self, word) {
            (Manager::Apt, "install" | "reinstall" | "build-dep" | "satisfy")
            | (Manager::Pip, "install")
            | (
                Manager::Npm,
                "install" | "add" | "i" | "in" | "ins" | "inst" | "insta" | "instal" | "isnt" | "isnta" | "isntal",
            ) => Verb::Install,
            (Manager::Apt, "remove" | "purge" | "autoremove" | "autopurge" | "auto-remove")
            | (Manager::Pip, "uninstall")
            | (Manager::Npm, "uninstall" | "unlink" | "remove" | "rm" | "r" | "un") => Verb::Remove,
            (Manager::Apt, "upgrade" | "dist-upgrade" | "full-upgrade")
            | (Manager::Npm, "update" | "up" | "upgrade" | "udpate") => Verb::Upgrade,
            _ => return None,
        })
    }
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Packages come.
    Install,
    /// Packages go.
    Remove,
    /// Packages become newer.
    Upgrade,
}

/// A call of a package manager that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it does.
    pub verb: Verb,
    /// The packages it names, without versions, in the order written.
    pub named: Vec<Named>,
    /// Options that a repetition needs, as written; a value is joined by `=`.
    pub flags: Vec<String>,
    /// Whether it names some in a way that does not tell their names: a file of them, a path, an address.
    pub is_vague: bool,
}

/// A package on a command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its name, as the manager compares it.
    pub name: String,
    /// `[extra]` of pip's.
    pub extras: String,
    /// It is to go, though the call installs others: `apt-get install a b-`.
    pub goes: bool,
}

/// Returns what a call changes, `words` being what comes after the program; nothing where it changes nothing that is logged.
pub fn call(manager: Manager, words: &[String]) -> Option<Call> {
    let mut call = Call { verb: Verb::Install, named: Vec::new(), flags: Vec::new(), is_vague: false };
    let (mut verb, mut is_global, mut only_names) = (None, manager != Manager::Npm, false);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" && !only_names {
            only_names = true;
            continue;
        }
        if word.starts_with('-') && word.len() > 1 && !only_names {
            let (option, joined) =
                word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            let is_valued = manager.valued().contains(&option);
            let value = joined.map(ToOwned::to_owned).or_else(|| if is_valued { rest.next().cloned() } else { None });
            if is_dry(manager, option) {
                return None;
            }
            is_global |= matches!(option, "-g" | "--global") && joined != Some("false");
            is_global |= matches!(option, "--location" | "-L") && value.as_deref() == Some("global");
            let vague = ["-r", "--requirement", "-e", "--editable", "--group"];
            call.is_vague |= manager == Manager::Pip && vague.iter().any(|each| is_option(option, each));
            if let Some((_, has_value)) = manager.kept().iter().find(|(name, _)| *name == option) {
                let value = value.filter(|_| *has_value).map(|value| format!("={value}")).unwrap_or_default();
                call.flags.push(format!("{}{value}", full(manager, option)));
            }
            continue;
        }
        match verb {
            None => verb = Some((manager.verb(word)?, word.as_str())),
            Some(_) => match named(manager, word) {
                Some(named) => call.named.push(named),
                None => call.is_vague = true,
            },
        }
    }
    let (verb, word) = verb?;
    call.verb = verb;
    call.is_vague |= matches!(word, "build-dep" | "satisfy");
    is_global.then_some(call)
}

/// `-rfile` is `-r file` to pip.
fn is_option(written: &str, option: &str) -> bool {
    written == option || (option.len() == 2 && written.starts_with(option) && !written.starts_with("--"))
}

/// One word for one option.
fn full(manager: Manager, option: &str) -> &str {
    match (manager, option) {
        (Manager::Apt, _) => "--target-release",
        (Manager::Pip, "-i") => "--index-url",
        (_, option) => option,
    }
}

/// Whether an option makes a call one that only says what it would do.
fn is_dry(manager: Manager, option: &str) -> bool {
    let dry: &[&str] = match manager {
        Manager::Apt => &[
            "-s",
            "--simulate",
            "--just-print",
            "--dry-run",
            "--recon",
            "--no-act",
            "-d",
            "--download-only",
            "--print-uris",
            "-h",
            "--help",
        ],
        Manager::Pip => &["--dry-run", "-h", "--help"],
        Manager::Npm => &["--dry-run", "-h", "--help"],
    };
    dry.contains(&option)
}

/// Returns the package a word names; nothing where it names a file, a path or an address.
fn named(manager: Manager, word: &str) -> Option<Named> {
    let is_place = word.starts_with(['.', '/', '~']) || word.contains("://");
    if is_place {
        return None;
    }
    let of = |name: &str, extras: &str, goes: bool| {
        let name = manager.same(name);
        (!name.is_empty()).then(|| Named { name, extras: extras.to_owned(), goes })
    };
    match manager {
        Manager::Apt if word.ends_with(".deb") => None,
        Manager::Apt => {
            let bare = word.split(['=', '/']).next().unwrap_or(word);
            match bare.strip_suffix('-') {
                Some(bare) => of(bare, "", true),
                // `g++` is a package; `x+` is `x`.
                None if bare.ends_with("++") => of(bare, "", false),
                None => of(bare.strip_suffix('+').unwrap_or(bare), "", false),
            }
        }
        Manager::Pip => {
            let is_file = [".whl", ".zip", ".tar.gz", ".tar.bz2"].iter().any(|end| word.ends_with(end));
            if is_file || word.contains('@') || word.contains('/') {
                return None;
            }
            let is_end = |each: char| matches!(each, '=' | '<' | '>' | '!' | '~' | ';' | ' ' | ',');
            let bare = word.split(is_end).next().unwrap_or(word);
            let (name, extras) = bare.find('[').map_or((bare, ""), |at| bare.split_at(at));
            of(name, extras, false)
        }
        Manager::Npm => {
            let start = usize::from(word.starts_with('@'));
            let (name, spec) = match word[start..].find('@') {
                Some(at) => (&word[..start + at], &word[start + at + 1..]),
                None => (word, ""),
            };
            let is_address = |text: &str| text.contains(':') || text.contains('/');
            let is_scoped = start == 1 && name.matches('/').count() == 1;
            if is_address(spec) || (!is_scoped && is_address(name)) || name.ends_with(".tgz") {
                return None;
            }
            of(name, "", false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Call> {
        let mut words = line.split_whitespace();
        let manager = Manager::of(words.next().expect("a program")).expect("known");
        call(manager, &words.map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    fn names(line: &str) -> Vec<String> {
        let of = |each: Named| format!("{}{}{}", each.name, each.extras, if each.goes { " goes" } else { "" });
        read(line).expect("a change").named.into_iter().map(of).collect()
    }

    #[test]
    fn packages_are_named_without_their_versions() {
        assert_eq!(
            names("apt-get -qq install -y -t sid -o A::B=c curl=8.1 g++ jq/sid vim- nano+"),
            ["curl", "g++", "jq", "vim goes", "nano"]
        );
        assert_eq!(
            names("pip install --no-cache-dir Flask[async]>=3 ruamel.yaml==0.1 x~=1"),
            ["flask[async]", "ruamel-yaml", "x"]
        );
        assert_eq!(names("npm i -g @scope/a@1.2 b@latest c"), ["@scope/a", "b", "c"]);
        assert_eq!(names("pip3 uninstall -y six"), ["six"]);
    }

    #[test]
    fn what_changes_nothing_is_no_call() {
        for line in [
            "apt-get update",
            "apt list --installed",
            "apt-get -s install curl",
            "pip list",
            "pip install --dry-run x",
            "npm install",
            "npm install left-pad",
            "npm ls -g",
            "apt-get",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn what_does_not_tell_names_is_vague() {
        for line in [
            "pip install -r needs.txt",
            "pip install -rneeds.txt",
            "pip install -e .",
            "pip install git+https://example.com/x",
            "pip install x@https://example.com/x.whl",
            "apt-get install ./x.deb",
            "apt-get build-dep curl",
            "npm i -g user/repo",
            "npm i -g x@git+ssh://host/x",
            "npm i -g ./x.tgz",
        ] {
            assert!(read(line).expect(line).is_vague, "{line}");
        }
    }

    #[test]
    fn options_that_a_repetition_needs_are_kept() {
        let flags = |line: &str| read(line).expect(line).flags;
        assert_eq!(
            flags("pip install -i https://a/simple --break-system-packages -U x"),
            ["--index-url=https://a/simple", "--break-system-packages"]
        );
        assert_eq!(flags("apt-get install -t backports x"), ["--target-release=backports"]);
        assert_eq!(flags("npm i --location=global --registry=https://a x"), ["--registry=https://a"]);
    }
}
