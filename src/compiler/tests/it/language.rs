//! Every key and form of a pod file: what is taken, what comes of it, and what is refused.

use claw_types::agent::{AgentUnit, DirectPolicy, Hears};

use crate::world::{World, file, text};

/// A pod of one agent, `bot`, with more in its `x-claw`, and two services.
fn pod(more: &str) -> String {
    let kind = if more.starts_with("type:") { "" } else { "type: generic, " };
    let contract = if more.starts_with("agent:") { "" } else { "agent: A.md, " };
    format!(
        "x-claw: {{providers: {{demo: {{base_url: 'http://p:1'}}}}}}\nservices:\n  bot:\n    image: x\n    x-claw: {{{kind}{contract}{more}}}\n  web: {{image: y, expose: ['80']}}\n  db: {{image: z}}\n"
    )
}

/// Asserts that each piece of `x-claw` gives a finding that begins so.
fn refused(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (more, expected) in cases {
        let (plan, found) = World::default().compile(&pod(more));
        if plan.is_some() || !found.iter().any(|each| each.starts_with(expected)) {
            wrong.push(format!("{more}\n  expected {expected}\n  found {found:?}, plan: {}", plan.is_some()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the agent `bot` of a pod that compiles, and the findings.
fn unit(more: &str) -> (AgentUnit, Vec<String>) {
    let (plan, found) = World::default().compile(&pod(more));
    assert!(plan.is_some(), "{more}: {found:?}");
    let plan = plan.expect("planned");
    let unit = plan.units.values().find(|each| each.unit.service.as_str() == "bot").expect("an agent").unit.clone();
    (unit, found)
}

#[test]
fn unknown_keys_are_refused_at_every_depth_with_the_nearest_name() {
    refused(&[
        ("modles: {}", "unknown-key"),
        ("include: [{id: a, fil: b}]", "unknown-key"),
        ("budget: {usd: 1, windw: day}", "unknown-key"),
        ("brakes: {repeet: 1}", "unknown-key"),
        ("invoke: [{schedul: x}]", "unknown-key"),
        ("handles: {discord: {ids: 1}}", "unknown-key"),
        ("handles: {discord: {guilds: [{id: 1, nme: x}]}}", "unknown-key"),
        ("handles: {discord: {guilds: [{id: 1, channels: [{id: 1, nme: x}]}]}}", "unknown-key"),
        ("surfaces: [{'channel://discord': {guild: {}}}]", "unknown-key"),
        ("surfaces: [{'channel://discord': {guilds: {'1': {user: []}}}}]", "unknown-key"),
        ("surfaces: [{'channel://discord': {dm: {enable: true}}}]", "unknown-key"),
        ("cllama: {type: a, imge: b}", "unknown-key"),
    ]);
    for top in ["pdo: x", "provider: {}", "providers: {a: {url: x}}", "secrets: {A: {environment: B}}", "modles: {}"] {
        let (plan, found) = World::default().compile(&format!("x-claw: {{{top}}}\nservices: {{web: {{image: x}}}}\n"));
        assert!(plan.is_none() && found.iter().any(|each| each.starts_with("unknown-key")), "{top}: {found:?}");
    }
    let (plan, found) = World::default().compile(&pod("x-mine: 5"));
    assert!(plan.is_some(), "{found:?}");
}

#[test]
fn values_of_another_type_are_refused() {
    refused(&[
        ("type: 5", "wrong-type"),
        ("type: [generic]", "wrong-type"),
        ("agent: [A.md]", "wrong-type"),
        ("persona: {a: b}", "wrong-type"),
        ("cllama: {type: {}}", "wrong-type"),
        ("cllama: true", "wrong-type"),
        ("cllama: {image: x}", "missing-key"),
        ("cllama-env: 5", "wrong-type"),
        ("models: [a/b]", "wrong-type"),
        ("models: {primary: {a: b}}", "wrong-type"),
        ("models: {primary: true}", "wrong-type"),
        ("count: three", "wrong-type"),
        ("count: 1.5", "wrong-type"),
        ("count: [1]", "wrong-type"),
        ("handles: [discord]", "wrong-type"),
        ("handles: {discord: true}", "wrong-type"),
        ("handles: {discord: [1]}", "wrong-type"),
        ("handles: {discord: {guilds: {}}}", "wrong-type"),
        ("handles: {discord: {id: {}}}", "wrong-type"),
        ("include: {id: a}", "wrong-type"),
        ("include: [rules.md]", "wrong-type"),
        ("surfaces: 'volume://ab'", "wrong-type"),
        ("surfaces: [5]", "wrong-type"),
        ("surfaces: [{'volume://ab': [rw]}]", "wrong-type"),
        ("surfaces: [{'volume://ab': rw, 'volume://cd': rw}]", "bad-value"),
        ("surfaces: [{'channel://discord': {allow_from_handles: maybe}}]", "wrong-type"),
        ("surfaces: [{'channel://discord': {guilds: []}}]", "wrong-type"),
        ("surfaces: [{'channel://discord': {dm: open}}]", "wrong-type"),
        ("skills: {a: b}", "wrong-type"),
        ("harden: maybe", "wrong-type"),
        ("mcp: [/mcp]", "wrong-type"),
        ("allow: {pid: true}", "wrong-type"),
        ("egress: {a: b}", "wrong-type"),
        ("egress: true", "wrong-type"),
        ("budget: 5", "wrong-type"),
        ("budget: {tokens: many}", "wrong-type"),
        ("brakes: stop", "wrong-type"),
        ("model-policy: [clamp]", "wrong-type"),
        ("timezone: 5", "wrong-type"),
        ("invoke: {schedule: x}", "wrong-type"),
        ("invoke: [hello]", "wrong-type"),
    ]);
    for top in [
        "pod: [a]",
        "master: {}",
        "providers: []",
        "providers: {a: http://x}",
        "providers: {a: {base_url: 5}}",
        "secrets: [A]",
        "secrets: {A: b}",
        "handles-defaults: []",
        "models: []",
    ] {
        let (plan, found) = World::default().compile(&format!("x-claw: {{{top}}}\nservices: {{web: {{image: x}}}}\n"));
        assert!(plan.is_none() && found.iter().any(|each| each.starts_with("wrong-type")), "{top}: {found:?}");
    }
}

#[test]
fn values_that_are_not_allowed_are_refused() {
    refused(&[
        ("type: referense", "unknown-runtime: there is no runtime `referense`"),
        ("count: 0", "bad-value"),
        ("count: -1", "bad-value"),
        ("count: 1000", "bad-value"),
        ("model-policy: clmap", "bad-value: `clmap` is not a model policy"),
        ("timezone: Berlin", "bad-value"),
        ("timezone: 'Europe/ Berlin'", "bad-value"),
        ("mcp: mcp", "bad-value"),
        ("mcp: '/a b'", "bad-value"),
        ("allow: [priviledged]", "bad-value: `allow` has no word `priviledged`"),
        ("egress: closed", "bad-value"),
        ("egress: ['a:0']", "bad-value"),
        ("egress: ['http://a']", "bad-value"),
        ("budget: {}", "missing-key"),
        ("budget: {usd: free}", "bad-value"),
        ("budget: {usd: -1}", "bad-value"),
        ("budget: {tokens: -1}", "bad-value"),
        ("budget: {requests: 1, window: week}", "bad-value"),
        ("budget: [{requests: 1}, {requests: 1, action: stop}]", "bad-value"),
        ("brakes: {}", "missing-key"),
        ("brakes: {repeat: 0}", "bad-value"),
        ("brakes: {idle: 1, action: halt}", "bad-value"),
        ("models: {Primary: demo/a}", "bad-name"),
        ("models: {primary: gpt}", "bad-model"),
        ("models: {primary: 'demo/'}", "bad-model"),
        ("models: {primary: 'demo/a b'}", "bad-model"),
        ("models: {primary: [demo/a, demo/b]}", "bad-value: the slot `primary` takes one model"),
        ("models: {primary: dmeo/a}", "unknown-provider"),
        ("cllama: Big", "bad-name"),
        ("cllama: [ok, 'no good']", "bad-name"),
        ("cllama-env: {1A: '${X}'}", "bad-name"),
        ("cllama-env: {OPENAI_API_KEY: plain}", "secret-in-environment"),
        ("cllama-env: {OPENAI_API_KEY: '${X:-plain}'}", "secret-in-environment"),
        ("include: [{id: a}]", "missing-key"),
        ("include: [{file: a}]", "missing-key"),
        ("include: [{id: 'a b', file: r.md}]", "bad-name"),
        ("include: [{id: ../a, file: r.md}]", "bad-name"),
        ("include: [{id: surface-x, file: r.md}]", "reserved-name"),
        ("include: [{id: agents.MD, file: r.md}]", "reserved-name"),
        ("include: [{id: A.md, file: r.md}]", "reserved-name"),
        ("include: [{id: a, file: r.md, mode: force}]", "bad-value"),
        ("include: [{id: a, file: r.md}, {id: A, file: s.md}]", "name-collision: two includes are called `A`"),
        ("include: [{id: a, file: ../r.md}]", "unusable-file"),
        ("skills: [a/s.md, b/s.md]", "name-collision: `a/s.md` and `b/s.md` are both the skill `s`"),
        ("skills: [a/s.md, b/S.md]", "name-collision"),
        ("skills: [s/SKILL.md, s.md]", "name-collision"),
        ("skills: [include-a.md], include: [{id: a, file: r.md, mode: reference}]", "name-collision"),
        ("skills: ['a b.md']", "bad-name"),
        ("skills: [/etc/passwd]", "unusable-file"),
        ("agent: ../A.md", "unusable-file"),
        ("persona: ../p", "unusable-file: the persona `../p` leaves the directory"),
        ("persona: file:///../p", "unusable-file"),
        ("persona: ''", "unusable-file"),
    ]);
}

#[test]
fn surfaces_are_refused_for_their_scheme_target_and_mode() {
    refused(&[
        ("surfaces: [volumes://ab]", "bad-surface: there is no surface `volumes://`"),
        ("surfaces: [ab]", "bad-surface: `ab` is not a surface"),
        ("surfaces: ['']", "bad-surface"),
        ("surfaces: ['volume://']", "bad-surface"),
        ("surfaces: [volume://a/b]", "bad-surface"),
        ("surfaces: [volume://ab writable]", "bad-surface: `writable` is not an access mode"),
        ("surfaces: [volume://ab ro rw]", "bad-surface"),
        ("surfaces: [{'volume://ab': sometimes}]", "bad-surface"),
        ("surfaces: [{'volume://ab': {dm: {}}}]", "bad-surface: a surface `volume://` takes no rules"),
        ("surfaces: [host://srv ro]", "bad-surface"),
        ("surfaces: ['host:/// ro']", "bad-surface"),
        ("surfaces: ['host:///srv/../etc ro']", "privileged-surface: the agent `bot` has `host-paths`: `/etc`"),
        ("surfaces: [service://wbe]", "unknown-service: no service named `wbe`"),
        ("surfaces: [service://web rw]", "bad-surface: a surface `service://` has no access mode"),
        ("surfaces: [service://bot]", "bad-surface: `bot` is this agent itself"),
        ("surfaces: ['service://a/b']", "bad-surface"),
        ("surfaces: [channel://discrod]", "unknown-platform: there is no platform `discrod`"),
        ("surfaces: [channel://discord ro]", "bad-surface"),
        ("surfaces: ['egress://']", "bad-surface"),
        ("surfaces: ['egress://a:99999']", "bad-surface"),
        ("surfaces: ['egress://a/b']", "bad-surface"),
        ("surfaces: [egress://a rw]", "bad-surface"),
        ("surfaces: [volume://ab, volume://ab ro]", "name-collision: this surface stands twice"),
        ("surfaces: [channel://slack, {'channel://Slack': {}}]", "name-collision"),
        ("surfaces: [{'channel://discord': {dm: {policy: closed}}}]", "bad-value: `closed` is not a policy"),
        ("surfaces: [{'channel://discord': {allow_from_services: [wbe]}}]", "unknown-service"),
    ]);
}

#[test]
fn access_modes_have_short_names_and_defaults() {
    let modes = [
        ("volume://ab", "volume `ab`: read-write"),
        ("volume://ab rw", "volume `ab`: read-write"),
        ("volume://ab read-only", "volume `ab`: read-only"),
        ("VOLUME://ab ro", "volume `ab`: read-only"),
        ("host:///srv/a rw", "host path `/srv/a`: read-write"),
        ("host:///srv/a read-only", "host path `/srv/a`: read-only"),
        ("host:///srv/a", "host path `/srv/a`: read-only"),
    ];
    for (surface, expected) in modes {
        for form in [
            format!("'{surface}'"),
            format!("{{'{}': {}}}", surface.split(' ').next().unwrap_or(""), surface.split(' ').nth(1).unwrap_or("")),
        ] {
            let (plan, found) = World::default().compile(&pod(&format!("surfaces: [{form}]")));
            let letter = file(&plan.unwrap_or_else(|| panic!("{form}: {found:?}")), "claw/CLAWDAPUS.md").to_lowercase();
            assert!(letter.contains(expected), "{form}: {letter}");
            assert_eq!(found.iter().any(|each| each.contains("read-only")), surface == "host:///srv/a", "{found:?}");
        }
    }
}

#[test]
fn a_channel_takes_rules_on_every_platform() {
    for platform in claw_types::platform::names() {
        let rules = "guilds: {'9': {policy: allowlist, users: [42, '43'], require_mention: false}}, dm: {policy: pairing, allow_from: [44]}, allow_from_handles: true, allow_from_services: [web, db]";
        let (unit, _) = unit(&format!("surfaces: [{{'channel://{platform}': {{{rules}}}}}]"));
        let (_, policy) = unit.channels.first_key_value().expect("rules");
        let guild = &policy.guilds["9"];
        assert_eq!(guild.hears, Hears::Only(vec!["42".to_owned(), "43".to_owned()]), "{platform}");
        assert!(!guild.require_mention);
        assert_eq!(policy.direct, DirectPolicy::Pairing(vec!["44".to_owned()]));
    }
}

#[test]
fn whom_an_agent_hears_has_defaults() {
    let direct = |dm: &str| {
        let (unit, _) = unit(&format!("surfaces: [{{'channel://slack': {{{dm}}}}}]"));
        unit.channels.into_values().next().expect("rules").direct
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    for (written, expected) in [
        ("", DirectPolicy::Disabled),
        ("dm: {}", DirectPolicy::Pairing(Vec::new())),
        ("dm: {enabled: true}", DirectPolicy::Pairing(Vec::new())),
        ("dm: {enabled: false, policy: open}", DirectPolicy::Disabled),
        ("dm: {allow_from: [1]}", DirectPolicy::Only(ids(&["1"]))),
        ("dm: {policy: allowlist, allow_from: [1, 1]}", DirectPolicy::Only(ids(&["1"]))),
        ("dm: {policy: allowlist}", DirectPolicy::Disabled),
        ("dm: {policy: open}", DirectPolicy::Open),
        ("dm: {policy: disabled}", DirectPolicy::Disabled),
    ] {
        assert_eq!(direct(written), expected, "{written}");
    }
    let guild = |rules: &str| {
        let (unit, _) = unit(&format!("surfaces: [{{'channel://slack': {{guilds: {{T1: {{{rules}}}}}}}}}]"));
        let policy = unit.channels.into_values().next().expect("rules");
        (policy.guilds["T1"].hears.clone(), policy.guilds["T1"].require_mention)
    };
    assert_eq!(guild(""), (Hears::Nobody, true));
    assert_eq!(guild("policy: open"), (Hears::Everyone, true));
    assert_eq!(guild("policy: disabled, users: [1]"), (Hears::Nobody, true));
    assert_eq!(guild("users: [1], require_mention: false"), (Hears::Only(ids(&["1"])), false));
    refused(&[(
        "surfaces: [{'channel://slack': {guilds: {T1: {policy: pairing}}}}]",
        "bad-value: `pairing` is not a policy of a guild",
    )]);
}

#[test]
fn schedules_are_judged_field_by_field() {
    for good in [
        "* * * * *",
        "0 0 1 1 0",
        "59 23 31 12 7",
        "*/5 */2 */3 */4 */2",
        "1-5 1-5 1-5 1-5 1-5",
        "1-9/2 * * * *",
        "0,30 8,20 1,15 jan,DEC mon,Fri",
        "0 9 L * *",
        "0 9 15W * *",
        "0 9 * * 5L",
        "0 9 * * fri#2",
        "0 9 ? * mon-fri",
    ] {
        let (unit, _) = unit(&format!("invoke: [{{schedule: '{good}', message: hi}}]"));
        assert_eq!(unit.schedules[0].cron, good);
    }
    for (bad, why) in [
        ("* * * *", "it has 4 fields"),
        ("* * * * * *", "it has 6 fields"),
        ("60 * * * *", "`60` as minute: it goes from 0 to 59"),
        ("* 24 * * *", "`24` as hour"),
        ("* * 0 * *", "`0` as day of month"),
        ("* * 32 * *", "`32` as day of month"),
        ("* * * 13 *", "`13` as month"),
        ("* * * * 8", "`8` as day of week"),
        ("*/0 * * * *", "a step is a number from 1"),
        ("*/x * * * *", "a step is a number from 1"),
        ("5/10 * * * *", "a step follows `*` or a range"),
        ("9-5 * * * *", "the range ends before it starts"),
        ("1-60 * * * *", "it goes from 0 to 59"),
        ("1,,2 * * * *", "it is no number"),
        ("-1 * * * *", "it is no number"),
        ("L * * * *", "it is no number"),
        ("* * * januar *", "it is no number"),
        ("* * * * mon#6", "`#` takes 1 to 5"),
        ("@daily", "it has 1 fields"),
        ("1e1 * * * *", "it is no number"),
        ("+5 * * * *", "it is no number"),
    ] {
        let (plan, found) = World::default().compile(&pod(&format!("invoke: [{{schedule: '{bad}', message: hi}}]")));
        assert!(plan.is_none(), "{bad}");
        assert!(found.iter().any(|each| each.starts_with("bad-schedule") && each.contains(why)), "{bad}: {found:?}");
    }
    refused(&[
        ("invoke: [{schedule: '* * * * *'}]", "missing-key"),
        ("invoke: [{message: hi}]", "missing-key"),
        ("invoke: [{schedule: '* * * * *', message: ' '}]", "bad-value: the message of an invocation is empty"),
        ("invoke: [{schedule: '* * * * *', message: \"a\\nb\"}]", "bad-value"),
        ("invoke: [{schedule: '* * * * *', message: a, name: 'b c'}]", "bad-name"),
        (
            "invoke: [{schedule: '* * * * *', message: a, name: b}, {schedule: '* * * * *', message: c, name: b}]",
            "name-collision: two schedules are called `b`",
        ),
    ]);
}

const ACCOUNTS: &str = "handles: {discord: {id: 1, guilds: [{id: 9, channels: [{id: 91, name: general}, {id: 92, name: twice}]}]}, slack: {id: U1, guilds: [{id: T1, channels: [{id: C1, name: twice}]}]}}";

#[test]
fn an_answer_goes_to_an_id_a_name_or_a_place_of_a_platform() {
    let to = |to: &str| format!("{ACCOUNTS}, invoke: [{{schedule: '* * * * *', message: hi, to: {to}}}]");
    for (written, expected) in [
        ("91", "discord:91"),
        ("'91'", "discord:91"),
        ("general", "discord:91"),
        ("'#general'", "discord:91"),
        ("'discord:general'", "discord:91"),
        ("'Discord:#twice'", "discord:92"),
        ("'slack:twice'", "slack:C1"),
        ("C1", "slack:C1"),
        ("'slack:D777'", "slack:D777"),
    ] {
        let (unit, _) = unit(&to(written));
        let target = unit.schedules[0].target.as_ref().expect("a target");
        assert_eq!(format!("{}:{}", target.platform, target.channel), expected, "{written}");
    }
    for (written, expected) in [
        ("genral", "bad-value: `genral` is no channel of this agent"),
        ("twice", "bad-value: `twice` is more than one channel"),
        ("'telegram:1'", "bad-value: `bot` has no account on `telegram`"),
        ("'slack:a b'", "bad-value: `a b` is not an id"),
    ] {
        refused(&[(&to(written), expected)]);
    }
}

#[test]
fn accounts_are_ids_or_cards_and_merge_with_their_defaults() {
    refused(&[
        ("handles: {discrod: 1}", "unknown-platform: there is no platform `discrod`"),
        ("handles: {discord: 1, Discord: 2}", "name-collision: the platform `discord` stands twice"),
        ("handles: {discord: 'a b'}", "bad-value: `a b` is not an id"),
        ("handles: {discord: ''}", "bad-value"),
        ("handles: {discord: '*'}", "bad-value: `*` is not an id"),
        ("handles: {telegram: {id: 1, guilds: [{id: '*'}]}}", "bad-value: `*` is not an id"),
        (
            "handles: {telegram: 1}, surfaces: [{'channel://telegram': {guilds: {'*': {policy: open}}}}]",
            "bad-value: `*` is not an id",
        ),
        ("handles: {discord: {guilds: [{name: x}]}}", "missing-key: a guild of `discord` needs `id`"),
        ("handles: {discord: {guilds: [{id: 1, channels: [{name: x}]}]}}", "missing-key: a channel of `discord`"),
    ]);
    let pod = "x-claw:\n  handles-defaults: {DISCORD: {username: all, guilds: [{id: 9, name: Office, channels: [{id: 91, name: general}]}]}, slack: {id: U9}}\nservices:\n  bot:\n    image: x\n    x-claw: {type: generic, agent: A.md, handles: {discord: {id: 007, guilds: [{id: 9, channels: [{id: 91}, {id: 92, name: own}]}, {id: 10, channels: [{id: 1}]}]}}}\n  web: {image: y}\n";
    let (plan, found) = World::default().compile(pod);
    let text = text(&plan.expect("planned"));
    let card = r#"CLAW_HANDLE_BOT_DISCORD_JSON: "{\"id\":\"007\",\"username\":\"all\",\"guilds\":[{\"id\":\"9\",\"name\":\"Office\",\"channels\":[{\"id\":\"91\",\"name\":\"general\"},{\"id\":\"92\",\"name\":\"own\"}]},{\"id\":\"10\",\"name\":null,\"channels\":[{\"id\":\"1\",\"name\":null}]}]}""#;
    let at = text.find("CLAW_HANDLE_BOT_DISCORD_JSON").expect("a card");
    let line = text[at..].lines().next().unwrap_or("");
    let unordered = |line: &str| {
        let mut parts: Vec<String> = line.split(['{', '}', ',', '[', ']']).map(ToOwned::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(unordered(line), unordered(card), "{found:?}");
    assert!(text.contains("CLAW_HANDLE_BOT_DISCORD_GUILDS: \"9,10\""), "{text}");
    assert!(!text.contains("SLACK"), "a default gives nobody an account");
}

#[test]
fn the_later_layer_of_the_environment_wins() {
    let pod = "services:\n  bot:\n    image: x\n    environment: {CLAW_HANDLE_BOT_DISCORD_ID: mine, CLAW_POD: mine, CLAW_MANAGED: 'no', CLAW_CONTRACT: mine, TZ: Asia/Tokyo, OWN: mine}\n    x-claw: {type: generic, agent: A.md, timezone: UTC, handles: {discord: {id: 1, guilds: [{id: 2, channels: [{id: 3}]}]}}}\n  web:\n    image: y\n    environment: {CLAW_HANDLE_BOT_DISCORD_ID: theirs}\n  plain: {image: z}\n";
    let (plan, found) = World::default().compile(pod);
    let text = text(&plan.expect("planned"));
    let service = |name: &str| {
        let rest = text.split(&format!("\n  {name}:\n")).nth(1).expect("a service");
        rest.lines().take_while(|line| line.starts_with("    ")).collect::<Vec<_>>().join("\n")
    };
    let bot = service("bot");
    for line in [
        "CLAW_HANDLE_BOT_DISCORD_ID: \"mine\"",
        "CLAW_POD: \"pod\"",
        "CLAW_SERVICE: \"bot\"",
        "CLAW_AGENT_ID: \"bot\"",
        "CLAW_MANAGED: \"true\"",
        "CLAW_CONTRACT: \"/claw/AGENTS.md\"",
        "TZ: \"Asia/Tokyo\"",
        "OWN: \"mine\"",
    ] {
        assert!(bot.contains(line), "{line}: {found:?}\n{bot}");
    }
    assert!(service("web").contains("CLAW_HANDLE_BOT_DISCORD_ID: \"theirs\""), "{text}");
    assert!(service("web").contains("CLAW_HANDLE_BOT_DISCORD_GUILDS: \"2\""), "{text}");
    assert!(service("plain").contains("CLAW_HANDLE_BOT_DISCORD_ID: \"1\""), "{text}");
    assert!(!service("plain").contains("CLAW_POD"), "{text}");
}

#[test]
fn the_pod_lies_over_the_image() {
    let labels = [
        ("claw.type", "reference"),
        ("claw.agent.file", "image.md"),
        ("claw.persona.default", "image-persona"),
        ("claw.model.primary", "demo/image"),
        ("claw.model.vision", "demo/image"),
        ("claw.cllama.0", "image"),
        ("claw.surface.0", "volume://image"),
        ("claw.skill.0", "image/s.md"),
        ("claw.skill.1", "image/t.md"),
        ("claw.invoke.0", "0 1 * * *\timage"),
    ];
    let world = |files: &'static [(&'static str, &'static str)]| World { labels: &labels, files, ..World::default() };
    let unit = |more: &str| {
        let pod = format!(
            "x-claw: {{providers: {{demo: {{base_url: 'http://p:1'}}}}}}\nservices: {{bot: {{image: x, entrypoint: [/bot], x-claw: {{{more}}}}}}}\n"
        );
        let (plan, found) =
            world(&[("image/s.md", "image"), ("image/t.md", "image"), ("pod/s.md", "pod")]).compile(&pod);
        plan.unwrap_or_else(|| panic!("{more}: {found:?}")).units.into_values().next().expect("an agent").unit
    };
    let own = unit(
        "type: generic, agent: pod.md, persona: pod-persona, models: {primary: demo/pod}, cllama: {type: pod, image: p}, surfaces: ['volume://pod'], skills: [pod/s.md], invoke: [{schedule: '0 2 * * *', message: pod}]",
    );
    assert_eq!(own.runtime.as_str(), "generic");
    assert_eq!(own.contract.sections[0].origin, "pod.md");
    assert_eq!(own.persona.map(|persona| persona.name).as_deref(), Some("pod-persona"));
    let models: Vec<String> = own.models.iter().map(|(slot, list)| format!("{slot}={}", list[0])).collect();
    assert_eq!(models, ["primary=demo/pod", "vision=demo/image"]);
    assert!(format!("{:?}", own.inference).contains("pod"), "{:?}", own.inference);
    assert_eq!(own.surfaces.len(), 1);
    let skills: Vec<String> = own.skills.iter().map(|(name, skill)| format!("{name}={}", skill.body.trim())).collect();
    assert_eq!(skills, ["s=pod", "t=image"]);
    let messages: Vec<&str> = own.schedules.iter().map(|schedule| schedule.message.as_str()).collect();
    assert_eq!(messages, ["image", "pod"]);

    let none = unit("persona: pod-persona, surfaces: [], skills: [], invoke: [], cllama: []");
    assert!(none.surfaces.is_empty() && none.skills.is_empty() && none.schedules.is_empty());
    assert!(format!("{:?}", none.inference).starts_with("Direct"), "{:?}", none.inference);
}

#[test]
fn defaults_at_the_top_are_replaced_or_added_to() {
    let pod = |own: &str| {
        format!(
            "x-claw:\n  skills: [top.md]\n  surfaces: ['volume://top']\n  timezone: UTC\n  include: [{{id: top, file: t.md}}]\n  invoke: [{{schedule: '0 1 * * *', message: top, name: top}}]\nservices:\n  bot: {{image: x, x-claw: {{type: generic, agent: A.md, {own}}}}}\n  web: {{image: y}}\n"
        )
    };
    let unit = |own: &str| {
        let (plan, found) = World::default().compile(&pod(own));
        let plan = plan.unwrap_or_else(|| panic!("{own}: {found:?}"));
        assert_eq!(plan.units.len(), 1, "defaults make no service an agent");
        plan.units.into_values().next().expect("an agent").unit
    };
    let as_is = unit("");
    assert!(as_is.skills.contains_key("top") && as_is.surfaces.len() == 1 && as_is.schedules.len() == 1);
    assert_eq!((as_is.contract.sections.len(), as_is.timezone.as_deref()), (2, Some("UTC")));
    let own = unit(
        "skills: [own.md], surfaces: [], timezone: Asia/Tokyo, include: [{id: own, file: o.md}], invoke: [{schedule: '0 2 * * *', message: own, name: own}]",
    );
    assert!(own.skills.contains_key("own") && !own.skills.contains_key("top") && own.surfaces.is_empty());
    assert_eq!(own.contract.sections[1].id, "own");
    assert_eq!(own.schedules.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), ["top", "own"]);
    assert_eq!(own.timezone.as_deref(), Some("Asia/Tokyo"));
}

#[test]
fn names_that_become_one_are_refused() {
    let agent = "image: x, x-claw: {type: generic, agent: A.md}";
    for (services, expected) in [
        (format!("a-b: {{{agent}}}, a_b: {{{agent}}}"), "name-collision: `a-b` and `a_b` are both `A_B`"),
        (format!("a.b: {{{agent}}}, A-b: {{{agent}}}"), "name-collision"),
        (
            "bot: {image: x, x-claw: {type: generic, agent: A.md, count: 2}}, bot-1: {image: y}".to_owned(),
            "name-collision",
        ),
        (format!("bot: {{{agent}}}, egress: {{image: y}}"), "reserved-name"),
        (format!("bot: {{{agent}}}, hub: {{image: y}}"), "reserved-name"),
        (format!("bot: {{{agent}}}, cllama: {{image: y}}"), "reserved-name"),
        (format!("bot: {{{agent}}}, cllama-big: {{image: y}}"), "reserved-name"),
        (format!("bot: {{{agent}, scale: 2}}"), "conflicting-keys"),
        (format!("bot: {{{agent}, deploy: {{replicas: 2}}}}"), "conflicting-keys"),
        (
            "bot: {image: x, container_name: bob, x-claw: {type: generic, agent: A.md, count: 2}}".to_owned(),
            "conflicting-keys",
        ),
        (
            "bot: {image: x, ports: ['80:80'], x-claw: {type: generic, agent: A.md, count: 2}}".to_owned(),
            "conflicting-keys",
        ),
    ] {
        let (plan, found) = World::default().compile(&format!("services: {{{services}}}\n"));
        assert!(plan.is_none() && found.iter().any(|each| each.starts_with(expected)), "{services}: {found:?}");
    }
    let (plan, found) = World::default().compile("services: {a-b: {image: x}, a_b: {image: x}, egress: {image: y}}\n");
    assert!(plan.is_some(), "in a file without agents every name is free: {found:?}");
}

#[test]
fn the_keys_at_the_top_are_judged() {
    for (top, expected) in [
        ("pod: '!!'", "bad-name: `!!` is not a pod name"),
        ("master: wbe", "unknown-service: no service named `wbe`"),
        ("hub: {}", "not-yet"),
        ("providers: {Lab: {base_url: 'http://a'}}", "bad-name"),
        ("providers: {lab: {}}", "missing-key"),
        ("providers: {lab: {base_url: 'ftp://a'}}", "bad-value"),
        ("providers: {lab: {base_url: 'http://a:b@c'}}", "secret-in-environment"),
        ("providers: {lab: {base_url: 'http://a', format: grpc}}", "bad-value"),
        ("providers: {lab: {base_url: 'http://a', key: plain}}", "secret-in-environment"),
        ("providers: {lab: {base_url: 'http://a', key: '${A:-plain}'}}", "secret-in-environment"),
        ("secrets: {'a b': {env: A}}", "bad-name"),
        ("secrets: {A: {}}", "bad-value"),
        ("secrets: {A: {env: A, file: b}}", "bad-value"),
        ("secrets: {A: {env: '1'}}", "bad-value"),
        ("secrets: {A: {file: ''}}", "bad-value"),
        ("secrets: {A: {command: []}}", "bad-value"),
        ("handles-defaults: {discrod: 1}", "unknown-platform"),
        ("handles-defaults: {discord: {guilds: [{name: x}]}}", "missing-key"),
    ] {
        let (plan, found) = World::default().compile(&format!("x-claw: {{{top}}}\nservices: {{web: {{image: x}}}}\n"));
        assert!(plan.is_none() && found.iter().any(|each| each.starts_with(expected)), "{top}: {found:?}");
    }
    let (plan, found) = World::default().compile("name: a\nx-claw: {pod: b}\nservices: {web: {image: x}}\n");
    assert!(plan.is_none() && found[0].starts_with("conflicting-keys"), "{found:?}");
}
