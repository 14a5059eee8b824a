#!/bin/sh
# What other linters say of the compose files claw writes: `lint-peers.sh FOLDER` installs compose-lint and dclint into the folder,
# lints what each example compiles to, prints the findings of all severities by rule, and fails where there is one. Nothing else is installed or
# changed.
set -eu
folder=${1:?usage: lint-peers.sh FOLDER}
compose_lint=0.36.2
dclint=3.1.0
# Where they cannot be had, nothing is said of the files.
say() { printf '%s\n' "lint-peers: skipped: $*" >&2; exit 0; }
command -v python3 >/dev/null 2>&1 || say "no python3"
command -v npm >/dev/null 2>&1 || say "no npm"
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

own="$folder/compose-lint-$compose_lint"
[ -x "$own/bin/compose-lint" ] || {
    rm -rf "$own"
    python3 -m venv "$own" && "$own/bin/pip" -q install "compose-lint==$compose_lint" >&2 || say "no compose-lint $compose_lint"
}
other="$folder/dclint-$dclint"
[ -x "$other/node_modules/.bin/dclint" ] || {
    npm install --silent --no-fund --no-audit --prefix "$other" "dclint@$dclint" >&2 || say "no dclint $dclint"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for example in "$root"/examples/*/; do
    name=$(basename "$example")
    mkdir "$work/$name"
    # The golden is what the example compiles to, byte for byte.
    cp "$example/expected/compose.yml" "$work/$name/compose.generated.yml"
done
cd "$work"
# The writer's quotes are double. An image that is built here has docker compose's name for it, without a tag; one that was packed or built here has no digest anywhere.
printf '%s\n' '{"rules": {"require-quotes-in-ports": [1, {"quoteType": "double"}]}}' >.dclintrc
# Both end with 1 where they find something.
"$own/bin/compose-lint" check --no-env --format json --fail-on low ./*/compose.generated.yml >compose-lint.json || [ $? = 1 ]
"$other/node_modules/.bin/dclint" --formatter json ./*/compose.generated.yml >dclint.json || [ $? = 1 ]
python3 - <<'END'
import json

found = {}
for each in json.load(open("compose-lint.json"))["findings"]:
    key = ("compose-lint", each["rule_id"], each["severity"])
    text = f"{each.get('service') or '-'}: {each['message']}"
    found.setdefault(key, []).append((each["file"], each["line"], text))
for file in json.load(open("dclint.json")):
    for each in file["messages"]:
        key = ("dclint", each["rule"], f"{each['type']}, {each['severity']}")
        found.setdefault(key, []).append((file["filePath"], each["line"], each["message"]))
# An image that is built or packed on this host has docker compose's own name for it, and no registry gives it a digest.
local = {"CL-0004", "CL-0019", "service-image-require-explicit-tag"}
left = {key: findings for key, findings in found.items() if key[1] not in local}
for (tool, rule, severity), findings in sorted(left.items()):
    print(f"{tool} {rule} ({severity}): {len(findings)}")
    for path, line, text in findings[:5]:
        name = path.removeprefix("./").split("/")[0]
        print(f"  {name}:{line}: {text if len(text) < 140 else text[:139] + '…'}")
    if len(findings) > 5:
        print(f"  … and {len(findings) - 5} more")
passed = sum(len(findings) for key, findings in found.items() if key[1] in local)
print(f"{sum(map(len, left.values()))} findings of {len(left)} rules; {passed} more are about images that are made on this host")
raise SystemExit(1 if left else 0)
END
