//! SQL filters while leaders change.

use raft::catalog::TopicType;
use raft::names::GroupId;
use raft::request::{Filter, Publish, Receive};
use store::record::MessageRecord;

use crate::cluster::{Cluster, id_of, message, receive, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sql_filter_goes_on_where_the_leader_before_stopped() {
    let cluster = Cluster::start(3, 1).await;
    let topic = cluster.topic("orders", TopicType::Normal, 2).await;
    let consumer = cluster.consumer("workers", false).await;
    let filter = Filter::Sql("number IN ('7', '57', '107', '157', '207') AND number > 5".to_owned());
    let mut wanted = Vec::new();
    let mut came = Vec::new();
    for round in 0..5u32 {
        for number in round * 50..(round + 1) * 50 {
            let id = format!("m{number}");
            let properties = vec![("number".to_owned(), number.to_string())];
            let record =
                MessageRecord { message_id: id.clone(), properties, ..MessageRecord::default() }.encode();
            let publish = Publish { record, ..message(&topic, number % 2, &id, None) };
            cluster.any().publish(vec![publish], soon()).await[0].clone().expect("committed");
        }
        wanted.push(format!("m{}", round * 50 + 7));
        // Whoever is asked asks the leader, which knows nothing of what the one before has judged.
        let node = cluster.node(u64::from(round) % 3 + 1);
        let request = receive(&topic, &consumer, GroupId(1), u64::from(round) + 1);
        let request = Receive { filter: filter.clone(), ..request };
        let batch = node.receive(request, soon(), soon()).await.expect("a batch");
        came.extend(batch.iter().map(id_of));
        let receipts = batch.iter().map(|delivered| delivered.receipt).collect();
        cluster.any().transfer_leader(GroupId(1), None, soon()).await.expect("handed over");
        for settled in node.acknowledge(receipts, soon()).await {
            settled.expect("the lease is live");
        }
    }
    assert_eq!(came, wanted, "each wanted message once, and nothing else");
}
