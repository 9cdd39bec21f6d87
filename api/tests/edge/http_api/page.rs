//! The console's page, as it is served.

use api::access::gate::AccessControl;

use super::support::Port;
use crate::support::*;

#[tokio::test]
async fn the_console_is_there_for_everybody_and_what_it_shows_is_not() {
    let server = Server::start().await;
    let port = Port::of(&server, AccessControl::Off).await;
    let root = port.ask("GET", "/", &[], "").await;
    assert_eq!((root.status, root.header("location")), (307, Some("/console/")));
    let page = port.ask("GET", "/console/topics/orders", &[], "").await;
    assert_eq!(page.status, 200);
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(text.contains("app.js") && text.contains("app.css") && !text.contains("<script>"), "{text}");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let etag = page.header("etag").unwrap();
    assert_eq!(port.ask("GET", "/console/", &[("if-none-match", etag)], "").await.status, 304);

    let script = port.ask("GET", "/console/app.js", &[], "").await;
    let gzipped = port.ask("GET", "/console/app.js", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(gzipped.header("content-encoding"), Some("gzip"));
    assert!(gzipped.body.len() * 2 < script.body.len());
}
