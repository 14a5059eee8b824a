#!/bin/sh
# Make a local stand-in for rust:1.97-slim-trixie where no image registry can be reached. It is not the real image: the compiler in it
# is the newest one that rustup has on this host, be it a nightly one.
# usage: sh rust-image.sh [TAG]        (root; needs docker, rustup, debian:trixie-slim and the Debian registry)
set -eu
TAG=${1:-rust:1.97-slim-trixie}
LEAST=96
BASE=debian:trixie-slim

if docker image inspect "$TAG" >/dev/null 2>&1; then
  echo "$TAG is there already"; exit 0
fi
docker image inspect "$BASE" >/dev/null 2>&1 || sh "$(dirname "$0")/debian-image.sh" "$BASE"

best=$((LEAST - 1)) chosen=
for name in $(rustup toolchain list | cut -d ' ' -f 1); do
  minor=$(rustup run "$name" rustc -V 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
  [ "${minor:-0}" -gt "$best" ] || continue
  best=$minor chosen=$name
done
[ -n "$chosen" ] || { echo "no toolchain of rustup is 1.$LEAST or newer: \`rustup toolchain install stable\`" >&2; exit 1; }
from=$(rustup run "$chosen" rustc --print sysroot)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cat >"$work/Dockerfile" <<END
FROM $BASE
RUN apt-get update -q \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ca-certificates gcc libc6-dev pkg-config \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY bin /usr/local/bin
COPY lib /usr/local/lib
RUN ldconfig && rustc -V && cargo -V
END
# What compiles and links, and no documents, debuggers or lints.
tar -C "$work" -c Dockerfile -C "$from" bin/rustc bin/cargo lib | docker build -q --network "${CLAW_BUILD_NETWORK:-default}" -t "$TAG" - >/dev/null 2>"$work/log" ||
  { cat "$work/log" >&2; exit 1; }
docker image inspect -f "{{.Id}} {{.Size}} $chosen" "$TAG"
