//! What there is beside a pod file, for tests that compile one: files, images, variables.

use std::collections::BTreeMap;

use claw_compiler::emit::compose::compose;
use claw_compiler::facts::{BuildFact, Context, Facts, FileFact, ManualFact, Need, PodSpec, missing};
use claw_compiler::plan::Plan;
use claw_types::diag::{Diagnostic, Diagnostics};
use claw_types::image::ImageFacts;
use claw_types::span::SourceMap;

/// Returns the generated compose file.
pub(crate) fn text(plan: &Plan) -> String {
    compose(plan)
}

/// Returns a generated file, by the end of its path.
pub(crate) fn file(plan: &Plan, end: &str) -> String {
    let found = plan.files.iter().find(|(path, _)| path.as_str().ends_with(end));
    found.map(|(_, file)| file.content.masked()).expect("a file")
}

/// What there is beside a pod file: by default every file is a contract, every variable is set, no image is known.
pub(crate) struct World<'w> {
    /// The text of every file that is not in `files`.
    pub(crate) contract: &'w str,
    /// Files with a text of their own.
    pub(crate) files: &'w [(&'w str, &'w str)],
    /// Labels of every image; none, and no image is known.
    pub(crate) labels: &'w [(&'w str, &'w str)],
    /// Texts of every image, by path; none, and images have no id.
    pub(crate) texts: &'w [(&'w str, &'w str)],
    /// The user of every image.
    pub(crate) user: Option<&'w str>,
    /// The Clawfile of every build.
    pub(crate) clawfile: Option<&'w str>,
    /// Variables that are not set.
    pub(crate) unset: &'w [&'w str],
}

impl Default for World<'_> {
    fn default() -> Self {
        Self { contract: "# A\n", files: &[], labels: &[], texts: &[], user: None, clawfile: None, unset: &[] }
    }
}

impl World<'_> {
    /// Returns the plan of a pod file, and the findings.
    pub(crate) fn compile(&self, text: &str) -> (Option<Plan>, Vec<String>) {
        let (plan, found) = self.diagnose(text);
        (plan, found.iter().map(|each| format!("{}: {}", each.code.name(), each.message)).collect())
    }

    /// The same, with the findings whole.
    pub(crate) fn diagnose(&self, text: &str) -> (Option<Plan>, Vec<Diagnostic>) {
        let labels = self.labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let id = Some("sha256:0".to_owned()).filter(|_| !self.texts.is_empty());
        let image = ImageFacts { id, labels, user: self.user.map(ToOwned::to_owned), ..ImageFacts::default() };
        let image = Some(image).filter(|image| !image.labels.is_empty() || image.user.is_some());
        let mut sources = SourceMap::new();
        let file = sources.add("claw-pod.yml", text);
        let contract = sources.add("AGENTS.md", self.contract);
        let clawfile = self.clawfile.map(|text| sources.add("Clawfile", text));
        let files: BTreeMap<&str, _> =
            self.files.iter().map(|(path, text)| (*path, sources.add(*path, *text))).collect();
        let name = |path: &str| format!("image:{path}");
        let texts: BTreeMap<&str, _> =
            self.texts.iter().map(|(path, text)| (*path, sources.add(name(path), *text))).collect();
        let mut diag = Diagnostics::new();
        let spec = PodSpec::of("claw-pod.yml", file, "pod");
        let mut facts = Facts::default();
        let context = Context { sources: &sources, drivers: claw_drivers::ALL, version: "0" };
        let is_set = |name: &str| !self.unset.contains(&name);
        loop {
            let needs = missing(&spec, &facts, &context);
            if needs.is_empty() {
                break;
            }
            for need in needs {
                match need {
                    // A port is a number: nobody's is the text that every variable has here.
                    Need::Variable(name) if name == "CLLAMA_UI_PORT" => drop(facts.variables.insert(name, None)),
                    Need::Variable(name) => {
                        let value = is_set(&name).then(|| "v".to_owned());
                        facts.variables.insert(name, value);
                    }
                    Need::IsSet(name) => {
                        let is_set = is_set(&name);
                        facts.set.insert(name, is_set);
                    }
                    Need::File(path) => {
                        let text = files.get(path.as_str()).copied().unwrap_or(contract);
                        facts.files.insert(path, FileFact::Text(text));
                    }
                    Need::BuildFile { context, dockerfile } => {
                        let found = clawfile.map(|file| BuildFact { name: "Clawfile".to_owned(), file });
                        facts.builds.insert((context, dockerfile), found);
                    }
                    Need::Manual(image, path) => {
                        let fact = texts.get(path.as_str()).map_or(ManualFact::Missing, |file| ManualFact::Text(*file));
                        facts.manuals.insert((image, path), fact);
                    }
                    Need::Image(name) => drop(facts.images.insert(name, image.clone())),
                    need => facts.suppose(need, contract),
                }
            }
        }
        let plan = claw_compiler::compile(&spec, &facts, &context, &mut diag).ok();
        (plan, diag.sorted().into_iter().cloned().collect())
    }
}
