//! What a scrape has found, and the order in which it is told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use raft::catalog::Catalog;
use raft::node::{Measures, Node};

use super::edge::EdgePicture;
use super::names::{Bounded, Names, Sum};
use super::page::Page;
use super::{consumers, edge, groups, messages, process, waiting};

/// Microseconds in a second.
pub(super) const MICROSECONDS: f64 = 1_000_000.0;
/// Milliseconds in a second.
pub(super) const MILLISECONDS: f64 = 1_000.0;

/// One moment of a node.
pub(super) struct Picture {
    pub node: Node,
    pub measures: Measures,
    /// None before the client edge runs, and after.
    pub edge: Option<EdgePicture>,
    pub catalog: Arc<Catalog>,
    pub names: Arc<Names>,
    pub started_s: f64,
    /// Labels that were summed up under `other`.
    pub folded: AtomicU64,
    pub begun: Instant,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture").field("measures", &self.measures).finish_non_exhaustive()
    }
}

impl Picture {
    /// Rows by labels, within the bound.
    pub fn bounded<L: Ord + Copy, V: Sum>(
        &self,
        rows: impl IntoIterator<Item = (Option<L>, V)>,
        other: L,
    ) -> Bounded<L, V> {
        let bounded = Bounded::of(rows, other);
        self.folded.fetch_add(bounded.folded, Ordering::Relaxed);
        bounded
    }
}

impl Collector for Picture {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page::new(encoder);
        messages::write(&mut page, self)?;
        consumers::write(&mut page, self)?;
        waiting::write(&mut page, self)?;
        groups::write(&mut page, self)?;
        edge::write(&mut page, self)?;
        process::write(&mut page, self)?;
        page.gauge(
            "ledgermq_series_folded",
            "Labels of this page that were summed up under other, because there are too many.",
            self.folded.load(Ordering::Relaxed),
        )?;
        page.gauge(
            "ledgermq_lag_walk_seconds",
            "How long it took to find out how far consumer groups are behind, the last time.",
            self.measures.lag.took.as_secs_f64(),
        )?;
        page.gauge("ledgermq_scrape_seconds", "How long this page took.", self.begun.elapsed().as_secs_f64())
    }
}
