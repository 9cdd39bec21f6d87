//! The work that the writer thread should not wait for: the next segment, and index files.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::segment::{SPARE_NAME, SegmentHeader, Watermark};
use super::state::Shared;
use crate::disk::{Disk, DiskFile};

/// Makes the file of a future segment: reserved, synced, under a name of its own.
pub(crate) fn make_spare(disk: &dyn Disk, dir: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(&dir.join(SPARE_NAME))?;
    file.allocate(bytes)?;
    file.sync_data()?;
    disk.sync_dir(dir)?;
    Ok(file)
}

/// Turns the spare file into the segment of `header`, durably. Both slots say that nothing follows yet.
pub(crate) fn begin_segment(
    disk: &dyn Disk,
    dir: &Path,
    spare: &dyn DiskFile,
    header: &SegmentHeader,
    watermark: Watermark,
) -> io::Result<()> {
    spare.write_at(0, &mut [IoSlice::new(&header.encode())])?;
    watermark.write(spare)?;
    Watermark { sequence: watermark.sequence + 1, ..watermark }.write(spare)?;
    spare.sync_data()?;
    disk.rename(&dir.join(SPARE_NAME), &header.path(dir))?;
    disk.sync_dir(dir)
}

/// The bytes of an index file: where each frame of the segment starts in the file.
pub(crate) fn index_bytes(offsets: &[u32]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect()
}

/// Writes an index file. It is not synced: whoever reads it checks what it points to, and it can be rebuilt.
pub(crate) fn write_index(
    disk: &dyn Disk,
    dir: &Path,
    header: &SegmentHeader,
    offsets: &[u32],
) -> io::Result<()> {
    let file = disk.create(&header.index_path(dir))?;
    file.write_at(0, &mut [IoSlice::new(&index_bytes(offsets))])
}

#[derive(Debug, Default)]
struct Jobs {
    spare_wanted: bool,
    spare: Option<io::Result<Arc<dyn DiskFile>>>,
    indexes: Vec<(SegmentHeader, Arc<Vec<u32>>)>,
    closing: bool,
}

#[derive(Debug, Default)]
struct Desk {
    // Shared by the writer and the thread that prepares; held only to hand something over.
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

/// Prepares ahead in a thread, or at once where it is asked.
#[derive(Debug)]
pub(crate) struct Preparer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    ahead: Option<(Arc<Desk>, JoinHandle<()>)>,
}

impl Preparer {
    /// Starts to prepare; with `ahead` in a thread.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
        ahead: Option<Arc<Shared>>,
    ) -> io::Result<Preparer> {
        let ahead = match ahead {
            None => None,
            Some(shared) => {
                let desk = Arc::new(Desk::default());
                desk.jobs.lock().expect("no panic while it is held").spare_wanted = true;
                let (theirs, disk, dir) = (desk.clone(), disk.clone(), dir.to_owned());
                let thread = std::thread::Builder::new()
                    .name("log-prepare".into())
                    .spawn(move || work(&theirs, &*disk, &dir, segment_bytes, &shared))?;
                Some((desk, thread))
            }
        };
        Ok(Preparer { disk, dir: dir.to_owned(), segment_bytes, ahead })
    }

    /// The next segment's file. The caller must give it a name, and then call [`Preparer::spare_used`].
    pub(crate) fn take_spare(&self) -> io::Result<Arc<dyn DiskFile>> {
        let Some((desk, _)) = &self.ahead else {
            return make_spare(&*self.disk, &self.dir, self.segment_bytes);
        };
        let jobs = desk.jobs.lock().expect("no panic while it is held");
        let waiting = desk.changed.wait_while(jobs, |jobs| jobs.spare.is_none());
        waiting.expect("no panic while it is held").spare.take().expect("it was waited for")
    }

    /// The spare has got its name: the next one may be made.
    pub(crate) fn spare_used(&self) {
        if let Some((desk, _)) = &self.ahead {
            desk.jobs.lock().expect("no panic while it is held").spare_wanted = true;
            desk.changed.notify_all();
        }
    }

    /// Writes a sealed segment's index file, and then lets go of the offsets in memory.
    pub(crate) fn write_index(&self, shared: &Shared, header: SegmentHeader, offsets: Arc<Vec<u32>>) {
        match &self.ahead {
            None => finish_index(&*self.disk, &self.dir, shared, &header, &offsets),
            Some((desk, _)) => {
                desk.jobs.lock().expect("no panic while it is held").indexes.push((header, offsets));
                desk.changed.notify_all();
            }
        }
    }

    /// Stops the thread, after the index files that were asked for.
    pub(crate) fn stop(self) {
        if let Some((desk, thread)) = self.ahead {
            desk.jobs.lock().expect("no panic while it is held").closing = true;
            desk.changed.notify_all();
            if thread.join().is_err() {
                tracing::error!("the thread that prepares segments panicked");
            }
        }
    }
}

fn work(desk: &Desk, disk: &dyn Disk, dir: &Path, segment_bytes: u64, shared: &Shared) {
    let mut jobs = desk.jobs.lock().expect("no panic while it is held");
    loop {
        if let Some((header, offsets)) = jobs.indexes.pop() {
            drop(jobs);
            finish_index(disk, dir, shared, &header, &offsets);
            jobs = desk.jobs.lock().expect("no panic while it is held");
        } else if jobs.closing {
            return;
        } else if std::mem::take(&mut jobs.spare_wanted) {
            drop(jobs);
            let spare = make_spare(disk, dir, segment_bytes);
            jobs = desk.jobs.lock().expect("no panic while it is held");
            jobs.spare = Some(spare);
            desk.changed.notify_all();
        } else {
            jobs = desk.changed.wait(jobs).expect("no panic while it is held");
        }
    }
}

fn finish_index(disk: &dyn Disk, dir: &Path, shared: &Shared, header: &SegmentHeader, offsets: &[u32]) {
    if let Err(error) = write_index(disk, dir, header, offsets) {
        tracing::warn!(%error, segment = %header.base, "an index file was not written; it will be rebuilt");
    }
    shared.lock().release_offsets(header.base);
}
