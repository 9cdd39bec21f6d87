//! Files that are not there for a while.

use std::io;
use std::path::{Path, PathBuf};

use super::{Refusal, disk, effect};
use crate::cluster::Inner;
use crate::cluster::process::ProcessId;
use crate::cluster::state::{ActiveFault, State};
use crate::error::ChaosError;
use crate::injection::Effect;

/// On the same file system, beside everything that the node looks at.
fn aside(directory: &Path, active: &ActiveFault) -> PathBuf {
    directory.join(format!("hidden-{}", active.id))
}

fn runs(state: &State, active: &ActiveFault) -> Option<usize> {
    let runs = |node: &usize| state.node(*node).process.is_some_and(ProcessId::is_alive);
    active.nodes.iter().copied().find(runs)
}

pub(super) fn hide(cluster: &Inner, active: &ActiveFault, path: &str) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    disk::stalled(&state, active)?;
    if let Some(node) = runs(&state, active) {
        return Err(Refusal::Skipped(format!("node {node} runs: stop it first")));
    }
    let inside = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !inside || path.is_empty() {
        return Err(Refusal::Skipped(format!("{path:?} is no path under a node's directory")));
    }
    // All are looked for before the first is touched: it happens to every node or to none.
    if let Some(node) = active.nodes.iter().find(|node| !state.node(**node).directory.join(path).exists()) {
        return Err(Refusal::Skipped(format!("node {node} has no {path}")));
    }
    let mut effects = Vec::new();
    for &node in &active.nodes {
        let directory = &state.node(node).directory;
        let from = directory.join(path);
        std::fs::rename(&from, aside(directory, active))
            .map_err(ChaosError::io(format!("hide {}", from.display())))?;
        effects.push(effect(node, format!("hid {}", from.display())));
    }
    Ok(effects)
}

pub(super) fn show(cluster: &Inner, active: &ActiveFault, path: &str) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    for &node in &active.nodes {
        let directory = &state.node(node).directory;
        let (hidden, place) = (aside(directory, active), directory.join(path));
        if !hidden.exists() {
            continue;
        }
        let failed = || ChaosError::io(format!("put {} back", place.display()));
        if runs(&state, active).is_some() {
            let stop_first = format!("node {node} runs: stop it first");
            return Err(failed()(io::Error::new(io::ErrorKind::ResourceBusy, stop_first)));
        }
        match place.is_dir() {
            true => std::fs::remove_dir_all(&place).map_err(failed())?,
            false if place.exists() => std::fs::remove_file(&place).map_err(failed())?,
            false => {}
        }
        std::fs::rename(&hidden, &place).map_err(failed())?;
    }
    Ok(())
}
