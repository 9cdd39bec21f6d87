//! Bugs that can be switched on, so that the suites which look for such bugs can prove that they find them.
//!
//! Compiled only with the feature `planted-bugs`, which nothing that is shipped has: without it [`planted`] is a
//! constant `false`, and no trace is left of the places that ask. With it a process has the bug that the environment
//! variable [`VARIABLE`] names, or the one that [`plant`] chose.

/// The environment variable that names a process's bug.
pub const VARIABLE: &str = "LEDGERMQ_PLANTED_BUG";

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $bug:ident = $name:literal,)+) => {
        /// A bug that a broker could have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum PlantedBug {
            $($(#[doc = $doc])+ $bug,)+
        }

        impl PlantedBug {
            /// All of them.
            pub const ALL: &[PlantedBug] = &[$(PlantedBug::$bug,)+];

            /// Its name, as the environment variable has it.
            pub fn name(self) -> &'static str {
                match self { $(PlantedBug::$bug => $name,)+ }
            }
        }
    };
}

bugs! {
    /// A frame counts as durable when it is written, before it is fsynced.
    AckBeforeFsync = "ack-before-fsync",
    /// The leader counts a follower as one that has a frame when it cannot reach it.
    AckBeforeQuorum = "ack-before-quorum",
    /// A vote is given before it is on disk, and never gets there.
    VoteNotPersisted = "vote-not-persisted",
    /// A follower keeps the entries that a new leader overwrites.
    LogNotTruncated = "log-not-truncated",
    /// A replica that led answers questions as a leader for ever.
    DeposedLeaderServes = "deposed-leader-serves",
    /// Entries are applied that are not durable here (rule R1).
    ApplyBeforeDurable = "apply-before-durable",
    /// A half message can be received before its transaction is committed.
    HalfMessageIndexed = "half-message-indexed",
    /// A timer falls due by the clock of the machine that applies it, not by the log's stamp (rule R4).
    TimerOnLocalClock = "timer-on-local-clock",
    /// An acknowledgement is taken after its lease has ended.
    ReceiptValidAfterExpiry = "receipt-valid-after-expiry",
    /// After an election nobody knows any more which messages of a message group are out.
    FifoLockLostOnFailover = "fifo-lock-lost-on-failover",
    /// A replica that opens its tables has forgotten which message ids came lately.
    DedupWindowMissingFromSnapshot = "dedup-window-missing-from-snapshot",
    /// The log is given up as far as it was applied, whether a snapshot reaches there or not (rule R2).
    PurgeAboveSnapshot = "purge-above-snapshot",
    /// Damage in the middle of the log is taken for its end.
    CorruptFrameSkipped = "corrupt-frame-skipped",
    /// A topic that the catalog does not have (yet) loses its messages (rule R6).
    MetadataLossDeletesData = "metadata-loss-deletes-data",
    /// Now and then a replica writes a row that no other one has (rule R4), and that nobody reads.
    ReplicaDiverges = "replica-diverges",
}

/// Whether this process has the bug.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn planted(_bug: PlantedBug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
mod chosen {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::{PlantedBug, VARIABLE};

    const NONE: u8 = u8::MAX;

    fn chosen() -> &'static AtomicU8 {
        static CHOSEN: OnceLock<AtomicU8> = OnceLock::new();
        CHOSEN.get_or_init(|| AtomicU8::new(std::env::var(VARIABLE).map_or(NONE, |name| named(&name) as u8)))
    }

    /// A name that means nothing must not look like a suite that finds nothing.
    fn named(name: &str) -> PlantedBug {
        let found = PlantedBug::ALL.iter().find(|bug| bug.name() == name);
        *found.unwrap_or_else(|| panic!("{VARIABLE}: there is no planted bug `{name}`"))
    }

    /// Whether this process has the bug.
    pub fn planted(bug: PlantedBug) -> bool {
        chosen().load(Ordering::Relaxed) == bug as u8
    }

    /// Chooses the bug of this process, or none.
    pub fn plant(bug: Option<PlantedBug>) {
        chosen().store(bug.map_or(NONE, |bug| bug as u8), Ordering::Relaxed);
    }
}

#[cfg(feature = "planted-bugs")]
pub use chosen::{plant, planted};
