//! The console: a web page that is in the binary (`api/console/`). It knows nothing that `/api/v1` does not tell.

use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use raft::hash::hash64;

/// Where it is.
const ROOT: &str = "/console/";

/// What a page may do in a browser: nothing but what came from this node. So nothing that is in a message runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: Bytes,
    gzipped: Bytes,
    etag: String,
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, plain: &'static [u8]) -> Asset {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).expect("memory takes all");
        let gzipped = encoder.finish().expect("memory takes all").into();
        let etag = format!("\"{:016x}\"", hash64(plain));
        Asset { name, kind, plain: Bytes::from_static(plain), gzipped, etag }
    }
}

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    [
        Asset::new("index.html", "text/html; charset=utf-8", include_bytes!("../../console/dist/index.html")),
        Asset::new(
            "start.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../console/dist/start.js"),
        ),
        Asset::new("app.js", "text/javascript; charset=utf-8", include_bytes!("../../console/dist/app.js")),
        Asset::new("app.css", "text/css; charset=utf-8", include_bytes!("../../console/dist/app.css")),
        // Of what is bundled in the script.
        Asset::new(
            "licenses.txt",
            "text/plain; charset=utf-8",
            include_bytes!("../../console/dist/licenses.txt"),
        ),
    ]
});

/// The routes.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary(ROOT) }))
        .route("/console", get(|| async { Redirect::temporary(ROOT) }))
        .route("/console/", get(|headers: HeaderMap| async move { answer("", &headers) }))
        .route(
            "/console/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move { answer(&path, &headers) }),
        )
}

/// A file, or the page itself, which knows what its address means.
fn answer(path: &str, headers: &HeaderMap) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.name == path).unwrap_or(&ASSETS[0]);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|etag| etag == asset.etag.as_str());
    let common = [
        (ETAG, asset.etag.as_str()),
        // The name of a file is the same in the next version.
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-encoding"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let takes_gzip =
        headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|coding| coding.split(';').next().unwrap_or_default().trim() == "gzip")
        });
    let kind = [(CONTENT_TYPE, asset.kind)];
    match takes_gzip {
        true => (common, kind, [(CONTENT_ENCODING, "gzip")], asset.gzipped.clone()).into_response(),
        false => (common, kind, asset.plain.clone()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// What somebody downloads who opens it for the first time.
    const GZIPPED_BYTES_MAX: usize = 300 << 10;

    #[test]
    fn it_is_small() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.gzipped.len()).sum();
        assert!(bytes < GZIPPED_BYTES_MAX, "{bytes} bytes");
    }

    #[test]
    fn every_address_is_the_page_and_what_is_known_is_not_sent_again() {
        let none = HeaderMap::new();
        let page = answer("topics/orders", &none);
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
        let script = answer("app.js", &none);
        assert_eq!(script.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(!script.headers().contains_key(CONTENT_ENCODING));

        let mut asking = HeaderMap::new();
        asking.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0.5"));
        assert_eq!(answer("app.js", &asking).headers()[CONTENT_ENCODING], "gzip");
        asking.insert(IF_NONE_MATCH, script.headers()[ETAG].clone());
        assert_eq!(answer("app.js", &asking).status(), StatusCode::NOT_MODIFIED);
    }
}
