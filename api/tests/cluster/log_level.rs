//! What a node logs is changed while it runs, through the public admin service.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use proto::v2::ChangeLogLevelRequest;
use proto::v2::admin_client::AdminClient;
use proto::v2::change_log_level_request::Level;

use crate::cli_process::local::Local;

/// What a node says at the level debug of a connection that says nothing.
const SAID: &str = "a connection ended in its first bytes";
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects and goes away again, until the node has spoken of that once more.
async fn until_said(local: &Local) {
    let said = |local: &Local| local.log_of(1).matches(SAID).count();
    let (before, deadline) = (said(local), Instant::now() + PATIENCE);
    while said(local) == before {
        assert!(Instant::now() < deadline, "the node does not log debug");
        drop(TcpStream::connect(&local.endpoint).expect("it listens"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_log_level_of_a_node_is_changed_and_nonsense_refused() {
    let (local, _) = Local::start(1, 1);
    let admin = AdminClient::connect(format!("http://{}", local.endpoint)).await.expect("connected");
    let change = async |level: i32| {
        let answer = admin.clone().change_log_level(ChangeLogLevelRequest { level }).await;
        answer.expect("an answer").into_inner().remark
    };
    drop(TcpStream::connect(&local.endpoint).expect("it listens"));
    assert_eq!(change(Level::Debug as i32).await, "this node logs debug from now on");
    until_said(&local).await;
    for nonsense in [5, -1, i32::MAX] {
        let refused = format!(
            "the log level was not changed: {nonsense} is none; trace is 0, debug 1, info 2, warn 3, error 4"
        );
        assert_eq!(change(nonsense).await, refused);
    }
    until_said(&local).await;

    assert_eq!(change(Level::Info as i32).await, "this node logs info from now on");
    let before = local.log_of(1).matches(SAID).count();
    for _ in 0..20 {
        drop(TcpStream::connect(&local.endpoint).expect("it listens"));
    }
    local.client(&["cluster", "status"]).code(0);
    // One that came before may have been told of since.
    assert!(local.log_of(1).matches(SAID).count() <= before + 1, "the node still logs debug");
}
