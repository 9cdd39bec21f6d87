//! openraft's view of the state machine: committed frames in, outcomes out.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use store::commit_log::{Frame, FrameKind};
use store::position::LogPosition;
use tokio::sync::watch;

use crate::consensus::membership;
use crate::consensus::types::{
    Answer, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, id_of_applied,
};
use crate::group::replica::Replica;
use crate::group::wakers::Wakers;
use crate::machine::{Effects, FrameContext};

/// The type of a snapshot that is never made: no log is purged yet.
pub(crate) struct NoSnapshot;

/// Applies committed frames to a group's replica.
pub(crate) struct Applier {
    replica: Arc<Mutex<Replica>>,
    durable: watch::Receiver<Option<u64>>,
    wakers: Arc<Wakers>,
    catalog: Option<watch::Sender<Arc<crate::catalog::Catalog>>>,
}

impl Applier {
    /// `catalog` is there for the `meta` group only.
    pub(crate) fn new(
        replica: Arc<Mutex<Replica>>,
        durable: watch::Receiver<Option<u64>>,
        wakers: Arc<Wakers>,
        catalog: Option<watch::Sender<Arc<crate::catalog::Catalog>>>,
    ) -> Applier {
        Applier { replica, durable, wakers, catalog }
    }

    /// Rule R1: apply only what is durable here. openraft lets a leader commit and apply before its
    /// own flush; the tables could then be ahead of the log after a power failure.
    async fn until_durable(&mut self, index: u64) -> io::Result<()> {
        self.durable
            .wait_for(|durable| durable.is_some_and(|durable| durable >= index))
            .await
            .map(|_| ())
            .map_err(|_| io::Error::other("the log's writer has stopped"))
    }

    fn apply_frame(&self, frame: &Frame) -> io::Result<Answer> {
        // Only what holds commands needs to know where it lies.
        let position = match (frame.position(), frame.kind) {
            (Some(position), _) => position,
            (None, FrameKind::Blank | FrameKind::Membership) => LogPosition::default(),
            (None, FrameKind::Commands) => {
                return Err(io::Error::other(format!("frame {} has no position", frame.index)));
            }
        };
        let context = FrameContext {
            index: frame.index,
            term: frame.term,
            leader: frame.leader,
            position,
            stamp_ms: frame.stamp_ms,
        };
        let mut replica = self.replica.lock().unwrap_or_else(PoisonError::into_inner);
        match frame.kind {
            FrameKind::Blank => replica.apply_blank(context).map_err(io::Error::other)?,
            FrameKind::Membership => {
                replica.apply_membership(context, &frame.body).map_err(io::Error::other)?;
            }
            FrameKind::Commands => {
                let applied = replica.apply(context, &frame.body).map_err(io::Error::other)?;
                self.carry_out(&replica, &applied.effects);
                return Ok(Answer { outcomes: applied.outcomes });
            }
        }
        Ok(Answer::default())
    }

    /// Effects come after the tables have taken the frame.
    fn carry_out(&self, replica: &Replica, effects: &Effects) {
        let mut last = None;
        // Ascending, so the queues of a topic come together.
        for queue in &effects.ready {
            if last.replace(queue.topic) != Some(queue.topic) {
                self.wakers.wake(queue.topic);
            }
        }
        if let (Some(sender), true) = (&self.catalog, effects.catalog_changed) {
            sender.send_replace(replica.catalog());
        }
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = NoSnapshot;
    type SnapshotBuilder = NoSnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let replica = self.replica.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = replica.applied().map(|mark| id_of_applied(&mark));
        let membership = match replica.membership() {
            None => StoredMembership::default(),
            Some((mark, bytes)) => {
                let members = membership::decode(&bytes).map_err(io::Error::other)?;
                StoredMembership::new(Some(id_of_applied(&mark)), members)
            }
        };
        Ok((applied, membership))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let frame = entry.into_frame();
            self.until_durable(frame.index).await?;
            let answer = self.apply_frame(&frame)?;
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshotBuilder {
        NoSnapshotBuilder
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, _snapshot: NoSnapshot) -> io::Result<()> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot<NoSnapshot>>> {
        Ok(None)
    }
}

/// Refuses to build: see [`NoSnapshot`].
pub(crate) struct NoSnapshotBuilder;

impl RaftSnapshotBuilder<TypeConfig> for NoSnapshotBuilder {
    type SnapshotData = NoSnapshot;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot<NoSnapshot>> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "no log is purged, so there are no snapshots")
}
