"""nanobot, as claw runs it: its keys are read from files, its schedules are declared to it, it is asked and looked at.

usage: claw_nanobot.py serve CONFIG [SCHEDULES]      its gateway, in this process
       claw_nanobot.py schedules CONFIG SCHEDULES    declare the schedules of SCHEDULES, remove those no longer wanted
       claw_nanobot.py ask CONFIG SESSION TEXT       one turn of the agent; its answer is printed
       claw_nanobot.py health CONFIG                 how its gateway is, and what became of its schedules
       claw_nanobot.py reading CONFIG                the configuration as nanobot reads it, without secrets

The configuration names each secret as `${NAME}`. Its value is that of the variable, else what the file of that name below
CLAW_SECRETS_DIR (/run/secrets) holds. It becomes a variable of this process alone: /proc shows none of it.
"""
import asyncio
import importlib
import json
import os
import pathlib
import re
import sys
import time

SECRETS = pathlib.Path(os.environ.get("CLAW_SECRETS_DIR", "/run/secrets"))
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Problem(Exception):
    """What a person is told in one line."""


def unlock(config):
    """Make variables of the secrets that a configuration names."""
    names = set(REFERENCE.findall(config.read_text(encoding="utf-8")))
    files = {re.sub(r"[^A-Za-z0-9_]", "_", file.name): file for file in SECRETS.iterdir()} if SECRETS.is_dir() else {}
    for name in sorted(names - set(os.environ)):
        if name not in files:
            raise Problem(f"the secret {name} is not there")
        os.environ[name] = files[name].read_text(encoding="utf-8").rstrip("\r\n")


def load(config):
    from nanobot.config.loader import load_config, set_config_path

    set_config_path(config)
    return load_config(config)


def stay_inside():
    """Have nanobot count tokens without the table that tiktoken would fetch; TIKTOKEN_CACHE_DIR says where one lies."""
    if "TIKTOKEN_CACHE_DIR" in os.environ:
        return
    import tiktoken

    def absent(name):
        raise OSError(f"the table of {name} is not here")

    tiktoken.get_encoding = absent


def persona(workspace):
    """Have the files that nanobot reads at every turn, and may write, be those of the persona where it has them.

    What the agent made of its own before there was a persona is its own and stays.
    """
    from nanobot.utils.helpers import load_bundled_template

    given = os.environ.get("CLAW_PERSONA_DIR")
    for name in ("SOUL.md", "USER.md"):
        own, meant = workspace / name, pathlib.Path(given or "/persona") / name
        if own.is_symlink() and own.readlink().parent.name == "persona" and not (given and meant.is_file()):
            # Of a persona that it had once.
            own.unlink()
        if not given or not meant.is_file() or own.is_symlink():
            continue
        if own.exists():
            templates = [load_bundled_template(each) for each in (name, f"legacy/{name}")]
            if own.read_text(encoding="utf-8").strip() not in [each.strip() for each in templates if each]:
                print(f"persona: {own} is the agent's own and stays: {meant} is not read by itself", file=sys.stderr, flush=True)
                continue
            own.unlink()
        own.symlink_to(meant)


def serve(config, schedules=None):
    unlock(config)
    stay_inside()
    # Without its persona it is another, and still better than none.
    try:
        persona(load(config).workspace_path)
    except Exception as error:
        print(f"persona: {error}", file=sys.stderr, flush=True)
    if schedules is not None:
        # What is declared before the gateway runs is known to it at once; a mistake here stops nobody from being heard.
        try:
            declare(config, schedules)
        except Exception as error:
            print(f"schedules: {error}", file=sys.stderr, flush=True)
    from nanobot.cli.entry import main

    sys.argv = ["nanobot", "gateway", "--config", str(config), "--foreground"]
    return main()


def wanted(file):
    document = json.loads(file.read_text(encoding="utf-8"))
    owner, jobs = document.get("owner"), document.get("jobs")
    if not isinstance(owner, str) or len(owner) < 3 or not isinstance(jobs, list):
        raise Problem(f"{file} has no owner or no jobs")
    if any(not job["id"].startswith(owner) for job in jobs):
        raise Problem(f"{file} has a job of another owner")
    return owner, {job["id"]: job for job in jobs}


def declare(config, file):
    """Bring the jobs of one owner to what a file says; others are people's or the agent's own.

    nanobot merges the lines of `cron/action.jsonl` whenever it looks at its jobs: so its own commands tell a gateway that runs.
    """
    from dataclasses import asdict

    from nanobot.cron.service import CronService, _compute_next_run
    from nanobot.cron.types import CronJob, CronPayload, CronSchedule

    owner, jobs = wanted(file)
    service = CronService(load(config).workspace_path / "cron" / "jobs.json")
    have = {job.id: job for job in service.list_jobs(include_disabled=True) if job.id.startswith(owner)}
    count = {"created": 0, "updated": 0, "unchanged": 0, "removed": 0}
    now = int(time.time() * 1000)
    # What is wrong with one job is no reason to leave another one undone: least of all one that is to fire no more.
    problems = []
    for id in have.keys() - jobs.keys():
        service._append_action("del", {"job_id": id})
        count["removed"] += 1
    for id, job in jobs.items():
        schedule = CronSchedule(kind="cron", expr=job["cron"], tz=job["tz"])
        payload = CronPayload(
            message=job["message"],
            session_key=job["session"],
            origin_channel=job["channel"],
            origin_chat_id=job["to"],
        )
        old = have.get(id)
        if old and old.enabled and (old.name, old.schedule, old.payload) == (job["name"], schedule, payload):
            count["unchanged"] += 1
            continue
        new = CronJob(id=id, name=job["name"], schedule=schedule, payload=payload, created_at_ms=now, updated_at_ms=now)
        new.state.next_run_at_ms = _compute_next_run(schedule, now)
        if new.state.next_run_at_ms is None:
            problems.append(f"nanobot cannot tell when {job['name']} is next: {job['cron']}")
            continue
        service._append_action("update" if old else "add", asdict(new))
        count["updated" if old else "created"] += 1
    if problems:
        raise Problem("; ".join(problems))
    return count


def ask(config, session, text):
    import asyncio

    from loguru import logger

    logger.remove()
    unlock(config)
    stay_inside()
    load(config)
    from nanobot import Nanobot

    async def turn():
        bot = Nanobot.from_config(config)
        try:
            # Apart from the sessions of chats, which the gateway keeps in its own memory.
            return await bot.run(text, session_key=f"claw:{session}", channel="cli", chat_id=session)
        finally:
            await bot.aclose()

    answer = asyncio.run(turn())
    print(answer.content or "")
    if getattr(answer, "error", None):
        raise Problem(str(answer.error))


def health(config):
    import urllib.error
    import urllib.request
    from datetime import UTC, datetime

    document = json.loads(config.read_text(encoding="utf-8"))
    url = f"http://127.0.0.1:{document['gateway']['port']}/health"
    try:
        answer = json.load(urllib.request.urlopen(url, timeout=5))
    except urllib.error.HTTPError as error:
        answer = json.load(error)
    store = pathlib.Path(document["agents"]["defaults"]["workspace"], "cron", "jobs.json")
    jobs = json.loads(store.read_text(encoding="utf-8")).get("jobs", []) if store.is_file() else []
    jobs = [job for job in jobs if job.get("payload", {}).get("kind") != "system_event"]
    states = [(job["name"], job.get("state") or {}) for job in jobs]
    times = [state["nextRunAtMs"] for (_, state), job in zip(states, jobs) if job.get("enabled") and state.get("nextRunAtMs")]
    return {
        **answer,
        "schedules": len(jobs),
        "next": datetime.fromtimestamp(min(times) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if times else None,
        "failed": [{"name": name, "error": state.get("lastError")} for name, state in states if state.get("lastStatus") == "error"],
    }


def names(model):
    """Return the keys that a model takes, each with the name of its field."""
    found = {}
    for name, field in type(model).model_fields.items():
        choices = getattr(field.validation_alias, "choices", None) or []
        for key in (name, field.alias, field.serialization_alias, *choices):
            if isinstance(key, str):
                found[key] = name
    return found


def channel(name, value):
    """Return a channel's configuration as its own code reads it."""
    from nanobot.config_base import Base

    for module in (f"nanobot.channels.{name}.config", f"nanobot.channels.{name}.runtime"):
        try:
            module = importlib.import_module(module)
        except ModuleNotFoundError as missing:
            if missing.name == module:
                continue
            raise
        kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Base)]
        kinds = [kind for kind in kinds if kind.__name__.lower() == f"{name}config" and kind.__module__ == module.__name__]
        if kinds:
            return kinds[0].model_validate(value)
    raise ImportError(f"no channel {name}")


def ignored(model, raw, path=""):
    """Return the keys that nanobot drops in silence, and what it says of channels it cannot read."""
    from pydantic import BaseModel

    found, warnings = [], []

    def below(value, raw, path):
        if isinstance(value, BaseModel):
            more = ignored(value, raw, path + ".")
            found.extend(more[0])
            warnings.extend(more[1])
        elif isinstance(value, dict) and isinstance(raw, dict):
            for key, each in raw.items():
                below(value.get(key), each, f"{path}.{key}")
        elif isinstance(value, list) and isinstance(raw, list):
            for index, (one, each) in enumerate(zip(value, raw)):
                below(one, each, f"{path}.{index}")

    if not isinstance(raw, dict):
        return found, warnings
    fields = names(model)
    for key, value in raw.items():
        if key in fields:
            below(getattr(model, fields[key]), value, path + key)
        elif path == "channels.":
            try:
                below(channel(key, value), value, path + key)
            except ImportError:
                found.append(path + key)
            except Exception as error:
                warnings.append(f"{path}{key}: {type(error).__name__}: {error}".splitlines()[0])
        elif type(model).model_config.get("extra") == "allow":
            below((model.__pydantic_extra__ or {}).get(key), value, path + key)
        else:
            found.append(path + key)
    return found, warnings


def masked(value, key=""):
    """Return a document without what may be a secret: its variable's name is none."""
    if isinstance(value, dict):
        return {key: masked(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [masked(each, key) for each in value]
    is_secret = re.search(r"(key|token|secret|password|authorization)$", key, re.IGNORECASE)
    if is_secret and isinstance(value, str) and value not in ("", "none") and not REFERENCE.fullmatch(value):
        return "***"
    return value


def asked(loaded):
    """Return every model that nanobot may ask, each as it would be asked."""
    chosen = loaded.resolve_preset()
    fallbacks = (
        loaded.model_presets[each] if isinstance(each, str) else chosen.model_copy(update={"model": each.model, "provider": each.provider})
        for each in loaded.agents.defaults.fallback_models
    )
    return [chosen, *fallbacks, *loaded.model_presets.values()]


def endpoint(loaded, preset):
    """Return the server that nanobot asks for a model. Where the configuration names none, the client that it makes knows it."""
    from nanobot.providers import factory

    named = loaded.get_api_base(preset=preset)
    if named:
        return named
    try:
        provider = factory._make_provider_core(loaded, preset=preset)
        is_late = hasattr(provider, "_ensure_client")
        client = asyncio.run(provider._ensure_client()) if is_late else provider._client
        return str(client.base_url if hasattr(client, "base_url") else client.meta.endpoint_url).rstrip("/")
    except Exception:
        return f"default of {loaded.get_provider_name(preset=preset)}"


def reading(config):
    from nanobot.providers.factory import validate_provider_setup

    raw = json.loads(config.read_text(encoding="utf-8"))
    loaded = load(config)
    unknown, warnings = ignored(loaded, raw)
    presets, endpoints = asked(loaded), set()
    for preset in presets:
        try:
            validate_provider_setup(loaded, preset=preset)
        except Exception as error:
            # It asks nobody for this one.
            warnings.append(f"{type(error).__name__}: {error}".splitlines()[0])
        else:
            endpoints.add(endpoint(loaded, preset))
    whole = loaded.model_dump(mode="json", by_alias=True)
    # Providers that nobody configured are a page of nothing.
    whole["providers"] = {name: each for name, each in whole["providers"].items() if isinstance(each, dict) and each.get("apiBase")}
    print(json.dumps({
        "endpoints": sorted(endpoints),
        "models": list(dict.fromkeys(preset.model for preset in presets)),
        "ignored": unknown,
        "warnings": list(dict.fromkeys(warnings)),
        "configuration": masked(whole),
    }))


def main():
    commands = {"serve": serve, "schedules": declare, "ask": ask, "health": health, "reading": reading}
    _, name, config, *rest = sys.argv
    if name != "ask":
        rest = [pathlib.Path(each) for each in rest]
    answer = commands[name](pathlib.Path(config), *rest)
    if isinstance(answer, dict):
        print(json.dumps({"ok": True, **answer}, separators=(",", ":")))


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(f"nanobot: {problem}")
