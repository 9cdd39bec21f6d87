//! Small C programs, compiled when a cluster needs them first: what Rust without `unsafe` cannot do.

use std::path::PathBuf;

use crate::cluster::state::StateFile;
use crate::error::ChaosError;
use crate::tool;

/// Whether there is a compiler.
pub(crate) fn compiler() -> Result<(), String> {
    tool::find("cc")
        .map(|_| ())
        .ok_or_else(|| "there is no C compiler on this machine (apt-get install gcc libc6-dev)".into())
}

/// Compiles a source into a file of the cluster's root, once for a cluster. Where it is.
pub(super) fn compiled(
    file: &StateFile,
    name: &str,
    source: &str,
    flags: &[&str],
) -> Result<PathBuf, ChaosError> {
    let made = file.root().join(name);
    if !made.exists() {
        let next = made.with_extension("next");
        let target = next.display().to_string();
        tool::run_with_input("cc", &[flags, &["-O2", "-x", "c", "-o", &target, "-"]].concat(), source)?;
        std::fs::rename(&next, &made).map_err(ChaosError::io(format!("make {}", made.display())))?;
    }
    Ok(made)
}
