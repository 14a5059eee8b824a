//! What stands at the top level: an external thing has nothing but a name, a secret or config has one source.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::is_name_part;
use crate::model::{FileObject, Project};
use crate::shape::Origin;

/// Records what is wrong with volumes, secrets and configs. Of an external network compose takes any key; `effect` warns.
pub(crate) fn check(project: &Project, file: Span, diag: &mut Diagnostics) {
    let volumes = project.volumes.iter().map(|(key, volume)| ("volume", key, &volume.origin));
    let secrets = project.secrets.iter().map(|(key, secret)| ("secret", key, &secret.origin));
    let configs = project.configs.iter().map(|(key, config)| ("config", key, &config.origin));
    let models = project.models.iter().map(|(key, model)| ("model", key, &model.origin));
    for (kind, key, origin) in volumes.chain(secrets).chain(configs).chain(models) {
        if key.is_empty() || !key.bytes().all(is_name_part) {
            let message = format!("`{}` is not the name of a {kind}", key.escape_debug());
            let error = Diagnostic::error(Code::BadName, origin.place(file), message);
            diag.push(error.help("use letters, digits, `-`, `_` and `.`"));
        }
    }
    for (key, model) in project.models.iter().filter(|(_, model)| model.model.is_none()) {
        let error =
            Diagnostic::error(Code::MissingKey, model.origin.place(file), format!("the model `{key}` has no `model`"));
        diag.push(error.help("add `model: NAME`, such as `ai/smollm2`"));
    }
    for (key, config) in project.configs.iter().filter(|(_, config)| config.origin.fields.has("driver")) {
        let at = config.origin.of("driver", file);
        let error = Diagnostic::error(Code::UnknownKey, at, format!("the config `{key}` has no key `driver`"));
        diag.push(error.help("take it out: secrets alone have one"));
    }
    for (key, volume) in &project.volumes {
        external(key, volume.external, &volume.origin, file, diag);
    }
    files("secret", &project.secrets, file, diag);
    files("config", &project.configs, file, diag);
}

/// An external volume is made elsewhere, so no other key can have effect.
fn external(key: &str, is_external: Option<bool>, origin: &Origin, file: Span, diag: &mut Diagnostics) {
    if is_external != Some(true) {
        return;
    }
    for (other, at) in origin.fields.iter().filter(|(other, _)| !matches!(*other, "name" | "external")) {
        let message = format!("the volume `{key}` has both `external: true` and `{other}`");
        diag.push(
            Diagnostic::error(Code::ConflictingKeys, at, message)
                .note_at(origin.of("external", file), "it is external by this")
                .help("keep one of the two: what is external is not made here, and takes only `name` beside it"),
        );
    }
}

fn files(kind: &str, objects: &BTreeMap<String, FileObject>, file: Span, diag: &mut Diagnostics) {
    for (key, object) in objects {
        // Of an external one compose takes any key.
        if object.external == Some(true) {
            continue;
        }
        if kind == "secret" && object.content.is_some() {
            let message = format!("the secret `{key}` cannot have `content`");
            diag.push(
                Diagnostic::error(Code::UnknownKey, object.origin.of("content", file), message)
                    .help("use `file` or `environment`: a secret's text does not belong into the file")
                    .masked(),
            );
            continue;
        }
        let sources = [
            ("file", object.file.is_some()),
            ("environment", object.environment.is_some()),
            ("content", object.content.is_some()),
        ];
        let given: Vec<&str> = sources.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect();
        match given.as_slice() {
            [_] => {}
            [] => {
                let message = format!("the {kind} `{key}` has no source");
                let help = match kind {
                    "secret" => "add `file: ./path` or `environment: NAME`",
                    _ => "add `file: ./path`, `environment: NAME` or `content: text`",
                };
                diag.push(Diagnostic::error(Code::MissingKey, object.origin.place(file), message).help(help));
            }
            [first, second, ..] => {
                let message = format!("the {kind} `{key}` has more than one source: `{}`", given.join("`, `"));
                diag.push(
                    Diagnostic::error(Code::ConflictingKeys, object.origin.of(second, file), message)
                        .note_at(object.origin.of(first, file), format!("`{first}` stands here"))
                        .help("keep one of them")
                        .masked(),
                );
            }
        }
    }
}
