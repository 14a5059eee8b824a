//! A Clawfile: Dockerfile text in, directives and a plain Dockerfile out.
//!
//! `lex` joins lines, `ast` takes instructions apart, `check` refuses what BuildKit refuses, `directive` types what is claw's,
//! `lower` writes the Dockerfile, `bake` finds the place of lines that are added. Any valid Dockerfile is a valid Clawfile and lowers
//! to itself, byte for byte.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::span::{Source, Span, Spanned};

pub mod ast;
mod bake;
mod check;
pub mod directive;
pub mod label;
mod lex;
mod lower;
pub mod schedule;
mod words;

pub use bake::Insertion;
pub use directive::Directive;
pub use lex::{Heredoc, Instruction};

/// A checked Clawfile.
#[derive(Clone, Debug)]
pub struct Clawfile {
    text: String,
    escape: char,
    /// Docker's instructions and claw's directives, in order.
    pub instructions: Vec<Instruction>,
    /// Docker's instructions taken apart; nothing for a directive.
    pub nodes: Vec<Option<ast::Node>>,
    /// The directives, typed.
    pub directives: Vec<Spanned<Directive>>,
}

/// What the text alone tells of the image it builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageFacts {
    /// The image the last stage starts from, stages followed to their start.
    pub base: Option<String>,
    /// The last `USER`.
    pub user: Option<String>,
    /// The last `ENTRYPOINT`.
    pub entrypoint: Option<Vec<String>>,
    /// The last `CMD`, where no later `ENTRYPOINT` takes it away.
    pub command: Option<Vec<String>>,
    /// Ports of `EXPOSE`.
    pub exposed: Vec<String>,
    /// Paths of `VOLUME`, without variables.
    pub volumes: Vec<String>,
    /// Names of the variables of `ENV`.
    pub variables: Vec<String>,
    /// Whether a `HEALTHCHECK` stands in it.
    pub has_healthcheck: bool,
    /// Labels of `LABEL`, without variables.
    pub labels: BTreeMap<String, String>,
}

/// Returns a Clawfile; `runtimes` are the names `CLAW_TYPE` may give.
///
/// # Errors
/// Where the text is not a Dockerfile with directives; every reason is in `diag`.
pub fn parse(source: &Source, runtimes: &[&str], diag: &mut Diagnostics) -> Result<Clawfile, Reported> {
    let mark = diag.mark();
    let lexed = lex::lex(source, diag);
    let mut nodes = Vec::new();
    let mut directives: Vec<Spanned<Directive>> = Vec::new();
    let mut checker = check::Checker { source, diag, has_stage: false };
    for instruction in &lexed.instructions {
        let keyword = instruction.keyword();
        if directive::is_directive(keyword) {
            nodes.push(None);
            let span = instruction.keyword_span(source);
            if !checker.has_stage {
                let message = format!("the directive `{}` stands before `FROM`", keyword.to_ascii_uppercase());
                let error = Diagnostic::error(Code::MisplacedDirective, span, message);
                checker.diag.push(error.help("directives describe the image: put them after its `FROM`"));
            }
            let arguments = directive::Arguments {
                keyword: keyword.to_ascii_uppercase(),
                text: instruction.rest(),
                span: instruction.rest_span(source),
                keyword_span: span,
            };
            directives.extend(directive::parse(&arguments, runtimes, checker.diag));
            continue;
        }
        match ast::parse(&instruction.text, lexed.escape) {
            Ok(node) => {
                checker.check(instruction, &node);
                nodes.push(Some(node));
            }
            Err(bad) => {
                let span = instruction.span(source, 0, instruction.text.len());
                let message = bad.message(&keyword.to_ascii_uppercase());
                checker.diag.push(Diagnostic::error(Code::DockerfileSyntax, span, message));
                nodes.push(None);
            }
        }
    }
    whole(&lexed.instructions, &directives, source, diag);
    let clawfile = Clawfile {
        text: source.text.clone(),
        escape: lexed.escape,
        instructions: lexed.instructions,
        nodes,
        directives,
    };
    diag.finish(mark, clawfile)
}

/// Records what is wrong with the directives taken together.
fn whole(instructions: &[Instruction], directives: &[Spanned<Directive>], source: &Source, diag: &mut Diagnostics) {
    let first = instructions.iter().find(|each| directive::is_directive(each.keyword()));
    let has_type = instructions.iter().any(|each| each.keyword().eq_ignore_ascii_case("CLAW_TYPE"));
    if let Some(first) = first.filter(|_| !has_type) {
        let span = first.keyword_span(source);
        let error = Diagnostic::error(Code::MissingClawType, span, "a Clawfile with directives needs `CLAW_TYPE`");
        diag.push(error.help("add `CLAW_TYPE <runtime>` after `FROM`"));
    }
    let runtime = directives.iter().find_map(|each| match &each.value {
        Directive::ClawType(wanted) => Some(claw_types::standing::runtime_and_version(wanted).0),
        _ => None,
    });
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for Spanned { value, span } in directives {
        if let (Directive::Configure { runtime: other, path, .. }, Some(own)) = (value, runtime)
            && other != own
        {
            let message = format!("this configures `{other}`, and the file's runtime is `{own}`");
            let help = format!("write `CONFIGURE {own} config set {path} …`, or take it out");
            diag.push(Diagnostic::error(Code::BadSetting, *span, message).help(help));
        }
        let once = match value {
            Directive::ClawType(_) => "CLAW_TYPE".to_owned(),
            Directive::Agent(_) => "AGENT".to_owned(),
            Directive::Persona(_) => "PERSONA".to_owned(),
            Directive::Model { slot, .. } if slot.as_str() != "fallback" => format!("MODEL {slot}"),
            Directive::Handle(platform) => format!("HANDLE {platform}"),
            Directive::Privilege { mode, .. } => format!("PRIVILEGE {mode}"),
            _ => continue,
        };
        if let Some(first) = seen.get(&once) {
            let error = Diagnostic::error(Code::DuplicateDirective, *span, format!("`{once}` stands twice"));
            let error = error.note_at(*first, "it stands here first");
            diag.push(error.help("keep one of the two"));
        } else {
            seen.insert(once, *span);
        }
    }
}

impl Clawfile {
    /// Returns whether there is no directive: the file is a Dockerfile.
    pub fn is_plain(&self) -> bool {
        self.directives.is_empty()
    }

    /// Returns the `claw.*` labels of the image.
    pub fn labels(&self) -> BTreeMap<String, String> {
        label::write(self.directives.iter().map(|directive| &directive.value))
    }

    /// Returns the Dockerfile: every byte as it is, but each directive a comment on its own lines, the labels at the end.
    pub fn lower(&self) -> String {
        lower::lower(self)
    }

    /// Returns what the text alone tells of the image of its last stage.
    pub fn last_stage(&self) -> StageFacts {
        let mut stages: Vec<(Option<String>, StageFacts)> = Vec::new();
        for node in self.nodes.iter().flatten() {
            let keyword = node.keyword.to_ascii_uppercase();
            if keyword == "FROM" {
                let image = node.args.first().cloned().unwrap_or_default();
                let name = node.args.get(2).map(|name| name.to_ascii_lowercase());
                // Names of stages are the same in any case, as in BuildKit.
                let wanted = image.to_ascii_lowercase();
                let parent = stages.iter().rev().find(|(stage, _)| stage.as_deref() == Some(wanted.as_str()));
                let facts =
                    parent.map_or(StageFacts { base: Some(image), ..StageFacts::default() }, |(_, f)| f.clone());
                stages.push((name, facts));
            } else if let Some((_, facts)) = stages.last_mut() {
                facts.take(&keyword, node);
            }
        }
        stages.pop().map(|(_, facts)| facts).unwrap_or_default()
    }

    /// Returns whether a stage, by name or number, is the last one: the one directives describe.
    pub fn ends_with_stage(&self, stage: &str) -> bool {
        let stages: Vec<_> =
            self.nodes.iter().flatten().filter(|node| node.keyword.eq_ignore_ascii_case("FROM")).collect();
        let name = stages.last().and_then(|from| from.args.get(2));
        let number = stages.len().saturating_sub(1).to_string();
        stage == number || name.is_some_and(|name| name.eq_ignore_ascii_case(stage))
    }

    /// Returns whether the file asks for a frontend by a parser directive (`# syntax=`).
    pub fn has_frontend(&self) -> bool {
        let lines = self.text.trim_start_matches('\u{feff}').lines();
        let directives = lines.map_while(|line| line.trim().strip_prefix('#')?.split_once('='));
        let mut keys = directives.map(|(key, _)| key.trim());
        keys.any(|key| key.eq_ignore_ascii_case("syntax"))
    }

    /// Returns the paths of its context that it may read, each with everything below it; nothing where that cannot be told
    /// from the text, so that it may read all of it. What a base does by `ONBUILD` is not in the text.
    pub fn reads(&self) -> Option<Vec<String>> {
        if self.has_frontend() || self.last_stage().base.is_some_and(|base| base.contains("onbuild")) {
            return None;
        }
        let mut paths = Vec::new();
        for node in self.nodes.iter().flatten() {
            let has = |name: &str| node.flags.iter().any(|flag| flag.starts_with(name));
            match node.keyword.to_ascii_uppercase().as_str() {
                "COPY" | "ADD" if !has("--from=") => {
                    for source in node.args.iter().rev().skip(1) {
                        paths.extend(read_by(source)?);
                    }
                }
                // A bind without another source is the context.
                "RUN" if node.flags.iter().any(|flag| is_bind(flag)) => return None,
                _ => {}
            }
        }
        Some(paths)
    }

    /// Returns what the builder must be able to do, by name, with the line that needs it.
    pub fn features(&self) -> Vec<(&'static str, usize)> {
        let mut features = Vec::new();
        for (instruction, node) in self.instructions.iter().zip(&self.nodes) {
            let Some(node) = node else { continue };
            if !instruction.heredocs.is_empty() {
                features.push(("heredocs", instruction.start_line));
            }
            for flag in &node.flags {
                let name = flag[2..].split('=').next().unwrap_or("");
                let feature = match (node.keyword.to_ascii_uppercase().as_str(), name) {
                    ("RUN", "mount") => "RUN --mount",
                    ("RUN", "network") => "RUN --network",
                    ("RUN", "security") => "RUN --security",
                    ("COPY", "link") | ("ADD", "link") => "COPY --link",
                    ("COPY", "chmod") | ("ADD", "chmod") => "COPY --chmod",
                    ("COPY", "parents") => "COPY --parents",
                    ("COPY", "exclude") | ("ADD", "exclude") => "COPY --exclude",
                    ("ADD", "checksum") => "ADD --checksum",
                    ("ADD", "keep-git-dir") => "ADD --keep-git-dir",
                    ("HEALTHCHECK", "start-interval") => "HEALTHCHECK --start-interval",
                    _ => continue,
                };
                features.push((feature, instruction.start_line));
            }
        }
        features
    }
}

/// Returns whether a flag of `RUN` mounts the context.
fn is_bind(flag: &str) -> bool {
    let Some(options) = flag.strip_prefix("--mount=") else { return false };
    let value = |name: &str| options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    value("type").is_none_or(|kind| kind == "bind") && value("from").is_none()
}

/// Returns the path that a source of `COPY` or `ADD` reads, if any; nothing where it may be any.
fn read_by(source: &str) -> Option<Option<String>> {
    if source.starts_with("<<") || source.contains("://") || source.starts_with("git@") {
        return Some(None);
    }
    if source.contains(['$', '\\']) {
        return None;
    }
    let parts = source.split('/').filter(|part| !matches!(*part, "" | "."));
    let fixed: Vec<&str> = parts.take_while(|part| !part.contains(['*', '?', '['])).collect();
    let is_any = fixed.is_empty() || fixed.contains(&"..");
    (!is_any).then(|| Some(fixed.join("/")))
}

impl StageFacts {
    fn take(&mut self, keyword: &str, node: &ast::Node) {
        let argv = |args: &[String]| {
            if node.is_json { args.to_vec() } else { vec!["/bin/sh".into(), "-c".into(), args.join(" ")] }
        };
        match keyword {
            "USER" => self.user = node.args.first().cloned(),
            "ENTRYPOINT" => {
                self.entrypoint = Some(argv(&node.args));
                self.command = None;
            }
            "CMD" => self.command = Some(argv(&node.args)),
            "EXPOSE" => self.exposed.extend(node.args.iter().cloned()),
            "VOLUME" => {
                let paths =
                    node.args.iter().map(|path| if node.is_json { path.clone() } else { words::unquoted(path) });
                self.volumes.extend(paths.filter(|path| !path.contains('$')));
            }
            "HEALTHCHECK" => {
                self.has_healthcheck = node.args.first().is_some_and(|kind| !kind.eq_ignore_ascii_case("NONE"))
            }
            "ENV" => {
                let pairs = node.args.chunks(3).filter(|pair| pair.len() == 3);
                self.variables.extend(pairs.map(|pair| words::unquoted(&pair[0])));
            }
            "LABEL" => {
                for pair in node.args.chunks(3).filter(|pair| pair.len() == 3 && !pair[1].contains('$')) {
                    self.labels.insert(words::unquoted(&pair[0]), words::unquoted(&pair[1]));
                }
            }
            _ => {}
        }
    }
}
