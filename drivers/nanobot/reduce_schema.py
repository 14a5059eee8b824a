#!/usr/bin/env python3
"""Write the schema of nanobot's configuration, as its own models say it, to standard output.

usage: PYTHON reduce_schema.py > schema.json      (PYTHON is one that has nanobot; deterministic, minified)

Kept: type, const, enum, properties, additionalProperties, items, anyOf, bounds of numbers, $ref. A key that no model has is none:
nanobot itself drops such keys in silence. The channels, which nanobot reads apart, are put where they belong.
"""
import importlib, json, pathlib, sys

import nanobot.channels
from nanobot.config.loader import load_config
from nanobot.config_base import Base

PLAIN = ("type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def reduce(node):
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    if len(node.get("allOf", ())) == 1:
        return reduce(node["allOf"][0])
    out = {key: node[key] for key in PLAIN if key in node}
    if "anyOf" in node:
        out["anyOf"] = [reduce(each) for each in node["anyOf"]]
    if "items" in node:
        out["items"] = reduce(node["items"])
    if "properties" in node:
        out["properties"] = {key: reduce(each) for key, each in node["properties"].items()}
        out["additionalProperties"] = False
    elif isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = reduce(node["additionalProperties"])
    return out


def channels(defs):
    for folder in sorted(pathlib.Path(nanobot.channels.__file__).parent.iterdir()):
        if not (folder / "runtime.py").is_file():
            continue
        for part in ("config", "runtime"):
            if not (folder / f"{part}.py").is_file():
                continue
            module = importlib.import_module(f"nanobot.channels.{folder.name}.{part}")
            kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Base) and kind.__module__ == module.__name__]
            kinds = [kind for kind in kinds if kind.__name__.lower() == f"{folder.name}config"]
            if kinds:
                schema = kinds[0].model_json_schema(by_alias=True)
                defs.update(schema.pop("$defs", {}))
                yield folder.name, schema
                break


def main():
    whole = type(load_config(pathlib.Path("/nowhere.json"))).model_json_schema(by_alias=True)
    defs = whole.pop("$defs")
    for name, schema in channels(defs):
        defs["ChannelsConfig"]["properties"][name] = schema
    out = reduce(whole)
    out["$defs"] = {name: reduce(each) for name, each in defs.items()}
    # Any name may be that of a provider.
    out["$defs"]["ProvidersConfig"]["additionalProperties"] = {"$ref": "#/$defs/ProviderConfig"}
    json.dump(out, sys.stdout, sort_keys=True, separators=(",", ":"))
    print()


main()
