//! What makes no sense, or comes from a page of somebody else, is refused with a sentence.

use api::access::gate::AccessControl;

use super::support::Port;
use crate::support::*;

async fn started() -> (Server, Port) {
    let server = Server::start().await;
    let port = Port::of(&server, AccessControl::Off).await;
    (server, port)
}

#[tokio::test]
async fn wrong_input_gets_a_sentence_and_changes_nothing() {
    let (_server, port) = started().await;
    for (verb, path, body, status, says) in [
        ("POST", "/topics", r#"{"name": "a b"}"#, 400, "contains ' '"),
        ("POST", "/topics", r#"{"name": "x", "queues": 4000000000}"#, 400, "queues"),
        ("POST", "/topics", r#"{"name": "x", "queues": -1}"#, 400, ""),
        ("POST", "/topics", r#"{"nmae": "x"}"#, 400, "nmae"),
        ("POST", "/topics", r#"["x"]"#, 400, "JSON object"),
        ("POST", "/topics", "{", 400, "JSON object"),
        ("PATCH", "/topics/none", "{}", 404, "none"),
        ("GET", "/topics?every=true", "", 400, "every"),
        ("GET", "/topics?all=perhaps", "", 400, "perhaps"),
        ("GET", "/messages?topic=none&id=1", "", 404, "none"),
        ("GET", "/messages/x/why?group=none", "", 404, "none"),
        ("POST", "/groups", r#"{"name": "g", "max_attempts": 100000}"#, 400, "attempts"),
        ("POST", "/cluster/groups/g9/transfer", "{}", 400, "g9"),
        ("DELETE", "/cluster/nodes/none", "", 400, "none"),
        ("POST", "/session", r#"{"user": "a", "secret": "b"}"#, 400, "not controlled"),
        ("GET", "/nothing", "", 404, "openapi.json"),
        ("PUT", "/topics", "{}", 405, "verb"),
    ] {
        let answer = port.refused(verb, path, body).await;
        assert_eq!(answer.status, status, "{verb} {path} {body}: {}", answer.message());
        assert!(answer.message().contains(says), "{verb} {path} {body}: {}", answer.message());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(port.get("/topics").await["topics"], serde_json::json!([]));
}

#[tokio::test]
async fn a_body_has_a_bound() {
    let (_server, port) = started().await;
    let body = format!(r#"{{"name": "{}"}}"#, "x".repeat(9 << 20));
    let mut stream = port.begin("POST", "/api/v1/topics", &[], &body).await;
    let mut answer = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await;
    assert!(read.is_ok() && &answer == b"HTTP/1.1 413", "{:?}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_page_of_somebody_else_gets_nothing_done() {
    let (_server, port) = started().await;
    let ask = async |verb, headers: &[(&str, &str)]| {
        port.ask(verb, "/api/v1/topics", headers, r#"{"name": "x"}"#).await.status
    };
    // What a form of any page can send, and what a page can ask by a name that leads here.
    assert_eq!(ask("POST", &[("content-type", "text/plain")]).await, 415);
    assert_eq!(ask("POST", &[("content-type", "application/x-www-form-urlencoded")]).await, 415);
    assert_eq!(ask("POST", &[("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(ask("GET", &[("host", "evil.example:8082")]).await, 403);
    assert_eq!(port.get("/topics").await["topics"], serde_json::json!([]));
    assert_eq!(ask("GET", &[("host", "localhost:8082")]).await, 200);
}
