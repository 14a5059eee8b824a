//! Diagnostics: what is wrong, where, and what to do, as data.
//!
//! Every stage takes `&mut Diagnostics` and returns `Result<_, Reported>`. A [`Reported`] can only be had by recording an
//! error, so no stage can fail silently, and a stage can go on after its first error. Turning a diagnostic into text is the
//! business of `claw-cli`.

use std::collections::BTreeSet;

use crate::span::Span;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The name of a kind of diagnostic. Each has a paragraph in `docs/diagnostics.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// Returns the code's kebab-case name, as messages and `claw explain` use it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    // Clawfile
    /// The text is not a Dockerfile: a broken instruction, heredoc, flag or JSON form.
    DockerfileSyntax = "dockerfile-syntax",
    /// An instruction that neither Docker nor claw knows.
    UnknownInstruction = "unknown-instruction",
    /// A directive with missing, superfluous or malformed arguments.
    DirectiveSyntax = "directive-syntax",
    /// A directive that may stand once stands twice.
    DuplicateDirective = "duplicate-directive",
    /// A directive where none may stand: before `FROM`, under `ONBUILD`.
    MisplacedDirective = "misplaced-directive",
    /// A Clawfile with directives but without `CLAW_TYPE`.
    MissingClawType = "missing-claw-type",
    /// A runtime that no driver knows.
    UnknownRuntime = "unknown-runtime",
    /// Five cron fields that are none.
    BadSchedule = "bad-schedule",
    /// A surface whose scheme, target or access mode is wrong.
    BadSurface = "bad-surface",
    /// A model that is not `provider/model`.
    BadModel = "bad-model",
    /// A name that does not fit the grammar of its kind.
    BadName = "bad-name",

    // YAML and compose
    /// The text is not YAML.
    YamlSyntax = "yaml-syntax",
    /// A mapping has one key twice.
    DuplicateKey = "duplicate-key",
    /// Aliases that expand to more nodes than any sane file has.
    YamlBudget = "yaml-budget",
    /// A key the schema does not know.
    UnknownKey = "unknown-key",
    /// A key the schema needs is absent.
    MissingKey = "missing-key",
    /// A value of the wrong type.
    WrongType = "wrong-type",
    /// A value of the right type that is not allowed.
    BadValue = "bad-value",
    /// A `${…}` that compose would not accept.
    BadInterpolation = "bad-interpolation",
    /// `${VAR:?message}` without a value.
    RequiredVariable = "required-variable",
    /// A variable without value and without default.
    UnsetVariable = "unset-variable",
    /// A line of an env file that is none.
    DotenvSyntax = "dotenv-syntax",
    /// A reference to a network, volume, secret or config that the file does not define.
    UndefinedResource = "undefined-resource",
    /// A service depends on itself through others.
    DependencyCycle = "dependency-cycle",
    /// Two keys that exclude each other, or that name one thing twice.
    ConflictingKeys = "conflicting-keys",
    /// Something compose takes that cannot be carried out here.
    Unsupported = "unsupported",
    /// A key that is accepted and has no effect.
    NoEffect = "no-effect",

    // Pod
    /// A service, named in `x-claw` or a surface, that does not exist.
    UnknownService = "unknown-service",
    /// A file that does not exist.
    MissingFile = "missing-file",
    /// A path of the host that an agent mounts to write to, and may not.
    UnwritablePath = "unwritable-path",
    /// A file that is empty, a directory, not text, or outside the pod's directory.
    UnusableFile = "unusable-file",
    /// An agent without contract.
    MissingContract = "missing-contract",
    /// An image that is neither here nor buildable.
    MissingImage = "missing-image",
    /// A description of a service, or a listing of its tools, that is none.
    BadDescription = "bad-description",
    /// A label of an image that claw cannot read.
    BadLabel = "bad-label",
    /// Two names that become one: services, containers, variables, files.
    NameCollision = "name-collision",
    /// A name that belongs to claw.
    ReservedName = "reserved-name",
    /// A chat platform claw does not know.
    UnknownPlatform = "unknown-platform",
    /// A governance proxy that claw does not have and the pod names no image of.
    UnknownProxy = "unknown-proxy",
    /// A provider's key that an agent behind a proxy would hold.
    KeyInAgent = "key-in-agent",
    /// An LLM provider that is neither known nor declared.
    UnknownProvider = "unknown-provider",
    /// A secret where its text would be seen.
    SecretInEnvironment = "secret-in-environment",
    /// A secret without a value.
    MissingSecret = "missing-secret",
    /// Something the runtime cannot do.
    RuntimeCannot = "runtime-cannot",
    /// A runtime, or a version of one, that its driver was not tried with.
    UntestedRuntime = "untested-runtime",
    /// A setting that the runtime does not take.
    BadSetting = "bad-setting",
    /// A fact that only a build or an engine can tell.
    NeedsEngine = "needs-engine",
    /// A `claw.lock` that is none.
    BadLock = "bad-lock",
    /// A `claw.lock` that is of another pod file, other drivers, or another claw.
    LockDrift = "lock-drift",
    /// A persona that is not there, that nobody could fetch, or that is none.
    UnusablePersona = "unusable-persona",
    /// A feature whose time has not come: named, not guessed.
    NotYet = "not-yet",

    /// A mistake of claw's own.
    Internal = "internal",

    // Audit
    /// Something of the privileged surface that `x-claw.allow` does not name.
    PrivilegedSurface = "privileged-surface",
    /// Something risky in a service that is not an agent.
    RiskyService = "risky-service",
    /// A service of a file without agents is held looser than an agent would be.
    Unhardened = "unhardened",
    /// A way out to the internet that a later version closes.
    OpenEgress = "open-egress",
    /// Something in a text that agents read which does not belong there.
    SuspiciousText = "suspicious-text",
    /// What an agent was allowed beyond how agents are held.
    Allowed = "allowed",
    /// A deprecated or surprising form that is taken all the same.
    Discouraged = "discouraged",
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is done.
    Error,
    /// It is done, and someone should know.
    Warning,
    /// It is done and right as far as is known; it says how that is known. It changes no exit code.
    Note,
}

impl Severity {
    /// Returns the word messages use.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A change of a text that is certain to be what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Where: the change stays inside.
    pub span: Span,
    /// What.
    pub change: Change,
}

/// What a [`Fix`] changes. It says what must stand there too: a value may come from a variable or an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The word, which stands there once, becomes another.
    Word {
        /// What stands there.
        from: String,
        /// What is to stand there.
        to: String,
    },
    /// The line is taken out: an item of a list, or a key and its value.
    Line,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, names in backticks.
    pub message: String,
    /// Where it is wrong.
    pub primary: Span,
    /// What stands below the caret, if anything.
    pub label: Option<String>,
    /// More to know, each with a place if it has one.
    pub notes: Vec<(Option<Span>, String)>,
    /// What to do.
    pub help: Option<String>,
    /// The change that a program may make, where one is certain.
    pub fix: Option<Box<Fix>>,
    /// The text at `primary` must not be shown: it may be a secret.
    pub is_masked: bool,
}

impl Diagnostic {
    /// Returns an error.
    pub fn error(code: Code, primary: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, primary, message.into())
    }

    /// Returns a warning.
    pub fn warning(code: Code, primary: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, primary, message.into())
    }

    /// Returns a note: a finding of its own, not one beside another.
    pub fn notice(code: Code, primary: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, primary, message.into())
    }

    fn new(severity: Severity, code: Code, primary: Span, message: String) -> Self {
        Self {
            code,
            severity,
            message,
            primary,
            label: None,
            notes: Vec::new(),
            help: None,
            fix: None,
            is_masked: false,
        }
    }

    /// Returns it with words below the caret.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(text.into());
        self
    }

    /// Returns it with a note without a place.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push((None, text.into()));
        self
    }

    /// Returns it with a note about another place.
    pub fn note_at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.notes.push((Some(span), text.into()));
        self
    }

    /// Returns it with what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Returns it with a change of a word at a place.
    pub fn fix(mut self, span: Span, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.fix = Some(Box::new(Fix { span, change: Change::Word { from: from.into(), to: to.into() } }));
        self
    }

    /// Returns it with the line at a place taken out.
    pub fn fix_line(mut self, span: Span) -> Self {
        self.fix = Some(Box::new(Fix { span, change: Change::Line }));
        self
    }

    /// Returns it without a change: a person must say what was meant.
    pub fn by_hand(mut self) -> Self {
        self.fix = None;
        self
    }

    /// Returns it with a "did you mean", where one of the candidates is near `word`; with the change, where no other is near.
    pub fn suggest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let near = near(word, candidates);
        let Some((distance, candidate)) = near.first() else { return self };
        let is_certain = near.len() == 1 && *distance <= 2 && word.chars().count() > 3 && is_plain(candidate);
        let (at, found) = (self.primary, self.help(format!("did you mean `{candidate}`?")));
        if is_certain { found.fix(at, word, *candidate) } else { found }
    }

    /// Returns it with the text at its place kept out of messages.
    pub fn masked(mut self) -> Self {
        self.is_masked = true;
        self
    }
}

/// Proof that an error was recorded; only [`Diagnostics::report`] and [`Diagnostics::finish`] make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported(());

/// The findings of a run, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// What is in the list, so that one finding is kept once.
    known: BTreeSet<(Code, Span, String)>,
    /// How many errors were recorded, repetitions too.
    errors: usize,
    /// Errors of these kinds are warnings.
    softened: Vec<Code>,
}

impl Diagnostics {
    /// Returns an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an empty list in which errors of some kinds become warnings when they are pushed.
    pub fn softening(codes: &[Code]) -> Self {
        Self { softened: codes.to_vec(), ..Self::default() }
    }

    /// Records an error and returns the proof. A warning handed in becomes an error.
    pub fn report(&mut self, mut diagnostic: Diagnostic) -> Reported {
        diagnostic.severity = Severity::Error;
        self.keep(diagnostic);
        Reported(())
    }

    /// Records a finding of any severity; the same finding is kept once.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error && self.softened.contains(&diagnostic.code) {
            diagnostic.severity = Severity::Warning;
        }
        self.keep(diagnostic);
    }

    /// Changes findings made so far: what a message shows may depend on what is found later.
    pub fn amend(&mut self, change: impl FnMut(&mut Diagnostic)) {
        self.list.iter_mut().for_each(change);
    }

    fn keep(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.message = shown(&diagnostic.message);
        diagnostic.help = diagnostic.help.as_deref().map(shown);
        diagnostic.notes.iter_mut().for_each(|(_, note)| *note = shown(note));
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.known.insert((diagnostic.code, diagnostic.primary, diagnostic.message.clone())) {
            self.list.push(diagnostic);
        }
    }

    /// Returns `value`, or the proof that errors were recorded since `mark` was taken.
    ///
    /// # Errors
    /// Where an error was recorded after `mark`.
    pub fn finish<T>(&self, mark: Mark, value: T) -> Result<T, Reported> {
        if self.errors > mark.0 { Err(Reported(())) } else { Ok(value) }
    }

    /// Returns how much was recorded until now, for [`Diagnostics::finish`].
    pub fn mark(&self) -> Mark {
        Mark(self.errors)
    }

    /// Returns whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|each| each.severity == Severity::Error)
    }

    /// Returns the findings in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Returns the findings by file and place, errors before warnings and notes at one place.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<_> = self.list.iter().collect();
        list.sort_by_key(|each| (each.primary.file, each.primary.start, each.severity, each.code));
        list
    }

    /// Appends the findings of another list.
    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.list {
            self.push(diagnostic);
        }
    }
}

/// A place in a list of diagnostics.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// The most characters of a quoted name, and of a whole message.
const QUOTE_LIMIT: usize = 80;
const MESSAGE_LIMIT: usize = 1000;

/// Returns a message on one line, the names it quotes cut: a file may hold a word of megabytes.
fn shown(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(MESSAGE_LIMIT));
    for (index, part) in message.split('`').enumerate() {
        if index > 0 {
            out.push('`');
        }
        // Every second part stands between backticks.
        let limit = if index % 2 == 1 { QUOTE_LIMIT } else { MESSAGE_LIMIT };
        for (count, character) in part.chars().enumerate() {
            if count == limit {
                out.push('…');
                break;
            }
            // Characters that turn the direction of a text, or break its line, would show something else than there is.
            if character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        if out.len() > MESSAGE_LIMIT * 4 {
            out.push('…');
            break;
        }
    }
    out
}

/// The longest word that is compared with others: no name is longer.
const WORD_LIMIT: usize = 100;

/// Returns the candidate nearest to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    near(word, candidates).first().map(|(_, candidate)| *candidate)
}

/// Returns the candidates near enough to be meant, each with its distance, the nearest first.
fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<(usize, &'a str)> {
    if word.len() > WORD_LIMIT {
        return Vec::new();
    }
    let limit = (word.chars().count() / 3).max(1);
    let found = candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit);
    found.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns whether a word is the same text wherever it is put: without quotes it is no number, no boolean, no syntax.
fn is_plain(word: &str) -> bool {
    let is_reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.' | '/'))
        && !is_reserved.contains(&word.to_ascii_lowercase().as_str())
}

/// Returns the edit distance of two words, a swap of neighbours counting one.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::FileId;

    fn here() -> Span {
        Span::start_of(FileId(0))
    }

    #[test]
    fn a_near_name_is_a_change_where_no_other_is_near() {
        let change = |word: &str, known: &[&'static str]| {
            let found = Diagnostic::error(Code::UnknownKey, here(), "x").suggest(word, known.iter().copied());
            found.fix.map(|fix| fix.change)
        };
        let word = |from: &str, to: &str| Some(Change::Word { from: from.to_owned(), to: to.to_owned() });
        assert_eq!(change("restrat", &["restart", "image", "restart"]), word("restrat", "restart"));
        assert_eq!(change("web-3", &["web-1", "web-2"]), None, "two are near");
        assert_eq!(change("ipa", &["ipc"]), None, "too short to say");
        assert_eq!(change("flase", &["false"]), None, "no text without quotes");
        assert_eq!(change("12345", &["12346"]), None, "a number");
        assert_eq!(change("abcdefghijkl", &["abcdefghixyz"]), None, "near enough to ask, too far to change");
    }

    #[test]
    fn finish_proves_only_errors_recorded_after_the_mark() {
        let mut diagnostics = Diagnostics::new();
        let before = diagnostics.mark();
        diagnostics.report(Diagnostic::error(Code::BadValue, here(), "x"));
        let after = diagnostics.mark();
        diagnostics.push(Diagnostic::warning(Code::NoEffect, here(), "y"));
        assert!(diagnostics.finish(before, ()).is_err());
        assert!(diagnostics.finish(after, ()).is_ok());
        diagnostics.report(Diagnostic::error(Code::BadValue, here(), "x"));
        assert!(diagnostics.finish(after, ()).is_err(), "a repetition is an error too");
        assert_eq!(diagnostics.iter().count(), 2, "and it is kept once");
    }

    #[test]
    fn messages_are_one_line_and_cut_what_they_quote() {
        let mut diagnostics = Diagnostics::new();
        let message = format!("unknown `{}` in `a\nb`", "x".repeat(100_000));
        diagnostics.report(Diagnostic::error(Code::BadValue, here(), message));
        let message = &diagnostics.list[0].message;
        assert_eq!(*message, format!("unknown `{}…` in `a\\nb`", "x".repeat(80)));
        assert_eq!(nearest(&"x".repeat(100_000), ["x"]), None);
    }

    #[test]
    fn nearest_finds_typing_mistakes_and_nothing_else() {
        let known = ["trading-api", "MODEL", "web"];
        assert_eq!(nearest("trading-apy", known), Some("trading-api"));
        assert_eq!(nearest("MODLE", known), Some("MODEL"));
        assert_eq!(nearest("database", known), None);
    }

    #[test]
    fn code_names_are_unique_and_kebab_case() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }
}
