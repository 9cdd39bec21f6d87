//! Pulls and searches after retention: what went is not found, and who asks for it goes on behind it.

use raft::hash::hash64;
use raft::node::MessageQuery;
use raft::question::{By, Pull};
use raft::request::{Extras, Filter, Publish};
use store::record::MessageRecord;

use crate::cluster::{Cluster, GROUP, message, soon};
use crate::retention::{eager, let_go};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_took_is_not_found_and_a_pull_goes_on_behind_it() {
    let cluster = Cluster::start_with(1, eager).await;
    let topic = cluster.topic(1, "orders").await;
    let node = cluster.node(1);
    let keyed = |number| {
        let plain = message(&topic, number);
        let record = MessageRecord::decode(&plain.record).expect("a record");
        let record = MessageRecord { keys: vec!["k".into()], ..record };
        let extras = Extras { key_hashes: vec![hash64(b"k")], ..Extras::default() };
        Publish { extras, record: record.encode(), ..plain }
    };
    let send = async |numbers: std::ops::Range<u64>| {
        for sent in node.publish(numbers.map(keyed).collect(), soon()).await {
            sent.expect("committed");
        }
    };
    let find = async |by: By| {
        let query = MessageQuery { topic: topic.clone(), by, after: None, limit: 100, from_replica: true };
        let page = node.query_messages(query, soon()).await.expect("answered");
        page.messages.iter().map(|found| found.place.number).collect::<Vec<_>>()
    };
    let by_key = || By::Key { key: "k".into(), hash: hash64(b"k") };
    send(0..10).await;
    assert_eq!(find(by_key()).await, (0..10).collect::<Vec<_>>());

    let_go(&cluster, &topic).await;
    send(10..15).await;
    let left = (10..15).collect::<Vec<_>>();
    for by in [by_key(), By::Time(0, u64::MAX), By::Offset { queue: 0, offset: 3 }] {
        assert_eq!(find(by.clone()).await, left, "{by:?}");
    }
    let id = |number: u64| {
        let dedup = message(&topic, number).dedup;
        By::Id { id: format!("m{number}"), dedup, hash: 1, born_ms: None }
    };
    assert_eq!((find(id(3)).await, find(id(12)).await), (vec![], vec![12]));

    let queue = message(&topic, 0).queue;
    let pull = Pull { queue, group: GROUP, offset: 3, max: 32, filter: Filter::All, from_replica: false };
    let found = node.pull(pull, soon(), soon()).await.expect("answered").found;
    let offsets = found.places.iter().map(|place| place.offset).collect::<Vec<_>>();
    assert_eq!((found.first, found.next, offsets), (10, 15, left));
}
