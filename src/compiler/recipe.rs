//! A recipe: what was installed in a worker, as lines of a Clawfile. The log it is made from was written inside a container where
//! anybody may write to it: a name or version that is not one is left out, and told.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::doc::visible;
use claw_types::track::{self, MANAGERS, Manager, Named, Verb};
use serde_json::Value;

/// What was installed, and what of it a build cannot repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Instructions, in the order in which they are needed.
    pub lines: Vec<String>,
    /// The packages in them.
    pub packages: Vec<Package>,
    /// What is not in them.
    pub left_out: Vec<LeftOut>,
    /// How many calls the log has.
    pub calls: usize,
}

/// A package with its version; none where it is to go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its manager.
    pub manager: Manager,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
}

/// What a recipe lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Its manager.
    pub manager: Manager,
    /// The package, as far as it can be shown.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// One call of the log.
struct Entry {
    manager: Manager,
    program: String,
    argv: Vec<String>,
    flags: Vec<String>,
    /// Of the packages that it names, those that were there afterwards.
    packages: BTreeSet<String>,
    changes: Vec<Change>,
}

struct Change {
    name: String,
    from: Option<String>,
    to: Option<String>,
}

/// Why one is left out.
const UNSAFE: &str = "its name, version or an option is nothing a package has";
const PLACE: &str = "it came from a file or an address, not from a registry";

/// The one option of an installation that a removal needs too.
const BREAKS: &str = "--break-system-packages";

/// What is known of one manager's packages.
#[derive(Default)]
struct Shelf {
    /// Versions before the first change and after the last one.
    seen: BTreeMap<String, (Option<String>, Option<String>)>,
    /// What was asked for: extras, and the call that asked last.
    asked: BTreeMap<String, (String, usize)>,
    /// What was asked to go, and the call that asked last.
    gone: BTreeMap<String, usize>,
}

/// Returns the recipe of a log: a JSON object a line. Lines that are none are left out of account.
pub fn recipe(log: &str) -> Recipe {
    let entries: Vec<Entry> = log.lines().filter_map(entry).collect();
    let mut shelves: BTreeMap<Manager, Shelf> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        shelves.entry(entry.manager).or_default().take(entry, index);
    }
    let mut recipe = Recipe { calls: entries.len(), ..Recipe::default() };
    for manager in MANAGERS {
        if let Some(shelf) = shelves.get(&manager) {
            shelf.write(manager, &entries, &mut recipe);
        }
    }
    recipe
}

fn entry(line: &str) -> Option<Entry> {
    let told: Value = serde_json::from_str(line).ok()?;
    let manager = Manager::parse(told["manager"].as_str()?)?;
    let texts = |key: &str| -> Vec<String> {
        let items = told[key].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let change =
        |each: &Value| Some(Change { name: text(&each["name"])?, from: text(&each["from"]), to: text(&each["to"]) });
    (told["exit"].as_i64() == Some(0)).then(|| Entry {
        manager,
        program: text(&told["program"]).unwrap_or_default(),
        argv: texts("argv"),
        flags: texts("flags"),
        packages: told["packages"].as_array().into_iter().flatten().filter_map(|each| text(&each["name"])).collect(),
        changes: told["changes"].as_array().into_iter().flatten().filter_map(change).collect(),
    })
}

impl Entry {
    fn call(&self) -> Option<track::Call> {
        let is_module = self.program.starts_with("python");
        let words = if is_module { self.argv.get(2..)? } else { &self.argv };
        track::call(self.manager, words)
    }

    /// Returns how the manager was called.
    fn invoked(&self) -> &'static str {
        match self.program.as_str() {
            "pip3" => "pip3",
            "python" => "python -m pip",
            "python3" => "python3 -m pip",
            _ => "pip",
        }
    }

    /// Returns whether pip was told that the system's own packages may break.
    fn breaks(&self) -> bool {
        self.manager == Manager::Pip && self.flags.iter().any(|flag| flag == BREAKS)
    }
}

impl Shelf {
    fn take(&mut self, entry: &Entry, index: usize) {
        for change in &entry.changes {
            let row = self.seen.entry(change.name.clone()).or_insert_with(|| (change.from.clone(), None));
            row.1.clone_from(&change.to);
        }
        let Some(call) = entry.call() else { return };
        let known = |named: &&Named| entry.packages.contains(&named.name);
        match call.verb {
            // All that went: `autoremove` names none, and what it takes is not what it would take elsewhere.
            Verb::Remove => {
                let went = entry.changes.iter().filter(|change| change.to.is_none());
                self.gone.extend(went.map(|change| (change.name.clone(), index)));
            }
            Verb::Install | Verb::Upgrade => {
                let (goes, named): (Vec<&Named>, Vec<&Named>) = call.named.iter().partition(|each| each.goes);
                self.gone.extend(goes.iter().map(|each| (each.name.clone(), index)));
                for each in named.iter().copied().filter(known) {
                    self.asked.insert(each.name.clone(), (each.extras.clone(), index));
                }
                // Names that stand for others, a file of them, none at all: whatever came was meant.
                let is_whole = call.is_vague || named.is_empty() || !named.iter().all(known);
                let came = entry.changes.iter().filter(|change| is_whole && change.to.is_some());
                for change in came {
                    self.asked.entry(change.name.clone()).or_insert_with(|| (String::new(), index));
                }
            }
        }
    }

    fn write(&self, manager: Manager, entries: &[Entry], recipe: &mut Recipe) {
        let mut left_out = BTreeSet::new();
        // What was asked for first is installed first.
        let firsts = firsts(entries, |entry| (entry.invoked(), entry.flags.as_slice()));
        let mut groups: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (name, (extras, index)) in &self.asked {
            let Some((first, Some(version))) = self.seen.get(name) else { continue };
            if first.as_ref() == Some(version) {
                continue;
            }
            let entry = &entries[*index];
            let mut leave = |why| left_out.insert(LeftOut { manager, name: shown(name), why });
            if version.starts_with("@ ") {
                leave(PLACE);
                continue;
            }
            let is_sound = is_name(manager, name) && is_version(version) && is_extras(extras);
            if !is_sound || !entry.flags.iter().all(|flag| is_flag(manager, flag)) {
                leave(UNSAFE);
                continue;
            }
            let word = match manager {
                Manager::Apt => format!("{name}={version}"),
                Manager::Pip => format!("{name}{extras}=={version}"),
                Manager::Npm => format!("{name}@{version}"),
            };
            let first = firsts.get(&(entry.invoked(), entry.flags.as_slice())).unwrap_or(index);
            groups.entry(*first).or_default().push(word);
            recipe.packages.push(Package { manager, name: name.clone(), version: Some(version.clone()) });
        }
        recipe.lines.extend(groups.iter().map(|(first, words)| {
            let entry = &entries[*first];
            installs(manager, entry.invoked(), &entry.flags, words)
        }));
        self.write_gone(manager, entries, recipe, &mut left_out);
        recipe.left_out.extend(left_out);
    }

    /// Writes what the image had and is to go: a line for each way in which the manager was called.
    fn write_gone(&self, manager: Manager, entries: &[Entry], recipe: &mut Recipe, left_out: &mut BTreeSet<LeftOut>) {
        let mut groups: BTreeMap<(usize, &str, bool), Vec<&str>> = BTreeMap::new();
        // What was called first is first.
        let firsts = firsts(entries, |entry| (entry.invoked(), entry.breaks()));
        for (name, index) in &self.gone {
            if !matches!(self.seen.get(name), Some((Some(_), None))) {
                continue;
            }
            if !is_name(manager, name) {
                left_out.insert(LeftOut { manager, name: shown(name), why: UNSAFE });
                continue;
            }
            let (program, breaks) = (entries[*index].invoked(), entries[*index].breaks());
            let first = firsts.get(&(program, breaks)).unwrap_or(index);
            groups.entry((*first, program, breaks)).or_default().push(name);
            recipe.packages.push(Package { manager, name: name.clone(), version: None });
        }
        let lines = groups.iter().map(|((_, program, breaks), names)| removes(manager, program, *breaks, names));
        recipe.lines.extend(lines);
    }
}

/// Returns where each way of calling a manager stands first.
fn firsts<'e, K: Ord>(entries: &'e [Entry], key: impl Fn(&'e Entry) -> K) -> BTreeMap<K, usize> {
    let mut firsts = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        firsts.entry(key(entry)).or_insert(index);
    }
    firsts
}

fn installs(manager: Manager, program: &str, flags: &[String], words: &[String]) -> String {
    let flags: String = flags.iter().map(|flag| format!(" {flag}")).collect();
    let words = words.join(" ");
    match manager {
        Manager::Apt => format!(
            "RUN apt-get update && apt-get install -y --no-install-recommends{flags} {words} && rm -rf /var/lib/apt/lists/*"
        ),
        Manager::Pip => format!("RUN {program} install --no-cache-dir{flags} {words}"),
        Manager::Npm => format!("RUN npm install -g{flags} {words}"),
    }
}

fn removes(manager: Manager, program: &str, breaks: bool, names: &[&str]) -> String {
    let names = names.join(" ");
    let breaks = if breaks { format!(" {BREAKS}") } else { String::new() };
    match manager {
        Manager::Apt => format!("RUN apt-get remove -y {names}"),
        Manager::Pip => format!("RUN {program} uninstall -y{breaks} {names}"),
        Manager::Npm => format!("RUN npm uninstall -g {names}"),
    }
}

/// The longest name or version.
const LONGEST: usize = 214;

fn is_name(manager: Manager, name: &str) -> bool {
    let of = |text: &str, also: &str| {
        text.len() <= LONGEST
            && text.starts_with(|each: char| each.is_ascii_alphanumeric())
            && text.chars().all(|each| each.is_ascii_alphanumeric() || also.contains(each))
    };
    match manager {
        Manager::Apt => match name.split_once(':') {
            Some((name, architecture)) => of(name, "+-.") && of(architecture, "-"),
            None => of(name, "+-."),
        },
        Manager::Pip => of(name, "-._"),
        Manager::Npm => match name.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
            Some((scope, name)) => of(scope, "-._") && of(name, "-._"),
            None => of(name, "-._"),
        },
    }
}

fn is_version(version: &str) -> bool {
    version.len() <= LONGEST
        && version.starts_with(|each: char| each.is_ascii_alphanumeric())
        && version.chars().all(|each| each.is_ascii_alphanumeric() || "+-.:~!_".contains(each))
}

/// `[a,b]`: brackets that a shell takes for a pattern, which matches no file of that name where there is none.
fn is_extras(extras: &str) -> bool {
    let Some(inner) = extras.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return extras.is_empty();
    };
    inner.chars().all(|each| each.is_ascii_alphanumeric() || "-_.,".contains(each))
}

/// An option that a build may have: one of those that are kept, with a value that is a word or an address without a name or password.
fn is_flag(manager: Manager, flag: &str) -> bool {
    let (option, value) = flag.split_once('=').unwrap_or((flag, ""));
    let words = [option.to_owned(), "x".to_owned()];
    let mut asked = vec!["install".to_owned(), "-g".to_owned()];
    asked.extend(words);
    let is_kept =
        track::call(manager, &asked).is_some_and(|call| call.flags.iter().any(|each| each.starts_with(option)));
    is_kept && value.chars().all(|each| each.is_ascii_alphanumeric() || "-_.:/,+".contains(each))
}

/// Returns a text that can be shown: what it holds may be anything.
fn shown(text: &str) -> String {
    visible(text).chars().filter(|each| !each.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A log's line: `changes` are `name from to`, `-` for none; packages named are there where they are not told to go.
    fn call(words: &str, changes: &[&str]) -> String {
        let mut argv: Vec<&str> = words.split_whitespace().collect();
        let program = argv.remove(0);
        let manager = Manager::of(program).expect("a manager");
        let changes: Vec<Vec<Option<&str>>> = changes
            .iter()
            .map(|row| row.split(' ').map(|word| Some(word).filter(|word| *word != "-")).collect())
            .collect();
        let own: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let words = if program.starts_with("python") { &own[2..] } else { &own[..] };
        let read = track::call(manager, words).expect("a call");
        let gone = |name: &str| changes.iter().any(|row| row[0] == Some(name) && row[2].is_none());
        let there = read.named.iter().filter(|each| !gone(&each.name) && each.name != "virtual");
        let packages: Vec<Value> = there.map(|each| json!({"name": each.name, "version": "1"})).collect();
        let changes: Vec<Value> =
            changes.iter().map(|row| json!({"name": row[0], "from": row[1], "to": row[2]})).collect();
        json!({"manager": manager.name(), "program": program, "argv": argv, "exit": 0, "flags": read.flags,
               "packages": packages, "changes": changes})
        .to_string()
    }

    fn lines(calls: &[String]) -> Vec<String> {
        recipe(&calls.join("\n")).lines
    }

    #[test]
    fn what_was_asked_for_is_pinned_and_what_came_with_it_is_not() {
        let log = [
            call("npm i -g tsx", &["tsx - 4.1.0"]),
            call("pip3 install Flask[async]", &["flask - 3.0.0", "jinja2 - 3.1"]),
            call("apt-get install -y zstd curl", &["curl - 8.1-2", "libcurl4 - 8.1-2", "zstd - 1:1.5+x"]),
        ];
        assert_eq!(
            lines(&log),
            [
                "RUN apt-get update && apt-get install -y --no-install-recommends curl=8.1-2 zstd=1:1.5+x && rm -rf /var/lib/apt/lists/*",
                "RUN pip3 install --no-cache-dir flask[async]==3.0.0",
                "RUN npm install -g tsx@4.1.0",
            ]
        );
    }

    #[test]
    fn later_removals_cancel_and_what_the_image_had_is_removed() {
        let log = [
            call("pip install six", &["six - 1.16"]),
            call("pip uninstall -y six", &["six 1.16 -"]),
            call("npm i -g a", &["a - 1.0.0"]),
            call("npm i -g a@2", &["a 1.0.0 2.0.0"]),
            call("apt-get purge -y nano", &["nano 7 -"]),
            call("apt-get install -y vim-", &["vim 9 -"]),
            call("apt-get install -y mawk", &[]),
        ];
        assert_eq!(lines(&log), ["RUN apt-get remove -y nano vim", "RUN npm install -g a@2.0.0"]);
        let back = [call("apt-get remove nano", &["nano 7 -"]), call("apt-get install nano", &["nano - 7"])];
        assert_eq!(lines(&back), Vec::<String>::new(), "it is as it was");
    }

    #[test]
    fn what_goes_goes_as_it_went() {
        let log = [
            call("python3 -m pip uninstall -y --break-system-packages six", &["six 1.16 -"]),
            call("pip3 uninstall -y idna", &["idna 3 -"]),
            call("python3 -m pip uninstall --break-system-packages -y b", &["b 1 -"]),
            call("npm rm -g a", &["a 1.0.0 -"]),
        ];
        assert_eq!(
            lines(&log),
            [
                "RUN python3 -m pip uninstall -y --break-system-packages b six",
                "RUN pip3 uninstall -y idna",
                "RUN npm uninstall -g a",
            ]
        );
    }

    #[test]
    fn all_that_went_goes() {
        let log = [
            call("apt-get install x", &["x - 1", "libx - 1"]),
            call("apt-get remove x", &["x 1 -"]),
            call("apt-get autoremove -y", &["libx 1 -", "liby 2 -"]),
            call("pip uninstall -y -r needs.txt", &["six 1 -"]),
        ];
        assert_eq!(lines(&log), ["RUN apt-get remove -y liby", "RUN pip uninstall -y six"]);
    }

    #[test]
    fn what_was_installed_from_a_place_for_editing_is_left_out() {
        let made = recipe(&call("pip install -e .", &["w - @"]).replace("\"@\"", "\"@ /w\""));
        assert_eq!((made.lines.len(), made.left_out.len(), made.left_out[0].why), (0, 1, PLACE));
    }

    #[test]
    fn where_names_do_not_tell_everything_that_came_is_meant() {
        let log = [
            call("python3 -m pip install -r needs.txt", &["a - 1", "b - 2"]),
            call("apt-get install virtual", &["exim4 - 4"]),
            call("apt-get upgrade", &["libc6 2.1 2.2"]),
        ];
        assert_eq!(
            lines(&log),
            [
                "RUN apt-get update && apt-get install -y --no-install-recommends exim4=4 libc6=2.2 && rm -rf /var/lib/apt/lists/*",
                "RUN python3 -m pip install --no-cache-dir a==1 b==2",
            ]
        );
    }

    #[test]
    fn calls_with_other_options_are_lines_of_their_own() {
        let log = [
            call("pip install --break-system-packages z", &["z - 1"]),
            call("pip install a --index-url https://h/simple", &["a - 1"]),
        ];
        assert_eq!(
            lines(&log),
            [
                "RUN pip install --no-cache-dir --break-system-packages z==1",
                "RUN pip install --no-cache-dir --index-url=https://h/simple a==1",
            ]
        );
    }

    #[test]
    fn nothing_that_is_no_package_becomes_a_line() {
        let hostile = [
            call("pip install x", &["x - 1;curl"]),
            call("apt-get install y", &["y - $(id)"]),
            call("npm i -g z", &["z - 1\u{a0}2"]),
            json!({"manager": "npm", "program": "npm", "argv": ["i", "-g", "q"], "exit": 0, "flags": ["--registry=https://***@h"],
                   "packages": [{"name": "q", "version": "1"}], "changes": [{"name": "q", "from": null, "to": "1"}]})
            .to_string(),
            json!({"manager": "apt", "program": "apt", "argv": ["upgrade"], "exit": 0, "flags": [], "packages": [],
                   "changes": [{"name": "a\n&& id", "from": null, "to": "1"}]})
            .to_string(),
            json!({"manager": "apt", "program": "apt", "argv": ["remove", "b|c"], "exit": 0, "flags": [], "packages": [],
                   "changes": [{"name": "b|c", "from": "1", "to": null}]})
            .to_string(),
            json!({"manager": "pip", "program": "pip", "argv": ["install", "w"], "exit": 0, "flags": ["--pre=;id"],
                   "packages": [{"name": "w", "version": "1"}], "changes": [{"name": "w", "from": null, "to": "1"}]})
            .to_string(),
            "{".to_owned(),
            "[1]".to_owned(),
        ];
        let made = recipe(&hostile.join("\n"));
        assert_eq!((made.lines.as_slice(), made.left_out.len()), (&[][..], 7), "{:?}", made.left_out);
        let local = recipe(&call("pip install ./w.whl", &["w - @"]).replace("\"@\"", "\"@ file:///w.whl\""));
        assert_eq!((local.lines.len(), local.left_out[0].why), (0, PLACE));
    }
}
