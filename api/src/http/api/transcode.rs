//! Between the JSON of the HTTP API and the messages of the admin service.
//!
//! The mapping is that of proto3 (<https://protobuf.dev/programming-guides/json/>), but fields have the names of the
//! `.proto` files, 64-bit integers are numbers, and fields with their default value are there.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor,
    SerializeOptions, ServiceDescriptor,
};
use serde_json::{Map, Value};

/// The admin service, and what it is made of.
static ADMIN: LazyLock<ServiceDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(proto::ADMIN_DESCRIPTOR_SET).expect("our own descriptors");
    pool.get_service_by_name("ledgermq.admin.v1.Admin").expect("the admin service")
});

/// A method of the admin service.
pub fn method(name: &str) -> MethodDescriptor {
    let found = ADMIN.methods().find(|method| method.name() == name);
    found.unwrap_or_else(|| panic!("the admin service has a method {name}"))
}

/// A request as JSON, from the three places where its fields come from. What comes later counts.
#[derive(Debug)]
pub struct RequestFields {
    of: MessageDescriptor,
    fields: Map<String, Value>,
}

impl RequestFields {
    /// From the body. None is as good as `{}`.
    ///
    /// # Errors
    /// A sentence.
    pub fn of_body(of: MessageDescriptor, body: &[u8]) -> Result<RequestFields, String> {
        let fields = match body.trim_ascii() {
            [] => Map::new(),
            body => serde_json::from_slice(body)
                .map_err(|error| format!("the body is no JSON object: {error}"))?,
        };
        Ok(RequestFields { of, fields })
    }

    /// Takes one from the path or the query. A dot leads into a message: `time.from_unix_ms`.
    ///
    /// # Errors
    /// A sentence, if the request has no such field, or not as text.
    pub fn put(&mut self, name: &str, text: &str) -> Result<(), String> {
        let unknown = || format!("there is no parameter {name}");
        let (mut of, mut fields) = (self.of.clone(), &mut self.fields);
        let mut steps = name.split('.').peekable();
        while let Some(step) = steps.next() {
            let field = of.get_field_by_name(step).ok_or_else(unknown)?;
            if steps.peek().is_some() {
                let Kind::Message(inner) = field.kind() else { return Err(unknown()) };
                let entry = fields.entry(step).or_insert_with(|| Value::Object(Map::new()));
                fields = entry.as_object_mut().ok_or_else(unknown)?;
                of = inner;
                continue;
            }
            let value = value_of(&field.kind(), text).ok_or_else(|| format!("{name} cannot be {text:?}"))?;
            match field.is_list() {
                true => {
                    let list = fields.entry(step).or_insert_with(|| Value::Array(Vec::new()));
                    list.as_array_mut().ok_or_else(unknown)?.push(value);
                }
                false => drop(fields.insert(step.to_owned(), value)),
            }
        }
        Ok(())
    }

    /// The encoded request.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn encoded(self) -> Result<Vec<u8>, String> {
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let fields = Value::Object(self.fields);
        let message = DynamicMessage::deserialize_with_options(self.of, fields, &options);
        message.map(|message| message.encode_to_vec()).map_err(|error| error.to_string())
    }
}

/// Text as JSON for a field. Numbers may be text in JSON, too, but a truth may not.
fn value_of(kind: &Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Message(_) => None,
        _ => Some(Value::String(text.to_owned())),
    }
}

/// An encoded answer as JSON.
///
/// # Errors
/// If it is none of this kind, which is a bug.
pub fn json_of(of: MessageDescriptor, encoded: &[u8]) -> anyhow::Result<Vec<u8>> {
    let message = DynamicMessage::decode(of, encoded)?;
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let mut json = Vec::new();
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::admin::{ListDeadLettersRequest, QueryMessagesRequest, TopicResponse, UpdateTopicRequest};

    use super::*;

    fn fields(name: &str, body: &str) -> RequestFields {
        RequestFields::of_body(method(name).input(), body.as_bytes()).unwrap()
    }

    #[test]
    fn fields_come_from_the_body_the_query_and_the_path() {
        let body = r#"{"queues": 8, "settings": {"ttl_ms": 1000, "retention_bytes": "5"}, "type": "TOPIC_TYPE_FIFO"}"#;
        let mut request = fields("UpdateTopic", body);
        request.put("name", "orders").unwrap();
        let request = UpdateTopicRequest::decode(request.encoded().unwrap().as_slice()).unwrap();
        assert_eq!((request.name.as_str(), request.queues, request.r#type), ("orders", Some(8), Some(2)));
        let settings = request.settings.unwrap();
        assert_eq!((settings.ttl_ms, settings.retention_bytes), (Some(1000), Some(5)));

        let mut request = fields("QueryMessages", "");
        for (name, text) in [
            ("topic", "orders"),
            ("time.from_unix_ms", "5"),
            ("time.to_unix_ms", "9"),
            ("from_replica", "true"),
        ] {
            request.put(name, text).unwrap();
        }
        let request = QueryMessagesRequest::decode(request.encoded().unwrap().as_slice()).unwrap();
        assert!(request.from_replica);
        let time = proto::admin::query_messages_request::Time { from_unix_ms: 5, to_unix_ms: 9 };
        assert_eq!(request.by, Some(proto::admin::query_messages_request::By::Time(time)));

        let mut request = fields("ListDeadLetters", "");
        ["a", "b"].iter().for_each(|id| request.put("message_ids", id).unwrap());
        let request = ListDeadLettersRequest::decode(request.encoded().unwrap().as_slice()).unwrap();
        assert_eq!(request.message_ids, ["a", "b"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(RequestFields::of_body(method("ListTopics").input(), b"[1]").is_err());
        assert!(RequestFields::of_body(method("ListTopics").input(), b"{").is_err());
        for (name, text) in [("all", "yes"), ("none", "1"), ("all.x", "1")] {
            assert!(fields("ListTopics", "").put(name, text).is_err(), "{name}");
        }
        for body in
            [r#"{"queues": -1}"#, r#"{"queues": "many"}"#, r#"{"nothing": 1}"#, r#"{"type": "ROUND"}"#]
        {
            assert!(fields("CreateTopic", body).encoded().is_err(), "{body}");
        }
    }

    #[test]
    fn answers_have_all_their_fields() {
        let topic =
            proto::admin::Topic { name: "orders".into(), created_unix_ms: 1 << 40, ..Default::default() };
        let encoded = TopicResponse { topic: Some(topic) }.encode_to_vec();
        let json: Value =
            serde_json::from_slice(&json_of(method("CreateTopic").output(), &encoded).unwrap()).unwrap();
        assert_eq!(json["topic"]["name"], "orders");
        assert_eq!(json["topic"]["created_unix_ms"], 1_u64 << 40);
        assert_eq!(json["topic"]["queues"], 0);
        assert_eq!(json["topic"]["type"], "TOPIC_TYPE_UNSPECIFIED");
    }
}
