//! The superblock: the vote and the floors of a log, in two copies.
//!
//! ```text
//! 0 .. 96      copy A        4096 .. 4192   copy B
//! 0      4        6      8          16           24           32
//! +------+--------+------+----------+------------+------------+
//! | magic|version | flags| sequence | ballot term| ballot node|
//! +------+--------+------+----------+------------+------------+
//! | purged term, leader, index | oldest LP | newest LP | 0 | CRC |
//! +----------------------------+-----------+-----------+---+-----+
//! 32                           56          64          72   92   96
//! ```
//!
//! A save writes and syncs copy A, is then done, and goes on to write and sync copy B. At rest both are the
//! same, so damage to one harms nothing, and a torn copy A leaves what held before in B. A file with no
//! readable copy is *unreadable*, which is not the same as a log that never voted.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::LogMark;
use super::field::{is_sealed, put_u16, put_u32, put_u64, seal, u16_at, u32_at, u64_at};
use crate::ballot::Ballot;
use crate::disk::{Disk, DiskFile};
use crate::position::LogPosition;

/// The superblock's file name.
pub(crate) const SUPERBLOCK_NAME: &str = "superblock";

const MAGIC: u32 = u32::from_le_bytes(*b"LMQV");
const VERSION: u16 = 1;
const BLOCK: usize = 96;
const COPY_B: u64 = 4096;
const LEN: u64 = 2 * COPY_B;

const HAS_BALLOT: u16 = 1;
const BALLOT_COMMITTED: u16 = 2;
const HAS_PURGED: u16 = 4;

/// What the superblock holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// The vote.
    pub ballot: Option<Ballot>,
    /// The last entry that Raft gave up.
    pub purged: Option<LogMark>,
    /// No segment that starts here or later may be missing at the low end.
    pub oldest: LogPosition,
    /// A segment that starts here or later must be there.
    pub newest: LogPosition,
}

/// The open file and what it holds.
#[derive(Debug)]
pub(crate) struct Superblock {
    file: Arc<dyn DiskFile>,
    sequence: u64,
    vitals: Vitals,
}

impl Superblock {
    /// Makes the file of a new log.
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> io::Result<Superblock> {
        let file = disk.create(path)?;
        file.allocate(LEN)?;
        let mut superblock = Superblock { file, sequence: 0, vitals: Vitals::default() };
        superblock.save(Vitals::default())?;
        superblock.settle()?;
        Ok(superblock)
    }

    /// Opens the file and brings both copies in line. The inner error says why it is unreadable.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Result<Superblock, String>> {
        let file = match disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("the file is missing".into()));
            }
            other => other?,
        };
        let (a, b) = Self::read(&*file)?;
        // The copy that holds is not touched while the other one is brought in line.
        let ((sequence, vitals), other) = match (a, b) {
            (Ok(a), Ok(b)) if a.0 < b.0 => (b, 0),
            (Ok(a), _) => (a, COPY_B),
            (Err(_), Ok(b)) => (b, 0),
            (Err(a), Err(b)) => return Ok(Err(format!("copy A: {a}; copy B: {b}"))),
        };
        let mut superblock = Superblock { file, sequence, vitals };
        superblock.write(other)?;
        Ok(Ok(superblock))
    }

    /// Both copies, each with its sequence, as they stand in `file`.
    #[allow(clippy::type_complexity)]
    pub(crate) fn read(
        file: &dyn DiskFile,
    ) -> io::Result<(Result<(u64, Vitals), String>, Result<(u64, Vitals), String>)> {
        Ok((decode(&file.read_at(0, BLOCK)?), decode(&file.read_at(COPY_B, BLOCK)?)))
    }

    pub(crate) fn vitals(&self) -> Vitals {
        self.vitals
    }

    /// Saves into copy A, durably. [`Superblock::settle`] must follow.
    pub(crate) fn save(&mut self, vitals: Vitals) -> io::Result<()> {
        self.sequence += 1;
        self.vitals = vitals;
        self.write(0)
    }

    /// Saves into copy B what copy A has.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.write(COPY_B)
    }

    /// Saves into both copies.
    pub(crate) fn save_both(&mut self, vitals: Vitals) -> io::Result<()> {
        self.save(vitals)?;
        self.settle()
    }

    fn write(&mut self, at: u64) -> io::Result<()> {
        let block = encode(self.sequence, &self.vitals);
        self.file.write_at(at, &mut [IoSlice::new(&block)])?;
        self.file.sync_data()
    }
}

fn encode(sequence: u64, vitals: &Vitals) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put_u32(&mut block, 0, MAGIC);
    put_u16(&mut block, 4, VERSION);
    let mut flags = 0;
    put_u64(&mut block, 8, sequence);
    if let Some(ballot) = vitals.ballot {
        flags |= HAS_BALLOT | if ballot.committed { BALLOT_COMMITTED } else { 0 };
        put_u64(&mut block, 16, ballot.term);
        put_u64(&mut block, 24, ballot.node);
    }
    if let Some(purged) = vitals.purged {
        flags |= HAS_PURGED;
        put_u64(&mut block, 32, purged.term);
        put_u64(&mut block, 40, purged.leader);
        put_u64(&mut block, 48, purged.index);
    }
    put_u64(&mut block, 56, vitals.oldest.0);
    put_u64(&mut block, 64, vitals.newest.0);
    put_u16(&mut block, 6, flags);
    seal(&mut block);
    block
}

fn decode(block: &[u8]) -> Result<(u64, Vitals), String> {
    if block.len() < BLOCK {
        return Err("cut short".into());
    }
    if u32_at(block, 0) != MAGIC || !is_sealed(block) {
        return Err("does not match its checksum".into());
    }
    let version = u16_at(block, 4);
    if version != VERSION {
        return Err(format!("has version {version}; this build reads {VERSION}"));
    }
    let flags = u16_at(block, 6);
    let ballot =
        Ballot { term: u64_at(block, 16), node: u64_at(block, 24), committed: flags & BALLOT_COMMITTED != 0 };
    let purged = LogMark { term: u64_at(block, 32), leader: u64_at(block, 40), index: u64_at(block, 48) };
    let vitals = Vitals {
        ballot: (flags & HAS_BALLOT != 0).then_some(ballot),
        purged: (flags & HAS_PURGED != 0).then_some(purged),
        oldest: LogPosition(u64_at(block, 56)),
        newest: LogPosition(u64_at(block, 64)),
    };
    Ok((u64_at(block, 8), vitals))
}
