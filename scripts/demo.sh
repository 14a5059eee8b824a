#!/bin/sh
# Builds claw and brings the quickstart up: an agent of the runtime `reference` and a scripted model provider, both from
# claw's own executable. Leaves the pod running.
set -eu
cd "$(dirname "$0")/.."

command -v cargo >/dev/null 2>&1 || { echo "demo: this needs Rust's cargo: https://rustup.rs" >&2; exit 1; }
echo "demo: building claw (a first build takes a few minutes)" >&2
cargo build --profile fast --bin claw
claw=$(ls "$PWD"/target/*/fast/claw "$PWD"/target/fast/claw 2>/dev/null | head -n 1)

cd examples/quickstart
show() { printf '\n$ claw %s\n' "$*"; "$claw" "$@"; }
show up -d --wait
show ps
show health
show ask writer "Who are you?"
show ask writer "And what did I ask before?"
printf '\nThe pod runs. Stop it with:\n  cd %s && %s down -v\n' "$PWD" "$claw"
