#!/usr/bin/env python3
"""Write the packages of nanobot's image with their versions and the hashes of their wheels into the Dockerfile beside it.

usage: lock.py [PYTHON ...]     (each a python 3.11 or newer with pip; asks the package index; the first decides the versions)

The lines between `# packages` and `# end` are replaced. A package has the hashes of the wheels that pip takes on x86-64 for each
PYTHON, and on arm64 for python 3.13, which is that of the image.
"""
import json, pathlib, subprocess, sys, tempfile

WANTED = """nanobot-ai==0.3.5
discord.py>=2.5.2,<3.0.0
python-telegram-bot[socks,webhooks]>=22.6,<23.0
socksio>=1.0.0,<2.0.0
python-socks[asyncio]>=2.8.0,<3.0.0
aiohttp>=3.9.0,<4.0.0
slack-sdk>=3.39.0,<4.0.0
slackify-markdown>=0.2.0,<1.0.0
matrix-nio>=0.25.2
mistune>=3.0.0,<4.0.0
nh3>=0.2.17,<1.0.0
lark-oapi>=1.5.0,<2.0.0
dingtalk-stream>=0.24.0,<1.0.0
qq-botpy>=1.2.0,<2.0.0
wecom-aibot-sdk-python>=0.1.7,<0.2.0
neonize>=0.4.3.post0,<0.5.0
segno>=1.6.1,<2.0.0
"""
ARM = ["--only-binary=:all:", "--python-version=3.13"] + ["--platform=manylinux%s_aarch64" % v for v in ("2014", "_2_17", "_2_28", "_2_31", "_2_34")]


def asked(python, wanted, pins, more=()):
    """Return the packages that pip would install: name -> (version, sha256)."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "wanted").write_text(wanted)
        pathlib.Path(folder, "pins").write_text(pins)
        target = ["--target", folder + "/x"] if more else []
        command = [python, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--report", folder + "/report"]
        command += [*target, *more, "-r", folder + "/wanted", "-c", folder + "/pins"]
        subprocess.run(command, check=True)
        report = json.loads(pathlib.Path(folder, "report").read_text())
    found = {}
    for each in report["install"]:
        assert each["download_info"]["url"].endswith(".whl"), each["download_info"]["url"]
        name = each["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
        found[name] = (each["metadata"]["version"], each["download_info"]["archive_info"]["hashes"]["sha256"])
    return found


def version_of(python):
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def main():
    pythons = sys.argv[1:] or [sys.executable]
    first = asked(pythons[0], WANTED, "")
    pins = "".join("%s==%s\n" % (name, version) for name, (version, _) in sorted(first.items()))
    runs = [(version_of(pythons[0]), first)]
    runs += [(version_of(python), asked(python, WANTED, pins)) for python in pythons[1:]]
    runs += [("3.13", asked(pythons[0], WANTED, pins, ARM))]
    hashes, versions, where = {}, {}, {}
    for python, run in runs:
        for name, (version, sha) in run.items():
            assert versions.setdefault(name, version) == version, name
            hashes.setdefault(name, set()).add(sha)
            where.setdefault(name, set()).add(python)
    everywhere = {python for python, _ in runs}

    def line(name):
        some = "" if where[name] == everywhere else ' ; python_version in "%s"' % " ".join(sorted(where[name]))
        return " '%s==%s%s %s' \\\n" % (name, versions[name], some, " ".join("--hash=sha256:" + sha for sha in sorted(hashes[name])))

    lines = [line(name) for name in sorted(hashes)]
    file = pathlib.Path(__file__).with_name("Dockerfile")
    text = file.read_text()
    head, rest = text.split("# packages\n", 1)
    _, tail = rest.split("# end\n", 1)
    file.write_text(head + "# packages\nRUN printf '%s\\n' \\\n" + "".join(lines) + " > /opt/packages.txt\n# end\n" + tail)


main()
