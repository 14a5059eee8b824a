//! The templates of what agents and people read: Handlebars files in `templates/`, parsed once.
//!
//! Every text goes through [`claw_types::doc::line`] on its way into a template, so it stays a piece of its line; `{{{…}}}` is
//! for text that was made safe where its data was built (`view.rs`). A name that the data lacks is an error, not nothing.

use std::sync::LazyLock;

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::line;
use claw_types::span::Span;
use handlebars::Handlebars;
use serde::Serialize;

/// A document that agents or people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// CLAWDAPUS.md.
    Letter,
    /// The contract in force: sections between marks.
    Contract,
    /// A SKILL.md: front matter and text.
    Skill,
    /// The manual of a service whose image emits none.
    SurfaceService,
    /// One account of another agent, as the letter lists it.
    Peer,
    /// How messages of a platform reach an agent.
    SurfacePlatform,
    /// Who an agent is on a platform.
    HandlePlatform,
    /// How a pod that was written out is run.
    EjectReadme,
}

impl Template {
    fn name(self) -> &'static str {
        match self {
            Template::Letter => "letter",
            Template::Contract => "contract",
            Template::Skill => "skill",
            Template::SurfaceService => "surface-service",
            Template::Peer => "peer",
            Template::SurfacePlatform => "surface-platform",
            Template::HandlePlatform => "handle-platform",
            Template::EjectReadme => "eject-readme",
        }
    }
}

/// Every file, by the name templates call each other.
const FILES: &[(&str, &str)] = &[
    ("letter", include_str!("templates/letter.hbs")),
    ("contract", include_str!("templates/contract.hbs")),
    ("skill", include_str!("templates/skill.hbs")),
    ("peer", include_str!("templates/peer.hbs")),
    ("surface-service", include_str!("templates/surface-service.hbs")),
    ("surface-platform", include_str!("templates/surface-platform.hbs")),
    ("handle-platform", include_str!("templates/handle-platform.hbs")),
    ("eject-readme", include_str!("templates/eject-readme.hbs")),
    ("guilds", include_str!("templates/guilds.hbs")),
    ("rules", include_str!("templates/rules.hbs")),
];

/// Why a document could not be written: a mistake of claw's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    template: &'static str,
    why: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the template `{}` is broken, which is a mistake of claw's own: {}", self.template, line(&self.why))
    }
}

impl Broken {
    /// Records it; `at` is the agent it was for.
    pub(crate) fn report(&self, at: Span, diag: &mut Diagnostics) -> Reported {
        let message = format!("the template `{}` is broken: {}", self.template, line(&self.why));
        diag.report(Diagnostic::error(Code::Internal, at, message).help("report it: this is a mistake of claw's own"))
    }
}

static REGISTRY: LazyLock<Result<Handlebars<'static>, Broken>> = LazyLock::new(|| {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(line);
    for &(name, text) in FILES {
        let parsed = registry.register_template_string(name, text);
        parsed.map_err(|why| Broken { template: name, why: why.to_string() })?;
    }
    Ok(registry)
});

/// Returns a document.
///
/// # Errors
/// Where the template is wrong, or wants what the data lacks.
pub(crate) fn render<T: Serialize>(template: Template, view: &T) -> Result<String, Broken> {
    let registry = REGISTRY.as_ref().map_err(Clone::clone)?;
    let name = template.name();
    registry.render(name, view).map_err(|why| Broken { template: name, why: why.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses_and_misses_what_it_needs() {
        assert!(REGISTRY.is_ok(), "{:?}", REGISTRY.as_ref().err());
        let all = [
            Template::Letter,
            Template::Contract,
            Template::Skill,
            Template::SurfaceService,
            Template::Peer,
            Template::SurfacePlatform,
            Template::HandlePlatform,
            Template::EjectReadme,
        ];
        for template in all {
            let broken = render(template, &std::collections::BTreeMap::<&str, &str>::new());
            assert_eq!(broken.err().map(|broken| broken.template), Some(template.name()), "{template:?}");
        }
    }
}
