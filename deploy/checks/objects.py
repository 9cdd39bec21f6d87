"""What is wrong with objects of Kubernetes: one by one, by the schemas of their kinds, and with each other.

Every function takes objects as YAML tells them and gives sentences; none means that all is well.
"""

import ipaddress
import pathlib
import tomllib

import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
CRDS = yaml.safe_load((HERE / "crds.yaml").read_text(encoding="utf-8"))
# The oldest that the chart takes, one between, and the newest that most have.
VERSIONS = ("1.27", "1.31", "1.34")
# What `--insecure` may name, in the product's order.
PROTECTIONS = ("plaintext", "access", "peers")


def name_of(thing):
    return f"{thing.get('kind')}/{thing.get('metadata', {}).get('name')}"


def of_kind(objects, kind):
    return [thing for thing in objects if thing.get("kind") == kind]


def schema_complaints(thing, versions=VERSIONS):
    """By the schema of its kind, in which fields that are not there are errors."""
    crd = CRDS["kinds"].get(f"{thing.get('apiVersion')}/{thing.get('kind')}")
    if crd is not None:
        return crd_complaints(thing, crd)
    complaints = []
    for version in versions:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            at = ".".join(map(str, error.path))
            complaints.append(f"{name_of(thing)}: Kubernetes {version}: {at}: {error.message[:300]}")
        except kubernetes_validate.SchemaNotFoundError as error:
            complaints.append(f"{name_of(thing)}: {error.message}")
    return complaints


def crd_complaints(thing, crd):
    unknown = set(thing) - {"apiVersion", "kind", "metadata", "spec"}
    complaints = [f"{name_of(thing)}: unknown field {field}" for field in sorted(unknown)]
    validator = jsonschema.Draft202012Validator({**crd, "definitions": CRDS["definitions"]})
    for error in validator.iter_errors(thing.get("spec")):
        complaints.append(f"{name_of(thing)}: spec.{'.'.join(map(str, error.path))}: {error.message[:300]}")
    return complaints


def is_exposed(bind):
    """Whether others than this machine reach an address."""
    address = ipaddress.ip_address(bind.rpartition(":")[0].strip("[]"))
    return not (getattr(address, "ipv4_mapped", None) or address).is_loopback


def exposures_of(config):
    """What a node with this configuration wants to be named at its start: api/src/options/exposure.rs says the same."""
    missing = set()
    for section in ("grpc", "http"):
        part = config.get(section, {})
        if is_exposed(part.get("bind", "127.0.0.1:0")):
            missing |= set() if part.get("tls_only") else {"plaintext"}
            missing |= set() if config.get("access", {}).get("enabled") else {"access"}
    peer = config.get("peer", {})
    if is_exposed(peer.get("bind", "127.0.0.1:0")) and not peer.get("tls_authority"):
        missing.add("peers")
    return [what for what in PROTECTIONS if what in missing]


def insecure_of(command):
    """What `--insecure` names in a command."""
    named = set()
    for word in command:
        if word in ("--insecure", "--insecure=all"):
            named |= set(PROTECTIONS)
        elif word.startswith("--insecure="):
            named |= set(word.partition("=")[2].split(","))
    return sorted(named, key=lambda what: (*PROTECTIONS, what).index(what))


def exposure_complaints(where, config, command):
    """What is unprotected is named, or the node does not start; and nothing else is, or nobody would see it go."""
    left, named = exposures_of(config), insecure_of(command)
    if left == named:
        return []
    return [f"{where}: --insecure names {', '.join(named) or 'nothing'}, but unprotected is {', '.join(left) or 'nothing'}"]


def twice_complaints(objects):
    seen, complaints = set(), []
    for thing in objects:
        key = (thing.get("apiVersion"), thing.get("kind"), thing["metadata"].get("namespace"), thing["metadata"]["name"])
        if key in seen:
            complaints.append(f"{name_of(thing)}: there are two of it")
        seen.add(key)
    return complaints


def selects(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def agreement_complaints(objects):
    """What the parts say of each other: names, labels, ports, volumes. A cluster takes it all, and nothing works."""
    complaints = []
    [nodes] = of_kind(objects, "StatefulSet")
    pod = nodes["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    [container] = spec["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    services = {service["metadata"]["name"]: service for service in of_kind(objects, "Service")}
    headless = services.get(nodes["spec"]["serviceName"], {}).get("spec", {})
    if headless.get("clusterIP") != "None" or headless.get("publishNotReadyAddresses") is not True:
        complaints.append("the service of the StatefulSet must be headless, with names of pods that are not ready")
    clients = services.get(nodes["metadata"]["name"], {}).get("spec", {})
    if clients.get("clusterIP") != "None" or clients.get("publishNotReadyAddresses"):
        complaints.append("the service of the clients must be headless, with the pods that are ready")
    for name, service in services.items():
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                complaints.append(f"Service/{name}: the container has no port {port['targetPort']}")

    selectors = [(f"Service/{name}", service["spec"]["selector"]) for name, service in services.items()]
    selectors.append(("StatefulSet", nodes["spec"]["selector"]["matchLabels"]))
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        selectors += [(kind, thing["spec"][field]["matchLabels"]) for thing in of_kind(objects, kind)]
    for spread in spec.get("topologySpreadConstraints", []):
        selectors.append(("topologySpreadConstraints", spread["labelSelector"]["matchLabels"]))
    anti = spec.get("affinity", {}).get("podAntiAffinity", {})
    terms = anti.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    terms += [term["podAffinityTerm"] for term in anti.get("preferredDuringSchedulingIgnoredDuringExecution", [])]
    selectors += [("podAntiAffinity", term["labelSelector"]["matchLabels"]) for term in terms]
    tests = [test["metadata"]["labels"] for test in of_kind(objects, "Pod")]
    for what, selector in selectors:
        if not selects(selector, labels):
            complaints.append(f"{what}: selects no node: {selector}")
        if any(selects(selector, test) for test in tests):
            complaints.append(f"{what}: selects the pod of the test")
    for monitor in of_kind(objects, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        found = [service for service in services.values() if selects(wanted, service["metadata"]["labels"])]
        named = {port["name"] for service in found for port in service["spec"]["ports"]}
        if len(found) != 1 or not {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= named:
            complaints.append(f"ServiceMonitor: selects {len(found)} services, with the ports {sorted(named)}")

    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if container.get(probe, {}).get("httpGet", {}).get("port") not in ports:
            complaints.append(f"{probe}: asks a port that the container has not")
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"]["ingress"]:
            if not rule.get("from") or not rule.get("ports"):
                complaints.append("NetworkPolicy: a rule without `from` or `ports` lets in everybody, or everything")
            for port in rule.get("ports", []):
                if port["port"] not in ports.values():
                    complaints.append(f"NetworkPolicy: the container has no port {port['port']}")

    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    claims = {claim["metadata"]["name"] for claim in nodes["spec"]["volumeClaimTemplates"]}
    for mount in container["volumeMounts"]:
        if mount["name"] not in claims | set(volumes):
            complaints.append(f"volumeMounts: there is no volume {mount['name']}")
    maps = {thing["metadata"]["name"]: thing for thing in of_kind(objects, "ConfigMap")}
    for volume in volumes.values():
        if "configMap" in volume and volume["configMap"]["name"] not in maps:
            complaints.append(f"volumes: there is no ConfigMap {volume['configMap']['name']}")
    accounts = [account["metadata"]["name"] for account in of_kind(objects, "ServiceAccount")]
    if accounts and spec["serviceAccountName"] not in accounts:
        complaints.append(f"there is no ServiceAccount {spec['serviceAccountName']}")
    complaints += time_complaints(spec, container) + node_complaints(objects, nodes, container)
    # The rest asks what a configuration says that is known to be sound.
    return complaints or protection_complaints(objects, nodes, container)


def time_complaints(spec, container):
    """A pod is told to end, hands on, ends by SIGTERM within 20 s; all before it is killed."""
    drain = container["lifecycle"]["preStop"]["exec"]["command"]
    seconds = int(drain[drain.index("--wait") + 1].removesuffix("s"))
    if spec["terminationGracePeriodSeconds"] < seconds + 25:
        return [f"terminationGracePeriodSeconds: too short for a drain of {seconds} s and SIGTERM"]
    return []


def node_complaints(objects, nodes, container):
    """The configuration names the pods by the names that they will have."""
    maps = [thing for thing in of_kind(objects, "ConfigMap") if "node.toml" in thing["data"]]
    if len(maps) != 1:
        return [f"there are {len(maps)} ConfigMaps with a node.toml"]
    try:
        config = tomllib.loads(maps[0]["data"]["node.toml"])
    except tomllib.TOMLDecodeError as error:
        return [f"node.toml: {error}"]
    complaints = []
    name, service = nodes["metadata"]["name"], nodes["spec"]["serviceName"]
    domain = f"{service}.{nodes['metadata']['namespace']}.svc."
    seeds = config["cluster"]["seeds"]
    for ordinal, seed in enumerate(seeds):
        if not seed.startswith(f"{name}-{ordinal}.{domain}") or not seed.endswith(":8083"):
            complaints.append(f"node.toml: seed {seed} is not the peer port of pod {ordinal}")
    if len(seeds) not in (1, 3, 5) or len(seeds) > nodes["spec"]["replicas"]:
        complaints.append(f"node.toml: {len(seeds)} seeds for {nodes['spec']['replicas']} pods")
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    for section, port in (("GRPC", 8081), ("HTTP", 8082), ("PEER", 8083)):
        address = environment.get(f"LEDGERMQ_{section}__ADVERTISE") or ""
        host = f"{name}.{nodes['metadata']['namespace']}.svc." if section == "GRPC" else f"$(LEDGERMQ_NODE__NAME).{domain}"
        if not address.startswith(host) or not address.endswith(f":{port}"):
            complaints.append(f"env: LEDGERMQ_{section}__ADVERTISE is {address!r}")
        if config[section.lower()]["bind"] != f"0.0.0.0:{port}":
            complaints.append(f"node.toml: {section.lower()}.bind is {config[section.lower()]['bind']}")
    # $(NAME) is replaced only by what stands before it.
    names = [entry["name"] for entry in container["env"]]
    if names[0] != "LEDGERMQ_NODE__NAME":
        complaints.append("env: LEDGERMQ_NODE__NAME must stand before what refers to it")
    data = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data"]
    if data != [config["node"]["data"]]:
        complaints.append(f"node.toml: node.data is {config['node']['data']}, but the volume is at {data}")
    return complaints


def config_of(objects):
    [config] = [thing for thing in of_kind(objects, "ConfigMap") if "node.toml" in thing["data"]]
    return tomllib.loads(config["data"]["node.toml"])


def secret_of(spec, container, path):
    """The secret that a file of a container is of; none if there is no such file."""
    directory, _, name = path.rpartition("/")
    mounted = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
    for volume in spec.get("volumes", []):
        secret = volume.get("secret")
        if secret and volume["name"] == mounted.get(directory):
            items = secret.get("items")
            if items is None or name in [item["path"] for item in items]:
                return secret["secretName"]
    return None


def is_for(certificate, name):
    """Whether a Certificate is for a name: itself, or all names beside it."""
    names = certificate["spec"].get("dnsNames", [])
    return name in names or f"*.{name.partition('.')[2]}" in names


def protection_complaints(objects, nodes, container):
    """TLS and access control: the arguments, the probes, the command line and Prometheus do as the configuration says."""
    config, spec = config_of(objects), nodes["spec"]["template"]["spec"]
    complaints = exposure_complaints("args", config, container["args"])
    if "LEDGERMQ_INSECURE" in [entry["name"] for entry in container["env"]]:
        complaints.append("env: what is insecure is said by the arguments, where everybody sees it")
    scheme = "HTTPS" if config["http"].get("tls_only") else "HTTP"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asks = container[probe]["httpGet"].get("scheme", "HTTP")
        if asks != scheme:
            complaints.append(f"{probe}: asks by {asks}, but the port speaks {scheme}")

    files = [(f"node.toml: {section}.{key}", path) for section in ("grpc", "peer", "access")
             for key, path in config.get(section, {}).items() if isinstance(path, str) and path.startswith("/")]
    for what, path in files:
        if not secret_of(spec, container, path):
            complaints.append(f"{what}: no secret has {path}")
    told = {entry["name"]: entry.get("value") for entry in container["env"]}
    name = told["LEDGERMQ_GRPC__ADVERTISE"].partition(":")[0]
    tests = [(test["spec"], test["spec"]["containers"][0]) for test in of_kind(objects, "Pod")]
    for place, (pod, inner) in [("node", (spec, container))] + [("test", test) for test in tests]:
        complaints += [f"{place}: {complaint}" for complaint in client_complaints(config, name, pod, inner)]
    for test, inner in tests:
        for what, path in files:
            if what != "node.toml: access.admin_secret" and secret_of(test, inner, path):
                complaints.append(f"test: has {path}, which is for nodes")

    issued = {certificate["spec"]["secretName"]: certificate for certificate in of_kind(objects, "Certificate")}
    port = secret_of(spec, container, config["grpc"].get("tls_cert", ""))
    if port in issued and not (is_for(issued[port], name) and "server auth" in issued[port]["spec"]["usages"]):
        complaints.append(f"{name_of(issued[port])}: is not for servers called {name}")
    peers = secret_of(spec, container, config["peer"].get("tls_cert", ""))
    domain = f"{nodes['spec']['serviceName']}.{name.partition('.')[2]}"
    pods = [f"{nodes['metadata']['name']}-{ordinal}.{domain}" for ordinal in range(nodes["spec"]["replicas"])]
    if peers in issued:
        usages = issued[peers]["spec"]["usages"]
        if not all(is_for(issued[peers], pod) for pod in pods) or not {"server auth", "client auth"} <= set(usages):
            complaints.append(f"{name_of(issued[peers])}: is not for nodes, as servers and as clients")
    if config["peer"].get("tls_authority") and config["peer"].get("tls_names") != pods[:1]:
        complaints.append(f"node.toml: peer.tls_names is {config['peer'].get('tls_names')}, not the name of the first pod")
    for monitor in of_kind(objects, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            complaints += monitor_complaints(config, name, port, endpoint)
    return complaints


def client_complaints(config, name, spec, container):
    """The command line, in a pod: `kubectl exec`, the drain before the end, `helm test`."""
    told = {entry["name"]: entry.get("value") for entry in container.get("env", [])}
    complaints = []
    if config["grpc"].get("tls_only"):
        if told.get("LEDGERMQ_TLS_SERVER_NAME") != name:
            complaints.append(f"the command line wants a certificate for {told.get('LEDGERMQ_TLS_SERVER_NAME')}, not {name}")
        wanted = ["LEDGERMQ_TLS_CA"]
    else:
        wanted = []
        if "LEDGERMQ_TLS_CA" in told:
            complaints.append("the command line speaks TLS, and need not have a certificate to trust")
    if config.get("access", {}).get("enabled"):
        wanted.append("LEDGERMQ_SECRET_KEY_FILE")
        if not told.get("LEDGERMQ_ACCESS_KEY"):
            complaints.append("the command line is nobody")
    for key in wanted:
        if not secret_of(spec, container, told.get(key, "")):
            complaints.append(f"{key} is {told.get(key)}, and no secret has it")
    return complaints


def monitor_complaints(config, name, secret, endpoint):
    complaints = []
    is_secure = bool(config["http"].get("tls_only"))
    if endpoint.get("scheme", "http") != ("https" if is_secure else "http"):
        complaints.append(f"ServiceMonitor: asks by {endpoint.get('scheme', 'http')}, but http.tls_only is {is_secure}")
    elif is_secure and endpoint.get("tlsConfig") != {"ca": {"secret": {"name": secret, "key": "ca.crt"}}, "serverName": name}:
        complaints.append(f"ServiceMonitor: does not trust the certificate of {secret} for {name}")
    keys = {what: entry["key"] for what, entry in endpoint.get("basicAuth", {}).items()}
    if config.get("access", {}).get("enabled") and keys != {"username": "username", "password": "password"}:
        complaints.append("ServiceMonitor: shows no user and secret, and would be answered 401")
    return complaints


def security_complaints(objects):
    """The restricted Pod Security Standard, and a file system that nobody writes to."""
    complaints = []
    pods = [(name_of(thing), thing["spec"]["template"]["spec"]) for thing in of_kind(objects, "StatefulSet")]
    pods += [(name_of(thing), thing["spec"]) for thing in of_kind(objects, "Pod")]
    for name, pod in pods:
        outer = pod.get("securityContext", {})
        if outer.get("runAsNonRoot") is not True or outer.get("runAsUser") != 10001:
            complaints.append(f"{name}: runs as root")
        if outer.get("seccompProfile") != {"type": "RuntimeDefault"}:
            complaints.append(f"{name}: has no seccomp profile")
        if pod.get("automountServiceAccountToken") is not False:
            complaints.append(f"{name}: gets a token for the API server")
        # Variables of a service named ledgermq begin with LEDGERMQ_.
        if pod.get("enableServiceLinks") is not False:
            complaints.append(f"{name}: gets the variables of services")
        for container in pod["containers"]:
            inner = container.get("securityContext", {})
            if inner.get("allowPrivilegeEscalation") is not False or inner.get("capabilities") != {"drop": ["ALL"]}:
                complaints.append(f"{name}: has capabilities, or may get some")
            if inner.get("readOnlyRootFilesystem") is not True:
                complaints.append(f"{name}: may write to its root file system")
    return complaints


def complaints_of(objects):
    complaints = [complaint for thing in objects for complaint in schema_complaints(thing)]
    # What does not even fit its schema is not looked at more closely.
    if complaints:
        return complaints
    return twice_complaints(objects) + agreement_complaints(objects) + security_complaints(objects)
