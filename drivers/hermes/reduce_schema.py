"""Make a small schema of hermes' configuration from the defaults of the package itself.

usage: python3 reduce_schema.py > schema.json      (by a python that has hermes-agent 0.19.0 in it)

Hermes rejects no key, and says of none what it takes: a key is one where `DEFAULT_CONFIG` has it, and takes what its
default is. An empty map takes any keys, null takes anything.
"""

import json

from hermes_cli.config import DEFAULT_CONFIG


def kind(value):
    if isinstance(value, dict):
        if not value:
            return {"type": "object"}
        return {
            "type": "object",
            "properties": {name: kind(below) for name, below in sorted(value.items())},
            "additionalProperties": False,
        }
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, float):
        return {"type": "number"}
    if isinstance(value, str):
        return {"type": "string"}
    if isinstance(value, list):
        return {"type": "array"}
    return {}


made = kind({name: value for name, value in DEFAULT_CONFIG.items() if name not in ("model", "_config_version")})
# `model` is a text or a map; this of it is a matter of taste.
made["properties"]["model"] = kind({"context_length": 1})
print(json.dumps(made, sort_keys=True, separators=(",", ":")))
