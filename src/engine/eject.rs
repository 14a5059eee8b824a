//! Writing a pod out as a directory that docker compose alone runs: generated files with their secrets, build contexts, variables, claw's
//! own image.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use claw_compiler::emit::eject::{Ejected, INFRA, eject, persona, place, shim};
use claw_compiler::plan::Plan;
use claw_compose::print;
use claw_compose::template::Lookup;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

use crate::apply::{ApplyError, Site};
use crate::container::Scope;
use crate::files::{FileError, make_directory, make_private, write_bytes};
use crate::image::{Building, never};
use crate::pack;

/// Writes a pod into an empty directory, or one that is not there yet. Returns how many files hold secrets.
///
/// # Errors
/// Where the directory holds something, a secret has no value, or the host refuses.
pub async fn write(plan: &Plan, folder: &Path, site: &Site<'_>) -> Result<usize, ApplyError> {
    let failed = |what, source| ApplyError::File(FileError { what, path: folder.to_owned(), source });
    let holds = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed("read", error)),
    };
    if holds {
        return Err(failed("write to", io::Error::new(io::ErrorKind::InvalidInput, "it is not empty")));
    }
    site.vault.fetch(plan).await?;
    let mut buildings = BTreeMap::new();
    for (service, build) in &plan.builds {
        let never = never(plan, site.root, site.env_files, service);
        buildings.insert(service.clone(), Building::open(build, site.root, &never, None, site.environment)?);
    }
    let dockerfiles = buildings.iter().map(|(service, building)| (service.clone(), building.dockerfile().to_owned()));
    let scope = Scope::new(plan, site);
    let ejected = eject(plan, &|path| scope.path(path), &dockerfiles.collect())
        .map_err(|broken| ApplyError::Unusable(broken.to_string()))?;
    // Whoever may not read the pod's secrets may not look into it.
    make_private(folder)?;
    let sealed = files(plan, folder, site)?;
    for (service, context) in &ejected.contexts {
        if let Some(building) = buildings.get(service) {
            let place = folder.join(context);
            make_directory(&place, 0o755)?;
            let archive = building.archive()?;
            tar::Archive::new(archive.as_slice()).unpack(&place).map_err(|error| failed("unpack into", error))?;
        }
    }
    for (name, context) in &ejected.bases {
        let place = folder.join(context);
        make_directory(&place, 0o755)?;
        let dockerfile = plan.bases.get(name).copied().unwrap_or_default();
        write_bytes(&place.join("Dockerfile"), dockerfile.as_bytes(), 0o644)?;
    }
    for planned in plan.units.values().filter(|planned| planned.home.is_some()) {
        let archive =
            crate::persona::packed_of(planned).await.map_err(|error| crate::persona::unusable(planned, &error))?;
        let target = folder.join(persona(&planned.unit.id));
        make_directory(target.parent().unwrap_or(folder), 0o755)?;
        write_bytes(&target, &archive, 0o644)?;
    }
    if ejected.needs_infra {
        write_bytes(&folder.join(INFRA), &pack::pack(site.version)?.archive, 0o644)?;
    }
    if let Some(text) = variables(plan, &ejected, site.environment) {
        write_bytes(&folder.join(".env"), text.as_bytes(), 0o600)?;
    }
    write_bytes(&folder.join("compose.yml"), ejected.compose.as_bytes(), 0o644)?;
    write_bytes(&folder.join("README.md"), ejected.readme.as_bytes(), 0o644)?;
    Ok(sealed)
}

/// Writes the agents' files, those with secrets for their owner alone, and the shim. Returns how many hold secrets.
fn files(plan: &Plan, folder: &Path, site: &Site<'_>) -> Result<usize, ApplyError> {
    let mut sealed = 0;
    for (path, file) in plan.files.iter() {
        let target = folder.join(place(plan, path));
        make_directory(target.parent().unwrap_or(folder), 0o755)?;
        let filled = site.vault.filled(&file.content)?;
        filled.with(|bytes| write_bytes(&target, bytes, file.mode.bits()))?;
        sealed += usize::from(file.content.is_sealed());
    }
    if plan.needs_shim {
        let program = std::env::current_exe().and_then(std::fs::read).map_err(ApplyError::Pack)?;
        let target = folder.join(shim(plan));
        make_directory(target.parent().unwrap_or(folder), 0o755)?;
        write_bytes(&target, &program, 0o555)?;
    }
    Ok(sealed)
}

/// Returns the `.env` of the variables that the compose file names and that have a value; nothing where there are none.
fn variables(plan: &Plan, ejected: &Ejected, lookup: &dyn Lookup) -> Option<String> {
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yml", ejected.compose.as_str());
    let mut diagnostics = Diagnostics::new();
    let tree = claw_compose::yaml::parse(sources.get(file)?, &mut diagnostics).ok()?;
    let mut found = BTreeMap::new();
    print::variables(&tree, &mut found);
    // Those that are named without a `$`: handed on to a container, or the content of a secret or config.
    let handed = plan.project.services.values().flat_map(|service| &service.environment);
    let handed = handed.filter(|(_, value)| value.0.is_none()).map(|(name, _)| name.clone());
    let objects = plan.project.secrets.values().chain(plan.project.configs.values());
    for name in handed.chain(objects.filter_map(|object| object.environment.clone())) {
        found.entry(name).or_default();
    }
    let lines: Vec<String> =
        found.keys().filter_map(|name| Some(format!("{name}={}\n", quoted(lookup.get(name)?)))).collect();
    (!lines.is_empty()).then(|| lines.concat())
}

/// Returns a value as a dotenv file holds it. Between apostrophes everything stands for itself but the apostrophe.
fn quoted(value: &str) -> String {
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for each in value.chars() {
        match each {
            '\n' => text.push_str("\\n"),
            '"' | '\\' | '$' => text.extend(['\\', each]),
            each => text.push(each),
        }
    }
    text + "\""
}
