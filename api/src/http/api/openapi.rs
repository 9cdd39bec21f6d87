//! What the HTTP API is, in OpenAPI 3.1, made of the calls and of `admin.proto` with its comments.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};
use serde_json::{Map, Value, json};

use super::ROOT;
use super::calls::{CALLS, Call};
use super::transcode::method;

static DOCUMENT: LazyLock<Value> = LazyLock::new(made);

/// The document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

fn made() -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut schemas = Schemas::default();
    for call in CALLS {
        let operation = operation(call, &mut schemas);
        paths.entry(call.path.to_owned()).or_default().insert(call.verb.name().to_owned(), operation);
    }
    for (path, verb, operation) in by_hand() {
        paths.entry(path.to_owned()).or_default().insert(verb.to_owned(), operation);
    }
    let mut described = schemas.0;
    described.extend(schemas_by_hand());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "LedgerMQ",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The admin service as JSON. Every node answers for the whole cluster.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": ROOT }],
        "security": [{}, { "session": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": described,
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "ledgermq_session" },
                "basic": { "type": "http", "scheme": "basic", "description": "A user and its secret." },
            },
            "responses": {
                "error": {
                    "description": "It was not done, or it is not known whether it was (504).",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
                },
            },
        },
    })
}

fn operation(call: &Call, schemas: &mut Schemas) -> Value {
    let method = method(call.method);
    let input = method.input();
    let in_path = |field: &FieldDescriptor| call.path.contains(&format!("{{{}}}", field.name()));
    let mut parameters = Vec::new();
    for field in input.fields() {
        if in_path(&field) {
            parameters.push(parameter(&field, field.name(), "path", schemas));
        } else if !call.verb.has_body() {
            query_parameters(&field, schemas, &mut parameters);
        }
    }
    let mut operation = json!({
        "operationId": call.method,
        "summary": summary(&method),
        "tags": [call.path.split('/').nth(1).unwrap_or_default()],
        "parameters": parameters,
        "responses": answers(&schemas.reference(&method.output())),
    });
    if call.verb.has_body() {
        let schema = schemas.reference(&input);
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn answers(schema: &Value) -> Value {
    let error = json!({ "$ref": "#/components/responses/error" });
    json!({
        "200": { "description": "Done.", "content": { "application/json": { "schema": schema } } },
        "default": error,
    })
}

fn parameter(field: &FieldDescriptor, name: &str, place: &str, schemas: &mut Schemas) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": comment(field.parent_message(), field),
        "schema": schemas.field(field),
    })
}

/// What a query may say of a field: nothing of what is deeper than one message.
fn query_parameters(field: &FieldDescriptor, schemas: &mut Schemas, parameters: &mut Vec<Value>) {
    match field.kind() {
        Kind::Message(inner) if !field.is_list() && !field.is_map() => {
            for deeper in inner.fields().filter(|deeper| !matches!(deeper.kind(), Kind::Message(_))) {
                let name = format!("{}.{}", field.name(), deeper.name());
                parameters.push(parameter(&deeper, &name, "query", schemas));
            }
        }
        Kind::Message(_) => {}
        _ => parameters.push(parameter(field, field.name(), "query", schemas)),
    }
}

/// The first sentences above the method, or its name in words.
fn summary(method: &MethodDescriptor) -> String {
    let file = method.parent_file();
    match above(file.file_descriptor_proto().source_code_info.as_ref(), method.path()) {
        text if !text.is_empty() => text,
        _ => in_words(method.name()),
    }
}

/// `ListTopics` as `List topics`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        match letter.is_uppercase() && !words.is_empty() {
            true => words.extend([' ', letter.to_ascii_lowercase()]),
            false => words.push(letter),
        }
    }
    words
}

fn comment(of: &MessageDescriptor, field: &FieldDescriptor) -> String {
    above(of.parent_file().file_descriptor_proto().source_code_info.as_ref(), field.path())
}

fn above(info: Option<&prost_types::SourceCodeInfo>, path: &[i32]) -> String {
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map(|location| location.leading_comments()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The shapes that calls take and give, by the names of their messages.
#[derive(Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to a message's shape, which is described too.
    fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = name_of(message.full_name());
        if !self.0.contains_key(&name) {
            // First, because a message may hold itself.
            self.0.insert(name.clone(), Value::Null);
            let described = self.message(message);
            self.0.insert(name.clone(), described);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn message(&mut self, message: &MessageDescriptor) -> Value {
        let mut properties = Map::new();
        for field in message.fields() {
            let mut schema = self.field(&field);
            let said = comment(message, &field);
            if !said.is_empty() {
                schema["description"] = Value::String(said);
            }
            properties.insert(field.name().to_owned(), schema);
        }
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map() {
            return json!({ "type": "object", "additionalProperties": { "type": "string" } });
        }
        let one = self.kind(&field.kind());
        match field.cardinality() {
            Cardinality::Repeated => json!({ "type": "array", "items": one }),
            _ => one,
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX })
            }
            Kind::Float | Kind::Double => json!({ "type": "number" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Message(message) => self.reference(message),
            Kind::Enum(names) => names_of(names),
        }
    }
}

fn names_of(names: &EnumDescriptor) -> Value {
    let names: Vec<String> = names.values().map(|value| value.name().to_owned()).collect();
    json!({ "type": "string", "enum": names })
}

/// Without the package: `QueryMessagesRequest.Time`.
fn name_of(full_name: &str) -> String {
    full_name.trim_start_matches("ledgermq.admin.v1.").to_owned()
}

/// The calls that are no methods of the admin service.
fn by_hand() -> [(&'static str, &'static str, Value); 5] {
    let session = json!({ "$ref": "#/components/schemas/Session" });
    let call = |id: &str, summary: &str, schema: Value| {
        json!({
            "operationId": id,
            "summary": summary,
            "tags": [if id.ends_with("Session") { "session" } else { "about" }],
            "responses": answers(&schema),
        })
    };
    let mut log_in = call("BeginSession", "Logs in: sets a cookie.", session.clone());
    log_in["requestBody"] = json!({
        "required": true,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Login" } } },
    });
    let mut events = call("Events", "What changes, as it does.", Value::Null);
    events["responses"]["200"] = json!({
        "description": "Server-sent events: cluster, traffic, lags and doctor, each as its call answers; over, when the session is.",
        "content": { "text/event-stream": { "schema": { "type": "string" } } },
    });
    [
        ("/session", "get", call("DescribeSession", "Who is logged in, and where.", session)),
        ("/session", "post", log_in),
        ("/session", "delete", call("EndSession", "Logs out.", json!({ "type": "object" }))),
        ("/events", "get", events),
        ("/openapi.json", "get", call("OpenApi", "This document.", json!({ "type": "object" }))),
    ]
}

fn schemas_by_hand() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let described = json!({
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": { "code": text, "message": text },
            } },
        },
        "Login": {
            "type": "object",
            "required": ["user", "secret"],
            "properties": { "user": text, "secret": text },
            "additionalProperties": false,
        },
        "Session": {
            "type": "object",
            "required": ["access_control", "user", "role", "cluster", "node", "version"],
            "properties": {
                "access_control": { "type": "boolean" },
                "user": text,
                "role": { "type": "string", "enum": ["see", "operate", "administer"] },
                "expires_unix_ms": { "type": ["integer", "null"] },
                "cluster": text,
                "node": { "type": "object", "properties": { "id": { "type": "integer" }, "name": text } },
                "version": text,
            },
        },
    });
    match described {
        Value::Object(described) => described,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations() -> Vec<(String, Value)> {
        let paths = document()["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, verbs)| {
            verbs.as_object().unwrap().iter().map(move |(verb, it)| (format!("{verb} {path}"), it.clone()))
        });
        all.collect()
    }

    #[test]
    fn every_method_has_a_call_and_every_call_its_words() {
        let mut unary: Vec<String> = method("ListTopics")
            .parent_service()
            .methods()
            .filter(|method| !method.is_client_streaming())
            .map(|method| method.name().to_owned())
            .collect();
        // A node steps aside by itself; a person asks that of another one by moving what it leads.
        unary.retain(|name| name != "StepAside");
        let mut called: Vec<String> = CALLS.iter().map(|call| call.method.to_owned()).collect();
        unary.sort();
        called.sort();
        assert_eq!(called, unary);
        for (name, operation) in operations() {
            assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{name}");
        }
    }

    #[test]
    fn what_is_in_a_path_is_a_parameter_and_references_lead_somewhere() {
        for (name, operation) in operations() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|it| it["in"] == "path").count();
            assert_eq!(in_path, name.matches('{').count(), "{name}");
        }
        let text = document().to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document()["components"]["schemas"][name].is_object(), "{name}");
        }
        let by_time = &document()["paths"]["/messages"]["get"]["parameters"];
        assert!(by_time.as_array().unwrap().iter().any(|it| it["name"] == "time.from_unix_ms"));
    }
}
