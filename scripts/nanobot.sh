#!/bin/sh
# Install the real nanobot with the libraries of its chat channels into a venv below DIR, for tests.
# usage: sh nanobot.sh DIR         then: DIR/bin/nanobot, DIR/bin/python3
# Nothing outside DIR is written. Needs a python of 3.11 to 3.13 with venv; PYTHON names one. Every package is one of the list in
# drivers/nanobot/Dockerfile, by version and hash.
set -eu
[ $# -eq 1 ] || { echo "usage: sh nanobot.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
DIR=$(cd "$1" && pwd)

packages=$(sed -n "/^# packages/,/^# end/s/^ '\(.*\)' .*/\1/p" "$here/../drivers/nanobot/Dockerfile")
[ -n "$packages" ] || { echo "nanobot.sh: the Dockerfile lists no packages" >&2; exit 1; }

# One installer at a time; the lock goes away with its holder.
if command -v flock >/dev/null; then exec 9>"$DIR/.lock"; flock 9; fi
if [ -f "$DIR/nanobot.done" ] && [ "$(cat "$DIR/nanobot.done")" = "$packages" ]; then exit 0; fi

fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}
python=
for each in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
  if fits "$each"; then python=$each; break; fi
done
[ -n "$python" ] || { echo "nanobot.sh: a python of 3.11 to 3.13 with venv is needed" >&2; exit 1; }

rm -rf "$DIR/bin" "$DIR/lib" "$DIR/lib64" "$DIR/include" "$DIR/pyvenv.cfg" "$DIR/nanobot.done"
"$python" -m venv "$DIR"
printf '%s\n' "$packages" >"$DIR/packages.txt"
"$DIR/bin/python3" -m pip install -q --no-cache-dir --disable-pip-version-check --only-binary=:all: --no-deps --require-hashes \
  -r "$DIR/packages.txt" >"$DIR/install.log" 2>&1 || { tail -n 20 "$DIR/install.log" >&2; exit 1; }
printf '%s\n' "$packages" >"$DIR/nanobot.done"
