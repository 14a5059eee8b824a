#!/usr/bin/env python3
"""Measures claw against a peer in the same run: `bench.py CLAW [DOCKER_COMPOSE]`.

Every figure is the median of several cold processes: wall seconds, CPU seconds (user and system), most memory in MiB.
Ratios are against the peer named beside them. Nothing is asserted: read the figures, and the targets beside them.
"""

import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 7


def once(command, folder, may_fail=False):
    """One process: wall seconds, CPU seconds, most memory in MiB."""
    with open(os.devnull, "wb") as nowhere:
        began = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 and may_fail:
        print(f"failed: {' '.join(command[1:])}")
    elif child.returncode != 0:
        text = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        sys.exit(f"bench: {command} failed: {text.stdout}{text.stderr}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measured(command, folder, before=None):
    rows = []
    for _ in range(RUNS):
        if before:
            before()
        rows.append(once(command, folder))
    return [statistics.median(column) for column in zip(*rows)]


def say(name, figures, note=""):
    wall, cpu, memory = figures
    print(f"{name:<46} {wall * 1000:9.1f} ms {cpu * 1000:9.1f} ms CPU {memory:7.1f} MiB  {note}", flush=True)


def agents(count):
    """A pod of agents that need no engine to be compiled."""
    rows = ["x-claw: {pod: bench, providers: {demo: {base_url: 'http://provider:8701/v1'}}}", "services:"]
    for index in range(count):
        rows.append(
            f"  agent-{index}: {{image: claw/infra, x-claw: {{type: reference, agent: AGENTS.md, "
            f"models: {{primary: demo/echo}}, surfaces: ['volume://shared ro', 'service://provider']}}}}"
        )
    rows.append("  provider: {image: claw/infra, command: [reference, provider], expose: ['8701']}")
    return "\n".join(rows) + "\n"


def handles(count):
    """Agents that all know each other: each letter and each environment names every account."""
    guild = "handles-defaults: {discord: {guilds: [{id: '900', channels: [{id: '901', name: floor}]}]}}"
    rows = [f"x-claw: {{pod: bench, providers: {{demo: {{base_url: 'http://provider:8701/v1'}}}}, {guild}}}", "services:"]
    for index in range(count):
        rows.append(
            f"  agent-{index}: {{image: claw/infra, x-claw: {{type: reference, agent: AGENTS.md, models: {{primary: demo/echo}}, "
            f"handles: {{discord: {{id: '{100000 + index}', username: agent{index}}}}}, "
            f"surfaces: ['volume://shared ro', 'service://provider', 'channel://discord']}}}}"
        )
    rows.append("  provider: {image: claw/infra, command: [reference, provider], expose: ['8701']}")
    return "\n".join(rows) + "\n"


def services(count):
    rows = ["name: bench", "services:"]
    for index in range(count):
        rows.append(
            f"  s{index}:\n    image: busybox\n    command: [sleep, '1000']\n    environment: {{A: b, I: '{index}'}}\n"
            f"    ports: ['127.0.0.1:{10000 + index}:80']\n    restart: on-failure\n"
        )
    return "\n".join(rows)


def hardened(count):
    """Services as claw writes them: one block for all of them, merged into each."""
    rows = [
        "name: bench", "x-hard: &hard", "  cap_drop: [ALL]", "  security_opt: ['no-new-privileges:true']", "  read_only: true", "  init: true",
        "  pids_limit: 512", "  mem_limit: 256m", "  cpus: 0.5", "  restart: on-failure:5", "  stop_grace_period: 15s",
        "  tmpfs: ['/tmp:rw,noexec,nosuid,nodev,size=16m']", "  logging: {driver: json-file, options: {max-size: 10m, max-file: '3'}}",
        "  healthcheck: {test: [CMD, 'true'], interval: 30s, timeout: 3s, retries: 3}", "services:",
    ]
    for index in range(count):
        rows.append(
            f"  s{index:04}:\n    <<: *hard\n    image: busybox\n    command: [sleep, '1000']\n"
            f"    environment: {{AGENT: 'a{index}', MODEL: '${{MODEL:-m}}', LEVEL: '${{LEVEL:-info}}'}}\n"
            f"    labels: {{own.agent: 'a{index}', own.hash: '{index:064}'}}\n    networks: [inner, egress]\n    secrets: [token]\n    volumes: ['data:/data']"
        )
    return "\n".join(rows + ["networks: {inner: {internal: true}, egress: }", "volumes: {data: }", "secrets: {token: {file: ./token}}"]) + "\n"


class Engine(http.client.HTTPConnection):
    """The engine's own time: the same calls without claw, over one connection."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect("/var/run/docker.sock")

    def get(self, path):
        self.request("GET", path, headers={"Host": "docker"})
        return json.loads(self.getresponse().read())


def engine_calls(project, image):
    """Returns the seconds that the calls of a no-op `up` take: what is there is listed, and each of it looked at once."""
    began = time.perf_counter()
    engine = Engine("docker")
    engine.get("/version")
    label = "%7B%22label%22%3A%5B%22com.docker.compose.project%3D" + project + "%22%5D%7D"
    engine.get(f"/v1.41/networks?filters={label}")
    engine.get(f"/v1.41/volumes?filters={label}")
    engine.get(f"/v1.41/images/{image}/json")
    for container in engine.get(f"/v1.41/containers/json?all=true&filters={label}"):
        engine.get(f"/v1.41/containers/{container['Id']}/json")
    return time.perf_counter() - began


def plain_files(folder, count):
    """Seconds that the host alone takes for the files of so many agents: a directory each, four files in it."""
    began = time.perf_counter()
    for index in range(count):
        place = f"{folder}/plain/agent-{index}/digest/claw"
        os.makedirs(place)
        for name in range(4):
            with open(f"{place}/{name}", "wb") as file:
                file.write(b"x" * 600)
                os.fchmod(file.fileno(), 0o444)
    took = time.perf_counter() - began
    shutil.rmtree(f"{folder}/plain")
    return took


def pure(claw, peer, folder):
    true = measured(["/bin/true"], folder)
    version = measured([claw, "version"], folder)
    say("/bin/true", true, "less memory than this is not seen: it is the measuring program's own")
    say("claw version", version, f"+{(version[0] - true[0]) * 1000:.1f} ms over /bin/true; target +4")
    with open(f"{folder}/AGENTS.md", "w") as file:
        file.write("# Agent\n\nDo what you are told.\n")
    times = {}
    for count in (10, 100, 1000):
        with open(f"{folder}/claw-pod.yml", "w") as file:
            file.write(agents(count))
        fresh = lambda: shutil.rmtree(f"{folder}/out", ignore_errors=True)
        figures = measured([claw, "compile", "-o", "out"], folder, fresh)
        times[count] = figures[0]
        note = "target 50 ms" if count == 100 else f"{figures[0] / times[10]:.1f} x the time of 10" if count > 10 else ""
        say(f"claw compile, {count} agents, nothing there", figures, note)
        print(f"{f'the host alone, files of {count} agents':<46} {plain_files(folder, count) * 1000:9.1f} ms")
        say(f"claw compile, {count} agents, again", measured([claw, "compile", "-o", "out"], folder))
        say(f"claw check, {count} agents", measured([claw, "check"], folder))
    with open(f"{folder}/claw-pod.yml", "w") as file:
        file.write(handles(100))
    fresh = lambda: shutil.rmtree(f"{folder}/out", ignore_errors=True)
    first = measured([claw, "compile", "-o", "out"], folder, fresh)
    say("claw compile, 100 agents with handles, nothing there", first, "most of it the host's, for 700 files")
    again = measured([claw, "compile", "-o", "out"], folder)
    say("claw compile, 100 agents with handles, again", again, "target 80 ms")
    say("claw check, 100 agents with handles", measured([claw, "check"], folder))
    os.remove(f"{folder}/claw-pod.yml")
    for name, make, count in (("services", services, 10), ("services", services, 1000), ("hardened services", hardened, 1000)):
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write(make(count))
        arguments = ["config", "--format", "json"]
        own = measured([claw] + arguments, folder)
        say(f"claw config, {count} {name}", own, "target 50 ms, 30 MiB" if count == 1000 else "")
        if peer:
            other = measured([peer] + arguments, folder)
            note = f"claw takes {own[0] / other[0]:.2f} of the time, {own[2] / other[2]:.2f} of the memory"
            say(f"docker compose config, {count} {name}", other, note)
    os.remove(f"{folder}/compose.yaml")


def on_engine(claw, peer, folder):
    project = f"claw-bench-{os.getpid()}"
    box = f"{project}-box"
    os.makedirs(f"{folder}/box")
    shutil.copy("/bin/busybox", f"{folder}/box/busybox")
    with open(f"{folder}/box/Dockerfile", "w") as file:
        file.write('FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "sleep", "100000"]\n')
    subprocess.run([claw, "build", "-t", box, "box"], cwd=folder, check=True, capture_output=True)
    sleepers = [f"  s{index}: {{image: {box}, stop_signal: SIGKILL}}" for index in range(50)]
    check = "healthcheck: {test: [CMD, /bin/busybox, 'true'], interval: 300ms, retries: 30}"
    needs = lambda index: f", depends_on: {{s{index - 1}: {{condition: service_healthy}}}}" if index else ""
    chain = [f"  s{index}: {{image: {box}, stop_signal: SIGKILL, {check}{needs(index)}}}" for index in range(5)]
    # A project of its own for each: an engine that removes many containers may not let go of a network (moby#17217).
    tools = [("claw", claw)] + ([("docker compose", peer)] if peer else [])
    made = []
    try:
        for name, rows in (("10 services", sleepers[:10]), ("50 services", sleepers), ("a chain of 5 healthy services", chain)):
            with open(f"{folder}/compose.yaml", "w") as file:
                file.write("services:\n" + "\n".join(rows) + "\n")
            first = {}
            for tool, program in tools:
                own = f"{project}-{len(rows)}-{tool.split()[0]}"
                run = [program, "-p", own]
                made.append(own)
                figures = [once(run + ["up", "-d"], folder), measured(run + ["up", "-d"], folder)]
                if tool == "claw" and rows == sleepers[:10]:
                    calls = statistics.median(engine_calls(own, box) for _ in range(RUNS))
                    print(f"{'the calls of a no-op up alone':<46} {calls * 1000:9.1f} ms; claw takes {figures[1][0] / calls:.2f} of it, target 1.5")
                figures.append(once(run + ["down", "-v", "-t", "1"] + (["-y"] if tool == "claw" else []), folder, may_fail=True))
                for what, each in zip(("up, nothing there", "up, nothing to do", "down"), figures):
                    peer_note = f"{first[what][0] / each[0]:.2f} is what claw takes of the time" if what in first else ""
                    first.setdefault(what, each)
                    say(f"{tool} {what}, {name}", each, peer_note)
    finally:
        for own in made:
            subprocess.run([claw, "-p", own, "down", "-v", "-y"], cwd=folder, capture_output=True)
        subprocess.run(["docker", "rmi", "-f", box], capture_output=True)


def main():
    claw, peer = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
    print(f"claw: {os.path.getsize(claw) / 1e6:.1f} MB; target 25 MB, static, stripped")
    print(f"peer: {subprocess.run([peer, 'version', '--short'], capture_output=True, text=True).stdout.strip() if peer else 'none'}")
    with tempfile.TemporaryDirectory() as folder:
        pure(claw, peer, folder)
    with tempfile.TemporaryDirectory() as folder:
        on_engine(claw, peer, folder)


main()
