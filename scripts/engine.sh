#!/bin/sh
# Makes sure a Docker engine answers: `engine.sh ensure`; `engine.sh tools` adds what the tests need. Installs Debian's or Ubuntu's docker.io where there is none and we
# may, and starts it where no init system does.
set -eu

say() { printf '%s\n' "engine: $*" >&2; }
answers() { docker version --format '{{.Server.Version}}' 2>/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else say "this needs root or sudo: $*"; exit 1
    fi
}

# The tests need a small image without a registry, which they make from a static busybox, and a registry to pull from.
tools() {
    command -v podman >/dev/null 2>&1 || optional
    command -v chromium >/dev/null 2>&1 || browser
    for each in /bin/busybox docker-registry ip openssl; do command -v "$each" >/dev/null 2>&1 || { missing; return; }; done
}

# What no test can do without.
missing() {
    command -v apt-get >/dev/null 2>&1 || { say "no apt-get: the tests need a static /bin/busybox, docker-registry, ip and openssl"; exit 1; }
    say "installing busybox-static, docker-registry, iproute2 and openssl for the tests"
    as_root apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends busybox-static docker-registry iproute2 openssl >/dev/null
}

# Podman's service of Docker's API is another engine to test with; where it cannot be had, its test says so.
optional() {
    command -v apt-get >/dev/null 2>&1 || return 0
    say "installing podman for the tests"
    as_root apt-get update -q >/dev/null || return 0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends podman catatonit >/dev/null || true
}

# The proxy's page is looked at in a real browser; where it cannot be had, its test says so.
browser() {
    command -v apt-get >/dev/null 2>&1 || return 0
    say "installing chromium for the tests"
    as_root apt-get update -q >/dev/null || return 0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium >/dev/null || true
}

install() {
    command -v dockerd >/dev/null 2>&1 && return
    command -v apt-get >/dev/null 2>&1 || { say "no engine and no apt-get: install Docker Engine 20.10 or later"; exit 1; }
    say "installing docker.io from the distribution's packages"
    as_root apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends docker.io iptables >/dev/null
}

start() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
        return
    fi
    # What an engine that was killed left behind may name a process that is another one by now.
    pid=$(cat /var/run/docker.pid 2>/dev/null || true)
    if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null || true)" != dockerd ]; then
        as_root rm -f /var/run/docker.pid
    fi
    say "starting dockerd in the background (log: /var/log/dockerd.log)"
    as_root sh -c 'setsid nohup dockerd >/var/log/dockerd.log 2>&1 </dev/null &'
}

runs() {
    for process in /proc/[0-9]*/comm; do
        [ "$(cat "$process" 2>/dev/null || true)" != dockerd ] || return 0
    done
    return 1
}

ensure() {
    if version=$(answers); then say "Docker Engine $version answers"; return; fi
    if [ -n "${DOCKER_HOST:-}" ]; then say "no engine answers at DOCKER_HOST=$DOCKER_HOST"; exit 1; fi
    install
    start
    tries=0
    until version=$(answers); do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ]; then
            say "dockerd did not answer within 60 s; the end of its log:"
            tail -n 20 /var/log/dockerd.log >&2 || true
            exit 1
        fi
        sleep 1
        # One that was going down when it was asked has gone by now.
        runs || start
    done
    say "Docker Engine $version answers"
}

case "${1:-}" in
    ensure) ensure ;;
    tools) ensure; tools ;;
    *) say "usage: engine.sh ensure|tools"; exit 2 ;;
esac
