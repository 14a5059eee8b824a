//! The one rule of who is heard, over every driver, each of its platforms, and the policies that a pod can have there.

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, EnvValue, GuildPolicy, Hears};
use claw_types::diag::{Diagnostic, Diagnostics, Severity};
use claw_types::driver::DriverFacts;
use claw_types::platform::Platform;
use claw_types::roster::Channel;

use crate::{everything, ids};

/// A second user, a second guild and its channel, as platforms write their ids.
fn others(platform: &str) -> [&'static str; 3] {
    match platform {
        "discord" => ["167037070349434881", "1465489501551067138", "1465489501551067139"],
        "feishu" => ["ou_1123456789", "t_1", "oc_1123456789"],
        "line" => [
            "U1123456789abcdef0123456789abcdef",
            "C2123456789abcdef0123456789abcdef",
            "C3123456789abcdef0123456789abcdef",
        ],
        "matrix" => ["@bob:example.org", "!other-space:example.org", "!other:example.org"],
        "slack" => ["U1123456789", "T1123456789", "C1123456789"],
        "telegram" => ["167037071", "-1001234567892", "-1001234567893"],
        "whatsapp" => ["+15551234568", "120363000000000002@g.us", "120363000000000003@g.us"],
        _ => ["6", "7", "8"],
    }
}

/// What a pod can say of a platform, by a few words: another agent of the pod is there in the last one alone.
pub(crate) fn policies(platform: &str) -> Vec<(&'static str, ChannelPolicy)> {
    let [_, guild, channel, user, peer] = ids(platform);
    let [other, second, elsewhere] = others(platform);
    let only = |ids: &[&str]| Hears::Only(ids.iter().map(|id| (*id).to_owned()).collect());
    let list = |ids: &[&str]| DirectPolicy::Only(ids.iter().map(|id| (*id).to_owned()).collect());
    let channels = |id: &str| vec![Channel { id: id.to_owned(), name: None }];
    let whole = |hears: Hears| GuildPolicy { hears, require_mention: true, channels: Vec::new() };
    let place = |hears: Hears, id: &str| GuildPolicy { channels: channels(id), ..whole(hears) };
    let says = |guilds: Vec<(&str, GuildPolicy)>, direct: DirectPolicy| ChannelPolicy {
        guilds: guilds.into_iter().map(|(id, guild)| (id.to_owned(), guild)).collect(),
        direct,
        peers: Vec::new(),
    };
    let closed = DirectPolicy::Disabled;
    let freely = GuildPolicy { require_mention: false, ..whole(only(&[user])) };
    vec![
        ("nobody", says(vec![], closed.clone())),
        ("one list", says(vec![(guild, whole(only(&[user])))], list(&[user]))),
        ("one list, a channel", says(vec![(guild, place(only(&[user]), channel))], list(&[user]))),
        ("one list, no mention", says(vec![(guild, freely.clone())], list(&[user]))),
        (
            "a channel, no mention",
            says(vec![(guild, GuildPolicy { channels: channels(channel), ..freely })], list(&[user])),
        ),
        ("guild only", says(vec![(guild, whole(only(&[user])))], closed.clone())),
        ("channel only", says(vec![(guild, place(only(&[user]), channel))], closed.clone())),
        ("direct only", says(vec![], list(&[user]))),
        ("direct, closed guild", says(vec![(guild, whole(Hears::Nobody))], list(&[user]))),
        ("direct, others in guild", says(vec![(guild, whole(only(&[other])))], list(&[user]))),
        (
            "lists differ",
            says(
                vec![(guild, place(only(&[user]), channel)), (second, place(only(&[other]), elsewhere))],
                list(&[user, other]),
            ),
        ),
        ("open channel", says(vec![(guild, place(Hears::Everyone, channel))], closed.clone())),
        ("open guild", says(vec![(guild, whole(Hears::Everyone))], closed)),
        ("pairing", says(vec![(guild, whole(only(&[user])))], DirectPolicy::Pairing(vec![user.to_owned()]))),
        ("open directly", says(vec![(guild, whole(only(&[user])))], DirectPolicy::Open)),
        ("open everywhere", says(vec![(guild, whole(Hears::Everyone))], DirectPolicy::Open)),
        (
            "another bot",
            ChannelPolicy {
                peers: vec![peer.to_owned()],
                ..says(vec![(guild, place(only(&[user, peer]), channel))], list(&[user]))
            },
        ),
    ]
}

/// Returns whether a pod lets somebody be heard: in a guild that it names, or directly.
pub(crate) fn lets(policy: &ChannelPolicy, guild: Option<&str>, person: &str) -> bool {
    let names = |ids: &[String]| ids.iter().any(|id| id == person);
    match guild.map(|id| policy.guilds.get(id).map(|guild| &guild.hears)) {
        Some(Some(Hears::Everyone)) => true,
        Some(Some(Hears::Only(ids))) => names(ids),
        Some(Some(Hears::Nobody) | None) => false,
        None => match &policy.direct {
            DirectPolicy::Open => true,
            DirectPolicy::Only(ids) | DirectPolicy::Pairing(ids) => names(ids),
            DirectPolicy::Disabled => false,
        },
    }
}

/// People, guilds with a channel each, that the policies name and that they do not: what a real program is asked of.
pub(crate) fn asked(platform: &str) -> (Vec<&'static str>, Vec<[&'static str; 2]>) {
    let [_, guild, channel, user, _] = ids(platform);
    let [other, second, elsewhere] = others(platform);
    let stranger = if platform == "slack" { "U0777777777" } else { "5" };
    (vec![user, other, stranger], vec![[guild, channel], [second, elsewhere]])
}

/// Returns a unit with one of the policies on each of some platforms, but where the runtime refuses it.
pub(crate) fn on_each(runtime: &str, platforms: &[&str], index: usize) -> AgentUnit {
    let mut unit = everything(runtime);
    for name in platforms {
        let (_, policy) = policies(name).swap_remove(index);
        let platform = Platform::parse(name).expect("a platform");
        let is_kept = !is_refused(&told(&on(runtime, name, policy.clone())));
        unit.channels.insert(platform, if is_kept { policy } else { ChannelPolicy::default() });
    }
    unit.channels.retain(|platform, _| platforms.contains(&platform.name()));
    unit
}

/// Returns rules that name a user and a bot of the pod on a platform: the first form of them that the unit's runtime keeps, since not
/// each has lists of people, of places, and mentions.
pub(crate) fn kept(unit: &AgentUnit, platform: Platform, channels: &[Channel]) -> ChannelPolicy {
    let [_, guild, _, user, peer] = ids(platform.name());
    let named = || Hears::Only(vec![peer.into(), user.into()]);
    let forms = [
        (named(), true, channels),
        (named(), true, &[]),
        (Hears::Everyone, true, channels),
        (named(), false, channels),
        (named(), false, &[]),
    ];
    let mut policies = forms.into_iter().map(|(hears, require_mention, channels)| ChannelPolicy {
        guilds: [(guild.to_owned(), GuildPolicy { hears, require_mention, channels: channels.to_vec() })].into(),
        direct: DirectPolicy::Only(vec![user.into()]),
        peers: vec![peer.into()],
    });
    let is_kept = |policy: &ChannelPolicy| {
        let alone = AgentUnit { channels: [(platform, policy.clone())].into(), ..unit.clone() };
        !is_refused(&told(&alone))
    };
    policies.find(is_kept).expect("a form that the runtime keeps")
}

/// Gives a unit of a runtime one platform, with these rules there.
pub(crate) fn on(runtime: &str, platform: &str, policy: ChannelPolicy) -> AgentUnit {
    let mut unit = everything(runtime);
    let platform = Platform::parse(platform).expect("a platform");
    unit.channels = [(platform, policy)].into();
    unit.identities.retain(|own, _| *own == platform);
    unit
}

/// Returns what a driver says of a unit.
pub(crate) fn told(unit: &AgentUnit) -> Vec<Diagnostic> {
    let driver = claw_drivers::find(unit.runtime.as_str()).expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    diag.iter().cloned().collect()
}

pub(crate) fn is_refused(told: &[Diagnostic]) -> bool {
    told.iter().any(|each| each.severity == Severity::Error)
}

/// The runtimes that speak on any platform.
fn speakers() -> impl Iterator<Item = &'static DriverFacts> {
    claw_drivers::ALL.iter().map(|driver| driver.facts()).filter(|facts| !facts.platforms.is_empty())
}

/// Returns the table of `docs/drivers.md`: what becomes of each policy, on each platform of each runtime.
pub(crate) fn table() -> String {
    let names: Vec<&str> = policies("discord").iter().map(|(name, _)| *name).collect();
    let mut page = format!("| runtime | platform | {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len() + 2));
    for facts in speakers() {
        for platform in facts.platforms {
            let cells = policies(platform).into_iter().map(|(_, policy)| {
                let told = told(&on(facts.name, platform, policy));
                if is_refused(&told) {
                    "error"
                } else if told.is_empty() {
                    "yes"
                } else {
                    "told"
                }
            });
            let cells: Vec<&str> = [facts.name, *platform].into_iter().chain(cells).collect();
            page.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    page
}

#[test]
fn what_a_runtime_hears_beyond_the_pod_is_refused_and_what_it_does_not_hear_is_told() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for facts in speakers() {
        let mut text = String::new();
        for platform in facts.platforms {
            for (name, policy) in policies(platform) {
                text.push_str(&format!("== {platform}: {name}\n"));
                for each in told(&on(facts.name, platform, policy)) {
                    let help = each.help.as_deref().unwrap_or_default();
                    assert!(!help.is_empty(), "{}: {name}: nothing helps against: {}", facts.name, each.message);
                    text.push_str(&format!("{}: {}\n  {help}\n", each.severity.name(), each.message));
                }
            }
        }
        let path = folder.join(facts.name).join("cases/heard.txt");
        if crate::is_snapping() {
            std::fs::write(&path, &text).expect("written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}: `make snap` after reading why", path.display());
    }
}

/// A pod that names the same people everywhere is one that a runtime can keep, with the one rule more that its platform wants.
#[test]
fn every_runtime_has_a_pod_that_it_keeps_on_each_platform() {
    for facts in speakers() {
        for platform in facts.platforms {
            let kept = policies(platform)
                .into_iter()
                .filter(|(_, policy)| !is_refused(&told(&on(facts.name, platform, policy.clone()))));
            let hears = kept.filter(|(name, _)| *name != "nobody").count();
            assert!(hears > 0, "{} on {platform}: no pod compiles in which anybody is heard", facts.name);
        }
    }
}

/// Where a runtime has a rule of its own for threads: what it writes there, followed by whether a message needs a mention.
const THREADS: &[(&str, &str, &str, [&str; 2])] = &[
    ("hermes", "discord", "DISCORD_THREAD_REQUIRE_MENTION=", ["true", "false"]),
    ("hermes", "matrix", "MATRIX_THREAD_REQUIRE_MENTION=", ["true", "false"]),
    ("hermes", "slack", "SLACK_STRICT_MENTION=", ["true", "false"]),
    (
        "openclaw",
        "slack",
        "\"implicitMentions\": {\n        \"replyToBot\": false,\n        \"threadParticipation\": ",
        ["false", "true"],
    ),
    ("zeroclaw", "slack", "strict_mention_in_thread = ", ["true", "false"]),
];

/// Returns the variables and the files that a driver makes of a unit, as one text.
fn made(unit: &AgentUnit) -> String {
    let driver = claw_drivers::find(unit.runtime.as_str()).expect("a driver");
    let lowered = driver.lower(unit, &mut Diagnostics::new()).expect("lowered");
    let variables = lowered.env.iter().map(|(name, value)| match value {
        EnvValue::Literal(text) => format!("{name}={text}\n"),
        _ => String::new(),
    });
    variables.chain(lowered.files.iter().map(|(_, file)| file.content.masked())).collect()
}

#[test]
fn where_a_mention_is_required_one_is_required_in_threads() {
    for (runtime, platform, key, [must, free]) in THREADS {
        let mut counts = [0, 0];
        for (name, policy) in policies(platform) {
            let unit = on(runtime, platform, policy);
            let guilds = || unit.channels.values().flat_map(|policy| policy.guilds.values());
            let mut open = guilds().filter(|guild| guild.hears != Hears::Nobody).peekable();
            if is_refused(&told(&unit)) || open.peek().is_none() {
                continue;
            }
            let is_required = open.all(|guild| guild.require_mention);
            counts[usize::from(is_required)] += 1;
            let text = made(&unit);
            if is_required {
                assert!(text.contains(&format!("{key}{must}")), "{runtime} on {platform}: {name}");
            } else {
                // By itself openclaw needs none there.
                let is_free = text.contains(&format!("{key}{free}")) || !text.contains(key);
                assert!(is_free, "{runtime} on {platform}: {name}");
            }
        }
        assert!(counts[0] > 0 && counts[1] > 2, "{runtime} on {platform}: {counts:?}");
    }
}

/// Another bot is heard where the pod names it, or it is told that it is not: and what does not end two of them is told.
#[test]
fn a_pod_with_another_bot_is_kept_or_told() {
    for facts in speakers() {
        for platform in facts.platforms {
            let find = |policy: &(&str, ChannelPolicy)| policy.0 == "another bot";
            let (_, policy) = policies(platform).into_iter().find(find).expect("a policy");
            let alone = ChannelPolicy { peers: Vec::new(), ..policy.clone() };
            let with = told(&on(facts.name, platform, policy));
            // openclaw alone has a rule that ends them, on platforms where it knows bots from people.
            let is_braked = facts.name == "openclaw" && ["discord", "feishu", "slack"].contains(platform);
            let more =
                with.iter().filter(|each| !told(&on(facts.name, platform, alone.clone())).contains(each)).count();
            let is_error = is_refused(&with);
            assert!(is_braked || is_error || more > 0, "{} on {platform}: nothing is told of bots", facts.name);
        }
    }
}

/// Nobody is let in without a word: where the pod names nobody, a runtime hears nobody or is refused.
#[test]
fn nobody_is_never_everyone() {
    for facts in speakers() {
        for platform in facts.platforms {
            let (_, nobody) = policies(platform).swap_remove(0);
            let told = told(&on(facts.name, platform, nobody));
            let errors = told.iter().filter(|each| each.severity == Severity::Error).count();
            // Those that take an empty list for everyone are given no account without one, and say so once.
            let takes_everyone = ["microclaw", "nullclaw", "picoclaw"].contains(&facts.name);
            assert_eq!(errors, usize::from(takes_everyone), "{} on {platform}: {told:?}", facts.name);
        }
    }
}
