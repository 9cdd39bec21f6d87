#!/usr/bin/env python3
"""Looks into the image and runs it. scripts/check-image.sh calls it, as root."""

import argparse
import json
import pathlib
import shutil
import stat
import subprocess

import pods
from containers import USER, Container, ok, skipped, wrong


def look_at_image(root, inspected, version):
    config = json.loads(inspected.read_text(encoding="utf-8"))["OCIv1"]["config"]
    if config.get("User") != f"{USER}:{USER}":
        wrong(f"the image's user is {config.get('User')}")
    if config.get("Entrypoint") != ["/usr/local/bin/ledgermq"]:
        wrong(f"the image's entry point is {config.get('Entrypoint')}")
    if config["Labels"].get("org.opencontainers.image.version") != version:
        wrong(f"the image's version is {config['Labels']}")
    ports = {port.removesuffix("/tcp") for port in config.get("ExposedPorts", {})}
    if ports != {"8081", "8082", "8083"}:
        wrong(f"the image's ports are {ports}")
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    programs = [path.relative_to(root) for path in files if "bin" in path.parts and path.stat().st_mode & 0o111]
    if [str(path) for path in programs] != ["usr/local/bin/ledgermq"]:
        wrong(f"there are programs in the image: {programs}")
    raised = [path for path in files if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)]
    if raised:
        wrong(f"there are files with set-user-id: {raised}")
    data = (root / "var/lib/ledgermq").stat()
    if (data.st_uid, data.st_gid, data.st_mode & 0o777) != (USER, USER, 0o750):
        wrong(f"/var/lib/ledgermq is of {data.st_uid}:{data.st_gid}, {data.st_mode & 0o777:o}")
    size = sum(path.stat().st_size for path in files)
    libraries = sorted(path.name for path in files if ".so" in path.name)
    ok(f"the image: {size / 2**20:.0f} MiB, one program, no shell, user {USER}; libraries {', '.join(libraries)}")


def run_dev(place, root, version):
    said = Container(place, root, "version", ["--version"])
    code = said.process.wait(timeout=30)
    if code != 0 or said.said().strip() != f"ledgermq {version}":
        wrong(f"--version ends with {code} and says {said.said()}")
    said.remove()
    ok(f"ledgermq --version in it: {version}")

    node = Container(place, root, "dev", ["dev", "--bind", "0.0.0.0", "--insecure", "--data", "/var/lib/ledgermq"])
    try:
        node.await_status("/healthz")
        node.await_status("/readyz")
        status = pathlib.Path(f"/proc/{node.pid()}/status").read_text(encoding="utf-8")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if facts["Uid"].split()[0] != str(USER) or int(facts["CapBnd"], 16) or facts["NoNewPrivs"].strip() != "1":
            wrong(f"it runs as {facts['Uid']} with the capabilities {facts['CapBnd']}")
        ok(f"a dev node answers /healthz and /readyz as user {USER}, without capabilities, on a file system to read")
        for command in (["send", "demo", "--body", "hello"], ["receive", "demo", "--group", "g"]):
            code, text = node.exec("ledgermq", *command)
            if code != 0:
                wrong(f"ledgermq {' '.join(command)} ends with {code}: {text}")
        if "hello" not in text:
            wrong(f"what was received is not what was sent: {text}")
        code = node.end()
        if code != 0:
            wrong(f"SIGTERM ends it with {code}:\n{node.said()[-2000:]}")
        ok("it takes a message, gives it back, and ends with 0 by SIGTERM")
    finally:
        node.remove()


def run_pods(place, root, helm):
    """Where the binary knows what the chart's configuration says."""
    # The modules need what is in the tools' venv.
    python = helm.parents[1] / "python" / "bin" / "python"
    if not helm.exists() or not python.exists():
        return skipped("the pods of the chart: no Helm (see above)")
    said = Container(place, root, "defaults", ["serve", "--print-config"])
    said.process.wait(timeout=30)
    known = "seeds = " in said.said()
    said.remove()
    if not known:
        return skipped("the pods of the chart: this binary knows no cluster.seeds")
    made = subprocess.run(
        [python, "-B", pathlib.Path(__file__).parent / "check.py", "--helm", helm, "--render"],
        check=True, capture_output=True, text=True,
    )
    pods.run(place, root, json.loads(made.stdout))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("root", "inspected", "scratch", "helm"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    look_at_image(arguments.root, arguments.inspected, arguments.version)
    place = arguments.scratch / "containers"
    place.mkdir()
    run_dev(place, arguments.root, arguments.version)
    run_pods(place, arguments.root, arguments.helm)
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
