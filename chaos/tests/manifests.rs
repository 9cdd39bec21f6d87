//! The experiments under `deploy/chaos-mesh` have only fields and values that their kinds have.
//!
//! `manifests/schema.json` says which those are; it is ours, made from what Chaos Mesh 2 documents, and knows of each
//! kind what we use and a little more. A typing error in a manifest would be ignored by a cluster, and the fault with it.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The schema with what its parts refer to.
struct Schema(Value);

impl Schema {
    fn read() -> Schema {
        Schema(serde_json::from_str(include_str!("manifests/schema.json")).expect("JSON"))
    }

    /// What is wrong with a manifest.
    fn complaints(&self, manifest: &Value) -> Vec<String> {
        let mut complaints = Vec::new();
        let kind = manifest["kind"].as_str().unwrap_or_default();
        let Some(spec) = self.0["kinds"].get(kind) else { return vec![format!("kind: {kind:?} is unknown")] };
        if manifest["apiVersion"] != "chaos-mesh.org/v1alpha1" {
            complaints.push(format!("apiVersion: {}", manifest["apiVersion"]));
        }
        let fields = manifest.as_object().into_iter().flat_map(|object| object.keys());
        let known = ["apiVersion", "kind", "metadata", "spec"];
        complaints.extend(
            fields.filter(|field| !known.contains(&field.as_str())).map(|field| format!("{field}: unknown")),
        );
        self.check(&self.0["definitions"]["metadata"], &manifest["metadata"], "metadata", &mut complaints);
        self.check(spec, &manifest["spec"], "spec", &mut complaints);
        complaints
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, complaints: &mut Vec<String>) {
        if let Some(name) = schema["is"].as_str() {
            let named = self.0["definitions"].get(name).unwrap_or_else(|| panic!("the schema has no {name}"));
            return self.check(named, value, at, complaints);
        }
        let fits = match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            None => schema["enum"].as_array().expect("a type or an enum").contains(value),
            Some(other) => panic!("the schema has a type {other}"),
        };
        if !fits {
            return complaints.push(format!("{at}: {value} does not fit"));
        }
        if schema["like"] == "duration" && !is_duration(value.as_str().unwrap_or_default()) {
            complaints.push(format!("{at}: {value} is no duration"));
        }
        let (number, bound) = (value.as_i64(), |name: &str| schema[name].as_i64());
        if number.zip(bound("minimum")).is_some_and(|(number, low)| number < low)
            || number.zip(bound("maximum")).is_some_and(|(number, high)| number > high)
        {
            complaints.push(format!("{at}: {value} is out of its bounds"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{at}[{index}]"), complaints);
        }
        self.check_fields(schema, value, at, complaints);
    }

    fn check_fields(&self, schema: &Value, value: &Value, at: &str, complaints: &mut Vec<String>) {
        let Some(object) = value.as_object() else { return };
        for (field, inner) in object {
            let known = schema.get("values").or_else(|| schema["properties"].get(field));
            match known {
                Some(known) => self.check(known, inner, &format!("{at}.{field}"), complaints),
                None => complaints.push(format!("{at}.{field}: unknown")),
            }
        }
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut required = list(&schema["required"]);
        for need in list(&schema["needs"]) {
            let when = need["when"].as_object().expect("a condition");
            if when.iter().all(|(field, wanted)| object.get(field) == Some(wanted)) {
                required.extend(list(&need["fields"]));
            }
        }
        let missing = required.iter().filter_map(Value::as_str).filter(|field| !object.contains_key(*field));
        complaints.extend(missing.map(|field| format!("{at}.{field}: missing")));
    }
}

/// `-1h30m`, `200ms`: numbers with units, one after the other.
fn is_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches('-');
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|character: char| !character.is_ascii_digit() && character != '.');
        let Some(unit_at) = unit_at.filter(|at| *at > 0) else { return false };
        rest = &rest[unit_at..];
        let unit = ["ns", "us", "ms", "s", "m", "h"].into_iter().filter(|unit| rest.starts_with(unit));
        let Some(unit) = unit.max_by_key(|unit| unit.len()) else { return false };
        rest = &rest[unit.len()..];
    }
    true
}

fn manifests() -> Vec<(PathBuf, Value)> {
    let directory = Path::new("../deploy/chaos-mesh");
    let paths =
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = paths.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value =
            serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, value)
    };
    paths.map(read).collect()
}

#[test]
fn every_manifest_has_only_what_its_kind_has() {
    let (schema, manifests) = (Schema::read(), manifests());
    for (path, manifest) in &manifests {
        assert_eq!(schema.complaints(manifest), Vec::<String>::new(), "{}", path.display());
        let name = path.file_stem().unwrap().to_str();
        assert_eq!(manifest["metadata"]["name"].as_str(), name, "one experiment a file, by its name");
        let selector = &manifest["spec"]["selector"];
        assert_eq!(selector["labelSelectors"]["app.kubernetes.io/name"], "ledgermq", "{}", path.display());
        assert_eq!(selector["namespaces"][0], manifest["metadata"]["namespace"], "{}", path.display());
    }
    for kind in ["PodChaos", "NetworkChaos", "IOChaos", "TimeChaos"] {
        assert!(manifests.iter().any(|(_, manifest)| manifest["kind"] == kind), "{kind}");
    }
}

#[test]
fn errors_in_manifests_are_found() {
    let schema = Schema::read();
    let all = manifests();
    let of = |name: &str| all.iter().find(|(path, _)| path.ends_with(name)).unwrap().1.clone();
    type Break = fn(&mut Value);
    let errors: [(&str, Break, &str); 8] = [
        ("pod-kill-leader.yaml", |it| it["spec"]["action"] = "pod-kil".into(), "spec.action"),
        ("pod-kill-leader.yaml", |it| it["spec"]["grace"] = 0.into(), "spec.grace: unknown"),
        (
            "pod-failure-one.yaml",
            |it| drop(it["spec"].as_object_mut().unwrap().remove("duration")),
            "missing",
        ),
        (
            "network-partition-leader.yaml",
            |it| drop(it["spec"].as_object_mut().unwrap().remove("target")),
            "missing",
        ),
        ("network-delay.yaml", |it| it["spec"]["delay"]["latency"] = "100".into(), "is no duration"),
        ("network-delay.yaml", |it| it["spec"]["delay"]["correlation"] = 50.into(), "does not fit"),
        ("io-fsync-error.yaml", |it| it["spec"]["percent"] = 101.into(), "bounds"),
        ("time-jump.yaml", |it| it["spec"]["clockIds"][0] = "REALTIME".into(), "spec.clockIds[0]"),
    ];
    for (name, spoil, complaint) in errors {
        let mut manifest = of(name);
        spoil(&mut manifest);
        let complaints = schema.complaints(&manifest);
        assert!(complaints.len() == 1 && complaints[0].contains(complaint), "{name}: {complaints:?}");
    }
}
