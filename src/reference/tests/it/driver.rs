//! The driver `reference` and this runtime agree: the runtime reads what the driver writes, and the driver refuses what the
//! runtime would not start with.

use std::collections::BTreeMap;
use std::sync::Arc;

use claw_reference::manifest::Manifest;
use claw_types::agent::*;
use claw_types::diag::Diagnostics;
use claw_types::id::*;
use claw_types::image::{ImageFacts, ImageRef};
use claw_types::provider::WireFormat;
use claw_types::roster::Roster;
use claw_types::secret::SecretRef;
use claw_types::span::{FileId, Span};

fn unit(format: WireFormat, schedule: &str) -> AgentUnit {
    let provider = ProviderName::parse("demo").expect("a provider");
    let key = Some(SecretRef::Env(EnvName::parse("DEMO_API_KEY").expect("a name")));
    let upstream = Upstream { base_url: "http://p:1/v1".into(), format, key, service: None };
    let model = ModelRef { provider: provider.clone(), model: "m".into() };
    let schedule = Schedule { id: schedule.into(), cron: "*/5 * * * *".into(), message: "go".into(), target: None };
    AgentUnit {
        id: UnitId::parse("bot").expect("an id"),
        service: ServiceName::parse("bot").expect("a name"),
        replica: Replica { index: 0, of: 1 },
        pod: PodName::parse("pod").expect("a name"),
        runtime: RuntimeName::parse("reference").expect("a name"),
        image: ImageRef::new("image"),
        image_facts: ImageFacts::default(),
        contract: Contract::default(),
        models: [(ModelSlot::parse("primary").expect("a slot"), vec![model])].into(),
        model_policy: ModelPolicy::Clamp,
        budgets: Vec::new(),
        brakes: None,
        tools: None,
        persona: None,
        inference: Inference::Direct { upstreams: [(provider, upstream)].into() },
        identities: BTreeMap::new(),
        channels: BTreeMap::new(),
        roster: Arc::new(Roster::default()),
        surfaces: Vec::new(),
        reach: Reach::default(),
        user: RuntimeUser { uid: 1000, gid: 1000 },
        timezone: Some("Europe/Berlin".into()),
        skills: BTreeMap::new(),
        schedules: vec![schedule],
        settings: Vec::new(),
        env: BTreeMap::new(),
        origin: Span::start_of(FileId(0)),
    }
}

fn complaints(unit: &AgentUnit) -> Vec<String> {
    let mut diag = Diagnostics::new();
    claw_drivers::find("reference").expect("the driver").check(unit, &mut diag);
    diag.iter().map(|each| each.message.clone()).collect()
}

#[test]
fn the_runtime_reads_what_the_driver_writes() {
    for format in [WireFormat::OpenAi, WireFormat::Anthropic] {
        let unit = unit(format, "pod-0");
        assert_eq!(complaints(&unit), Vec::<String>::new());
        let driver = claw_drivers::find("reference").expect("the driver");
        let lowered = driver.lower(&unit, &mut Diagnostics::new()).expect("lowered");
        let (_, file) = lowered.files.iter().next().expect("a file");
        let manifest: Manifest = serde_json::from_str(&file.content.masked()).expect("a manifest");
        assert_eq!(manifest.models[0].format, format.name());
        assert_eq!((manifest.schedules[0].id.as_str(), manifest.schedules[0].to.as_deref()), ("pod-0", None));
        assert_eq!(manifest.timezone.as_deref(), Some("Europe/Berlin"));
    }
}

#[test]
fn the_driver_refuses_what_the_runtime_would_not_start_with() {
    let long = "x".repeat(56);
    for id in ["morning news", "../a", "", &long] {
        let message = format!("the runtime `reference` cannot have a schedule called `{id}`");
        assert_eq!(complaints(&unit(WireFormat::OpenAi, id)), [message]);
    }
    let message = "the runtime `reference` does not speak `responses` to `demo`";
    assert_eq!(complaints(&unit(WireFormat::Responses, "a")), [message]);
}
