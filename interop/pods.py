"""Pods of a StatefulSet, without Kubernetes: what it does to a broker, done to real processes.

A pod is a network namespace with an address, a name that stays (`ledgermq-2.ledgermq-headless...`, served by a real
dnsmasq), and a volume. It can be killed, told to end as a pod is (pre-stop, then SIGTERM), scheduled anew at another
address, and lose its volume. Needs root, `ip` and `dnsmasq`.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from cluster import ClusterError

DOMAIN = "ledgermq-headless.default.svc.cluster.local"
SERVICE = "ledgermq.default.svc.cluster.local"
# 198.18.0.0/15 is kept for tests of networks (RFC 2544).
NETWORK = "198.18.203"
GATEWAY = f"{NETWORK}.254"
CLIENT = f"{NETWORK}.253"
SEEDS = 3
POLL_SECONDS = 0.05
PRESTOP_SECONDS = 20


def ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True, capture_output=True, text=True)


class Network:
    """The namespaces: one for the bridge and the names, one for clients, one for each pod."""

    def __init__(self, pods):
        self.prefix = f"lmqp-{os.getpid()}"
        self.switch, self.client = f"{self.prefix}-sw", f"{self.prefix}-cl"
        self.pods = [f"{self.prefix}-{number}" for number in range(pods)]

    def names(self):
        return [self.switch, self.client, *self.pods]

    def make(self):
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "set", "lo", "up")
        ip("-n", self.switch, "link", "add", "cluster0", "type", "bridge")
        ip("-n", self.switch, "addr", "add", f"{GATEWAY}/24", "dev", "cluster0")
        ip("-n", self.switch, "link", "set", "cluster0", "up")
        for number, namespace in enumerate([self.client, *self.pods]):
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
            ip("link", "add", f"p{number}", "netns", self.switch, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            ip("-n", self.switch, "link", "set", f"p{number}", "master", "cluster0", "up")
            ip("-n", namespace, "link", "set", "eth0", "up")
            # What `ip netns exec` shows to its processes as /etc/resolv.conf.
            files = pathlib.Path("/etc/netns") / namespace
            files.mkdir(parents=True)
            (files / "resolv.conf").write_text(f"nameserver {GATEWAY}\noptions timeout:1 attempts:2\n", encoding="ascii")
        ip("-n", self.client, "addr", "add", f"{CLIENT}/24", "dev", "eth0")

    def remove(self):
        for namespace in self.names():
            pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                if int(pid) != os.getpid():
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
            shutil.rmtree(pathlib.Path("/etc/netns") / namespace, ignore_errors=True)


class Names:
    """A DNS server that knows where pods are now."""

    def __init__(self, network, work):
        self.hosts = work / "hosts"
        self.addresses, self.ready = {}, set()
        self.hosts.write_text("", encoding="ascii")
        command = ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", f"--addn-hosts={self.hosts}", "--local-ttl=0",
                   f"--listen-address={GATEWAY}", "--bind-interfaces", "--user=root", "--pid-file", "--log-facility=-"]
        with open(work / "dnsmasq.log", "wb") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", network.switch, *command], stdout=log, stderr=log)
        # A signal that comes before it serves would end it.
        deadline = time.monotonic() + 30
        while "started" not in (work / "dnsmasq.log").read_text(encoding="utf-8", errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"dnsmasq does not start: see {work / 'dnsmasq.log'}")
            time.sleep(POLL_SECONDS)

    def write(self):
        lines = [f"{address} {name}.{DOMAIN}" for name, address in self.addresses.items()]
        lines += [f"{self.addresses[name]} {SERVICE}" for name in sorted(self.ready) if name in self.addresses]
        self.hosts.write_text("\n".join(lines) + "\n", encoding="ascii")
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Pods:
    """Up to so many pods; each runs the binary that it was given last."""

    def __init__(self, network, binary, work, slow):
        self.network, self.binary, self.work, self.slow = network, str(binary), work, slow
        self.names = Names(network, work)
        self.processes, self.next_address, self.node_of = {}, 10, {}
        self.endpoint = f"{SERVICE}:8081"

    @staticmethod
    def name(number):
        return f"ledgermq-{number}"

    def host(self, number):
        return f"{self.name(number)}.{DOMAIN}"

    def volume(self, number):
        return self.work / "volumes" / self.name(number)

    def config(self, number):
        seeds = ", ".join(f'"{self.host(seed)}:8083"' for seed in range(SEEDS))
        host = self.host(number)
        path = self.work / f"{self.name(number)}.toml"
        path.write_text(
            f'[cluster]\nname = "pods"\nseeds = [{seeds}]\n'
            f'[node]\nname = "{self.name(number)}"\ndata = "{self.volume(number)}"\n'
            # Clients are told the name of the service: behind it are the pods that are ready, so that a client whose pod is
            # gone finds another one at once, whatever its library does about addresses that are dead.
            f'[grpc]\nbind = "0.0.0.0:8081"\nadvertise = "{SERVICE}:8081"\n'
            f'[http]\nbind = "0.0.0.0:8082"\nadvertise = "{host}:8082"\n'
            f'[peer]\nbind = "0.0.0.0:8083"\nadvertise = "{host}:8083"\n'
            '[log]\nsegment_bytes = "64MiB"\n[disk]\nspare_bytes = "1GiB"\n',
            encoding="ascii",
        )
        return path

    def schedule(self, number, anew=False):
        """Gives a pod an address; another one if it is scheduled anew."""
        name, namespace = self.name(number), self.network.pods[number]
        if anew or name not in self.names.addresses:
            ip("-n", namespace, "addr", "flush", "dev", "eth0", "scope", "global")
            address = f"{NETWORK}.{self.next_address}"
            self.next_address += 1
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            self.names.addresses[name] = address
            self.names.write()

    def start(self, number, anew=False, binary=None):
        self.schedule(number, anew)
        self.volume(number).mkdir(parents=True, exist_ok=True)
        command = ["ip", "netns", "exec", self.network.pods[number], str(binary or self.binary), "serve", "--config",
                   str(self.config(number))]
        log = open(self.work / f"{self.name(number)}.log", "ab")
        # Nobody else is in this network.
        environment = {**os.environ, "LEDGERMQ_INSECURE": "all"}
        self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        log.close()

    def pid(self, number):
        """`ip netns exec` becomes the broker: its process is the broker's."""
        return self.processes[number].pid

    def probe(self, number, path):
        address = self.names.addresses[self.name(number)]
        try:
            with urllib.request.urlopen(f"http://{address}:8082{path}", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def until(self, number, path, timeout=90):
        deadline = time.monotonic() + timeout * self.slow
        while not self.probe(number, path):
            if self.processes[number].poll() is not None:
                raise ClusterError(f"{self.name(number)} ended: see {self.work / self.name(number)}.log")
            if time.monotonic() > deadline:
                raise ClusterError(f"{path} of {self.name(number)} does not come: see {self.work / self.name(number)}.log")
            time.sleep(POLL_SECONDS)

    def until_ready(self, number, timeout=90):
        self.until(number, "/startupz", timeout)
        self.until(number, "/readyz", timeout)
        self.names.ready.add(self.name(number))
        self.names.write()

    def forget(self, number):
        self.names.ready.discard(self.name(number))
        self.names.write()

    def kill(self, number):
        self.processes[number].kill()
        self.processes.pop(number).wait()
        self.forget(number)

    def terminate(self, number):
        """As Kubernetes does it: out of the service, the pre-stop hook in the pod, then SIGTERM."""
        self.forget(number)
        hook = ["ip", "netns", "exec", self.network.pods[number], self.binary, "cluster", "drain", "--endpoint", "127.0.0.1:8081",
                "--wait", f"{PRESTOP_SECONDS}s"]
        subprocess.run(hook, check=True, capture_output=True, timeout=60 * self.slow)
        self.processes[number].terminate()
        code = self.processes.pop(number).wait(60 * self.slow)
        if code != 0:
            raise ClusterError(f"{self.name(number)} ended with {code} after SIGTERM")

    def lose_volume(self, number):
        shutil.rmtree(self.volume(number))

    def run(self, *arguments, timeout=60):
        done = subprocess.run([self.binary, *map(str, arguments), "--endpoint", self.any_endpoint()], capture_output=True, text=True,
                              timeout=timeout * self.slow, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise ClusterError(f"ledgermq {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def any_endpoint(self):
        ready = [self.names.addresses[name] for name in sorted(self.names.ready)]
        if not ready:
            raise ClusterError("no pod is ready")
        return f"{ready[0]}:8081"

    def create_topic(self, name, kind):
        self.run("topic", "create", name, "--type", kind)

    def create_group(self, name, fifo):
        self.run("group", "create", name, "--from", "first", *(["--fifo"] if fifo else []))

    def status(self):
        return json.loads(self.run("cluster", "status", "-o", "json"))

    def leader(self):
        """The number of the pod that leads the first broker group."""
        status = self.status()
        leader = next(group["leader"] for group in status["groups"] if group["name"] != "meta")
        return next(int(node["name"].rsplit("-", 1)[1]) for node in status["nodes"] if node["id"] == leader)

    def until_whole(self, pods, timeout=90):
        """Waits until these are the nodes, all are level, and there are as many votes as there may be."""
        deadline = time.monotonic() + timeout * self.slow
        names, votes = sorted(self.name(number) for number in pods), min(5, len(pods) - (len(pods) + 1) % 2)
        floor, status = {}, None
        while time.monotonic() < deadline:
            try:
                status = self.status()
            except (ClusterError, subprocess.TimeoutExpired) as error:
                status = error
                continue
            groups = status["groups"]
            for group in groups:
                group["committed"] = floor.setdefault(group["name"], group["committed"])
            nodes = sorted(node["name"] for node in status["nodes"])
            alive = all(node["alive"] and not node["joining"] for node in status["nodes"])
            level = all(
                group["leader"] and len(group["voters"]) == votes and len(group["replicas"]) == len(pods)
                and all(replica["applied_index"] >= group["committed"] for replica in group["replicas"])
                for group in groups)
            if nodes == names and alive and level:
                return status
            time.sleep(POLL_SECONDS)
        raise ClusterError(f"the cluster is not {names} with {votes} votes: {status}")

    def stop(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.names.stop()
