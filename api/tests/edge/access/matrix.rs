//! Every method of every service, as everybody.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;
use raft::access::Role;
use raft::catalog::TopicType;

use super::cases::{self, Case};
use super::support::{Answered, Guarded, Right, SECRET, all_but, only};

/// What anybody may ask: whether the node serves, and which methods there are.
const OPEN: [&str; 2] =
    ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_demands_its_rights_of_everybody() {
    let guarded = Guarded::start().await;
    guarded.server.topic("orders", TopicType::Normal, 1).await;
    for case in cases::all() {
        strangers(&guarded, &case).await;
        match case.admin {
            true => only_admins(&guarded, &case).await,
            false => each_right(&guarded, &case).await,
        }
        let as_admin = guarded.call(Some(("admin", SECRET)), case.path, &case.body).await;
        assert_eq!(as_admin, Answered::Passed, "{} as administrator", case.path);
    }
    for path in OPEN {
        let anybody = guarded.call(None, path, &Default::default()).await;
        assert_eq!(anybody, Answered::Passed, "{path}");
    }
}

/// Who is not known gets nowhere.
async fn strangers(guarded: &Guarded, case: &Case) {
    for stranger in [None, Some(("admin", "not-the-secret-of-it")), Some(("unknown", SECRET)), Some(("", ""))]
    {
        let answered = guarded.call(stranger, case.path, &case.body).await;
        assert_eq!(answered, Answered::Unauthorized, "{} as {stranger:?}", case.path);
    }
}

async fn only_admins(guarded: &Guarded, case: &Case) {
    guarded.user("user", Role::Normal, all_but(&[])).await;
    let answered = guarded.call(Some(("user", SECRET)), case.path, &case.body).await;
    assert_eq!(answered, Answered::Forbidden, "{} with all rights", case.path);
}

/// With what it needs and nothing else it passes; with everything but one thing that it needs it does not.
async fn each_right(guarded: &Guarded, case: &Case) {
    let user = Some(("user", SECRET));
    let without = guarded.call(Some(("nobody", SECRET)), case.path, &case.body).await;
    let expected = if case.needs.is_empty() { Answered::Passed } else { Answered::Forbidden };
    assert_eq!(without, expected, "{} without rights", case.path);
    let most = case.needs.iter().map(Vec::len).max().unwrap_or(0);
    for choice in 0..most {
        let rights: Vec<Right> = case.needs.iter().map(|any| any[choice.min(any.len() - 1)]).collect();
        guarded.user("user", Role::Normal, only(&rights)).await;
        let answered = guarded.call(user, case.path, &case.body).await;
        assert_eq!(answered, Answered::Passed, "{} with {rights:?}", case.path);
    }
    for needed in &case.needs {
        guarded.user("user", Role::Normal, all_but(needed)).await;
        let answered = guarded.call(user, case.path, &case.body).await;
        assert_eq!(answered, Answered::Forbidden, "{} without {needed:?}", case.path);
    }
}

#[test]
fn no_method_is_forgotten() {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("our own descriptors decode");
    let mut methods = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            let full = format!("/{}.{}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| format!("{full}/{}", method.name())));
        }
    }
    // The peers' service is on a port of its own.
    methods.retain(|method| !method.starts_with("/ledgermq.peer."));
    let covered: BTreeSet<String> = cases::all().iter().map(|case| case.path.to_owned()).collect();
    assert_eq!(covered, methods);
}
