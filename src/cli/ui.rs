//! The only file that prints: results on standard output, everything else on standard error.

use std::cell::Cell;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use claw_types::diag::Diagnostics;
use claw_types::doc::visible;
use claw_types::span::SourceMap;
use serde_json::{Value, json};

use crate::args::Format;
use crate::exit::CommandError;
use crate::render;
use crate::sarif;

/// How to print.
pub(crate) struct Ui {
    format: Format,
    is_coloured: bool,
    /// The same of standard output.
    has_colour: bool,
    /// Standard error is a terminal that can move its cursor: what a step does is shown below it and goes with it.
    is_live: bool,
    /// Such a line stands there now.
    is_open: Cell<bool>,
}

impl Ui {
    pub(crate) fn new(format: Format) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_live = io::stderr().is_terminal() && !dumb;
        let may = |is_terminal: bool| !set("NO_COLOR") && (forced || is_terminal && !dumb);
        let is_coloured = may(io::stderr().is_terminal());
        let has_colour = may(io::stdout().is_terminal());
        Self { format, is_coloured, has_colour, is_live, is_open: Cell::new(false) }
    }

    /// Returns whether results may have colours.
    pub(crate) fn has_colour(&self) -> bool {
        self.has_colour
    }

    /// Returns whether results are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns whether results are for code scanners.
    pub(crate) fn is_sarif(&self) -> bool {
        self.format == Format::Sarif
    }

    /// Prints a result that stays bare in every format.
    pub(crate) fn bare(&self, text: &str) {
        out(text);
    }

    /// Prints one line of a stream for programs.
    pub(crate) fn json_line(&self, value: &Value) {
        out(&format!("{value}\n"));
    }

    /// Prints a result: `text` for people, `data` for programs, diagnostics with both.
    pub(crate) fn result(
        &self,
        command: &str,
        text: &str,
        data: Value,
        diagnostics: &Diagnostics,
        sources: &SourceMap,
    ) {
        if self.is_json() {
            let document = json!({
                "schema": format!("claw.{command}.v1"),
                "data": data,
                "diagnostics": render::json(diagnostics, sources),
            });
            out(&format!("{document:#}\n"));
            return;
        }
        self.diagnostics(diagnostics, sources);
        self.err("");
        if !text.is_empty() {
            out(&format!("{text}\n"));
        }
    }

    /// Prints a line of progress: a step, or with two blanks before it what a step does. On a terminal the latter is one line
    /// that changes; elsewhere every line stays.
    pub(crate) fn progress(&self, line: &str) {
        match line.strip_prefix("  ") {
            Some(_) if self.is_live => {
                let shown: String = visible(line).chars().filter(|each| !each.is_control()).take(LIVE).collect();
                let (dim, plain) = if self.is_coloured { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
                err(&format!("\r\u{1b}[2K{dim}{shown}{plain}"));
                self.is_open.set(true);
            }
            // What containers and builders print may hold what moves a cursor: it is shown, not obeyed.
            _ => self.err(&format!("{}\n", visible(line))),
        }
    }

    /// Prints on standard error, where a line that changes makes room.
    fn err(&self, text: &str) {
        if self.is_open.take() {
            err("\r\u{1b}[2K");
        }
        err(text);
    }

    /// Prints diagnostics for people.
    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics, sources: &SourceMap) {
        if !self.is_json() {
            self.findings(diagnostics, sources);
        }
    }

    /// Prints diagnostics on standard error, whatever standard output is for.
    pub(crate) fn findings(&self, diagnostics: &Diagnostics, sources: &SourceMap) {
        for diagnostic in diagnostics.sorted() {
            self.err(&format!("{}\n\n", render::text(diagnostic, sources, self.is_coloured)));
        }
    }

    /// Prints why a command stopped; for programs as a document of its own.
    pub(crate) fn failure(&self, error: &CommandError) {
        if self.is_json() {
            let document = json!({
                "schema": "claw.error.v1",
                "data": { "kind": error.kind(), "message": error.to_string(), "help": error.hint() },
                "diagnostics": [],
            });
            out(&format!("{document:#}\n"));
        }
        if self.is_sarif() {
            self.bare(&sarif::failure(error));
        }
        self.err(&format!("error: {error}\n"));
        if let Some(hint) = error.hint() {
            self.err(&format!("  = help: {hint}\n"));
        }
    }

    /// Returns whether a person can be asked.
    pub(crate) fn has_person(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question that only a person can answer; without a terminal nothing is asked and the answer is yes.
    pub(crate) async fn confirms(&self, question: &str) -> bool {
        if !self.has_person() {
            return true;
        }
        self.err(&format!("{question} [y/N] "));
        // Reading blocks; Ctrl-C is heard meanwhile, and nothing waits for the thread then.
        let (sender, answer) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut answer = String::new();
            let _ = io::stdin().lock().read_line(&mut answer);
            sender.send(answer)
        });
        answer.await.is_ok_and(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// The most characters of a line that changes: longer ones would wrap and stay.
const LIVE: usize = 78;

/// Whoever reads may stop reading: that is no failure, and nothing is left to be said.
fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        std::process::exit(if is_closed { 0 } else { 1 });
    }
}

fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Prints what is wrong with the arguments, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
