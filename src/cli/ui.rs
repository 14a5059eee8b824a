//! The only file that prints: results on standard output, everything else on standard error.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;
use serde_json::{Value, json};

use crate::args::Format;
use crate::exit::CommandError;
use crate::render;

/// How to print.
pub(crate) struct Ui {
    format: Format,
    is_coloured: bool,
}

impl Ui {
    pub(crate) fn new(format: Format) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_coloured = !set("NO_COLOR") && (forced || (io::stderr().is_terminal() && !dumb));
        Self { format, is_coloured }
    }

    /// Returns whether results are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
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
        if !text.is_empty() {
            out(&format!("{text}\n"));
        }
    }

    /// Prints a line of progress: what is being done, dimmed where it is a part of something.
    pub(crate) fn progress(&self, line: &str) {
        match line.strip_prefix("  ") {
            Some(_) if self.is_coloured => err(&format!("\u{1b}[2m{line}\u{1b}[0m\n")),
            _ => err(&format!("{line}\n")),
        }
    }

    /// Prints diagnostics for people.
    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics, sources: &SourceMap) {
        if self.is_json() {
            return;
        }
        for diagnostic in diagnostics.sorted() {
            err(&format!("{}\n\n", render::text(diagnostic, sources, self.is_coloured)));
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
        err(&format!("error: {error}\n"));
        if let Some(hint) = error.hint() {
            err(&format!("  = help: {hint}\n"));
        }
    }

    /// Asks a question that only a person can answer; without a terminal nothing is asked and the answer is yes.
    pub(crate) fn confirms(&self, question: &str) -> bool {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return true;
        }
        err(&format!("{question} [y/N] "));
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        matches!(answer.trim(), "y" | "Y" | "yes")
    }
}

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
