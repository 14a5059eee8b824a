//! Downloads that are run unseen: piped into a shell, put into one by substitution, saved and started, evaluated.

use crate::page::Page;
use crate::shell::{Kind, Token};
use crate::words::is_warning;
use crate::{Finding, Rule};

/// How many tokens of a line are looked at after a command.
const REACH: usize = 80;
/// How far after a download its file may be started.
const NEAR: usize = 600;

const WHY: &str = "runs a download that nobody has read";
const WHY_DECODED: &str = "runs commands that are encoded, so that nobody reads them";

/// Files that were downloaded a little before, each with the end of its command.
#[derive(Default)]
pub(crate) struct Saved(Vec<(String, usize, usize)>);

pub(crate) fn is_fetcher(program: &str) -> bool {
    matches!(
        program,
        "curl"
            | "wget"
            | "wget2"
            | "aria2c"
            | "iwr"
            | "irm"
            | "invoke-webrequest"
            | "invoke-restmethod"
            | "fetch"
            | "lynx"
    )
}

fn is_shell(program: &str) -> bool {
    matches!(
        program,
        "sh" | "bash"
            | "zsh"
            | "dash"
            | "ash"
            | "ksh"
            | "fish"
            | "csh"
            | "iex"
            | "invoke-expression"
            | "pwsh"
            | "powershell"
            | "cmd"
    )
}

fn is_interpreter(program: &str) -> bool {
    let name = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    matches!(name, "python" | "perl" | "ruby" | "node" | "php" | "deno" | "bun" | "lua")
}

fn is_prefix(program: &str) -> bool {
    matches!(
        program,
        "sudo"
            | "doas"
            | "env"
            | "exec"
            | "nohup"
            | "time"
            | "command"
            | "xargs"
            | "busybox"
            | "nice"
            | "builtin"
            | "setsid"
    )
}

/// Returns where the program stands that a command runs behind `sudo` and its like.
fn program_at(tokens: &[Token<'_>], first: usize) -> Option<usize> {
    let mut has_prefix = false;
    for (index, token) in tokens.iter().enumerate().skip(first).take(8) {
        if token.kind != Kind::Word {
            return None;
        }
        let is_argument = token.word.starts_with('-') || token.word.contains('=');
        if is_prefix(token.program()) {
            has_prefix = true;
        } else if !(has_prefix && is_argument || token.word.contains('=')) {
            return Some(index);
        }
    }
    None
}

/// Returns whether the command at a place runs what it is given on its input.
fn runs_input(tokens: &[Token<'_>], first: usize) -> bool {
    let Some(at) = program_at(tokens, first) else { return false };
    let next = tokens.get(at + 1).filter(|token| token.kind == Kind::Word).map(|token| token.word.as_ref());
    let program = tokens[at].program();
    is_shell(program) && next != Some("-n") || is_interpreter(program) && matches!(next, None | Some("-" | "--"))
}

/// Returns whether a command turns code back into text.
fn decodes(tokens: &[Token<'_>], at: usize) -> bool {
    let arguments = || tokens[at + 1..].iter().take(6).take_while(|token| token.kind == Kind::Word);
    let has = |flags: &[&str]| arguments().any(|token| flags.contains(&token.word.as_ref()));
    match tokens[at].program() {
        "base64" | "base32" | "openssl" => has(&["-d", "--decode", "-di", "-id", "-dw0"]),
        "xxd" => has(&["-r", "-rp"]) || has(&["-p"]) && has(&["-r"]),
        _ => false,
    }
}

/// Finds what one line does.
pub(crate) fn find(page: &Page<'_>, line: &[Token<'_>], saved: &mut Saved, found: &mut Vec<Finding>) {
    let mut push = |start: usize, end: usize, why: &str| {
        if page.is_code(start) || !is_warning(&page.lead(start)) {
            found.push(page.finding(Rule::PipedInstaller, (start, end), why));
        }
    };
    // Substitutions that are open, each with where a shell that runs it stands.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut is_command = true;
    for (at, token) in line.iter().enumerate() {
        match token.kind {
            Kind::Substitution | Kind::Open => open.push(runner_before(line, at)),
            Kind::Tick => match open.pop() {
                Some(_) => {}
                None => open.extend(runner_before(line, at).map(Some)),
            },
            Kind::Close => drop(open.pop()),
            Kind::Word => {
                let (fetches, decodes) = (is_fetcher(token.program()), decodes(line, at));
                let why = if fetches { WHY } else { WHY_DECODED };
                if fetches || decodes {
                    let runner = open.iter().rev().take(4).find_map(|runner| *runner);
                    let piped = piped(line, at, fetches);
                    match (runner, piped) {
                        (Some(start), _) => push(start, token.end, why),
                        (None, Some(end)) => push(token.start, end, why),
                        (None, None) if fetches => saved.keep(line, at),
                        (None, None) => {}
                    }
                }
                if is_command && let Some(start) = saved.started(line, at) {
                    push(start, token.end, "saves a download and starts it");
                }
                if remote(line, at) {
                    push(token.start, token.end, WHY);
                }
                saved.verified(token);
            }
            Kind::Pipe | Kind::Input | Kind::Output | Kind::End => {}
        }
        // A `$` before it is a prompt.
        is_command =
            !matches!(token.kind, Kind::Word | Kind::Input | Kind::Output) || matches!(token.word.as_ref(), "$" | ">");
    }
}

/// Programs that fetch and run in one.
fn remote(line: &[Token<'_>], at: usize) -> bool {
    let arguments = || line[at + 1..].iter().take(6).take_while(|token| token.kind == Kind::Word);
    match line[at].program() {
        "mshta" | "regsvr32" => arguments().any(|token| token.word.contains("http")),
        "powershell" | "pwsh" => arguments().any(|token| token.word.starts_with("-enc") || token.word == "-e"),
        _ => false,
    }
}

/// Returns the shell, `eval` or `source` that runs what a substitution gives.
fn runner_before(line: &[Token<'_>], at: usize) -> Option<usize> {
    let before = line[..at].iter().rev().take(5).take_while(|token| token.kind == Kind::Word);
    let is_open = line[at].kind == Kind::Open;
    let is_tick = line[at].kind == Kind::Tick;
    let mut has_flag = false;
    for token in before {
        let program = token.program();
        let runs = match program {
            "eval" | "iex" | "invoke-expression" => true,
            "source" => !is_open,
            _ if token.word == "." => !is_open && !is_tick,
            _ => (is_shell(program) || is_interpreter(program)) && !is_open && (!is_tick || has_flag),
        };
        if runs {
            return Some(token.start);
        }
        has_flag |= token.word.starts_with("-c") || token.word == "<";
        if !token.word.starts_with('-') && !is_prefix(program) {
            return None;
        }
    }
    None
}

/// Returns the end of the shell that a command's output goes to.
fn piped(line: &[Token<'_>], at: usize, fetches: bool) -> Option<usize> {
    let (mut has_target, mut depth) = (!fetches, 0_usize);
    for (index, token) in line.iter().enumerate().skip(at + 1).take(REACH) {
        match token.kind {
            Kind::Word => has_target |= token.word.contains(['.', '/', '$', ':']),
            Kind::Substitution | Kind::Open => depth += 1,
            Kind::Close if depth > 0 => depth -= 1,
            // What PowerShell puts into brackets goes on behind them.
            Kind::Close
                if line.get(index + 1).is_some_and(|next| next.kind == Kind::Pipe || next.word.starts_with('.')) => {}
            Kind::Pipe if depth == 0 && has_target && runs_input(line, index + 1) => {
                return program_at(line, index + 1).map(|program| line[program].end);
            }
            Kind::End if depth == 0 => return None,
            Kind::Tick | Kind::Close => return None,
            Kind::Pipe | Kind::End | Kind::Input | Kind::Output => {}
        }
    }
    None
}

/// Returns the last part of a path.
fn base(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    path.rsplit('/').next().unwrap_or(path)
}

impl Saved {
    /// Keeps the file that a download is written to.
    fn keep(&mut self, line: &[Token<'_>], at: usize) {
        let end = line.iter().skip(at + 1).take(REACH);
        let command = end.take_while(|token| matches!(token.kind, Kind::Word | Kind::Input | Kind::Output));
        let (mut file, mut url, mut before) = (None, None, "");
        for token in command {
            let word = token.word.as_ref();
            if word.contains("://") {
                url = Some(base(word));
            }
            let is_out = before.starts_with('-') && !before.starts_with("--") && before.ends_with('o')
                || matches!(before, "--output" | "--output-document" | "-outfile" | ">");
            if is_out && token.kind == Kind::Word {
                file = Some(base(word));
            }
            file = word.strip_prefix("--output=").or(word.strip_prefix("--output-document=")).map(base).or(file);
            before = if token.kind == Kind::Output { ">" } else { word };
        }
        let name = file.or(url.filter(|_| line[at].program() == "wget" || before.ends_with('o'))).unwrap_or("");
        if name.len() > 1 {
            self.0.truncate(7);
            self.0.insert(0, (name.to_owned(), line[at].start, line[at].end));
        }
    }

    /// Returns where the download began that a command starts.
    fn started(&self, line: &[Token<'_>], at: usize) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let program = program_at(line, at)?;
        let own = &line[program];
        let arguments = line[program + 1..].iter().take_while(|token| token.kind == Kind::Word);
        let argument = arguments.into_iter().find(|token| !token.word.starts_with('-'));
        let is_run =
            is_shell(own.program()) || is_interpreter(own.program()) || matches!(own.program(), "source" | "start");
        let file = if is_run || own.word == "." { argument? } else { own };
        let is_path = is_run || own.word == "." || own.word.contains('/') || own.word.contains(".exe");
        let name = base(file.word.trim_end_matches(['.', ',']));
        let known = self.0.iter().find(|(saved, _, end)| saved == name && own.start.saturating_sub(*end) < NEAR);
        known.filter(|_| is_path).map(|(_, start, _)| *start)
    }

    /// Forgets what was downloaded where a digest or a signature is checked.
    fn verified(&mut self, token: &Token<'_>) {
        let checks =
            ["sha256sum", "sha512sum", "sha1sum", "shasum", "gpg", "minisign", "cosign", "get-filehash", "b3sum"];
        if checks.contains(&token.program()) {
            self.0.clear();
        }
    }
}

/// Finds code that evaluates what it fetches.
pub(crate) fn find_code(page: &Page<'_>, found: &mut Vec<Finding>) {
    let text = &page.folded;
    let fetches = [
        "urlopen",
        "requests.get",
        "httpx.get",
        "fetch(",
        "http.get(",
        "uri.open",
        "open(\"http",
        "open('http",
        "file_get_contents",
    ];
    for call in ["exec(", "eval(", "function("] {
        for at in page.places(call) {
            let is_method =
                text[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '.' | '_'));
            let rest = page.slice(at + call.len(), at + 240);
            let rest = rest.split("\n\n").next().unwrap_or(rest);
            let named = call != "function(" || text[..at].ends_with("new ");
            if !is_method && named && fetches.iter().any(|fetch| rest.contains(fetch)) {
                found.push(page.finding(Rule::PipedInstaller, (at, at + call.len()), "evaluates what it fetches"));
            }
        }
    }
    for word in ["iex", "invoke-expression"] {
        for at in page.places(word) {
            let is_whole = !text[..at].ends_with(char::is_alphanumeric)
                && !text[at + word.len()..].starts_with(char::is_alphanumeric);
            let before = page.slice(at.saturating_sub(240), at);
            let before = before.rsplit('\n').next().unwrap_or(before);
            let after = page.slice(at, at + 240);
            let after = after.split('\n').next().unwrap_or(after);
            let fetches = [
                "downloadstring",
                "downloadfile",
                "webclient",
                "invoke-webrequest",
                "invoke-restmethod",
                "iwr ",
                "irm ",
            ];
            let holds = |text: &str| fetches.iter().any(|fetch| text.contains(fetch));
            let is_run = holds(after) || before.trim_end().ends_with('|') && holds(before);
            if is_whole && is_run && (page.is_code(at) || !is_warning(&page.lead(at))) {
                found.push(page.finding(Rule::PipedInstaller, (at, at + word.len()), WHY));
            }
        }
    }
}
