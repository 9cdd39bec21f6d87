//! What the disk can do: how long a small `fdatasync` takes, and how fast it takes bytes in sequence.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

const SYNC_BYTES: usize = 4096;
const SYNCS: usize = 400;
const SEQUENTIAL_BLOCK_BYTES: usize = 1 << 20;
const SEQUENTIAL_BLOCKS: usize = 512;
/// A slow disk is not measured longer than this, each way.
const TIME_MAX: Duration = Duration::from_secs(10);
const FILE_NAME: &str = "bench-disk.tmp";

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DiskReport {
    /// Half of the syncs of 4 KiB are faster.
    pub fdatasync_4kib_us_p50: f64,
    /// 99 % are.
    pub fdatasync_4kib_us_p99: f64,
    /// Blocks of 1 MiB, synced at the end.
    pub sequential_write_mib_per_second: f64,
}

/// Measures with a file in this directory, which is made if need be. Blocks the thread. `step` is
/// called with the share that is done.
pub fn measure(directory: &Path, step: impl Fn(f64)) -> std::io::Result<DiskReport> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(FILE_NAME);
    let result = File::create(&path).and_then(|mut file| {
        let (p50, p99) = syncs(&mut file, &step)?;
        Ok(DiskReport {
            fdatasync_4kib_us_p50: p50,
            fdatasync_4kib_us_p99: p99,
            sequential_write_mib_per_second: sequential(&mut file, &step)?,
        })
    });
    std::fs::remove_file(&path)?;
    result
}

fn syncs(file: &mut File, step: &impl Fn(f64)) -> std::io::Result<(f64, f64)> {
    let block = vec![0x5A; SYNC_BYTES];
    // As in a log: the blocks are there already, so that a sync writes data and not metadata.
    file.write_all(&vec![0; SYNC_BYTES * SYNCS])?;
    file.sync_all()?;
    let began = Instant::now();
    let mut took_us = Vec::with_capacity(SYNCS);
    for number in 0..SYNCS {
        file.write_all_at(&block, (number * SYNC_BYTES) as u64)?;
        let sync_began = Instant::now();
        file.sync_data()?;
        took_us.push(sync_began.elapsed().as_secs_f64() * 1e6);
        step(0.5 * number as f64 / SYNCS as f64);
        if began.elapsed() > TIME_MAX {
            break;
        }
    }
    took_us.sort_by(f64::total_cmp);
    Ok((took_us[took_us.len() / 2], took_us[took_us.len() * 99 / 100]))
}

fn sequential(file: &mut File, step: &impl Fn(f64)) -> std::io::Result<f64> {
    let block: Vec<u8> = (0..SEQUENTIAL_BLOCK_BYTES).map(|index| ((index * 31) >> 3) as u8).collect();
    let began = Instant::now();
    let mut written = 0;
    while written < SEQUENTIAL_BLOCKS && began.elapsed() < TIME_MAX {
        file.write_all(&block)?;
        written += 1;
        step(0.5 + 0.5 * written as f64 / SEQUENTIAL_BLOCKS as f64);
    }
    file.sync_data()?;
    Ok((written * SEQUENTIAL_BLOCK_BYTES) as f64 / f64::from(1 << 20) / began.elapsed().as_secs_f64())
}
