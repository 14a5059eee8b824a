#!/bin/sh
# Install the real hermes below DIR, for tests: the packages of drivers/hermes/Dockerfile by their hashes, into a venv.
# usage: sh hermes.sh DIR         then: DIR/venv/bin/hermes, DIR/venv/bin/python
# Nothing outside DIR is written. Needs python 3.11 to 3.13 with venv: PYTHON names one, where python3 is another.
set -eu

[ $# -eq 1 ] || { echo "usage: sh hermes.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
if command -v flock >/dev/null; then exec 9>"$DIR/.lock"; flock 9; fi

sed -n "s/^  '\([a-zA-Z0-9._-]*==.*--hash=.*\)' \\\\\$/\1/p" "$here/../drivers/hermes/Dockerfile" >"$DIR/hermes.lock"
[ -s "$DIR/hermes.lock" ] || { echo "hermes.sh: no packages in drivers/hermes/Dockerfile" >&2; exit 1; }
cmp -s "$DIR/hermes.lock" "$DIR/hermes.done" && exit 0

rm -rf "$DIR/venv" "$DIR/hermes.done"
"${PYTHON:-python3}" -m venv "$DIR/venv"
log=$DIR/install.log
if ! PIP_DISABLE_PIP_VERSION_CHECK=1 "$DIR/venv/bin/pip" install --no-deps --require-hashes --only-binary :all: \
  -r "$DIR/hermes.lock" >"$log" 2>&1 || ! "$DIR/venv/bin/pip" check >>"$log" 2>&1; then
  tail -n 20 "$log" >&2; exit 1
fi
mv "$DIR/hermes.lock" "$DIR/hermes.done"
