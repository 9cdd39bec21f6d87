//! What takes frames away, at either end: truncation, purge, and going on behind a snapshot.
//!
//! The order of the disk calls makes every moment one that recovery understands: a segment is removed only
//! when the superblock no longer asks for it, one at a time, and the watermark is lowered before the frames
//! below it go.

use super::segment::{SegmentHeader, Watermark};
use super::state::Cut;
use super::writer::{Active, WriteError, Writer, failed};
use super::{LogMark, reader};
use crate::position::LogPosition;

impl Writer {
    /// Removes what stands behind the cut, durably, so that no stale frame can ever follow a new one.
    pub(crate) fn truncate(&mut self, cut: Cut) -> Result<(), WriteError> {
        if self.active.header.base > cut.end || self.active.header.base_index > cut.next_index() {
            self.drop_segments_behind(cut)?;
        }
        self.active.end = cut.end;
        self.active.last = cut.last;
        let committed = {
            // Readers must not find what is about to go.
            let mut state = self.shared.lock();
            let frames = cut.next_index() - self.active.header.base_index;
            state.open_offsets.truncate(frames as usize);
            state.written_end = cut.end;
            state.written_next = cut.next_index();
            state.generation += 1;
            state.committed
        };
        self.write_watermark(committed)?;
        let name = self.active.name();
        failed(self.active.file.sync_data(), "lower the watermark of", &name)?;
        failed(self.active.file.set_len(self.active.header.offset(cut.end)), "truncate", &name)?;
        failed(self.active.file.allocate(self.segment_bytes), "truncate", &name)?;
        failed(self.active.file.sync_data(), "truncate", &name)?;
        self.run_end = cut.end;

        let mut state = self.shared.lock();
        state.pending_cuts.pop_front();
        state.show_durable(cut.last.map(|last| last.index));
        Ok(())
    }

    /// Removes the segments behind the one that the cut is in, the highest first, and opens that one.
    fn drop_segments_behind(&mut self, cut: Cut) -> Result<(), WriteError> {
        let (entry, behind) = {
            let state = self.shared.lock();
            let at = state.segments.partition_point(|entry| {
                entry.header.base <= cut.end && entry.header.base_index <= cut.next_index()
            });
            let at = at.checked_sub(1).expect("the cut is not below the log's first segment");
            let behind: Vec<SegmentHeader> =
                state.segments[at + 1..].iter().rev().map(|entry| entry.header).collect();
            (state.segments[at].clone(), behind)
        };
        let header = entry.header;
        let name = entry.name();
        let file = failed(self.disk.open(&header.path(&self.dir)), "open", &name)?;
        let offsets = failed(reader::load_offsets(&*self.disk, &self.dir, &entry), "read", &name)?;
        let watermark = failed(Watermark::read(&*file), "read", &name)?;
        let watermark =
            watermark.unwrap_or(Watermark { sequence: u64::from(u32::MAX), ..Watermark::default() });

        self.save_vitals(|vitals| vitals.newest = header.base)?;
        for behind in behind {
            self.remove_segment(&behind)?;
        }
        let last = entry.footer.and_then(|footer| footer.last);
        self.active = Active { header, file: file.clone(), end: cut.end, last, watermark };
        let mut state = self.shared.lock();
        let open = state.segments.last_mut().expect("the segment that the cut is in");
        open.footer = None;
        open.offsets = None;
        state.open_offsets = offsets;
        state.open_file = file;
        Ok(())
    }

    /// Removes a segment, its index first, durably.
    pub(crate) fn remove_segment(&mut self, header: &SegmentHeader) -> Result<(), WriteError> {
        {
            let mut state = self.shared.lock();
            state.segments.retain(|entry| entry.header.base != header.base);
            state.generation += 1;
        }
        let name = super::segment::segment_name(header.base);
        // The index file can be missing; without its segment it means nothing.
        let _ = self.disk.remove(&header.index_path(&self.dir));
        failed(self.disk.remove(&header.path(&self.dir)), "remove", &name)?;
        failed(self.disk.sync_dir(&self.dir), "remove", &name)
    }

    /// Deletes the segments that neither Raft nor a consumer can ask for, the lowest first.
    pub(crate) fn collect(&mut self) -> Result<(), WriteError> {
        let purged = self.superblock.vitals().purged;
        let (gone, oldest) = {
            let state = self.shared.lock();
            let gone: Vec<SegmentHeader> = state
                .segments
                .iter()
                .take_while(|entry| {
                    let Some(footer) = entry.footer else { return false };
                    let Some(purged) = purged else { return false };
                    let given_up = footer.last.is_none_or(|last| last.index <= purged.index);
                    given_up && footer.end <= state.read_floor
                })
                .map(|entry| entry.header)
                .collect();
            (gone.clone(), state.segments[gone.len()].header.base)
        };
        if gone.is_empty() {
            return Ok(());
        }
        self.save_vitals(|vitals| vitals.oldest = oldest)?;
        for header in gone {
            self.remove_segment(&header)?;
        }
        Ok(())
    }

    /// Goes on behind a snapshot: keeps what is known to be the group's, and begins a segment behind `mark`.
    pub(crate) fn reset(
        &mut self,
        keep: Option<Cut>,
        mark: LogMark,
        next_position: LogPosition,
    ) -> Result<(), WriteError> {
        if let Some(cut) = keep {
            self.truncate(cut)?;
        }
        self.roll(next_position, Some(mark), true)?;
        self.save_vitals(|vitals| vitals.purged = Some(mark))?;
        self.shared.lock().show_durable(Some(mark.index));
        Ok(())
    }
}
