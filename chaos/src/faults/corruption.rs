//! Bytes of files that change.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Refusal, disk};
use crate::cluster::Inner;
use crate::cluster::process::ProcessId;
use crate::cluster::state::{ActiveFault, StateFile};
use crate::error::ChaosError;
use crate::fault::{Corruption, Fault};
use crate::injection::{Damage, Effect};
use crate::limits::{CHUNK_BYTES, CORRUPTIBLE_FILES_MAX, TAIL_BYTES};
use crate::seeded::Seeded;

/// So often a place is drawn until one is found that is not empty: files are allocated ahead, and nobody misses a
/// zero that nobody wrote.
const DRAWS_MAX: usize = 10_000;
/// So much of what was is told.
const TOLD_BYTES: usize = 16;

/// Where the copies are that [`Corruption::StaleChunk`] takes from.
fn remembered(file: &StateFile, node: usize) -> PathBuf {
    file.root().join(format!("remembered-{node}"))
}

/// Copies a node's files as they are now. Replaces the earlier copy. How many.
pub(crate) fn remember(file: &StateFile, node: usize, directory: &Path) -> Result<usize, ChaosError> {
    let copies = remembered(file, node);
    let what = || ChaosError::io(format!("copy {} to {}", directory.display(), copies.display()));
    if copies.exists() {
        std::fs::remove_dir_all(&copies).map_err(what())?;
    }
    let names = files_under(directory).map_err(what())?;
    for name in &names {
        let copy = copies.join(name);
        if let Some(parent) = copy.parent() {
            std::fs::create_dir_all(parent).map_err(what())?;
        }
        match std::fs::copy(directory.join(name), copy) {
            // A running node removes files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map(|_| ()).map_err(what())?,
        }
    }
    Ok(names.len())
}

pub(super) fn corrupt(cluster: &Inner, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let Fault::Corrupt { how, files, seed, running } = &active.fault else { return Ok(Vec::new()) };
    let state = cluster.file.read()?;
    disk::stalled(&state, active)?;
    let runs = |node: &&usize| state.node(**node).process.is_some_and(ProcessId::is_alive);
    if let Some(node) = active.nodes.iter().find(runs).filter(|_| !running) {
        return Err(Refusal::Skipped(format!("node {node} runs: stop it first, or say running=true")));
    }
    // All are chosen before the first is touched: either every node gets its damage or none.
    let mut chosen = Vec::new();
    for &node in &active.nodes {
        let directory = &state.node(node).directory;
        let mut seeded = Seeded::new(seed.wrapping_add(node as u64));
        let wound = choose(*how, directory, &remembered(&cluster.file, node), files, &mut seeded);
        let wound = wound.map_err(ChaosError::io(format!("read {}", directory.display())))?;
        chosen.push((node, wound.map_err(|why| Refusal::Skipped(format!("node {node}: {why}")))?));
    }
    let mut effects = Vec::new();
    for (node, wound) in chosen {
        let path = wound.file.display().to_string();
        let damage = wound.inflict().map_err(ChaosError::io(format!("damage {path}")))?;
        let what = match how {
            Corruption::BitFlip => format!("flipped a bit of byte {} of {path}", damage.offset),
            Corruption::Truncate => {
                format!("cut {} bytes off {path}, from byte {} on", damage.bytes, damage.offset)
            }
            Corruption::StaleChunk => {
                format!("put {} old bytes back at byte {} of {path}", damage.bytes, damage.offset)
            }
            Corruption::LostTail => {
                format!("lost the last {} bytes of {path}, from byte {} on", damage.bytes, damage.offset)
            }
        };
        effects.push(Effect { node, what, damage: Some(damage) });
    }
    Ok(effects)
}

/// What is going to be done to a file.
struct Wound {
    file: PathBuf,
    offset: u64,
    before: Vec<u8>,
    /// None: the file ends here.
    after: Option<Vec<u8>>,
    bytes: u64,
}

impl Wound {
    fn inflict(self) -> io::Result<Damage> {
        let file = File::options().write(true).open(&self.file)?;
        match &self.after {
            Some(after) => file.write_all_at(after, self.offset)?,
            None => file.set_len(self.offset)?,
        }
        file.sync_all()?;
        let told = |bytes: &[u8]| -> String {
            bytes.iter().take(TOLD_BYTES).map(|byte| format!("{byte:02x}")).collect()
        };
        Ok(Damage {
            offset: self.offset,
            bytes: self.bytes,
            before: told(&self.before),
            after: told(self.after.as_deref().unwrap_or_default()),
            file: self.file,
        })
    }
}

/// Chooses a file and a place in it; or says why there is none.
fn choose(
    how: Corruption,
    directory: &Path,
    copies: &Path,
    pattern: &str,
    seeded: &mut Seeded,
) -> io::Result<Result<Wound, String>> {
    let mut names = files_under(directory)?;
    names.retain(|name| matches(pattern, &name.to_string_lossy()));
    if names.is_empty() {
        return Ok(Err(format!("no file under {} is like {pattern}", directory.display())));
    }
    if how == Corruption::StaleChunk && !copies.exists() {
        return Ok(Err("no earlier copy of its files was made (remember_files)".into()));
    }
    match how {
        // By their names the last one is the newest.
        Corruption::LostTail => names.reverse(),
        // From a random one on, until one is fit: empty files have nothing to lose.
        _ => {
            let first = seeded.below(names.len() as u64) as usize;
            names.rotate_left(first);
        }
    }
    for name in names {
        let path = directory.join(&name);
        let wound = match how {
            Corruption::BitFlip => flipped(path, seeded)?,
            Corruption::Truncate => truncated(path, seeded)?,
            Corruption::StaleChunk => stale(path, &copies.join(&name), seeded)?,
            Corruption::LostTail => without_tail(path)?,
        };
        if let Some(wound) = wound {
            return Ok(Ok(wound));
        }
    }
    Ok(Err(format!("no file like {pattern} has anything to lose")))
}

/// A byte that is not zero, if one is found.
fn drawn(file: &File, seeded: &mut Seeded) -> io::Result<Option<(u64, u8)>> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(None);
    }
    let mut byte = [0_u8; 1];
    for _ in 0..DRAWS_MAX {
        let offset = seeded.below(length);
        file.read_exact_at(&mut byte, offset)?;
        if byte[0] != 0 {
            return Ok(Some((offset, byte[0])));
        }
    }
    Ok(None)
}

fn flipped(path: PathBuf, seeded: &mut Seeded) -> io::Result<Option<Wound>> {
    let found = drawn(&File::open(&path)?, seeded)?;
    Ok(found.map(|(offset, byte)| {
        let after = byte ^ (1 << seeded.below(8));
        Wound { file: path, offset, before: vec![byte], after: Some(vec![after]), bytes: 1 }
    }))
}

fn truncated(path: PathBuf, seeded: &mut Seeded) -> io::Result<Option<Wound>> {
    let file = File::open(&path)?;
    let length = file.metadata()?.len();
    let Some((offset, _)) = drawn(&file, seeded)? else { return Ok(None) };
    let mut before = vec![0; TOLD_BYTES.min((length - offset) as usize)];
    file.read_exact_at(&mut before, offset)?;
    Ok(Some(Wound { file: path, offset, before, after: None, bytes: length - offset }))
}

/// One of the chunks that are not as they were. What the copy does not reach to was never written, so it was zero.
fn stale(path: PathBuf, copy: &Path, seeded: &mut Seeded) -> io::Result<Option<Wound>> {
    let (now, then) = (std::fs::read(&path)?, std::fs::read(copy).unwrap_or_default());
    let range = |chunk: u64| {
        let start = (chunk * CHUNK_BYTES) as usize;
        start..now.len().min(start + CHUNK_BYTES as usize)
    };
    let old = |chunk: u64| -> Vec<u8> { range(chunk).map(|at| then.get(at).copied().unwrap_or(0)).collect() };
    let chunks = (now.len() as u64).div_ceil(CHUNK_BYTES);
    let changed: Vec<u64> = (0..chunks).filter(|chunk| old(*chunk) != now[range(*chunk)]).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    let chunk = *seeded.pick(&changed);
    let before = now[range(chunk)].to_vec();
    let bytes = before.len() as u64;
    Ok(Some(Wound { file: path, offset: chunk * CHUNK_BYTES, before, after: Some(old(chunk)), bytes }))
}

/// Files are allocated ahead: what was written last ends with the last byte that is not zero.
fn without_tail(path: PathBuf) -> io::Result<Option<Wound>> {
    let file = File::open(&path)?;
    let mut written = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK_BYTES as usize];
    while written > 0 {
        let from = (written - 1) / CHUNK_BYTES * CHUNK_BYTES;
        let chunk = &mut chunk[..(written - from) as usize];
        file.read_exact_at(chunk, from)?;
        if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
            written = from + last as u64 + 1;
            break;
        }
        written = from;
    }
    let bytes = TAIL_BYTES.min(written / 2);
    if bytes == 0 {
        return Ok(None);
    }
    let offset = written - bytes;
    let mut before = vec![0; bytes as usize];
    file.read_exact_at(&mut before, offset)?;
    Ok(Some(Wound { file: path, offset, before, after: Some(vec![0; bytes as usize]), bytes }))
}

/// Relative names of the files under a directory, in the order of their names.
fn files_under(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                files.extend(entry.path().strip_prefix(directory).map(Path::to_owned));
            }
            if files.len() > CORRUPTIBLE_FILES_MAX {
                return Err(io::Error::other(format!("more than {CORRUPTIBLE_FILES_MAX} files")));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a relative path is like a pattern: `*` is any part of a name, `?` one character of it, `**` any
/// directories.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    matches_parts(&pattern, &path)
}

fn matches_parts(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", [])), Some(_)) => true,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skipped| matches_parts(rest, &path[skipped..])),
        (Some((part, pattern)), Some((name, path))) => {
            matches_name(part.as_bytes(), name.as_bytes()) && matches_parts(pattern, path)
        }
        _ => false,
    }
}

fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skipped| matches_name(rest, &name[skipped..])),
        (Some((b'?', pattern)), Some((_, name))) => matches_name(pattern, name),
        (Some((wanted, pattern)), Some((byte, name))) => wanted == byte && matches_name(pattern, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_like_those_of_a_shell() {
        for (pattern, path, like) in [
            ("**", "a/b/c", true),
            ("**", "a", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**/*.log", "a/b/1.log", true),
            ("**/*.log", "1.log", true),
            ("**/*.log", "1.logs", false),
            ("g?/log/**", "g1/log/2/3", true),
            ("g?/log/**", "g10/log/2", false),
        ] {
            assert_eq!(matches(pattern, path), like, "{pattern} {path}");
        }
    }
}
