//! What is asked over HTTP is done.

use std::time::Duration;

use api::access::gate::AccessControl;
use api::cli::moment::print_unix_ms;
use raft::catalog::TopicType;
use serde_json::{Value, json};

use super::support::Port;
use crate::rocketmq_admin::Consumer;
use crate::support::*;

async fn started() -> (Server, Port) {
    let server = Server::start().await;
    let port = Port::of(&server, AccessControl::Off).await;
    (server, port)
}

#[tokio::test]
async fn topics_and_groups_are_made_changed_and_deleted() {
    let (_server, port) = started().await;
    let made = port
        .done("POST", "/topics", &json!({ "name": "orders", "type": "TOPIC_TYPE_FIFO", "queues": 4 }))
        .await;
    assert_eq!((&made["topic"]["type"], &made["topic"]["queues"]), (&json!("TOPIC_TYPE_FIFO"), &json!(4)));
    let changed = json!({ "queues": 8, "settings": { "ttl_ms": 60_000 } });
    let changed = port.done("PATCH", "/topics/orders", &changed).await;
    assert_eq!(changed["topic"]["settings"]["ttl_ms"], 60_000);
    assert_eq!(port.get("/topics/orders").await["queues"].as_array().unwrap().len(), 8);
    let listed = port.get("/topics").await;
    assert_eq!(listed["topics"][0]["name"], "orders");

    let retry = json!({ "exponential": { "initial_ms": 1000, "max_ms": 60_000, "multiplier_percent": 200 } });
    let group = json!({ "name": "billing", "max_attempts": 3, "retry": retry });
    assert_eq!(port.done("POST", "/groups", &group).await["group"]["retry"]["exponential"]["max_ms"], 60_000);
    assert_eq!(
        port.done("PATCH", "/groups/billing", &json!({ "paused": true })).await["group"]["paused"],
        true
    );
    assert_eq!(port.get("/groups").await["groups"][0]["paused"], true);

    port.done("DELETE", "/groups/billing", &Value::Null).await;
    port.done("DELETE", "/topics/orders", &Value::Null).await;
    assert_eq!(port.refused("GET", "/topics/orders", "").await.status, 404);
    assert_eq!(port.refused("DELETE", "/groups/billing", "").await.status, 404);
}

#[tokio::test]
async fn a_message_is_sent_found_told_of_and_sent_again() {
    let (server, port) = started().await;
    server.topic("orders", TopicType::Normal, 2).await;
    port.done("POST", "/groups", &json!({ "name": "billing" })).await;
    let message = json!({
        "body": "aGVsbG8=", "tag": "paid", "keys": ["k1", "k2"], "properties": { "color": "<b>red</b>" },
    });
    let id = port.done("POST", "/topics/orders/messages", &message).await["message_id"]
        .as_str()
        .unwrap()
        .to_owned();
    for by in
        [format!("id={id}"), "key=k2".into(), "time.from_unix_ms=0&time.to_unix_ms=9999999999999".into()]
    {
        let found = port.get(&format!("/messages?topic=orders&{by}")).await;
        let [found] = found["messages"].as_array().unwrap().as_slice() else { panic!("{by}: {found}") };
        assert_eq!(
            (&found["message_id"], &found["body"], &found["tag"]),
            (&json!(id), &json!("aGVsbG8="), &json!("paid"))
        );
        assert_eq!(found["properties"]["color"], "<b>red</b>");
        let at = format!("/messages?topic=orders&offset.queue={}&offset.offset=0", found["queue"]);
        assert_eq!(port.get(&at).await["messages"][0]["message_id"], json!(id));
    }
    let traced = port.get(&format!("/messages/{id}/trace?topic=orders")).await;
    assert_eq!(traced["messages"][0]["message"]["message_id"], json!(id));
    assert!(traced["messages"][0]["index"].as_u64() > Some(0));
    let why = port.get(&format!("/messages/{id}/why?group=billing&topic=orders")).await;
    assert_eq!(said(&why["said"]), why["sentence"]);
    assert_eq!(why["reason"], "consumer_offline");

    let again = port.done("POST", &format!("/messages/{id}/resend"), &json!({ "topic": "orders" })).await;
    assert_ne!(again["message_id"], json!(id));
    assert_eq!(port.get("/messages?topic=orders&key=k1").await["messages"].as_array().unwrap().len(), 2);
    let verify = json!({ "topic": "orders", "group": "billing", "client_id": "nobody" }).to_string();
    let refused = port.refused("POST", &format!("/messages/{id}/verify"), &verify).await;
    assert_eq!((refused.status, refused.message().contains("not connected")), (404, true));
    assert_eq!(port.refused("POST", "/messages/none/resend", "{}").await.status, 404);
    let system = port.refused("POST", "/topics/%25DLQ%25billing/messages", r#"{"body":"eA=="}"#).await;
    assert!(system.message().contains("nobody sends to it"), "{}", system.message());
}

#[tokio::test]
async fn a_preview_of_a_reset_tells_where_it_would_be_and_moves_nothing() {
    let (server, port) = started().await;
    server.topic("orders", TopicType::Normal, 1).await;
    port.done("POST", "/groups", &json!({ "name": "billing", "start_from": "START_FROM_FIRST" })).await;
    for _ in 0..3 {
        port.done("POST", "/topics/orders/messages", &json!({ "body": "eA==" })).await;
    }
    let reset = |to: &str, preview: bool| json!({ "topic": "orders", "to": to, "preview": preview });
    let path = "/groups/billing/reset";
    let settled = |answer: Value| answer["queues"][0]["settled_offset"].as_u64().unwrap();
    assert_eq!(settled(port.done("POST", path, &reset("START_FROM_LAST", true)).await), 3);
    let now = port.get("/groups/billing/offsets?topic=orders").await;
    assert_eq!((&now["queues"][0]["lag"], settled(now.clone())), (&json!(3), 0));

    assert_eq!(settled(port.done("POST", path, &reset("START_FROM_LAST", false)).await), 3);
    assert_eq!(settled(port.done("POST", path, &reset("START_FROM_FIRST", true)).await), 0);
    let one = json!({ "topic": "orders", "queue": 0, "offset": 2, "preview": true });
    assert_eq!(settled(port.done("POST", path, &one).await), 2);
    let time = json!({ "topic": "orders", "to": "START_FROM_TIME", "unix_ms": 1, "preview": true });
    assert_eq!(settled(port.done("POST", path, &time).await), 0);
    assert_eq!(settled(port.get("/groups/billing/offsets?topic=orders").await), 3, "nothing was moved");
    let beyond = json!({ "topic": "orders", "queue": 0, "offset": 9, "preview": true }).to_string();
    assert_eq!(port.refused("POST", path, &beyond).await.status, 400);
    let none = r#"{"topic": "orders", "queue": 7, "offset": 0, "preview": true}"#;
    for nowhere in [r#"{"topic": "orders", "preview": true}"#, none] {
        assert_eq!(port.refused("POST", path, nowhere).await.status, 400, "{nowhere}");
    }
}

#[tokio::test]
async fn what_waits_is_listed_by_its_time_and_recalled() {
    let (server, port) = started().await;
    server.topic("later", TopicType::Delay, 1).await;
    server.topic("other", TopicType::Delay, 1).await;
    for (topic, hours) in [("later", 3), ("later", 1), ("other", 2)] {
        let message = json!({ "body": "eA==", "delay_ms": hours * 3_600_000 });
        port.done("POST", &format!("/topics/{topic}/messages"), &message).await;
    }
    let all = port.get("/timers").await;
    let due: Vec<u64> = all["timers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|timer| timer["due_unix_ms"].as_u64().unwrap())
        .collect();
    assert!(due.len() == 3 && due.is_sorted(), "{all}");
    assert_eq!((&all["total"], &all["more"]), (&json!(3), &json!(false)));
    let later = port.get("/timers?topic=later&limit=1").await;
    assert_eq!((later["timers"].as_array().unwrap().len(), &later["total"]), (1, &json!(3)));
    assert_eq!(later["more"], true);
    let from = port.get(&format!("/timers?from_unix_ms={}", due[1])).await;
    assert_eq!(from["timers"].as_array().unwrap().len(), 2);

    let timer = &later["timers"][0];
    let recall = json!({ "topic": "later", "recall_handle": timer["recall_handle"] });
    let recalled = port.done("POST", "/timers/recall", &recall).await;
    assert_eq!(recalled["message_id"], timer["message_id"]);
    assert_eq!(port.get("/timers").await["total"], 2);
    let of_another = json!({ "topic": "other", "recall_handle": timer["recall_handle"] }).to_string();
    for wrong in [of_another.as_str(), r#"{"topic": "later", "recall_handle": "none"}"#] {
        assert_eq!(port.refused("POST", "/timers/recall", wrong).await.status, 400);
    }
    assert_eq!(port.refused("GET", "/timers?topic=none", "").await.status, 404);
}

#[tokio::test]
async fn clients_lags_and_rates_are_those_of_the_whole_cluster() {
    let servers = Server::cluster(3).await;
    let port = Port::of(&servers[0], AccessControl::Off).await;
    servers[0].topic("orders", TopicType::Normal, 4).await;
    port.done("POST", "/groups", &json!({ "name": "billing", "start_from": "START_FROM_FIRST" })).await;
    for _ in 0..8 {
        port.done("POST", "/topics/orders/messages", &json!({ "body": "eA==" })).await;
    }
    let _consumer = Consumer::connect(&servers[1], "host@1", "billing", &[("orders", "a||b")]).await;
    let (status, received) =
        servers[1].client("c0").await.receive(receive("orders", "billing", 10_000)).await;
    assert!(!received.is_empty(), "{status:?}");

    let clients = eventually(|| async {
        let told = port.get("/clients?group=billing").await;
        Some(told).filter(|told| !told["clients"].as_array().unwrap().is_empty())
    })
    .await;
    let client = &clients["clients"][0];
    assert_eq!((&client["client_id"], &client["group"]), (&json!("host@1"), &json!("billing")));
    let subscription = json!({ "topic": "orders", "type": "tag", "expression": "a||b" });
    assert_eq!((&client["subscriptions"], &client["nodes"]), (&json!([subscription]), &json!([2])));
    assert_eq!(port.get("/clients?topic=none").await["clients"], json!([]));

    let lag = eventually(|| async {
        let told = port.get("/lags?group=billing").await;
        Some(told).filter(|told| told["total"]["in_flight"].as_u64() > Some(0))
    })
    .await;
    assert_eq!((&lag["lags"][0]["topic"], &lag["total"]["messages"]), (&json!("orders"), &json!(8)));
    assert_eq!(port.get("/lags?topic=none").await["total"]["messages"], 0);

    let traffic = eventually(|| async {
        let told = port.get("/traffic").await;
        let nodes = told["nodes"].as_array().unwrap().len();
        Some(told).filter(|_| nodes == 3)
    })
    .await;
    assert!(traffic["nodes"][0]["now"]["messages_in_per_s"].is_number());
    let doctor = port.get("/doctor").await;
    let findings = doctor["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["check"] == "leader"));
    for finding in findings {
        assert_eq!(said(&finding["found_said"]), finding["found"], "{finding}");
        if finding["level"] != "ok" {
            assert_eq!(said(&finding["advice_said"]), finding["advice"], "{finding}");
        }
    }
    let plan = port.get("/cluster/rebalance").await;
    assert_eq!((plan["nodes"].as_array().unwrap().len(), &plan["replicas"]), (3, &json!([])));
    assert_eq!(plan["nodes"][0]["placed_before"], 0);
    let plan = port.get("/cluster/rebalance?leaders_only=true").await;
    assert!(plan["nodes"][0]["placed_before"].is_null(), "replicas were looked at: {plan}");
}

/// What a translation would make of a sentence if it had no other words.
fn said(sentence: &Value) -> String {
    assert_ne!(sentence["code"], "", "it cannot be translated: {sentence}");
    let values = sentence["values"].as_object().expect("values");
    let template = sentence["template"].as_str().expect("a template").to_owned();
    values.iter().fold(template, |text, (name, value)| {
        let value = value.as_str().expect("a text");
        let shown = match name.ends_with("_unix_ms") {
            true => print_unix_ms(value.parse().expect("milliseconds")),
            false => value.to_owned(),
        };
        text.replace(&format!("{{{name}}}"), &shown)
    })
}

/// What comes to be within a while.
async fn eventually<F: Future<Output = Option<Value>>>(look: impl Fn() -> F) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not come to be");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
