#!/usr/bin/env python3
"""Reduce the output of `openclaw config schema` to what is needed to check settings.

usage: reduce_schema.py FULL.json > schema.json      (deterministic; output is minified)

Kept: type, const, enum, properties, patternProperties, additionalProperties, items, propertyNames,
anyOf/oneOf/allOf/not, minimum/maximum, exclusiveMinimum/Maximum, and `pattern` where it needs no look-around or back-reference. `oneOf` becomes `anyOf` (a value that fits two
branches is not an error for our purpose). `required` is dropped because the full schema also marks
defaulted fields as required, and so is everything that only documents.
Equal sub-schemas are written once below $defs and referred to by $ref where that makes the text shorter.
"""
import json, re, sys

MAPS = ("properties", "patternProperties")
ONE = ("additionalProperties", "items", "propertyNames", "not", "additionalItems")
MANY = ("anyOf", "allOf")
PLAIN = ("type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# Integer bounds that only say "fits a double".
NOISE = {9007199254740991, -9007199254740991}


def simple(pattern):
    """A pattern every regex engine reads alike: no look-around, no back-reference, no unicode class."""
    return not re.search(r"\(\?[=!<]|\\[1-9pP]|\\u", pattern) and len(pattern) <= 120


def resolve(ref, root):
    node = root
    for part in ref.lstrip("#").strip("/").split("/"):
        if part:
            node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def reduce(s, root, seen=()):
    if isinstance(s, bool):
        return True if s else False
    if "$schema" in s or "$defs" in s:
        root = s  # an embedded document: its references are its own
    if "$ref" in s:
        if s["$ref"] in seen or len(seen) > 6:
            return True  # recursive: stop checking here
        try:
            return reduce(resolve(s["$ref"], root), root, seen + (s["$ref"],))
        except (KeyError, TypeError):
            return True
    out = {}
    for k in PLAIN:
        if k in s and s[k] not in (None,) and not (isinstance(s[k], (int, float)) and s[k] in NOISE):
            out[k] = s[k]
    if "pattern" in s and simple(s["pattern"]):
        out["pattern"] = s["pattern"]
    for k in MAPS:
        if k in s:
            out[k] = {n: reduce(v, root, seen) for n, v in s[k].items()}
    for k in ONE:
        if k in s:
            v = s[k]
            if isinstance(v, list):  # draft-07 tuple
                out[k] = [reduce(x, root, seen) for x in v]
            else:
                r = reduce(v, root, seen)
                if k == "propertyNames" and r in ({"type": "string"}, {}, True):
                    continue
                if r is True or r == {}:
                    continue  # allows everything, which is the default
                out[k] = r
    for k, to in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if k in s:
            branches = []
            for x in s[k]:
                r = reduce(x, root, seen)
                # a branch that only said `required` says nothing any more
                if to == "anyOf" or r not in (True, {}):
                    if r not in branches:
                        branches.append(r)
            if to == "anyOf":
                branches = merge_consts(branches)
                if any(b is True or b == {} for b in branches):
                    continue
                if len(branches) == 1 and to not in out:
                    for kk, vv in branches[0].items():
                        out.setdefault(kk, vv)
                    continue
            if branches:
                out[to] = out.get(to, []) + branches if to in out else branches
    if "enum" in out or "const" in out:
        out.pop("type", None)
    return out if out else True


def merge_consts(branches):
    """[{const:a},{const:b},X] -> [{enum:[a,b]},X]"""
    consts = [b["const"] for b in branches if isinstance(b, dict) and set(b) == {"const"}]
    if len(consts) < 2:
        return branches
    rest = [b for b in branches if not (isinstance(b, dict) and set(b) == {"const"})]
    return [{"enum": consts}] + rest


def text(x):
    return json.dumps(x, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def dedupe(tree):
    """Replace equal sub-schemas by references, largest first."""
    count, order = {}, {}

    def visit(s):
        if not isinstance(s, dict):
            return
        t = text(s)
        count[t] = count.get(t, 0) + 1
        if count[t] > 1:
            return  # its parts are counted once
        order[t] = s
        for child in children(s):
            visit(child)

    visit(tree)
    # A reference costs about 18 bytes, a definition its text plus about 8.
    worth = [t for t, n in count.items() if n > 1 and (n - 1) * len(t) > n * 18 + 8]
    names = {t: "d%d" % i for i, t in enumerate(sorted(worth, key=lambda t: (-len(t), t)))}

    def put(s, top=False):
        if not isinstance(s, dict):
            return s
        t = text(s)
        if not top and t in names:
            return {"$ref": "#/$defs/" + names[t]}
        out = {}
        for k, v in s.items():
            if k in MAPS:
                out[k] = {n: put(x) for n, x in v.items()}
            elif k in ONE:
                out[k] = [put(x) for x in v] if isinstance(v, list) else put(v)
            elif k in MANY:
                out[k] = [put(x) for x in v]
            else:
                out[k] = v
        return out

    result = put(tree, True)
    result["$defs"] = {n: put(order[t], True) for t, n in names.items()}
    return result


def children(s):
    for k, v in s.items():
        if k in MAPS:
            yield from v.values()
        elif k in ONE:
            yield from v if isinstance(v, list) else (v,)
        elif k in MANY:
            yield from v


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        full = json.load(f)
    # Known plugins' own settings are a third of the text; the entry of an unlisted plugin (enabled, hooks, config: any
    # object) fits them all, and a mistake inside `config` is left to the runtime.
    full["properties"]["plugins"]["properties"]["entries"].pop("properties", None)
    tree = reduce(full, full)
    out = {"$schema": "http://json-schema.org/draft-07/schema#"}
    out.update(dedupe(tree))
    sys.stdout.write(text(out) + "\n")


main()
