#!/bin/sh
# Unpacks docker compose of Debian sid into a folder, to compare with: `peers.sh FOLDER`. Nothing is installed; the host's own
# package lists stay as they are. Prints the path of the program.
set -eu
folder=${1:?usage: peers.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
program="$folder/usr/libexec/docker/cli-plugins/docker-compose"
if [ -x "$program" ]; then echo "$program"; exit 0; fi
command -v apt-get >/dev/null 2>&1 || { echo "peers: no apt-get: no peer to compare with" >&2; exit 1; }

mirror=$(grep -hE '^(URIs:|deb )' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
    grep -oE 'https?://[^ ]+' | head -n 1 || true)
[ -n "$mirror" ] || { echo "peers: no Debian mirror is configured: no peer to compare with" >&2; exit 1; }
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/parts"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$own/sources"
private() {
    apt-get -qq -o "Dir::Etc::sourcelist=$own/sources" -o "Dir::Etc::sourceparts=$own/parts" -o "Dir::State::lists=$own/lists" \
        -o "Dir::Cache=$own/cache" -o APT::Sandbox::User=root "$@"
}
private update >&2
(cd "$own" && private download docker-compose >&2)
dpkg -x "$own"/docker-compose_*.deb "$folder"
echo "$program"
