"""Runs the pods of the chart as containers of the image: what is in the StatefulSet, done by hand.

Each pod has a network of its own on one bridge, the names that Kubernetes would give it, the environment, the arguments,
the configuration, the secrets and the volume that the chart says. Probes are asked, the preStop hook is run before SIGTERM,
and the pod of `helm test` says whether it all works. What is not here: a scheduler, an API server, network policies, and
cert-manager: openssl makes the certificates, for the names that values.yaml speaks of.
"""

import os
import pathlib
import secrets
import subprocess
import time

from containers import USER, Container, ok, wrong

DOMAIN = "svc.cluster.local"
SUBNET = "10.213.7"


def ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


class Network:
    """A bridge in a namespace of its own, so that nothing of this machine changes; a namespace for each pod."""

    def __init__(self):
        self.bridge, self.made = f"lmq-{os.getpid()}-bridge", []
        self._namespace(self.bridge)
        ip("-n", self.bridge, "link", "add", "br0", "type", "bridge")
        ip("-n", self.bridge, "link", "set", "br0", "up")

    def _namespace(self, name):
        ip("netns", "add", name)
        self.made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def join(self, number):
        """The path of a namespace with the address of that number."""
        name = f"lmq-{os.getpid()}-{number}"
        self._namespace(name)
        ip("-n", self.bridge, "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self.bridge, "link", "set", f"v{number}", "master", "br0", "up")
        ip("-n", name, "addr", "add", f"{SUBNET}.{number}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return f"/run/netns/{name}"

    def remove(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def make_certificate(directory, authority, usages, *names):
    """What is in a secret with a certificate: tls.crt, tls.key, ca.crt."""
    directory.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    if not authority.with_suffix(".pem").exists():
        openssl("req", "-x509", *curve, "-subj", "/CN=authority", "-days", 2, "-keyout", authority.with_suffix(".key"),
                "-out", authority.with_suffix(".pem"))
    san = ",".join(f"DNS:{name}" for name in names)
    request, extensions = directory.with_suffix(".csr"), directory.with_suffix(".ext")
    lines = ("basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usages}", f"subjectAltName={san}", "")
    extensions.write_text("\n".join(lines), encoding="utf-8")
    openssl("req", "-new", *curve, "-subj", "/CN=node", "-keyout", directory / "tls.key", "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", authority.with_suffix(".pem"), "-CAkey", authority.with_suffix(".key"),
            "-CAcreateserial", "-days", 2, "-extfile", extensions, "-out", directory / "tls.crt")
    (directory / "ca.crt").write_bytes(authority.with_suffix(".pem").read_bytes())


def make_secrets(place, name, namespace):
    """The secrets that a protected cluster is installed with."""
    place.mkdir()
    domain = f"{namespace}.{DOMAIN}"
    make_certificate(place / "mq-tls", place / "clients", "serverAuth", f"{name}.{domain}")
    make_certificate(place / "mq-peers", place / "nodes", "serverAuth,clientAuth", f"*.{name}-headless.{domain}")
    (place / "mq-access").mkdir()
    for entry in ("seal-key", "admin-secret"):
        (place / "mq-access" / entry).write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
    for path in place.rglob("*"):
        # As `fsGroup` and `defaultMode` have it.
        os.chown(path, 0, USER)
        path.chmod(0o750 if path.is_dir() else 0o440)


class Cluster:
    """The StatefulSet and its services."""

    def __init__(self, place, root, objects):
        place.mkdir()
        self.place, self.root, self.network = place, root, Network()
        kinds = lambda kind: [thing for thing in objects if thing["kind"] == kind]  # noqa: E731
        [self.nodes], [test] = kinds("StatefulSet"), kinds("Pod")
        self.spec, self.test_spec = self.nodes["spec"]["template"]["spec"], test["spec"]
        [self.container], [self.test] = self.spec["containers"], self.test_spec["containers"]
        [config] = [thing for thing in kinds("ConfigMap") if "node.toml" in thing["data"]]
        self.config = place / "node.toml"
        self.config.write_text(config["data"]["node.toml"], encoding="utf-8")
        self.hosts = place / "hosts"
        self.pods, self.networks = {}, {}
        self.name, self.namespace = self.nodes["metadata"]["name"], self.nodes["metadata"]["namespace"]
        self.secrets = place / "secrets"
        make_secrets(self.secrets, self.name, self.namespace)

    def mounts(self, spec, container):
        """The files of secrets, each at its path in the container."""
        volumes = {volume["name"]: volume.get("secret") for volume in spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            if secret := volumes.get(mount["name"]):
                files = self.secrets / secret["secretName"]
                items = secret.get("items") or [{"key": path.name, "path": path.name} for path in sorted(files.iterdir())]
                for item in items:
                    yield files / item["key"], f"{mount['mountPath']}/{item['path']}"

    def name_all(self, count):
        """What the DNS of a cluster would answer: the pods by their names, and the client service by the first."""
        lines = ["127.0.0.1 localhost"]
        for ordinal in range(count):
            pod = f"{self.name}-{ordinal}"
            lines.append(f"{SUBNET}.{ordinal + 10} {pod}.{self.nodes['spec']['serviceName']}.{self.namespace}.{DOMAIN} {pod}")
        lines.append(f"{SUBNET}.10 {self.name} {self.name}.{self.namespace}.{DOMAIN}")
        self.hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self, ordinal):
        pod = f"{self.name}-{ordinal}"
        environment = {entry["name"]: entry.get("value", pod) for entry in self.container["env"]}
        environment = {key: value.replace("$(LEDGERMQ_NODE__NAME)", pod) for key, value in environment.items()}
        if ordinal not in self.networks:
            self.networks[ordinal] = self.network.join(ordinal + 10)
        self.pods[ordinal] = Container(
            self.place, self.root, pod, self.container["args"], environment.items(),
            [(self.config, "/etc/ledgermq/node.toml"), (self.hosts, "/etc/hosts"), *self.mounts(self.spec, self.container)],
            self.networks[ordinal],
        )

    def await_ready(self, ordinals):
        for ordinal in ordinals:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = self.container[probe]["httpGet"]
                self.pods[ordinal].await_status(asked["path"], scheme=asked.get("scheme", "HTTP").lower())

    def stop(self, ordinal):
        """As Kubernetes ends a pod: the hook, SIGTERM. How long both took."""
        pod, began = self.pods.pop(ordinal), time.monotonic()
        code, text = pod.exec(*self.container["lifecycle"]["preStop"]["exec"]["command"])
        if code != 0:
            wrong(f"preStop of {pod.name} ends with {code}: {text}\n{pod.said()[-2000:]}")
        drained = time.monotonic() - began
        code = pod.end()
        if code != 0:
            wrong(f"{pod.name} ends with {code} by SIGTERM:\n{pod.said()[-2000:]}")
        pod.remove()
        return drained, time.monotonic() - began

    def run_test(self):
        """`helm test`: in a pod of its own, through the client service."""
        if "test" not in self.networks:
            self.networks["test"] = self.network.join(200)
        environment = [(entry["name"], entry["value"]) for entry in self.test.get("env", [])]
        pod = Container(
            self.place, self.root, "test", self.test["args"], environment,
            [(self.hosts, "/etc/hosts"), *self.mounts(self.test_spec, self.test)], self.networks["test"],
        )
        try:
            code = pod.process.wait(timeout=300)
            if code != 0:
                wrong(f"the test of the chart ends with {code}:\n{pod.said()[-3000:]}")
            return pod.said().strip().splitlines()[-1]
        finally:
            pod.remove()

    def remove(self):
        for pod in self.pods.values():
            pod.remove()
        self.network.remove()


def play(cluster):
    """A cluster to play with."""
    began = time.monotonic()
    for ordinal in range(3):
        cluster.start(ordinal)
    cluster.await_ready(range(3))
    ok(f"three pods of the chart: started at once, ready after {time.monotonic() - began:.1f} s")
    ok(f"the test of the chart, from another pod: {cluster.run_test()}")
    for ordinal in range(3):
        drained, ended = cluster.stop(ordinal)
        cluster.start(ordinal)
        cluster.await_ready([ordinal])
        ok(f"pod {ordinal}: preStop took {drained:.1f} s, its end {ended:.1f} s; ready again with its data")
    cluster.start(3)
    cluster.await_ready([3])
    ok("a fourth pod joins, with the configuration of the three")
    ok(f"the test of the chart once more: {cluster.run_test()}")


def protect(cluster):
    """One with access control, TLS only, and certificates between the nodes."""
    for ordinal in range(3):
        cluster.start(ordinal)
    cluster.await_ready(range(3))
    pod = cluster.pods[0]
    code, text = pod.exec("ledgermq", "cluster", "status")
    if code != 0:
        wrong(f"the command line in a protected pod ends with {code}: {text}")
    for scheme, path, wanted in (("http", "/livez", 0), ("https", "/metrics", 401)):
        status, text = pod.get(path, scheme=scheme)
        if status != wanted:
            wrong(f"a protected pod answers {status} {text[:200]} to {scheme} {path}, not {wanted}")
    ok(f"three protected pods; the test of the chart, by TLS and as a user: {cluster.run_test()}")
    drained, _ = cluster.stop(0)
    cluster.start(0)
    cluster.await_ready([0])
    ok(f"a protected pod: preStop took {drained:.1f} s; ready again with its data")


def run(place: pathlib.Path, root: pathlib.Path, clusters):
    """Clusters of the chart, as `check.py --render` gives them: the objects by the name of the cluster."""
    for name, what in (("playground", play), ("protected", protect)):
        cluster = Cluster(place / name, root, clusters[name])
        try:
            cluster.name_all(4)
            what(cluster)
        finally:
            cluster.remove()
