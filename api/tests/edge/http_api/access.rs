//! Who may ask what, where access is controlled.

use std::sync::Arc;

use api::access::gate::AccessControl;
use api::access::seal::SealKey;
use api::http::api::calls::{CALLS, Verb};
use raft::access::{Effect, Role};
use raft::machine::AccessAction;
use serde_json::json;

use super::support::{Answer, Port};
use crate::access::support::{Guarded, KEY, SECRET, rule};

const SESSION: &str = "/api/v1/session";

struct Scene {
    guarded: Guarded,
    port: Port,
}

async fn scene() -> Scene {
    let guarded = Guarded::start().await;
    let port = Port::of(&guarded.server, AccessControl::On(Arc::new(SealKey::of_bytes(&KEY)))).await;
    Scene { guarded, port }
}

impl Scene {
    async fn log_in(&self, user: &str, secret: &str) -> Answer {
        let login = json!({ "user": user, "secret": secret }).to_string();
        self.port.ask("POST", SESSION, &[], &login).await
    }

    async fn status(&self, verb: &str, path: &str, cookie: &str) -> u16 {
        let body = if verb == "GET" || verb == "DELETE" { "" } else { "{}" };
        self.port.ask(verb, path, &[("cookie", cookie)], body).await.status
    }
}

fn verb(verb: Verb) -> String {
    verb.name().to_uppercase()
}

/// With a name in place of each field.
fn path(path: &str) -> String {
    let steps: Vec<&str> =
        path.split('/').map(|step| if step.starts_with('{') { "none" } else { step }).collect();
    format!("/api/v1{}", steps.join("/"))
}

#[tokio::test]
async fn nobody_gets_anything_and_a_user_without_rights_what_everybody_may() {
    let scene = scene().await;
    let cookie = scene.log_in("nobody", SECRET).await.cookie();
    // These show what the caller may list: nothing, here; or say what is missing in the request first.
    let open = [
        "ListTopics",
        "ListGroups",
        "ListLags",
        "ListClients",
        "ListTimers",
        "TraceMessage",
        "ResendMessage",
    ];
    for call in CALLS {
        let (verb, path) = (verb(call.verb), path(call.path));
        assert_eq!(scene.status(&verb, &path, "").await, 401, "{call:?} by nobody");
        assert_eq!(
            scene.status(&verb, &path, "ledgermq_session=AQAAAA").await,
            401,
            "{call:?} with a false cookie"
        );
        let status = scene.status(&verb, &path, &cookie).await;
        match open.contains(&call.method) {
            true => assert!(status == 200 || status == 404, "{call:?}: {status}"),
            false => assert_eq!(status, 403, "{call:?} without rights"),
        }
    }
    let timers = scene.port.ask("GET", "/api/v1/timers", &[("cookie", &cookie)], "").await.json();
    assert!(timers["total"].is_null(), "how many wait in topics that the user may not list: {timers}");
    for path in ["/api/v1/session", "/api/v1/events"] {
        assert_eq!(scene.status("GET", path, "").await, 401, "{path}");
    }
}

#[tokio::test]
async fn who_logs_in_may_what_the_user_may_until_he_logs_out_or_is_no_more() {
    let scene = scene().await;
    for (user, secret) in [("admin", "wrong"), ("none", SECRET), ("", "")] {
        let refused = scene.log_in(user, secret).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (401, None), "{user}");
    }
    let answer = scene.log_in("admin", SECRET).await;
    assert_eq!((&answer.json()["user"], &answer.json()["role"]), (&json!("admin"), &json!("administer")));
    assert!(answer.json()["expires_unix_ms"].as_u64() > Some(0));
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly; SameSite=Strict") && !set.contains(SECRET), "{set}");
    let cookie = answer.cookie();
    assert_eq!(scene.status("GET", "/api/v1/users", &cookie).await, 200);
    let ended = scene.port.ask("DELETE", SESSION, &[("cookie", &cookie)], "").await;
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));

    scene.guarded.user("eve", Role::Normal, vec![rule(Effect::Allow, ("get", "cluster:test"))]).await;
    let eve = scene.log_in("eve", SECRET).await;
    assert_eq!(eve.json()["role"], "see");
    assert_eq!(scene.status("GET", "/api/v1/cluster", &eve.cookie()).await, 200);
    assert_eq!(scene.status("GET", "/api/v1/users", &eve.cookie()).await, 403);
    let rule = rule(Effect::Allow, ("update", "group:billing"));
    scene.guarded.change(AccessAction::SetRule { user: "eve".into(), rule }).await;
    let now = scene.port.ask("GET", SESSION, &[("cookie", &eve.cookie())], "").await;
    assert_eq!(now.json()["role"], "operate", "rights count from the next request on");
    let enabled = |enabled| AccessAction::UpdateUser {
        name: "eve".into(),
        secret: Vec::new(),
        role: None,
        enabled: Some(enabled),
    };
    scene.guarded.change(enabled(false)).await;
    for path in [SESSION, "/api/v1/topics", "/api/v1/events"] {
        assert_eq!(scene.status("GET", path, &eve.cookie()).await, 401, "{path}");
    }
    let refused = scene.log_in("eve", SECRET).await;
    assert_eq!((refused.status, refused.message().contains("disabled")), (401, true));
    assert!(
        !scene.log_in("eve", "wrong").await.message().contains("disabled"),
        "that is for her alone to know"
    );
    scene.guarded.change(enabled(true)).await;
    assert_eq!(scene.status("GET", "/api/v1/cluster", &eve.cookie()).await, 200);
    scene.guarded.change(AccessAction::DeleteUser { name: "eve".into() }).await;
    assert_eq!(scene.status("GET", "/api/v1/cluster", &eve.cookie()).await, 401);
}

#[tokio::test]
async fn scripts_show_their_secret_with_each_request() {
    use base64::Engine;
    let scene = scene().await;
    let basic = |secret: &str| {
        let shown = base64::prelude::BASE64_STANDARD.encode(format!("admin:{secret}"));
        format!("Basic {shown}")
    };
    for (secret, status) in [(SECRET, 200), ("wrong", 401)] {
        let headers = [("authorization", basic(secret))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = scene.port.ask("GET", "/api/v1/users", &headers, "").await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let made = scene
        .port
        .ask("POST", "/api/v1/users", &[("authorization", &basic(SECRET))], r#"{"name":"shop"}"#)
        .await;
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(scene.log_in("shop", &secret).await.status, 200);
}
