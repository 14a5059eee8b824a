#!/bin/sh
# Unpacks a docker compose of Debian's into a folder, to compare with: `peers.sh FOLDER 2.40` or `peers.sh FOLDER 2.26`. Nothing
# is installed; the host's own package lists stay as they are. Prints the path of the program.
set -eu
folder=${1:?usage: peers.sh FOLDER 2.40|2.26}
release=${2:?usage: peers.sh FOLDER 2.40|2.26}
say() { printf '%s\n' "peers: $*: no docker compose $release to compare with" >&2; exit 1; }
case "$release" in
2.40) suite=sid ;;
2.26) suite=trixie ;;
*) say "no suite is known" ;;
esac
mkdir -p "$folder/$release"
folder=$(cd "$folder/$release" && pwd)
program="$folder/usr/libexec/docker/cli-plugins/docker-compose"
if [ -x "$program" ]; then echo "$program"; exit 0; fi
command -v apt-get >/dev/null 2>&1 || say "no apt-get"

mirror=$(grep -hE '^(URIs:|deb )' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
    grep -oE 'https?://[^ ]+' | head -n 1 || true)
[ -n "$mirror" ] || say "no Debian mirror is configured"
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/parts"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$own/sources"
private() {
    apt-get -qq -o "Dir::Etc::sourcelist=$own/sources" -o "Dir::Etc::sourceparts=$own/parts" -o "Dir::State::lists=$own/lists" \
        -o "Dir::Cache=$own/cache" -o APT::Sandbox::User=root "$@"
}
private update >&2
(cd "$own" && private download docker-compose >&2)
dpkg -x "$own"/docker-compose_*.deb "$own/unpacked"
found=$("$own/unpacked/usr/libexec/docker/cli-plugins/docker-compose" version --short)
case "$found" in
"$release".*) ;;
*) say "$suite has $found" ;;
esac
cp -R "$own/unpacked/." "$folder"
echo "$program"
