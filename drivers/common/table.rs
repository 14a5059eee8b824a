//! `CONFIGURE` for a runtime without a schema: a table of what can be set.

use claw_types::agent::{AgentUnit, Setting};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

/// What a setting takes.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    /// `true` or `false`.
    Flag,
    /// A whole number, both ends among them.
    Whole(i64, i64),
    /// A number, both ends among them.
    Number(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
}

impl Takes {
    fn fits(self, value: &Doc) -> bool {
        match (self, value) {
            (Takes::Flag, Doc::Bool(_)) => true,
            (Takes::Whole(least, most), Doc::Number(text)) => {
                text.parse().is_ok_and(|number: i64| (least..=most).contains(&number))
            }
            (Takes::Number(least, most), Doc::Number(text)) => {
                text.parse().is_ok_and(|number: f64| (least..=most).contains(&number))
            }
            (Takes::Word(words), Doc::Str(text)) => words.contains(&text.as_str()),
            (Takes::Texts, Doc::List(items)) => items.iter().all(|item| matches!(item, Doc::Str(_))),
            _ => false,
        }
    }

    fn said(self) -> String {
        match self {
            Takes::Flag => "`true` or `false`".to_owned(),
            Takes::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Takes::Number(least, most) => format!("a number from {least} to {most}"),
            Takes::Word(words) => format!("one of `{}`", words.join("`, `")),
            Takes::Texts => "a list of texts".to_owned(),
        }
    }
}

/// Records settings that are not in a runtime's table, or do not fit it. What is not in the table is claw's to decide.
pub(crate) fn check(runtime: &str, table: &[(&str, Takes)], unit: &AgentUnit, diag: &mut Diagnostics) {
    for setting in &unit.settings {
        let path = setting.path.value.as_str();
        let error = |message: String| Diagnostic::error(Code::BadSetting, setting.path.span, message);
        match table.iter().find(|(name, _)| *name == path) {
            None => {
                let known = table.iter().map(|(name, _)| *name);
                let error = error(format!("`{path}` of `{runtime}` cannot be set"));
                let help = format!(
                    "it is claw's to decide, or unknown; what can be set stands in `drivers/{runtime}/README.md`"
                );
                // What was written may be a secret.
                diag.push(error.help(help).suggest(path, known).masked());
            }
            Some((_, takes)) if !takes.fits(&setting.value) => {
                diag.push(
                    error(format!("`{path}` does not fit `{runtime}`")).help(format!("it takes {}", takes.said())),
                );
            }
            Some(_) => {}
        }
    }
}

/// Puts settings that were checked into a configuration, in the order written.
pub(crate) fn apply(settings: &[Setting], config: &mut Doc) {
    for setting in settings {
        // Every path of a table has parts that are not empty.
        let _ = config.set_path(&setting.path.value, setting.value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_fits_what_it_takes() {
        assert!(Takes::Whole(1, 9).fits(&Doc::int(9)) && !Takes::Whole(1, 9).fits(&Doc::int(10)));
        assert!(Takes::Number(0.0, 1.0).fits(&Doc::Number("0.5".into())));
        assert!(Takes::Word(&["a"]).fits(&Doc::str("a")) && !Takes::Word(&["a"]).fits(&Doc::str("b")));
        assert!(!Takes::Flag.fits(&Doc::str("true")) && Takes::Texts.fits(&Doc::strs(["x"])));
    }
}
