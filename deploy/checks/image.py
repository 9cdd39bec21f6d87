#!/usr/bin/env python3
"""Looks into the image and runs it. scripts/check-image.sh calls it, as root.

Containers get what the chart gives to pods: user 10001, no capabilities, a root file system to read, network, processes
and mounts of their own. crun runs them; no daemon, no cgroups.
"""

import argparse
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time

USER = 10001
STARTED_WITHIN = 60
ENDED_WITHIN = 60


def ok(what):
    print(f"ok    {what}", flush=True)


def wrong(what):
    print(f"WRONG: {what}", file=sys.stderr)
    sys.exit(1)


class Container:
    """One container of the image, until it is removed."""

    def __init__(self, place, root, name, arguments, environment=(), mounts=(), network=None):
        self.name, self.dir = f"ledgermq-{os.getpid()}-{name}", place / name
        self.dir.mkdir()
        self.data = self.dir / "data"
        self.data.mkdir(mode=0o750)
        os.chown(self.data, USER, USER)
        self.log = self.dir / "log"
        bind = [{"destination": "/var/lib/ledgermq", "source": str(self.data), "options": ["rbind", "rw"], "type": "bind"}]
        bind += [
            {"destination": inside, "source": str(outside), "options": ["rbind", "ro"], "type": "bind"}
            for outside, inside in mounts
        ]
        namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
        namespaces.append({"type": "network", **({"path": network} if network else {})})
        config = {
            "ociVersion": "1.0.2",
            "root": {"path": str(root), "readonly": True},
            "hostname": name,
            "process": {
                "terminal": False,
                "user": {"uid": USER, "gid": USER},
                "cwd": "/var/lib/ledgermq",
                "args": ["/usr/local/bin/ledgermq", *arguments],
                "env": ["PATH=/usr/local/bin", *(f"{key}={value}" for key, value in environment)],
                "noNewPrivileges": True,
                "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "ro"]},
                *bind,
            ],
            "linux": {"namespaces": namespaces},
        }
        (self.dir / "config.json").write_text(json.dumps(config), encoding="utf-8")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.crun("run", "--bundle", self.dir, self.name), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def crun(self, *arguments):
        # It refuses to run beside control groups of both versions, though it is to leave them alone.
        hide = 'if [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi; exec crun "$@"'
        return ["unshare", "--mount", "sh", "-c", hide, "crun", "--cgroup-manager=disabled", *map(str, arguments)]

    def pid(self):
        done = subprocess.run(self.crun("state", self.name), capture_output=True, text=True)
        return json.loads(done.stdout)["pid"] if done.returncode == 0 else 0

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def exec(self, *command):
        """As `kubectl exec`, and as a preStop hook."""
        done = subprocess.run(
            self.crun("exec", self.name, *command), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        return done.returncode, done.stdout + done.stderr

    def get(self, path, port=8082):
        """What an HTTP path answers within the container's network: the status and the text."""
        script = (
            "import sys,urllib.request,urllib.error\n"
            "try: answer=urllib.request.urlopen(sys.argv[1],timeout=3); print(answer.status, answer.read().decode())\n"
            "except urllib.error.HTTPError as error: print(error.code, error.read().decode())\n"
        )
        pid = self.pid()
        if not pid:
            return 0, "it does not run"
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", script, f"http://127.0.0.1:{port}{path}"],
            capture_output=True, text=True,
        )
        status, _, text = done.stdout.partition(" ")
        return (int(status), text.strip()) if status.isdigit() else (0, done.stderr.strip().splitlines()[-1:])

    def await_status(self, path, wanted=200, within=STARTED_WITHIN):
        until = time.monotonic() + within
        while True:
            status, text = self.get(path)
            if status == wanted:
                return text
            if self.process.poll() is not None or time.monotonic() > until:
                wrong(f"{self.name}: {path} answers {status} {text}, not {wanted}:\n{self.said()[-2000:]}")
            time.sleep(0.2)

    def end(self):
        """By SIGTERM; its exit code."""
        subprocess.run(self.crun("kill", self.name, "TERM"), capture_output=True)
        return self.process.wait(timeout=ENDED_WITHIN)

    def remove(self):
        subprocess.run(self.crun("delete", "--force", self.name), capture_output=True)
        if self.process.poll() is None:
            self.process.wait(timeout=ENDED_WITHIN)


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

    node = Container(place, root, "dev", ["dev", "--bind", "0.0.0.0", "--data", "/var/lib/ledgermq"])
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
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
