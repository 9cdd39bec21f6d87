//! What this node tells Prometheus, on `/metrics`. `docs/metrics.md` lists it all, and a test compares the two.
//!
//! Nothing is counted here. Counters stand where things happen and are written with relaxed atomics (`raft::measure`);
//! a scrape takes one picture of them and of how the groups stand ([`picture`]), and writes it down, a concern a file.
//! Names are RocketMQ's where it has one for the same thing. What has a name of a topic or a consumer group in it is
//! bounded ([`names`]); what is expensive to know, how far consumer groups are behind, is known from a moment ago
//! (`raft/src/node/lag.rs`).

mod consumers;
pub mod counts;
mod edge;
mod groups;
mod messages;
mod names;
mod page;
mod picture;
mod process;
mod waiting;

use std::sync::{Arc, OnceLock, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use raft::node::Node;

use crate::edge::{Edge, EdgeState};
use names::KnownNames;
use picture::Picture;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, for everybody.
    Prometheus,
    /// OpenMetrics 1.0, for who asks for it.
    OpenMetrics,
}

impl Format {
    const OPEN_METRICS: &str = "application/openmetrics-text";

    fn wanted(headers: &HeaderMap) -> Format {
        let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        match accepts.into_iter().any(|accept| accept.contains(Format::OPEN_METRICS)) {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes what a node tells.
pub struct Exporter {
    node: Node,
    cluster: String,
    name: String,
    started_s: f64,
    names: KnownNames,
    edge: OnceLock<Weak<EdgeState>>,
}

impl Exporter {
    /// Of this node, which has this name in this cluster.
    pub fn new(node: Node, cluster: &str, name: &str) -> Arc<Exporter> {
        let started_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Arc::new(Exporter {
            node,
            cluster: cluster.to_owned(),
            name: name.to_owned(),
            started_s,
            names: KnownNames::default(),
            edge: OnceLock::new(),
        })
    }

    /// Tells of this edge too, as long as it runs. The first call counts.
    pub fn watch(&self, edge: &Edge) {
        let _ = self.edge.set(edge.state.clone());
    }

    /// The edge, if it runs.
    pub fn edge(&self) -> Option<Arc<EdgeState>> {
        self.edge.get().and_then(Weak::upgrade)
    }

    /// One page.
    ///
    /// # Errors
    /// If it cannot be written down, which is a bug.
    pub async fn scrape(&self, format: Format) -> anyhow::Result<String> {
        let begun = std::time::Instant::now();
        let measures = self.node.measures().await;
        let catalog = self.node.catalog();
        let names = self.names.of(&catalog);
        let edge = self.edge();
        self.node.forget_counts(|topic| names.topic(topic).is_none());
        if let Some(edge) = &edge {
            edge.counts.forget(|topic| names.topic(topic).is_none());
        }
        let picture = Picture {
            node: self.node.clone(),
            edge: edge.map(|edge| edge::EdgePicture::of(&edge)),
            started_s: self.started_s,
            folded: Default::default(),
            measures,
            catalog,
            names,
            begun,
        };
        let labels = [("cluster", self.cluster.clone()), ("node_type", "broker".into())];
        let labels = labels.into_iter().chain([("node_id", self.name.clone())]);
        let mut registry = Registry::with_labels(labels.map(|(key, value)| (key.into(), value.into())));
        registry.register_collector(Box::new(picture));
        // Thousands of lines: not on the threads that carry messages.
        let written = tokio::task::spawn_blocking(move || {
            let mut page = String::new();
            let written = match format {
                Format::Prometheus => prometheus_text::encode(&mut page, &registry),
                Format::OpenMetrics => text::encode(&mut page, &registry),
            };
            written.map(|()| page)
        });
        Ok(written.await??)
    }
}

/// Answers `GET /metrics`.
pub async fn answer(State(exporter): State<Arc<Exporter>>, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    match exporter.scrape(format).await {
        Ok(page) => ([(CONTENT_TYPE, format.content_type())], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written down");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}
