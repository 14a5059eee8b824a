#!/usr/bin/env python3
"""Makes the price table of the proxy from LiteLLM's: `prices.py OUT [--version V | --wheel FILE]`.

Reads the table out of a wheel and writes whole pico-dollars (1e-12 USD), so that no price is ever a float. The same
wheels give the same bytes. Providers that the wheel has no rows of come from a second, older one (`--fill-version`,
`--fill-wheel`). What was left out, rounded or contradictory goes to standard error; nothing is invented.
"""

import argparse
import decimal
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

TABLE = "model_prices_and_context_window_backup.json"
MODES = {"chat", "responses", "completion", "embedding"}
PICO = 10**12

# The last release whose table has rows of openrouter.
FILL_VERSION = "1.106.1"

# Provider of the table -> provider of claw.
PROVIDERS = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "gemini": "gemini",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "text-completion-openai": "openai",
    "xai": "xai",
}

# Providers whose own model names have a slash; with any other, what is before the slash is a region or a product.
SLASHED = {"groq", "openrouter"}

# Providers that charge a tier from its threshold on; the others charge it above.
INCLUSIVE = {"xai"}

# Rows that cost nothing because the provider never charges for them. Other zeros mean "unknown" or "for now".
FREE = [("gemini", re.compile(r"^gemma-")), ("openrouter", re.compile(r":free$|^openrouter/free$"))]

# Key of claw -> key of the table, in the order of output. `cache_write_12h` is OpenAI's long retention.
RATES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "cache_write_12h": "cache_creation_input_token_cost_above_12hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_in": "input_cost_per_audio_token",
    "audio_out": "output_cost_per_audio_token",
}

# Service tier of claw -> suffix of the table.
SERVICE_TIERS = {"priority": "_priority", "flex": "_flex", "batch": "_batches", "ultrafast": "_ultrafast"}


class Report:
    """Collects what a reader of the table should know, by kind."""

    def __init__(self):
        self.kinds = {}

    def add(self, kind, text):
        self.kinds.setdefault(kind, []).append(text)

    def show(self):
        for kind, texts in sorted(self.kinds.items()):
            print(f"{kind}: {len(texts)}", file=sys.stderr)
            for text in sorted(texts):
                print(f"  {text}", file=sys.stderr)


def wheel_of(version, folder):
    """Downloads the wheel of a version (None: the newest) into an empty folder."""
    wanted = "litellm" if version is None else f"litellm=={version}"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder, wanted],
        check=True,
        stdout=sys.stderr,
    )
    return next(pathlib.Path(folder).glob("litellm-*.whl"))


def date_of(archive):
    """Returns the date of the newest file, else of a bill of materials: some builds set every file to 1980."""
    newest = max(entry.date_time for entry in archive.infolist())
    if newest[0] > 1980:
        return "%04d-%02d-%02d" % newest[:3]
    stamps = [
        json.loads(archive.read(name)).get("metadata", {}).get("timestamp", "")[:10]
        for name in sorted(archive.namelist())
        if name.endswith(".cyclonedx.json")
    ]
    dates = [stamp for stamp in stamps if re.fullmatch(r"\d{4}-\d\d-\d\d", stamp)]
    return max(dates, default=None)


def read(wheel):
    """Returns version, date (or None) and table of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        version = re.match(r"litellm-([^-]+)-", pathlib.Path(wheel).name).group(1)
        table = json.loads(archive.read(f"litellm/{TABLE}"), parse_float=decimal.Decimal)
        return version, date_of(archive), table


def pico(value, where, report):
    """Returns a price in whole pico-dollars, rounded up if it has a finer part."""
    exact = decimal.Decimal(value) * PICO
    whole = int(exact.to_integral_value(rounding=decimal.ROUND_CEILING))
    if whole < 0:
        sys.exit(f"prices: {where} is negative")
    if whole != exact:
        report.add("rounded up", f"{where}: {exact} -> {whole}")
    return whole


def rates(facts, middle, name, report):
    """Returns the prices whose keys end in `middle`: a tier, a service tier, both or nothing."""
    found = {}
    for key, stem in RATES.items():
        value = facts.get(stem + middle)
        if value is not None:
            found[key] = pico(value, f"{name} {stem}{middle}", report)
    if found.get("reasoning") == found.get("output"):
        found.pop("reasoning", None)
    if found.get("input"):
        for key in [key for key in found if key.startswith("cache_write") and found[key] == 0]:
            report.add("zero cache write left out", f"{name}{middle}")
            del found[key]
    return found


def tiers(provider, facts, suffix, name, report):
    """Returns the prices of long prompts, by threshold; they hold for every token of the request."""
    pattern = re.compile(rf"input_cost_per_token_above_((\d+)(k?)_tokens){suffix}")
    found = []
    for match in filter(None, map(pattern.fullmatch, facts)):
        above = int(match.group(2)) * (1000 if match.group(3) else 1)
        row = rates(facts, f"_above_{match.group(1)}{suffix}", name, report)
        if row.get("input"):
            found.append({"above": above - (1 if provider in INCLUSIVE else 0), **row})
    return sorted(found, key=lambda row: row["above"])


def search(facts, name, report):
    """Returns the price of a web search call with medium context, or nothing."""
    sizes = facts.get("search_context_cost_per_query") or {}
    value = sizes.get("search_context_size_medium")
    if value is None and sizes:
        report.add("search without a medium size", name)
    return {"search": pico(value, f"{name} search", report)} if value else {}


def row_of(provider, model, facts, name, report):
    """Returns the row of a model."""
    row = {"provider": provider, "model": model, **rates(facts, "", name, report), **search(facts, name, report)}
    row.setdefault("output", 0)
    if long := tiers(provider, facts, "", name, report):
        row["tiers"] = long
    for key, suffix in SERVICE_TIERS.items():
        part = rates(facts, suffix, name, report)
        if not part:
            continue
        if "input" not in part:
            report.add("service tier without input price left out", f"{name} {key}")
            continue
        if long := tiers(provider, facts, suffix, name, report):
            part["tiers"] = long
        row[key] = part
    limit = facts.get("max_output_tokens")
    if isinstance(limit, int) and limit > 0 and facts["mode"] != "embedding":
        row["max_output"] = limit
    return row


def is_free(provider, model):
    return any(provider == free and pattern.search(model) for free, pattern in FREE)


def rows_of(table, report):
    """Returns the rows of a table, by provider and model."""
    rows, names = {}, {}
    for name, facts in sorted(table.items(), key=lambda item: ("/" not in item[0], item[0])):
        target = table.get(facts.get("alias_of")) or {}
        if target.get("litellm_provider") in PROVIDERS:
            report.add("alias left out", f"{name} -> {facts['alias_of']}")
        provider = PROVIDERS.get(facts.get("litellm_provider"))
        if provider is None or facts.get("mode") not in MODES or name.startswith("ft:"):
            continue
        model = name.removeprefix(f"{facts['litellm_provider']}/")
        if "/" in model and provider not in SLASHED:
            report.add("name with a slash left out", name)
            continue
        if facts.get("input_cost_per_token") is None:
            report.add("no input price", name)
            continue
        costs = facts["input_cost_per_token"] or facts.get("output_cost_per_token")
        if not costs and not is_free(provider, model):
            report.add("zero price left out", name)
            continue
        row = row_of(provider, model, facts, name, report)
        if not (kept := rows.get((provider, model))):
            rows[provider, model], names[provider, model] = row, name
        elif kept != row:
            keys = sorted(key for key in kept.keys() | row.keys() if kept.get(key) != row.get(key))
            report.add("contradiction", f"kept {names[provider, model]}, not {name}: {', '.join(keys)}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--version", help="version to download (default: the newest)")
    parser.add_argument("--wheel", help="wheel to read instead")
    parser.add_argument("--fill-version", default=FILL_VERSION, help="version for missing providers (%(default)s)")
    parser.add_argument("--fill-wheel", help="wheel to read for missing providers instead")
    parser.add_argument("--as-of", help="date, if the wheel does not say")
    arguments = parser.parse_args()

    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        version, date, table = read(arguments.wheel or wheel_of(arguments.version, folder))
    date = arguments.as_of or date or sys.exit("prices: the wheel has no date: say --as-of")
    rows = rows_of(table, report)
    source = f"litellm {version}, {TABLE} (MIT)"

    missing = set(PROVIDERS.values()) - {provider for provider, _ in rows}
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            version, fill_date, table = read(arguments.fill_wheel or wheel_of(arguments.fill_version, folder))
        theirs = {theirs for theirs, provider in PROVIDERS.items() if provider in missing}
        wanted = {name: facts for name, facts in table.items() if facts.get("litellm_provider") in theirs}
        rows.update(rows_of(wanted, report))
        source += f"; {', '.join(sorted(missing))}: litellm {version}" + (f" of {fill_date}" if fill_date else "")

    head = {"schema": "claw.prices.v1", "as_of": date, "source": source, "unit": "pico-dollars a token"}
    lines = [json.dumps(row, separators=(",", ":"), ensure_ascii=False) for _, row in sorted(rows.items())]
    text = json.dumps(head, separators=(",", ":"))[:-1] + ',"models":[\n' + ",\n".join(lines) + "\n]}\n"
    arguments.out.write_text(text, encoding="utf-8")

    for provider in sorted(set(PROVIDERS.values())):
        report.add("rows", f"{provider}: {sum(1 for name, _ in rows if name == provider)}")
    report.show()


if __name__ == "__main__":
    main()
