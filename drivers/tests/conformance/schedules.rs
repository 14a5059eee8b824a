//! Schedules, judged by the parsers of the real programs and by a gateway that runs (`make runtimes`).

use std::path::{Path, PathBuf};
use std::process::Command;

use claw_types::agent::{AgentUnit, Schedule};
use serde_json::{Value, json};

use crate::{heard, unit};

/// Returns where a real program is installed; nothing, said aloud, where it is not.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn installed(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.runtimes").join(name);
    let folder = folder.canonicalize().ok().filter(|folder| folder.join(format!("{name}.done")).is_file());
    if folder.is_none() {
        println!("skipped: no {name}; `make runtimes` installs it");
    }
    folder
}

fn schedule(id: &str, cron: &str) -> Schedule {
    Schedule { id: id.to_owned(), cron: cron.to_owned(), message: "x".to_owned(), target: None }
}

/// Returns whether a runtime takes a schedule of these days, months and days of the week.
fn is_taken(runtime: &str, days: &str) -> bool {
    let mut unit = unit(runtime, false, 0, 1, false);
    unit.schedules = vec![schedule("it", &format!("0 9 {days}"))];
    !heard::is_refused(&heard::told(&unit))
}

/// What claw's language takes, the first three days that are meant after 27 November 2026 (a Friday), and whether openclaw and
/// nanobot keep it.
const CASES: &[(&str, [&str; 3], bool, bool)] = &[
    ("* * *", ["2026-11-28", "2026-11-29", "2026-11-30"], true, true),
    ("* * 7", ["2026-11-29", "2026-12-06", "2026-12-13"], true, true),
    ("* * 6-7", ["2026-11-28", "2026-11-29", "2026-12-05"], true, true),
    ("* jan,3-4 MON", ["2027-01-04", "2027-01-11", "2027-01-18"], true, true),
    ("13 * 5", ["2026-12-04", "2026-12-11", "2026-12-13"], true, true),
    ("29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"], true, true),
    ("L * *", ["2026-11-30", "2026-12-31", "2027-01-31"], true, false),
    ("15W * *", ["2026-12-15", "2027-01-15", "2027-02-15"], true, false),
    ("* * 5L", ["2026-12-25", "2027-01-29", "2027-02-26"], true, false),
    ("* * friL", ["2026-12-25", "2027-01-29", "2027-02-26"], true, false),
    ("* * 5#2", ["2026-12-11", "2027-01-08", "2027-02-12"], true, false),
    ("? * 7", ["2026-11-29", "2026-12-06", "2026-12-13"], false, false),
    ("* * L", ["2026-11-28", "2026-12-05", "2026-12-12"], false, false),
    ("* * 5W", ["2026-12-04", "2026-12-11", "2026-12-18"], false, false),
    ("L/2 * *", ["2026-11-30", "2026-12-31", "2027-01-31"], false, false),
    ("*/31 */12 *", ["2027-01-01", "2028-01-01", "2029-01-01"], true, true),
    ("* * */7", ["2026-11-29", "2026-12-06", "2026-12-13"], true, true),
    ("* * */8", ["2026-11-29", "2026-12-06", "2026-12-13"], false, true),
    ("31 2 *", ["", "", ""], false, false),
    ("31 apr,6 *", ["", "", ""], false, false),
];

#[test]
fn what_a_parser_would_refuse_or_read_in_another_way_is_refused_first() {
    for (days, _, openclaw, nanobot) in CASES {
        assert_eq!((is_taken("openclaw", days), is_taken("nanobot", days)), (*openclaw, *nanobot), "{days}");
    }
}

#[test]
fn the_parsers_of_the_real_programs_read_what_is_taken_as_it_is_meant() {
    let asked = json!(CASES.iter().map(|case| format!("0 9 {}", case.0)).collect::<Vec<_>>()).to_string();
    let agree = |name: &str, output: &std::process::Output, is_taken: &dyn Fn(usize) -> bool, is_exact: bool| {
        let read: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name}: {output:?}"));
        assert_eq!(read.len(), CASES.len());
        for (index, (days, meant, ..)) in CASES.iter().enumerate() {
            let is_meant = read[index] == json!(meant);
            assert!(is_meant == is_taken(index) || is_meant && !is_exact, "{name}: {days}: {}", read[index]);
        }
    };
    if let Some(folder) = installed("openclaw") {
        let script = "const [dir, asked] = process.argv.slice(1);\
            const { Cron } = await import(dir + '/croner/dist/croner.js');\
            const next = (text) => {\
                try {\
                    const cron = new Cron(text, { timezone: 'UTC', catch: false });\
                    return cron.nextRuns(3, new Date('2026-11-28T00:00:00Z')).map((day) => day.toISOString().slice(0, 10));\
                } catch (e) { return e.message; }\
            };\
            console.log(JSON.stringify(JSON.parse(asked).map(next)));";
        let output = Command::new(folder.join("bin/node"))
            .args(["--input-type=module", "-e", script])
            .arg(folder.join("openclaw/node_modules"))
            .arg(&asked)
            .output()
            .expect("node runs");
        agree("openclaw", &output, &|index| CASES[index].2, true);
    }
    if let Some(folder) = installed("nanobot") {
        let script = "import sys, json\n\
            from datetime import datetime\n\
            from croniter import croniter\n\
            def days(text):\n\
            \x20   try:\n\
            \x20       times = croniter(text, datetime(2026, 11, 28))\n\
            \x20       return [times.get_next(datetime).strftime('%Y-%m-%d') for _ in range(3)]\n\
            \x20   except Exception as error:\n\
            \x20       return str(error)\n\
            print(json.dumps([days(text) for text in json.loads(sys.argv[1])]))\n";
        let output =
            Command::new(folder.join("bin/python3")).args(["-B", "-c", script, &asked]).output().expect("python runs");
        // It reads some marks too, and is not asked to.
        agree("nanobot", &output, &|index| CASES[index].3, false);
    }
}

/// Returns a file that the driver writes.
fn written(unit: &AgentUnit, name: &str) -> Value {
    let driver = claw_drivers::find(unit.runtime.as_str()).expect("a driver");
    let lowered = driver.lower(unit, &mut claw_types::diag::Diagnostics::new()).expect("lowered");
    let file = lowered.files.iter().find(|(path, _)| path.as_str() == name).expect("a file");
    serde_json::from_str(&file.1.content.masked()).expect("JSON")
}

/// What the gateway of the real program has of claw's jobs after each of two declarations, with what was said of the second.
const GATEWAY: &str = "set -e\n\
    ip link set lo up\n\
    openclaw gateway run >gateway.log 2>&1 & gateway=$!\n\
    trap 'kill $gateway 2>/dev/null; wait' EXIT\n\
    node \"$SCRIPT\" first.json >first.txt\n\
    if node \"$SCRIPT\" second.json 2>second.txt; then exit 1; fi\n\
    openclaw cron list --all --json >jobs.json\n";

/// A schedule that the gateway refuses: those beside it are declared, and one that is gone fires no more.
#[test]
fn one_schedule_that_the_real_gateway_refuses_keeps_no_other_from_its_change() {
    let Some(folder) = installed("openclaw") else { return };
    let place = std::env::temp_dir().join(format!("claw-openclaw-schedules-{}", std::process::id()));
    for part in ["state/workspace", "home", "secrets"] {
        std::fs::create_dir_all(place.join(part)).expect("a folder");
    }
    let put = |name: &str, text: String| std::fs::write(place.join(name), text).expect("written");
    let mut unit = unit("openclaw", false, 0, 1, false);
    let config = written(&unit, "claw/openclaw.json");
    for provider in config["secrets"]["providers"].as_object().expect("secrets").values() {
        let name = provider["path"].as_str().and_then(|path| path.strip_prefix("/run/secrets/")).expect("a path");
        put(&format!("secrets/{name}"), "a-token-of-the-gateway-0123456789".to_owned());
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(place.join("secrets").join(name), mode).expect("private");
    }
    let to = place.display().to_string();
    let config = config.to_string().replace("/run/secrets/", &format!("{to}/secrets/"));
    put("openclaw.json", config.replace("/var/lib/openclaw", &format!("{to}/state")));
    unit.schedules = vec![schedule("gone", "0 1 * * *"), schedule("kept", "0 2 * * *")];
    put("first.json", written(&unit, "claw/schedules.json").to_string());
    // What `check` would have refused.
    unit.schedules = vec![schedule("bad", "0 9 * * L"), schedule("kept", "0 3 * * *"), schedule("new", "0 4 * * *")];
    put("second.json", written(&unit, "claw/schedules.json").to_string());
    let output = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", GATEWAY])
        .current_dir(&place)
        .env_clear()
        .env("PATH", format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", folder.join("bin").display()))
        .env("SCRIPT", Path::new(env!("CARGO_MANIFEST_DIR")).join("openclaw/schedules.mjs"))
        .env("HOME", place.join("home"))
        .env("OPENCLAW_CONFIG_PATH", place.join("openclaw.json"))
        .env("OPENCLAW_STATE_DIR", place.join("state"))
        .envs([("OPENCLAW_CONFIG_READONLY", "1"), ("OPENCLAW_NO_AUTO_UPDATE", "1"), ("OPENCLAW_OFFLINE", "1")])
        .envs([("OPENCLAW_DISABLE_BONJOUR", "1"), ("DO_NOT_TRACK", "1")])
        .output()
        .expect("unshare runs");
    let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap_or_default();
    let (said, jobs, log) = (read("second.txt"), read("jobs.json"), read("gateway.log"));
    std::fs::remove_dir_all(&place).expect("removed");
    assert!(output.status.success(), "{output:?}\n{log}");
    assert!(said.contains(":bad: "), "{said}");
    let jobs: Value = serde_json::from_str(&jobs).expect("JSON");
    let own = jobs["jobs"].as_array().expect("jobs").iter().filter(|job| job["declarationKey"].is_string());
    let mut own: Vec<String> = own
        .filter(|job| job["declarationKey"].as_str().is_some_and(|key| key.starts_with("claw:")))
        .map(|job| format!("{} {}", job["name"].as_str().unwrap_or(""), job["schedule"]["expr"].as_str().unwrap_or("")))
        .collect();
    own.sort();
    assert_eq!(own, ["kept 0 3 * * *", "new 0 4 * * *"]);
}
