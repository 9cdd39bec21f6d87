//! openraft's view of the state machine: committed frames in, outcomes out.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftStateMachine};
use store::commit_log::{CommitLog, Frame, FrameKind, LogMark};
use store::planted::{PlantedBug, planted};
use store::position::LogPosition;
use store::snapshot::{Snapshot as Stored, SnapshotDirs};
use tokio::sync::watch;

use crate::consensus::log_store::LogStore;
use crate::consensus::membership;
use crate::consensus::snapshot::{Builder, rebuild, snapshot_out};
use crate::consensus::types::{
    Answer, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, id_of_applied,
};
use crate::group::counters::Counters;
use crate::group::fault::Faults;
use crate::group::replica::Replica;
use crate::group::traced::ApplyTimes;
use crate::group::wakers::Wakers;
use crate::limits::LITE_QUEUES_FROM;
use crate::machine::{Effects, FrameContext};
use crate::names::GroupId;

/// Applies committed frames to a group's replica, and keeps its snapshots.
pub(crate) struct Applier {
    replica: Arc<Mutex<Replica>>,
    durable: watch::Receiver<Option<u64>>,
    wakers: Arc<Wakers>,
    counters: Arc<Counters>,
    catalog: Option<watch::Sender<Arc<crate::catalog::Catalog>>>,
    place: SnapshotPlace,
}

/// Where the snapshots of a group go, and what their tables belong to.
#[derive(Clone)]
pub(crate) struct SnapshotPlace {
    pub group: GroupId,
    pub dirs: SnapshotDirs,
    /// Memory of the tables.
    pub memory_bytes: usize,
    /// The log, which holds every entry that was applied. Only openraft's suite has none.
    pub log: Option<CommitLog>,
    /// The group's directory and its log's store, to end a rebuilding.
    pub rebuilt: Option<(PathBuf, LogStore)>,
    /// Who is told when the tables cannot be read. Only tests have none.
    pub faults: Option<Arc<Faults>>,
}

impl Applier {
    /// `catalog` is there for the `meta` group only.
    pub(crate) fn new(
        replica: Arc<Mutex<Replica>>,
        durable: watch::Receiver<Option<u64>>,
        (wakers, counters): (Arc<Wakers>, Arc<Counters>),
        catalog: Option<watch::Sender<Arc<crate::catalog::Catalog>>>,
        place: SnapshotPlace,
    ) -> Applier {
        Applier { replica, durable, wakers, counters, catalog, place }
    }

    /// Rule R1: apply only what is durable here. openraft lets a leader commit and apply before its
    /// own flush; the tables could then be ahead of the log after a power failure.
    async fn until_durable(&mut self, index: u64) -> io::Result<()> {
        if planted(PlantedBug::ApplyBeforeDurable) {
            return Ok(());
        }
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
                self.counters.applied(&context, &applied.effects);
                self.carry_out(&replica, &applied.effects);
                return Ok(Answer { outcomes: applied.outcomes, times: None });
            }
        }
        Ok(Answer::default())
    }

    /// Effects come after the tables have taken the frame.
    fn carry_out(&self, replica: &Replica, effects: &Effects) {
        let mut last = None;
        // Ascending, so the queues of a topic come together.
        for queue in &effects.ready {
            if queue.number >= LITE_QUEUES_FROM {
                if let Some(name_hash) = replica.broker().lite_name(*queue) {
                    self.wakers.wake_lite(queue.topic, name_hash);
                }
                continue;
            }
            if last.replace(queue.topic) != Some(queue.topic) {
                self.wakers.wake(queue.topic);
            }
        }
        for consumer in &effects.freed {
            self.wakers.free(*consumer);
        }
        if effects.waiting_changed {
            self.wakers.waiting().notify_waiters();
        }
        if let (Some(sender), true) = (&self.catalog, effects.catalog_changed) {
            sender.send_replace(replica.catalog());
        }
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = Stored;
    type SnapshotBuilder = Builder;

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
            let traced = responder.is_some() && self.counters.traced_frames.load(Ordering::Relaxed) > 0;
            let committed = traced.then(Instant::now);
            self.until_durable(frame.index).await?;
            let mut answer = self.apply_frame(&frame)?;
            answer.times = committed.map(|committed| ApplyTimes { committed, applied: Instant::now() });
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { replica: self.replica.clone(), dirs: self.place.dirs.clone(), log: self.place.log.clone() }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, snapshot: Stored) -> io::Result<()> {
        let (place, replica) = (self.place.clone(), self.replica.clone());
        let installed = crate::seams::spawn_blocking(move || place.install(&snapshot, &replica)).await;
        installed.map_err(io::Error::other)??;
        if let Some(sender) = &self.catalog {
            let replica = self.replica.lock().unwrap_or_else(PoisonError::into_inner);
            sender.send_replace(replica.catalog());
        }
        self.wakers.wake_all();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot<Stored>>> {
        self.place.dirs.current().map(snapshot_out).transpose()
    }
}

impl SnapshotPlace {
    /// Puts the tables of a snapshot in the place of the replica's. The log must reach up to it.
    fn install(&self, snapshot: &Stored, replica: &Mutex<Replica>) -> io::Result<()> {
        let last = snapshot.meta().last;
        let mark = LogMark { term: last.term, leader: last.leader, index: last.index };
        if let Some(log) = &self.log {
            // Tables are never ahead of the log (rule R1), and what they point at must be there.
            let held = log.log_mark(last.index).map_err(io::Error::other)?;
            if held != Some(mark) {
                let reason =
                    format!("the log has {held:?} where the snapshot has {mark:?}: nothing was installed");
                return Err(io::Error::other(reason));
            }
        }
        let kept = self.dirs.adopt(snapshot).map_err(io::Error::other)?;
        let tables = self.dirs.install(&kept).map_err(io::Error::other)?;
        let fresh = Replica::open(self.group, &tables, self.memory_bytes).map_err(io::Error::other)?;
        if let Some(faults) = &self.faults {
            faults.watch(fresh.tables());
        }
        let before = std::mem::replace(&mut *replica.lock().unwrap_or_else(PoisonError::into_inner), fresh);
        before.retire();
        if let Some(log) = &self.log {
            log.save_committed(mark);
        }
        if let Some((dir, store)) = self.rebuilt.as_ref().filter(|(_, store)| store.is_rebuilding()) {
            // Log and tables fit together again.
            rebuild::done(dir)?;
            store.rebuilt();
        }
        tracing::info!(group = %self.group, index = last.index, "a snapshot is installed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::consensus::entry::Entry;
    use crate::names::GroupId;

    #[tokio::test]
    async fn r1_nothing_is_applied_before_it_is_durable_here() {
        let dir = tempfile::tempdir().expect("a directory");
        let dirs = SnapshotDirs::open(dir.path()).expect("a place for snapshots");
        let tables = dirs.tables().expect("a place for tables");
        let replica = Replica::open(GroupId(1), &tables, 8 << 20).expect("the tables open");
        let replica = Arc::new(Mutex::new(replica));
        let (sender, durable) = watch::channel(None);
        let place = SnapshotPlace {
            group: GroupId(1),
            dirs,
            memory_bytes: 8 << 20,
            log: None,
            rebuilt: None,
            faults: None,
        };
        let mut applier = Applier::new(replica.clone(), durable, Default::default(), None, place);
        let entry = Entry::of(Frame::new(FrameKind::Blank, 0, 1, 1, 0, 0, Bytes::new())).expect("an entry");
        let mut applying = Box::pin(applier.apply(futures::stream::iter([Ok((entry, None))])));
        for _ in 0..100 {
            assert!(futures::poll!(&mut applying).is_pending(), "a committed entry waits for its fsync");
            tokio::task::yield_now().await;
        }
        assert_eq!(replica.lock().expect("nobody panicked").applied(), None);
        sender.send_replace(Some(0));
        applying.await.expect("applied");
        assert_eq!(replica.lock().expect("nobody panicked").applied().map(|mark| mark.index), Some(0));
    }
}
