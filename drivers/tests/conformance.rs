//! One suite over every driver: what each must be true to, whatever it drives.

use std::collections::BTreeMap;
use std::sync::Arc;

use claw_types::agent::*;
use claw_types::diag::Diagnostics;
use claw_types::driver::{HealthStatus, ProbeKind, ProbeOutput};
use claw_types::id::*;
use claw_types::image::{ImageFacts, ImageRef};
use claw_types::provider::WireFormat;
use claw_types::roster::Roster;
use claw_types::secret::SecretRef;
use claw_types::span::{FileId, Span};

fn unit(runtime: &str, is_proxied: bool, index: u32, of: u32, has_skill: bool) -> AgentUnit {
    let id = if of == 1 { "bot".to_owned() } else { format!("bot-{index}") };
    let id = UnitId::parse(&id).expect("an id");
    let provider = ProviderName::parse("demo").expect("a provider");
    let key = Some(SecretRef::Env(EnvName::parse("DEMO_API_KEY").expect("a name")));
    let upstream = Upstream { base_url: "http://p:1/v1".into(), format: WireFormat::OpenAi, key, service: None };
    let inference = if is_proxied {
        Inference::Proxied {
            chain: vec![ProxyType::parse("passthrough").expect("a type")],
            endpoint: "http://cllama-passthrough:8080/v1".into(),
            token: SecretRef::ProxyToken(id.clone()),
        }
    } else {
        Inference::Direct { upstreams: [(provider.clone(), upstream)].into() }
    };
    let model = ModelRef { provider, model: "m".into() };
    let skill = Skill { description: "One.".into(), body: "text".into(), origin: SkillOrigin::Pod };
    let skills = [(SkillName::parse("one").expect("a name"), skill)];
    AgentUnit {
        id,
        service: ServiceName::parse("bot").expect("a name"),
        replica: Replica { index, of },
        pod: PodName::parse("pod").expect("a name"),
        runtime: RuntimeName::parse(runtime).expect("a name"),
        image: ImageRef::new("image"),
        image_facts: ImageFacts::default(),
        contract: Contract::default(),
        models: [(ModelSlot::parse("primary").expect("a slot"), vec![model])].into(),
        model_policy: ModelPolicy::Clamp,
        budgets: Vec::new(),
        brakes: None,
        persona: None,
        inference,
        identities: BTreeMap::new(),
        channels: BTreeMap::new(),
        roster: Arc::new(Roster::default()),
        surfaces: Vec::new(),
        reach: Reach::default(),
        user: RuntimeUser { uid: 1000, gid: 1000 },
        timezone: None,
        skills: if has_skill { skills.into() } else { BTreeMap::new() },
        schedules: Vec::new(),
        settings: Vec::new(),
        env: BTreeMap::new(),
        origin: Span::start_of(FileId(0)),
    }
}

#[test]
fn every_driver_lowers_every_kind_of_unit_the_same_way_twice() {
    for driver in claw_drivers::ALL {
        let name = driver.facts().name;
        for (is_proxied, has_skill, (index, of)) in [false, true]
            .into_iter()
            .flat_map(|p| [false, true].into_iter().flat_map(move |s| [(0, 1), (0, 3), (2, 3)].map(|r| (p, s, r))))
        {
            let unit = unit(name, is_proxied, index, of, has_skill);
            let mut diag = Diagnostics::new();
            driver.check(&unit, &mut diag);
            let first = driver.lower(&unit, &mut diag).expect("lowered");
            assert_eq!(first, driver.lower(&unit, &mut diag).expect("lowered again"), "{name}");
            assert!(!diag.has_errors(), "{name}: {diag:?}");
            for (path, file) in first.files.iter() {
                assert!(
                    !["claw/AGENTS.md", "claw/CLAWDAPUS.md"].contains(&path.as_str()),
                    "{name} writes the contract"
                );
                assert!(file.mode.bits() & 0o222 == 0, "{name}: {path} can be written");
                let is_private = file.mode.bits() & 0o077 == 0;
                assert!(!file.content.is_sealed() || is_private, "{name}: {path} holds a secret and is not private");
                assert!(
                    !is_proxied || !file.content.masked().contains("DEMO_API_KEY"),
                    "{name}: a provider key beside a proxy"
                );
            }
            for value in first.env.values() {
                let EnvValue::Secret(secret) = value else { continue };
                assert!(!is_proxied || matches!(secret, SecretRef::ProxyToken(_)), "{name}: {secret} beside a proxy");
            }
        }
    }
}

#[test]
fn every_driver_reads_health_from_an_answer_and_from_none() {
    for driver in claw_drivers::ALL {
        let name = driver.facts().name;
        let failed = ProbeOutput { exit_code: 1, stdout: String::new(), stderr: "noise".into() };
        assert_ne!(driver.read_health(&failed).status, HealthStatus::Healthy, "{name}");
        assert!(!driver.read_health(&failed).detail.is_empty(), "{name}");
        if driver.facts().probe == ProbeKind::Exec {
            let silent = ProbeOutput { exit_code: 0, stdout: "fine?".into(), stderr: String::new() };
            assert_ne!(driver.read_health(&silent).status, HealthStatus::Healthy, "{name} takes anything for health");
        }
    }
}

#[test]
fn drivers_are_listed_by_name_and_found_by_it() {
    let names = claw_drivers::names();
    assert!(names.is_sorted());
    assert!(names.iter().all(|name| claw_drivers::find(name).is_some_and(|driver| driver.facts().name == *name)));
    assert!(claw_drivers::find("nobody").is_none());
}
