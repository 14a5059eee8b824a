#!/bin/sh
# Make a local image equivalent to debian:trixie-slim where no image registry can be reached.
# usage: sh debian-image.sh [TAG]        (root; needs docker, debootstrap and the Debian registry)
set -eu
TAG=${1:-debian:trixie-slim}
SUITE=trixie
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if docker image inspect "$TAG" >/dev/null 2>&1; then
  echo "$TAG is there already"; exit 0
fi
command -v debootstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq debootstrap; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
root=$work/root

# An older debootstrap has no script of this name, but one that does for every suite since.
script=/usr/share/debootstrap/scripts/$SUITE
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
debootstrap --variant=minbase --include=ca-certificates "$SUITE" "$root" "$MIRROR" "$script" >"$work/debootstrap.log" 2>&1 ||
  { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }

# Builds behind a TLS-inspecting proxy need the host's certificate authorities; python's pip has its own list unless told.
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -s "$bundle" ]; then
  cp "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
fi
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"

# What the real image has, too: no documents, no locales; apt of a build leaves nothing of the kind behind.
printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-exclude /usr/share/man/*' 'path-exclude /usr/share/locale/*' \
  'path-exclude /usr/share/info/*' >"$root/etc/dpkg/dpkg.cfg.d/docker"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/* "$root"/var/log/*.log \
  "$root"/var/log/apt "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/usr/share/info/*

tar -C "$root" --numeric-owner -c . | docker import \
  -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  -c 'CMD ["bash"]' - "$TAG" >/dev/null
docker image inspect -f '{{.Id}} {{.Size}}' "$TAG"
