//! What no caller reaches, whatever it may do: the machine of a node, and secrets.

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use proto::{admin, v2};
use raft::catalog::TopicType;

use super::cases;
use super::support::{Guarded, SECRET};
use crate::support::{message, receive, resource};

const ADMIN: Option<(&str, &str)> = Some(("admin", SECRET));

/// Words of fields by which a caller could name something on the machine of a node, or something for it to call or to run.
const REACHING: [&str; 14] = [
    "path",
    "dir",
    "directory",
    "filename",
    "url",
    "uri",
    "script",
    "shell",
    "exec",
    "class",
    "plugin",
    "home",
    "program",
    "endpoint_url",
];

fn fields(message: &DescriptorProto, found: &mut Vec<(String, String)>) {
    for field in &message.field {
        if matches!(field.r#type(), Type::String | Type::Bytes) {
            found.push((message.name().to_owned(), field.name().to_owned()));
        }
    }
    message.nested_type.iter().for_each(|nested| fields(nested, found));
}

#[test]
fn nothing_reaches_the_machine() {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("our own descriptors decode");
    let mut found = Vec::new();
    for file in set.file.iter().filter(|file| !file.package().starts_with("ledgermq.peer")) {
        file.message_type.iter().for_each(|message| fields(message, &mut found));
    }
    assert!(found.len() > 100, "{}", found.len());
    let reaches = |(_, field): &&(String, String)| field.split('_').any(|word| REACHING.contains(&word));
    let reaching: Vec<_> = found.iter().filter(reaches).collect();
    assert!(reaching.is_empty(), "a caller could name something on the machine: {reaching:?}");
}

fn entries(path: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        found.insert(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            entries(&entry.path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_never_paths() {
    let guarded = Guarded::start().await;
    for name in [
        "../evil",
        "evil/../../evil",
        "/tmp/evil",
        "..",
        "evil\0",
        "evil/",
        ".evil",
        "evil\\..\\evil",
        "~evil",
    ] {
        let receive = v2::ReceiveMessageRequest { group: Some(resource(name)), ..receive(name, "g", 200) };
        let requests = [
            (
                "/apache.rocketmq.v2.MessagingService/SendMessage",
                v2::SendMessageRequest { messages: vec![message(name, "x")] }.encode_to_vec(),
            ),
            ("/apache.rocketmq.v2.MessagingService/ReceiveMessage", receive.encode_to_vec()),
            (
                "/ledgermq.admin.v1.Admin/CreateTopic",
                admin::CreateTopicRequest { name: name.into(), queues: 1, ..Default::default() }
                    .encode_to_vec(),
            ),
            (
                "/ledgermq.admin.v1.Admin/CreateGroup",
                admin::CreateGroupRequest { name: name.into(), ..Default::default() }.encode_to_vec(),
            ),
            (
                "/ledgermq.admin.v1.Admin/CreateUser",
                admin::CreateUserRequest { name: name.into(), ..Default::default() }.encode_to_vec(),
            ),
        ];
        for (path, body) in requests {
            // Refused, by a status of the answer or of gRPC.
            let _ = guarded.answer(ADMIN, path, &body.into()).await;
        }
        let catalog = guarded.server.node.catalog();
        let known = catalog.topics.contains_key(name)
            || catalog.consumers.contains_key(name)
            || catalog.users.contains_key(name);
        assert!(!known, "{name:?} became a name");
    }
    // What may be a name is a name, and no part of a path either.
    guarded.server.topic("evil", TopicType::Normal, 1).await;
    let mut found = BTreeSet::new();
    entries(guarded.server.data.path(), &mut found);
    assert!(found.contains("groups") && found.iter().all(|entry| !entry.contains("evil")), "{found:?}");
    assert!(!Path::new("/tmp/evil").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_never_told() {
    let guarded = Guarded::start().await;
    guarded.server.topic("orders", TopicType::Normal, 1).await;
    let sealed = guarded.server.node.catalog().users["admin"].secret.clone();
    let tells = |bytes: &[u8]| {
        bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
            || bytes.windows(sealed.len()).any(|part| part == sealed)
    };
    // The sealed secret is in the log: that is how a whole replica is copied, by administrators only.
    for case in cases::all().iter().filter(|case| !case.path.ends_with("/CopyReplica")) {
        match guarded.answer(ADMIN, case.path, &case.body).await {
            Ok(answer) => assert!(!tells(&answer.unwrap_or_default()), "{} tells a secret", case.path),
            Err(status) => assert!(!tells(status.message().as_bytes()), "{} tells a secret", case.path),
        }
    }
    let catalog = format!("{:?}", guarded.server.node.catalog().users);
    assert!(!tells(catalog.as_bytes()) && catalog.contains("admin"), "{catalog}");
}
