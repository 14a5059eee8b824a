"""What claw asks of hermes inside its container: a question, its health, its schedules, a drain, how it reads its settings.

    python3 runtime.py serve                its gateway, in this process, with its persona where it reads one
    python3 runtime.py ask SESSION TEXT     one turn in a conversation that lasts; the answer as text
    python3 runtime.py health               what its API server says of itself, as JSON
    python3 runtime.py schedules FILE       makes claw's jobs those of the file; others stay as they are
    python3 runtime.py contract FILE        conversations that go on are shown the contract of now, not that of their first turn
    python3 runtime.py drain SECONDS        takes nothing new, waits until nothing runs
    python3 runtime.py reading              its configuration as it reads it, without secrets, as JSON

It runs by the python that has hermes-agent 0.19 in it, and uses hermes' own functions.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request

API = "http://127.0.0.1:" + os.environ.get("API_SERVER_PORT", "8642")
KEY_FILE = "/run/secrets/API_SERVER_KEY"


def key():
    """Returns the key of the API server: the shim gives it to hermes alone, a command beside it reads the file."""
    try:
        with open(os.environ.get("CLAW_API_KEY_FILE", KEY_FILE), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return os.environ.get("API_SERVER_KEY", "")


def request(path, body=None, headers=None, seconds=30):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + key(), "Content-Type": "application/json", **(headers or {})}
    # A proxy of the environment has no part in what is asked of loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(API + path, data=data, headers=headers), timeout=seconds) as answer:
        return json.load(answer)


def ask(session, text):
    body = {"messages": [{"role": "user", "content": text}], "stream": False}
    try:
        answer = request("/v1/chat/completions", body, {"X-Hermes-Session-Id": session}, 1800)
    except urllib.error.HTTPError as error:
        return fail("%s %s" % (error.code, error.read(2000).decode("utf-8", "replace")))
    except OSError as error:
        return fail(str(error))
    choice = (answer.get("choices") or [{}])[0]
    content = (choice.get("message") or {}).get("content") or ""
    told = answer.get("hermes") or {}
    if told.get("failed") or choice.get("finish_reason") == "error":
        return fail(str(told.get("error") or content))
    print(content)
    return 0


def fail(message):
    print("hermes: " + " ".join(message.split())[:600], file=sys.stderr)
    return 1


def health():
    try:
        print(json.dumps(request("/health/detailed", seconds=8)))
        return 0
    except (OSError, ValueError) as error:
        return fail(str(error))


def persona():
    """Has hermes' own SOUL.md, which it reads for each new prompt and may write, be that of the persona where there is one.

    What the agent made of its own before there was a persona is its own and stays.
    """
    from hermes_cli.default_soul import DEFAULT_SOUL_MD, is_legacy_template_soul

    given = os.environ.get("CLAW_PERSONA_DIR")
    own, meant = os.path.join(os.environ["HERMES_HOME"], "SOUL.md"), os.path.join(given or "/persona", "SOUL.md")
    is_there = bool(given) and os.path.isfile(meant)
    if os.path.islink(own):
        # Of a persona that it had once: hermes would fail to write through it.
        if os.path.basename(os.path.dirname(os.readlink(own))) == "persona" and not is_there:
            os.unlink(own)
        return
    if not is_there:
        return
    if os.path.exists(own):
        with open(own, encoding="utf-8") as file:
            text = file.read()
        if text.strip() != DEFAULT_SOUL_MD.strip() and not is_legacy_template_soul(text):
            print("persona: %s is the agent's own and stays: %s is not read by itself" % (own, meant), file=sys.stderr)
            return
        os.unlink(own)
    os.symlink(meant, own)


def serve():
    # Without its persona it is another, and still better than none.
    try:
        persona()
    except Exception as error:
        print("persona: %s" % error, file=sys.stderr)
    sys.stderr.flush()
    os.execvp("hermes", ["hermes", "gateway", "run"])


def contract(path):
    """Forgets the prompts of conversations where contract or persona is another than it was: hermes then makes them anew."""
    home = os.environ["HERMES_HOME"]
    read = hashlib.sha256()
    for each in (path, os.path.join(home, "SOUL.md")):
        with contextlib.suppress(FileNotFoundError), open(each, "rb") as file:
            read.update(file.read() + b"\0")
    now = read.hexdigest()
    mark, state = os.path.join(home, ".claw-contract"), os.path.join(home, "state.db")
    try:
        with open(mark, encoding="utf-8") as file:
            then = file.read()
    except OSError:
        then = ""
    if now != then and os.path.exists(state):
        with contextlib.closing(sqlite3.connect(state, timeout=30)) as database, database:
            database.execute("UPDATE sessions SET system_prompt = NULL WHERE system_prompt IS NOT NULL")
    with open(mark, "w", encoding="utf-8") as file:
        file.write(now)
    print(json.dumps({"ok": True, "changed": now != then}, separators=(",", ":")))
    return 0


def drain(seconds):
    """Takes nothing new and waits: hermes looks for its own mark of a drain once a second."""
    from gateway.drain_control import write_drain_request

    write_drain_request(principal="claw", suppress_notification=True)
    end = time.monotonic() + seconds
    time.sleep(2)
    while time.monotonic() < end:
        try:
            state = request("/health/detailed", seconds=8)
        except (OSError, ValueError):
            return 0
        queues = ((state.get("readiness") or {}).get("checks") or {}).get("background_queues") or {}
        busy = [state.get("active_agents"), state.get("gateway_busy"), queues.get("active_api_runs")]
        if not any(busy) and not running_jobs():
            return 0
        time.sleep(1)
    return fail("still busy")


def running_jobs():
    from cron.jobs import load_jobs

    return any(job.get("state") == "running" for job in load_jobs())


def job_id(key):
    """Returns the id of a job of claw's: in hermes' form, and the same each time."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def wanted(path):
    from cron import jobs as cron

    with open(path, encoding="utf-8") as file:
        asked = json.load(file)
    made = {}
    for each in asked["jobs"]:
        made[job_id(each["key"])] = {
            "name": each["name"],
            "prompt": each["message"],
            "schedule": cron.parse_schedule(each["cron"]),
            "deliver": each["deliver"],
            # Without a directory a job would not be shown its contract.
            "workdir": each["workdir"],
            "claw": asked["owner"],
        }
    return asked["owner"], made


def schedules(path):
    from cron import jobs as cron

    owner, made = wanted(path)
    count = {"created": 0, "updated": 0, "unchanged": 0, "removed": 0}
    # Hermes tells what it does on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        there = {job["id"]: job for job in cron.load_jobs() if job.get("claw") == owner}
        for id in sorted(set(there) - set(made)):
            cron.remove_job(id)
            count["removed"] += 1
        # A job keeps the model it was made with and refuses another: it is told the one of now.
        snapshot = cron._compute_provider_model_snapshots(provider=None, model=None, base_url=None, no_agent=False)
        for id, job in made.items():
            job["provider_snapshot"], job["model_snapshot"] = snapshot
            if id not in there:
                create(cron, id, job)
                count["created"] += 1
                continue
            changed = {name: value for name, value in job.items() if there[id].get(name) != value}
            # One that was switched off by hand or by the agent is on again: the pod says so.
            if not there[id].get("enabled", True) or there[id].get("state") == "paused":
                changed.update({"enabled": True, "state": "scheduled", "paused_at": None, "paused_reason": None})
            if changed:
                cron.update_job(id, changed)
            count["updated" if changed else "unchanged"] += 1
    print(json.dumps({"ok": True, **count}, separators=(",", ":")))
    return 0


def create(cron, id, job):
    made = cron.create_job(
        job["prompt"], job["schedule"]["expr"], name=job["name"], deliver=job["deliver"], workdir=job["workdir"]
    )
    # Hermes gives a job a number by chance; claw's are found again by theirs.
    with cron._jobs_lock():
        jobs = [each for each in cron.load_jobs() if each["id"] != id]
        for each in jobs:
            if each["id"] == made["id"]:
                each.update(job, id=id)
        cron.save_jobs(jobs)


SECRET = ("key", "token", "secret", "password", "passwd", "credentials", "authorization")


def masked(value, name=""):
    if isinstance(value, dict):
        return {str(each): masked(below, str(each)) for each, below in value.items()}
    if isinstance(value, list):
        return [masked(each, name) for each in value]
    is_secret = name.lower().endswith(SECRET) and not name.lower().endswith(("key_env", "session_key"))
    return "***" if is_secret and isinstance(value, str) and value else value


def unknown(value, known, path=""):
    """Returns the keys that hermes' own defaults do not have: it takes any and heeds none of them."""
    found = []
    for name, below in value.items():
        if name not in known:
            found.append(path + name)
        elif isinstance(below, dict) and isinstance(known[name], dict) and known[name]:
            found += unknown(below, known[name], path + name + ".")
    return found


def written():
    """Returns what stands in the administrator's file."""
    from hermes_cli.managed_scope import load_managed_config

    return load_managed_config()


def providers(config):
    """Returns each provider and model that the configuration names, as hermes resolves them, and what it cannot resolve."""
    from hermes_cli.runtime_provider import resolve_runtime_provider

    main = config.get("model") or {}
    asked = [{"provider": main.get("provider"), "model": main.get("default") or main.get("model")}]
    asked += list(config.get("fallback_providers") or [])
    asked += [each for each in (config.get("auxiliary") or {}).values() if isinstance(each, dict)]
    asked.append(config.get("delegation") or {})
    triples, made, wrong = [], [], []
    for each in asked:
        provider, model, base_url = each.get("provider"), each.get("model"), each.get("base_url") or None
        # A server that is named without a provider is one of its own.
        provider = "custom" if base_url and provider in (None, "", "auto") else provider
        if provider and model and provider != "auto" and (provider, model, base_url) not in triples:
            triples.append((provider, model, base_url))
    for provider, model, base_url in triples:
        try:
            runtime = resolve_runtime_provider(requested=provider, target_model=model, explicit_base_url=base_url)
        except Exception as error:  # whatever hermes cannot resolve is what is to be seen
            wrong.append("error: %s of %s: %s" % (model, provider, error))
            continue
        endpoint = runtime.get("base_url") or "default of %s" % (runtime.get("provider") or provider)
        made.append({"base_url": endpoint, "mode": runtime.get("api_mode"), "model": model})
    return made, wrong


def reading():
    with contextlib.redirect_stdout(sys.stderr):
        from gateway.config import load_gateway_config
        from hermes_cli.config import _KNOWN_ROOT_KEYS, DEFAULT_CONFIG, load_config, validate_config_structure

        config = load_config()
        known = {**dict.fromkeys(_KNOWN_ROOT_KEYS), **DEFAULT_CONFIG, "model": {}}
        warnings = ["%s: %s" % (each.severity, each.message) for each in validate_config_structure(config)]
        made, wrong = providers(config)
        warnings += wrong
        gateway = load_gateway_config().to_dict()
        ignored = unknown(written(), known)
    parts = ("_ALLOW", "_MENTION", "_FREE_RESPONSE_", "_BOTS", "GATEWAY_", "HERMES_", "API_SERVER_")
    environment = {name: value for name, value in sorted(os.environ.items()) if any(part in name for part in parts)}
    shown = {
        "configuration": {"config": config, "environment": environment, "gateway": gateway, "providers": made},
        "endpoints": sorted({each["base_url"] for each in made}),
        "ignored": ignored,
        "models": list(dict.fromkeys(each["model"] for each in made)),
        "warnings": warnings,
    }
    print(json.dumps(masked(shown), sort_keys=True, default=str))
    return 0


def main(words):
    commands = {
        "ask": (2, ask),
        "contract": (1, contract),
        "drain": (1, lambda seconds: drain(float(seconds))),
        "health": (0, health),
        "reading": (0, reading),
        "schedules": (1, schedules),
        "serve": (0, serve),
    }
    name, rest = (words[0] if words else ""), words[1:]
    if name not in commands or len(rest) != commands[name][0]:
        print(__doc__, file=sys.stderr)
        return 2
    return commands[name][1](*rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
