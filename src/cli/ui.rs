//! The only file that prints: results on standard output, everything else on standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where claw prints")]

use std::io::IsTerminal;
use std::process::ExitCode;

use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

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
        let is_coloured = !set("NO_COLOR") && (forced || (std::io::stderr().is_terminal() && !dumb));
        Self { format, is_coloured }
    }

    /// Prints a result that stays bare in every format.
    pub(crate) fn bare(&self, text: &str) {
        print!("{text}");
    }

    /// Prints a result: `text` for people, `data` for programs, diagnostics with both.
    pub(crate) fn result(
        &self,
        command: &str,
        text: &str,
        data: serde_json::Value,
        diagnostics: &Diagnostics,
        sources: &SourceMap,
    ) {
        if self.format == Format::Json {
            let document = serde_json::json!({
                "schema": format!("claw.{command}.v1"),
                "data": data,
                "diagnostics": render::json(diagnostics, sources),
            });
            println!("{document:#}");
            return;
        }
        self.diagnostics(diagnostics, sources);
        if !text.is_empty() {
            println!("{text}");
        }
    }

    /// Prints a line of progress.
    pub(crate) fn progress(&self, line: &str) {
        eprintln!("{line}");
    }

    /// Prints diagnostics for people.
    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics, sources: &SourceMap) {
        for diagnostic in diagnostics.sorted() {
            eprintln!("{}\n", render::text(diagnostic, sources, self.is_coloured));
        }
    }

    /// Prints why a command stopped.
    pub(crate) fn failure(&self, error: &CommandError) {
        eprintln!("error: {error}");
        if let Some(hint) = error.hint() {
            eprintln!("  = help: {hint}");
        }
    }
}

/// Prints what is wrong with the arguments, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
