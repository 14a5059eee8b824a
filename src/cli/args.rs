//! Arguments, as clap reads them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};

mod cllama;
mod config;
mod egress;
mod exec;
mod inside;
mod persona;
mod worker;

pub(crate) use cllama::{AuditArgs, Cllama, ServeArgs};
pub(crate) use config::ConfigArgs;
pub(crate) use egress::{Egress, GateArgs};
pub(crate) use exec::{ExecArgs, RunArgs};
pub(crate) use inside::{Reference, Shim};
pub(crate) use persona::{Persona, PullArgs};
pub(crate) use worker::{BakeArgs, Mode, SnapshotArgs};

/// Runs AI agents as hardened containers: one Clawfile, one claw-pod.yml.
#[derive(Debug, Parser)]
#[command(
    name = "claw",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Example: claw check && claw up -d --wait && claw ps\nExit codes: 0 done, 1 failed, 2 wrong input, 3 finding or difference, 4 not healthy, 130 interrupted"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Pod file [default: claw-pod.yml, claw-pod.yaml, then compose's names]
    #[arg(short, long = "file", value_name = "FILE", global = true)]
    pub(crate) file: Vec<PathBuf>,
    /// Project name
    #[arg(short, long = "project-name", value_name = "NAME", global = true)]
    pub(crate) project_name: Option<String>,
    /// File of variables, instead of .env
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) env_file: Vec<PathBuf>,
    /// Profile that is enabled; `*` for all
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) profile: Vec<String>,
    /// Directory that relative paths start from
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) project_directory: Option<PathBuf>,
    /// How results are printed: text or json; yaml for `config`, sarif for `check`
    #[arg(
        long,
        value_enum,
        default_value = "text",
        hide_possible_values = true,
        hide_default_value = true,
        global = true
    )]
    pub(crate) format: Format,
    /// Short for --format json
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Refusals for agents become warnings
    #[arg(long, global = true)]
    pub(crate) compat: bool,
    /// Know of images what claw.lock says, and nothing else
    #[arg(long, global = true)]
    pub(crate) locked: bool,
}

/// What a process of a container is told that claw's own image runs for long.
pub(crate) enum Alone {
    /// The governance proxy.
    Proxy(ServeArgs),
    /// The gate.
    Gate(GateArgs),
}

/// Returns what the process of such a container is told, without the commands of everything else: they would stay in its
/// memory. Nothing where the whole of claw must look at the arguments.
pub(crate) fn alone(mut words: impl Iterator<Item = OsString>) -> Option<Alone> {
    let name = words.next()?;
    words.next().filter(|word| word == "serve")?;
    let bare = || clap::Command::new("serve").no_binary_name(true);
    if name == "cllama" {
        let matches = ServeArgs::augment_args(bare()).try_get_matches_from(words).ok()?;
        return ServeArgs::from_arg_matches(&matches).ok().map(Alone::Proxy);
    }
    let matches = GateArgs::augment_args(bare()).try_get_matches_from(words).ok()?;
    GateArgs::from_arg_matches(&matches).ok().filter(|_| name == "egress").map(Alone::Gate)
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Compose's own form; `config` only.
    Yaml,
    /// For code scanners; `check` only.
    Sarif,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build images: of a Clawfile, or of the pod's services
    #[command(after_help = "Example: claw build -t editor:1 agents/editor\nExample: claw build --emit -f Clawfile")]
    Build(BuildArgs),
    /// All diagnostics of the compiler and of the audit
    #[command(
        after_help = "Example: claw check --strict --format sarif > claw.sarif\nExample: claw check --fix --dry-run"
    )]
    Check(CheckArgs),
    /// Write the hardened compose file and every generated file
    #[command(after_help = "Example: claw compile && docker compose -f compose.generated.yml config")]
    Compile {
        /// Directory to write to [default: the pod's own]
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Write the pod out as a directory that docker compose alone runs
    #[command(after_help = "Example: claw eject ../plain && cat ../plain/README.md")]
    Eject {
        /// Where: an empty directory, or one that is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// The pod files as one, as docker compose prints them
    #[command(after_help = "Example: claw config --format json\nExample: claw config --hash '*'")]
    Config(ConfigArgs),
    /// What a diagnostic means, or where a value of the generated file comes from
    #[command(after_help = "Example: claw explain unset-variable\nExample: claw explain services.writer.read_only")]
    Explain {
        /// A diagnostic's name, or a path such as `services.writer.user`
        subject: String,
    },
    /// Converge: build, create and start what differs from the pod file
    #[command(
        after_help = "Example: claw up -d --wait\nExample: claw up -d writer\nExample: claw up --mode worker writer"
    )]
    Up(UpArgs),
    /// What `up` would do, and why
    #[command(after_help = "Example: claw plan --exit-code")]
    Plan {
        /// Exit with 3 where there is something to do
        #[arg(long)]
        exit_code: bool,
        #[command(flatten)]
        choice: Choice,
        /// Services, with what they depend on [default: all]
        services: Vec<String>,
    },
    /// Write claw.lock: the images that are there now, pulled anew where a registry has them
    #[command(
        after_help = "Example: claw update\nExample: claw update web && claw up -d\nExample: claw update --manuals"
    )]
    Update {
        /// Ask running MCP servers for their tools, and write those alone
        #[arg(long)]
        manuals: bool,
        /// Services that are asked for [default: all]
        services: Vec<String>,
    },
    /// Copy what agents remember, and what claw keeps of the pod, into a directory
    #[command(after_help = "Example: claw backup ../saved")]
    Backup {
        /// Where: a directory that is not there yet
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Put a backup back; the pod must be down
    #[command(after_help = "Example: claw down && claw restore ../saved && claw up -d")]
    Restore {
        /// Replace what volumes hold now, without a question
        #[arg(short, long)]
        yes: bool,
        /// The backup
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Remove the pod's containers and networks
    #[command(after_help = "Example: claw down -v --rmi local")]
    Down(DownArgs),
    /// What runs
    #[command(after_help = "Example: claw ps --json")]
    Ps {
        /// Ids of containers alone
        #[arg(short, long)]
        quiet: bool,
        /// Accepted as docker compose does: containers that do not run are shown anyway
        #[arg(short, long)]
        all: bool,
        /// Names of services alone
        #[arg(long = "services")]
        names: bool,
        /// Those in this state alone: `running`, `exited`, …
        #[arg(long, value_name = "STATE")]
        status: Option<String>,
        /// Services [default: all]
        services: Vec<String>,
    },
    /// What the pod's containers printed, in the order of time
    #[command(after_help = "Example: claw logs -f --tail 20 writer")]
    Logs(LogsArgs),
    /// What happens to the pod's containers, as it happens
    #[command(after_help = "Example: claw events --json writer\nExample: claw events --since 1h --until 0s")]
    Events(EventsArgs),
    /// How the agents are
    #[command(after_help = "Example: claw health --json\nExample: claw health --watch")]
    Health {
        /// Tell of each change until Ctrl-C
        #[arg(short, long)]
        watch: bool,
        /// Agents [default: all]
        agents: Vec<String>,
    },
    /// Run a command in a new container of a service, after what the service depends on
    #[command(after_help = "Example: claw run --rm web sh\nExample: claw run --rm -T db pg_dump > dump.sql")]
    Run(RunArgs),
    /// Run a command in a service's container
    #[command(
        after_help = "Example: claw exec web sh\nExample: claw exec -T db pg_dump > dump.sql\nExample: claw exec --mode worker writer sh"
    )]
    Exec(ExecArgs),
    /// What was installed in an agent's worker, as lines of a Clawfile
    #[command(after_help = "Example: claw recipe writer")]
    Recipe {
        /// The agent
        agent: String,
    },
    /// Put what was installed in an agent's worker into its Clawfile
    #[command(after_help = "Example: claw bake --dry-run writer\nExample: claw bake writer && claw up -d")]
    Bake(BakeArgs),
    /// Keep what an agent's worker has become as an image
    #[command(after_help = "Example: claw snapshot writer -t writer:tried")]
    Snapshot(SnapshotArgs),
    /// Copy files into a container, or out of one
    #[command(
        after_help = "Example: claw cp web:/var/log/app.log .\nExample: claw cp ./notes writer:/var/lib/claw\nExample: claw cp --mode worker ./tool.deb writer:/tmp"
    )]
    Cp {
        /// Which container of the service
        #[arg(long, default_value_t = 1)]
        index: u32,
        /// `worker`: into the agent's worker, or out of it
        #[arg(long, value_enum, value_name = "MODE", default_value = "agent", hide_default_value = true)]
        mode: Mode,
        /// A path, or `SERVICE:PATH`
        from: String,
        /// `SERVICE:PATH`, or a path
        to: String,
    },
    /// Stop containers; they stay
    #[command(after_help = "Example: claw stop web")]
    Stop(LifecycleArgs),
    /// Start containers that were stopped, as they are
    #[command(after_help = "Example: claw start web")]
    Start(LifecycleArgs),
    /// Stop and start containers, and those that ask to be restarted with them
    #[command(after_help = "Example: claw restart web")]
    Restart(LifecycleArgs),
    /// Wait until containers have ended; the exit code is that of the first
    #[command(after_help = "Example: claw wait migrate")]
    Wait {
        /// Services
        #[arg(required = true)]
        services: Vec<String>,
    },
    /// Processes
    #[command(after_help = "Example: claw top writer")]
    Top {
        /// Services [default: all]
        services: Vec<String>,
    },
    /// Images that containers were made from
    #[command(after_help = "Example: claw images --json")]
    Images {
        /// Ids of images alone
        #[arg(short, long)]
        quiet: bool,
        /// Services [default: all]
        services: Vec<String>,
    },
    /// The address of this host that leads to a port of a service
    #[command(after_help = "Example: claw port web 80")]
    Port {
        /// `tcp` or `udp`
        #[arg(long, default_value = "tcp", value_parser = ["tcp", "udp"])]
        protocol: String,
        /// Which container of the service
        #[arg(long, default_value_t = 1)]
        index: u32,
        /// The service
        service: String,
        /// The port in its container, or `80/udp`
        port: String,
    },
    /// Whether what runs is what the pod file says; nothing is changed
    #[command(after_help = "Example: claw verify || claw up -d")]
    Verify,
    /// Send one message to an agent and print its answer
    #[command(
        after_help = "Example: claw ask writer \"What is new?\"\nExample: git diff | claw ask --session review reviewer -"
    )]
    Ask {
        /// Say it in the conversation of this name, where the runtime has several; else in claw's own
        #[arg(long, value_name = "NAME")]
        session: Option<String>,
        /// The agent
        agent: String,
        /// The message; `-` for standard input
        text: String,
    },
    /// What an agent's runtime read, how it is, what went wrong last, and what `up` would change
    #[command(after_help = "Example: claw diagnose writer\nIt exits with 3 where something is wrong")]
    Diagnose {
        /// Agents; all where none is named
        agents: Vec<String>,
    },
    /// Everything that was decided about an agent, and what runs of it
    #[command(after_help = "Example: claw inspect writer")]
    Inspect {
        /// The agent
        agent: String,
    },
    /// What agents read and may use, and where each line of it comes from
    #[command(after_help = "Example: claw skillmap writer\nExample: claw skillmap --json")]
    Skillmap {
        /// Agents [default: all]
        agents: Vec<String>,
    },
    /// The pod's secrets by name, and new tokens of claw's own
    #[command(after_help = "Example: claw secrets list\nExample: claw secrets rotate writer && claw up -d")]
    Secrets {
        #[command(subcommand)]
        command: Secrets,
    },
    /// What agents have made of their personas, and personas in registries
    Persona {
        #[command(subcommand)]
        command: Persona,
    },
    /// What the pod's proxy and gate wrote down: calls, costs, ways out, refusals
    #[command(after_help = "Example: claw audit writer --since 2h\nExample: claw audit --costs --by day")]
    Audit(AuditArgs),
    /// The governance proxy: its page, its prices, itself
    Cllama {
        #[command(subcommand)]
        command: Cllama,
    },
    /// The gate through which agents reach the outside: itself
    Egress {
        #[command(subcommand)]
        command: Egress,
    },
    /// Have the pod come up with the machine
    Service {
        #[command(subcommand)]
        command: Service,
    },
    /// What the engine can do, what is missing, and what that costs
    #[command(after_help = "Example: claw doctor --json\nExample: claw doctor --deep")]
    Doctor {
        /// Start a throw-away pod with a hostile agent, and tell what holds it: exit with 3 where something does not
        #[arg(long)]
        deep: bool,
    },
    /// The version
    Version,
    /// What runs inside containers on claw's behalf
    #[command(hide = true)]
    Shim {
        #[command(subcommand)]
        command: Shim,
    },
    /// What a hostile agent would try, for `doctor --deep`
    #[command(hide = true)]
    Hostile {
        /// The attempt, and what it needs
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        attempt: Vec<String>,
    },
    /// The small agent runtime inside this executable
    Reference {
        #[command(subcommand)]
        command: Reference,
    },
    /// Commands of later versions
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Warnings are errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Change what is certain in the pod's own files, and check again
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print the change as a diff; nothing is written
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    /// Print the Dockerfile; nothing is written or built, no engine is needed
    #[arg(long)]
    pub(crate) emit: bool,
    /// Name of the image [default: that of the directory]
    #[arg(short, long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Take nothing from the cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// A directory, a Clawfile, or services of the pod
    #[arg(value_name = "CONTEXT|SERVICE")]
    pub(crate) subjects: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// Return once what runs was verified; without it, logs follow and Ctrl-C stops the pod
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Return once everything is healthy
    #[arg(long)]
    pub(crate) wait: bool,
    /// The longest to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) wait_timeout: u64,
    /// Seconds containers are given to finish
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<i32>,
    /// Take over what another directory started under this name
    #[arg(long)]
    pub(crate) adopt: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// `worker`: an unhardened sibling of each agent named, or of those with `ACT` lines, and nothing of the pod
    #[arg(long, value_enum, value_name = "MODE", default_value = "agent", hide_default_value = true)]
    pub(crate) mode: Mode,
    /// Services, with what they depend on [default: all]
    pub(crate) services: Vec<String>,
}

/// What is done beside what differs.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Choice {
    /// Build images though nothing they are made of changed
    #[arg(long, conflicts_with = "no_build")]
    pub(crate) build: bool,
    /// Build no image
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Pull images `always`, when `missing`, or `never`
    #[arg(long, value_name = "WHEN", value_parser = ["always", "missing", "never"], hide_possible_values = true)]
    pub(crate) pull: Option<String>,
    /// Make containers anew though nothing changed
    #[arg(long)]
    pub(crate) force_recreate: bool,
    /// Leave what the services depend on
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// This many containers of a service
    #[arg(long, value_name = "SERVICE=COUNT", value_parser = scale)]
    pub(crate) scale: Vec<(String, u32)>,
    /// Remove containers of services that are gone, whoever made them
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Put containers back whose replacement fails
    #[arg(long)]
    pub(crate) rollback: bool,
}

fn scale(text: &str) -> Result<(String, u32), String> {
    let pair = text.split_once('=').and_then(|(service, count)| Some((service.to_owned(), count.parse().ok()?)));
    pair.filter(|(service, _)| !service.is_empty()).ok_or_else(|| "write it as `web=3`".to_owned())
}

#[derive(Args, Debug)]
pub(crate) struct DownArgs {
    /// Volumes and generated files too: what agents remember is lost
    #[arg(short, long)]
    pub(crate) volumes: bool,
    /// Seconds containers are given to finish
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<i32>,
    /// Accepted as docker compose does: `down` removes whatever is the project's
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Also what another directory started under this name
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Images that were built for the pod too
    #[arg(long, value_name = "WHICH", value_parser = ["local"])]
    pub(crate) rmi: Option<String>,
    /// Do not ask before data is destroyed
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// `worker`: workers alone, with all that was done in them
    #[arg(long, value_enum, value_name = "MODE", default_value = "agent", hide_default_value = true)]
    pub(crate) mode: Mode,
}

#[derive(Args, Debug)]
pub(crate) struct LifecycleArgs {
    /// Seconds containers are given to finish
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<i32>,
    /// Services [default: all]
    pub(crate) services: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// Go on with new lines (-f)
    #[arg(long)]
    pub(crate) follow: bool,
    /// This many of the last lines of each container, or `all`
    #[arg(short = 'n', long, value_name = "LINES", value_parser = tail, default_value = "all", hide_default_value = true)]
    pub(crate) tail: Tail,
    /// Nothing older: `10m`, `2h`, an RFC 3339 time, or Unix time in seconds
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<i64>,
    /// Nothing newer
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "follow")]
    pub(crate) until: Option<i64>,
    /// With the time of each line
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// Without the name of each line's source
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
    /// Names of sources without colour
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Which container of each service [default: all]
    #[arg(long)]
    pub(crate) index: Option<u32>,
    /// Services or agents [default: all]
    pub(crate) services: Vec<String>,
}

/// How many of the last lines; all where absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail(pub(crate) Option<u64>);

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" | "-1" => Ok(Tail(None)),
        number => number.parse().map(|lines| Tail(Some(lines))).map_err(|_| "write a number, or `all`".to_owned()),
    }
}

#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// From then on: `10m`, `2h`, an RFC 3339 time, or Unix time in seconds [default: from now on]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<i64>,
    /// Until then, and no longer
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<i64>,
    /// Services or agents [default: all]
    pub(crate) services: Vec<String>,
}

/// Returns a moment as seconds of Unix time: `90s`, `10m`, `2h`, `1d` ago, RFC 3339, or the seconds themselves.
fn moment(text: &str) -> Result<i64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86400)];
    let ago = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
    let seconds = match ago {
        Some((amount, unit)) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let ago = amount.parse::<u64>().ok().map(|amount| amount.saturating_mul(unit));
            ago.and_then(|ago| i64::try_from(now.as_secs().saturating_sub(ago)).ok())
        }
        None => text.parse().ok().or_else(|| Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp())),
    };
    // The engine's API counts them in 32 bits.
    let seconds = seconds.filter(|seconds| i32::try_from(*seconds).is_ok());
    seconds
        .ok_or_else(|| "write `10m`, `2h`, a time such as `2026-01-31T09:00:00Z`, or Unix time in seconds".to_owned())
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Every secret: where it comes from, who uses it, how it gets there, whether it has a value
    #[command(after_help = "Example: claw secrets list --json")]
    List,
    /// Make tokens of claw's own anew; the next `up` recreates exactly the agents that use them
    #[command(after_help = "Example: claw secrets rotate writer && claw up -d")]
    Rotate {
        /// Tokens by name, agents [default: all]
        #[arg(value_name = "NAME|AGENT")]
        names: Vec<String>,
    },
}

/// What to do so that the pod comes up with the machine.
#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Write a unit of systemd that runs `up -d` when the machine starts
    #[command(after_help = "Example: claw service install && loginctl enable-linger")]
    Install(ServiceArgs),
    /// Take the unit away; the pod goes on as it is
    Uninstall {
        /// The machine's, not your own
        #[arg(long)]
        system: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    /// Your own, which is the default
    #[arg(long, conflicts_with = "system")]
    pub(crate) user: bool,
    /// The machine's, run as the owner of the pod's directory
    #[arg(long)]
    pub(crate) system: bool,
    /// Print the unit; nothing is written
    #[arg(long)]
    pub(crate) print: bool,
}

/// Returns the arguments of the process.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let mut arguments = Arguments::try_parse_from(following(std::env::args_os().collect()))?;
    if arguments.global.json {
        arguments.global.format = Format::Json;
    }
    Ok(arguments)
}

/// Options before the command that take a value.
const VALUED: &[&str] =
    &["-f", "--file", "-p", "--project-name", "--env-file", "--profile", "--project-directory", "--format"];

/// After `logs`, `-f` follows, as everywhere; before it, `-f` names the pod file, as everywhere.
fn following(mut words: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        if VALUED.contains(&word) {
            at += 2;
        } else if word.starts_with('-') {
            at += 1;
        } else {
            break;
        }
    }
    if words.get(at).is_some_and(|word| word == "logs") {
        let rest = words.split_off(at);
        for word in rest {
            match word.to_str().and_then(|word| word.strip_prefix('-')) {
                Some("f") => words.push(OsString::from("--follow")),
                // `-ft`: flags in one word.
                Some(flags) if flags.contains('f') && flags.chars().all(|flag| "ft".contains(flag)) => {
                    words.extend(["--follow", "-t"].map(OsString::from));
                }
                _ => words.push(word),
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(words: &[&str]) -> Vec<String> {
        let words = following(words.iter().map(OsString::from).collect());
        words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn f_means_follow_after_logs_and_file_before_it() {
        assert_eq!(follows(&["claw", "-f", "x.yml", "logs", "-f"]), ["claw", "-f", "x.yml", "logs", "--follow"]);
        assert_eq!(follows(&["claw", "-f", "logs", "up", "-f", "y"]), ["claw", "-f", "logs", "up", "-f", "y"]);
        assert_eq!(follows(&["claw", "logs", "a", "-f"]), ["claw", "logs", "a", "--follow"]);
        assert_eq!(follows(&["claw", "logs", "-tf", "a"]), ["claw", "logs", "--follow", "-t", "a"]);
    }

    #[test]
    fn a_moment_is_told_in_the_ways_people_write_it() {
        let now =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs() as i64;
        assert!((now() - 7200 - moment("2h").expect("a moment")).abs() <= 1);
        assert!((now() - moment("0s").expect("a moment")).abs() <= 1);
        assert_eq!(moment("2026-01-01T01:00:00+01:00"), Ok(1_767_225_600));
        assert_eq!(moment("1767225600"), Ok(1_767_225_600));
        for wrong in ["", "m", "-m", "yesterday", "2026-13-01T00:00:00Z", "99999999999", "1.5h"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_command_has_a_help_that_fits_a_screen() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        for each in Arguments::command().get_subcommands() {
            let lines = each.clone().term_width(100).render_help().to_string().lines().count();
            assert!(lines <= 32, "{}: {lines} lines", each.get_name());
        }
    }
}
