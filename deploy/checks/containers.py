"""Containers of the image, run by crun: no daemon, no cgroups, root needed.

They get what the chart gives to pods: user 10001, no capabilities, a root file system to read, network, processes and
mounts of their own.
"""

import json
import os
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


def skipped(what):
    print(f"\n*** SKIPPED: {what}\n", file=sys.stderr)


class Container:
    """One container of the image, until it is removed."""

    def __init__(self, place, root, name, arguments, environment=(), mounts=(), network=None):
        self.name, self.dir = f"ledgermq-{os.getpid()}-{name}", place / name
        self.data = self.dir / "data"
        # A container that is made anew under its name finds its volume.
        if not self.data.exists():
            self.data.mkdir(mode=0o750, parents=True)
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

    def get(self, path, port=8082, scheme="http"):
        """What an HTTP path answers within the container's network: the status and the text. As a kubelet does, it trusts
        any certificate."""
        script = (
            "import ssl,sys,urllib.request,urllib.error\n"
            "trust=ssl._create_unverified_context()\n"
            "ask=lambda: urllib.request.urlopen(sys.argv[1],timeout=3,context=trust)\n"
            "try: answer=ask(); print(answer.status, answer.read().decode())\n"
            "except urllib.error.HTTPError as error: print(error.code, error.read().decode())\n"
        )
        pid = self.pid()
        if not pid:
            return 0, "it does not run"
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", script, f"{scheme}://127.0.0.1:{port}{path}"],
            capture_output=True, text=True,
        )
        status, _, text = done.stdout.partition(" ")
        return (int(status), text.strip()) if status.isdigit() else (0, done.stderr.strip().splitlines()[-1:])

    def await_status(self, path, wanted=200, within=STARTED_WITHIN, scheme="http"):
        until = time.monotonic() + within
        while True:
            status, text = self.get(path, scheme=scheme)
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
