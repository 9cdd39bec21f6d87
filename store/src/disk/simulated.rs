//! A disk in memory whose power can go at any call, and whose calls can fail.
//!
//! It takes every liberty that [`super`] leaves to a disk. The same seed and the same calls give the same
//! outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::{Disk, DiskFile, DiskSpace};

const SECTOR: usize = 512;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A handle to a simulated disk; clones are handles to the same one.
#[derive(Clone)]
pub struct SimulatedDisk {
    // One lock for the whole disk: the simulation is about order, not about speed.
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Add { path: PathBuf, file: usize },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
}

/// What a file's readers see, what a power failure leaves for certain, and what lies between.
#[derive(Clone, Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
struct State {
    random: u64,
    /// Handles from before a power failure are dead.
    epoch: u64,
    off: bool,
    calls: u64,
    power_off_at: Option<u64>,
    fail_at: Option<u64>,
    capacity_bytes: Option<u64>,
    files: Vec<Contents>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    trace: Vec<String>,
}

/// How a call that changes something goes on.
enum Verdict {
    Done,
    /// The power went in the middle of it.
    Interrupted,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Survival {
    Nothing,
    Prefix,
    Sectors,
    Everything,
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    epoch: u64,
    name: String,
    lock: Option<PathBuf>,
}

impl SimulatedDisk {
    /// An empty disk. `seed` decides what a power failure leaves of what was not synced.
    pub fn new(seed: u64) -> SimulatedDisk {
        let state = State {
            random: seed,
            epoch: 0,
            off: false,
            calls: 0,
            power_off_at: None,
            fail_at: None,
            capacity_bytes: None,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locks: BTreeSet::new(),
            trace: Vec::new(),
        };
        SimulatedDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// A disk of its own with the same contents, which nobody uses.
    pub fn copy(&self) -> SimulatedDisk {
        let mut state = self.lock().clone();
        state.locks.clear();
        SimulatedDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Takes the power away in the middle of the `n`th changing call from now; every later call fails.
    pub fn power_off_at(&self, n: u64) {
        let mut state = self.lock();
        state.power_off_at = Some(state.calls + n);
    }

    /// Lets the `n`th changing call from now fail with EIO. After a failed sync the file's readers still see
    /// what was written, but it will never be on the disk.
    pub fn fail_at(&self, n: u64) {
        let mut state = self.lock();
        state.fail_at = Some(state.calls + n);
    }

    /// Takes back what [`SimulatedDisk::power_off_at`] and [`SimulatedDisk::fail_at`] have in store.
    pub fn disarm(&self) {
        let mut state = self.lock();
        state.power_off_at = None;
        state.fail_at = None;
    }

    /// Gives the disk a size: a call that needs more fails with ENOSPC.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity_bytes = bytes;
    }

    /// Whether the power went.
    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// How many calls changed something.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// The changing calls so far.
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.clone()
    }

    /// Takes the power away now; every later call fails until [`SimulatedDisk::restart`].
    pub fn power_off(&self) {
        self.lock().off = true;
    }

    /// Ends the process that uses the disk: its handles and locks are void, and what it wrote stays, synced or not.
    pub fn end_process(&self) {
        let mut state = self.lock();
        state.locks.clear();
        state.epoch += 1;
        state.fail_at = None;
    }

    /// Takes the power away, if it is not gone, and brings it back: what was not synced is there, or not, or
    /// in part.
    pub fn restart(&self) {
        self.lock().restart();
    }

    /// The changing calls since this was last asked.
    pub fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().trace)
    }

    /// The names and lengths of all files.
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.lock();
        state.names.iter().map(|(path, file)| (path.clone(), state.files[*file].now.len())).collect()
    }

    /// One byte of a file.
    ///
    /// # Panics
    /// If it is not there.
    pub fn byte(&self, path: &Path, at: usize) -> u8 {
        let state = self.lock();
        state.files[state.names[path]].now[at]
    }

    /// Damages a file: changes the bits of `mask` in one byte.
    ///
    /// # Panics
    /// If it is not there.
    pub fn flip(&self, path: &Path, at: usize, mask: u8) {
        let mut state = self.lock();
        let file = state.names[path];
        let contents = &mut state.files[file];
        contents.now[at] ^= mask;
        if let Some(byte) = contents.durable.get_mut(at) {
            *byte ^= mask;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the simulated disk is held")
    }

    fn handle(&self, state: &State, path: &Path, file: usize, lock: bool) -> Arc<dyn DiskFile> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let lock = lock.then(|| path.to_owned());
        Arc::new(SimulatedFile { disk: self.clone(), file, epoch: state.epoch, name, lock })
    }
}

impl State {
    /// A step of SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.random() % n.max(1) as u64) as usize
    }

    fn alive(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts a call that changes something, and decides how it goes.
    fn change(&mut self, call: fmt::Arguments<'_>) -> io::Result<Verdict> {
        self.alive()?;
        self.calls += 1;
        self.trace.push(call.to_string());
        if self.power_off_at == Some(self.calls) {
            self.off = true;
            return Ok(Verdict::Interrupted);
        }
        if self.fail_at == Some(self.calls) {
            return Ok(Verdict::Failed);
        }
        Ok(Verdict::Done)
    }

    fn answer(verdict: &Verdict) -> io::Result<()> {
        match verdict {
            Verdict::Done => Ok(()),
            Verdict::Interrupted => Err(io::Error::other("the power is off")),
            Verdict::Failed => Err(io::Error::from_raw_os_error(EIO)),
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].now.len()).sum()
    }

    fn grow(&self, file: usize, len: usize) -> io::Result<()> {
        let Some(capacity) = self.capacity_bytes else { return Ok(()) };
        let used = self.used();
        let more = len.saturating_sub(self.files[file].now.len());
        if more > 0 && (used + more) as u64 > capacity {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
    }

    fn apply(&mut self, file: usize, change: Change) {
        apply(&mut self.files[file].now, &change);
        self.files[file].pending.push(change);
    }

    fn rename_now(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.pending_names.push(change);
    }

    fn restart(&mut self) {
        for at in 0..self.files.len() {
            let survival = match self.below(4) {
                0 => Survival::Nothing,
                1 => Survival::Prefix,
                2 => Survival::Sectors,
                _ => Survival::Everything,
            };
            let pending = std::mem::take(&mut self.files[at].pending);
            let mut left = std::mem::take(&mut self.files[at].durable);
            self.survive(&mut left, pending, survival);
            self.files[at] = Contents { now: left.clone(), durable: left, pending: Vec::new() };
        }
        // A journal keeps names in order: some of the last changes are lost.
        let kept = self.below(self.pending_names.len() + 1);
        for change in std::mem::take(&mut self.pending_names).drain(..kept) {
            apply_name(&mut self.durable_names, &change);
        }
        self.names = self.durable_names.clone();
        self.locks.clear();
        self.epoch += 1;
        self.off = false;
        self.power_off_at = None;
        self.fail_at = None;
    }

    fn survive(&mut self, left: &mut Vec<u8>, pending: Vec<Change>, survival: Survival) {
        let whole = match survival {
            Survival::Nothing => 0,
            Survival::Prefix => self.below(pending.len() + 1),
            Survival::Sectors => 0,
            Survival::Everything => pending.len(),
        };
        for (at, change) in pending.into_iter().enumerate() {
            let torn = survival == Survival::Sectors || (survival == Survival::Prefix && at == whole);
            if at < whole {
                apply(left, &change);
            } else if torn {
                self.tear(left, change, survival == Survival::Prefix);
            }
        }
    }

    /// Some sectors of a write; with `prefix` only the first ones.
    fn tear(&mut self, left: &mut Vec<u8>, change: Change, prefix: bool) {
        let (offset, bytes) = match change {
            Change::Write { offset, bytes } => (offset, bytes),
            Change::Len(_) => {
                if self.random() & 1 == 0 {
                    apply(left, &change);
                }
                return;
            }
        };
        let mut start = 0;
        while start < bytes.len() {
            let end = bytes.len().min(start + SECTOR - (offset + start) % SECTOR);
            if self.random() & 1 == 0 {
                let part = Change::Write { offset: offset + start, bytes: bytes[start..end].to_vec() };
                apply(left, &part);
            } else if prefix {
                return;
            }
            start = end;
        }
    }
}

fn apply(contents: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[*offset..end].copy_from_slice(bytes);
        }
        Change::Len(len) => contents.resize(*len, 0),
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Add { path, file } => {
            names.insert(path.clone(), *file);
        }
        NameChange::Rename { from, to } => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameChange::Remove { path } => {
            names.remove(path);
        }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDisk").finish_non_exhaustive()
    }
}

impl Disk for SimulatedDisk {
    fn space(&self, _dir: &Path) -> io::Result<DiskSpace> {
        let state = self.lock();
        state.alive()?;
        let total = state.capacity_bytes.unwrap_or(u64::MAX);
        Ok(DiskSpace { total, free: total.saturating_sub(state.used() as u64) })
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        self.lock().alive()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.alive()?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let verdict = state.change(format_args!("create {}", path.display()))?;
        if !matches!(verdict, Verdict::Failed) {
            if let Some(file) = state.names.get(path).copied() {
                state.apply(file, Change::Len(0));
            } else {
                let file = state.files.len();
                state.files.push(Contents::default());
                state.rename_now(NameChange::Add { path: path.to_owned(), file });
            }
        }
        State::answer(&verdict)?;
        Ok(self.handle(&state, path, state.names[path], false))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock();
        state.alive()?;
        let file = *state.names.get(path).ok_or_else(not_found)?;
        Ok(self.handle(&state, path, file, false))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.names.contains_key(from) {
            return Err(not_found());
        }
        let verdict = state.change(format_args!("rename {} {}", from.display(), to.display()))?;
        if !matches!(verdict, Verdict::Failed) {
            state.rename_now(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
        }
        State::answer(&verdict)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.names.contains_key(path) {
            return Err(not_found());
        }
        let verdict = state.change(format_args!("remove {}", path.display()))?;
        if !matches!(verdict, Verdict::Failed) {
            state.rename_now(NameChange::Remove { path: path.to_owned() });
        }
        State::answer(&verdict)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let verdict = state.change(format_args!("sync {}", dir.display()))?;
        let all = state.pending_names.len();
        let kept = match verdict {
            Verdict::Done => all,
            Verdict::Interrupted => state.below(all + 1),
            Verdict::Failed => 0,
        };
        let changes: Vec<NameChange> = state.pending_names.drain(..kept).collect();
        changes.iter().for_each(|change| apply_name(&mut state.durable_names, change));
        State::answer(&verdict)
    }

    fn lock(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.alive()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.handle(&state, path, usize::MAX, true))
    }
}

impl SimulatedFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        state.alive()?;
        if state.epoch != self.epoch {
            return Err(io::Error::other("the power was off"));
        }
        Ok(state)
    }

    fn alter(&self, change: Change, what: &str) -> io::Result<()> {
        let mut state = self.state()?;
        let (call, end) = match &change {
            Change::Write { offset, bytes } => {
                (format!("at {offset} len {}", bytes.len()), offset + bytes.len())
            }
            Change::Len(len) => (format!("to {len}"), *len),
        };
        let verdict = state.change(format_args!("{what} {} {call}", self.name))?;
        if !matches!(verdict, Verdict::Failed) {
            state.grow(self.file, end)?;
            state.apply(self.file, change);
        }
        State::answer(&verdict)
    }
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.lock {
            let mut state = self.disk.lock();
            if state.epoch == self.epoch {
                state.locks.remove(path);
            }
        }
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.alter(Change::Len(len as usize), "set_len")
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let held = self.len()?;
        self.alter(Change::Len(len.max(held) as usize), "allocate")
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let state = self.state()?;
        let contents = &state.files[self.file].now;
        let from = contents.len().min(offset as usize);
        let to = contents.len().min(from + len);
        Ok(Bytes::copy_from_slice(&contents[from..to]))
    }

    fn write_at(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.alter(Change::Write { offset: offset as usize, bytes }, "write")
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let verdict = state.change(format_args!("sync {}", self.name))?;
        let contents = &mut state.files[self.file];
        match verdict {
            Verdict::Done => {
                for change in std::mem::take(&mut contents.pending) {
                    apply(&mut contents.durable, &change);
                }
            }
            // What the restart leaves of it is open.
            Verdict::Interrupted => {}
            // As on Linux: the pages count as written from now on, and no later sync writes them.
            Verdict::Failed => contents.pending.retain(|change| matches!(change, Change::Len(_))),
        }
        State::answer(&verdict)
    }
}
