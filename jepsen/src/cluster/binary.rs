//! Which broker is tested.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Names the broker's binary, if it is not told on the command line.
pub const BINARY_VARIABLE: &str = "LEDGERMQ_BINARY";
/// Where `make build` puts it, below the target directory.
const BUILT: &str = "release/ledgermq";

/// The broker's binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary(PathBuf);

/// There is no broker.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BinaryError {
    /// The named file is not there.
    #[error(
        "there is no file {}, which {named_by} names: build the broker with `make build`, or name another one",
        .path.display()
    )]
    Missing {
        /// What was named.
        path: PathBuf,
        /// Who named it.
        named_by: &'static str,
    },
    /// Nothing was named, and nothing is built.
    #[error(
        "there is no broker to test at {}: build it with `make build`, or name one with --binary PATH or {BINARY_VARIABLE}",
        .looked.display()
    )]
    NotBuilt {
        /// Where it was looked for.
        looked: PathBuf,
    },
}

impl Binary {
    /// The one that is named on the command line; else by the environment; else the built one.
    ///
    /// # Errors
    /// There is none.
    pub fn find(named: Option<&Path>) -> Result<Binary, BinaryError> {
        let variable = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from);
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        Binary::choose(named, variable, &target.join(BUILT))
    }

    fn choose(named: Option<&Path>, variable: Option<PathBuf>, built: &Path) -> Result<Binary, BinaryError> {
        let (path, named_by) = match (named, variable) {
            (Some(path), _) => (path.to_owned(), "--binary"),
            (None, Some(path)) => (path, BINARY_VARIABLE),
            (None, None) if built.is_file() => (built.to_owned(), "the build"),
            (None, None) => return Err(BinaryError::NotBuilt { looked: built.to_owned() }),
        };
        match path.is_file() {
            // Nodes have other working directories.
            true => Ok(Binary(std::path::absolute(&path).unwrap_or(path))),
            false => Err(BinaryError::Missing { path, named_by }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_first_and_the_build_last() {
        let scratch = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = scratch.path().join(name);
            std::fs::write(&path, "").unwrap();
            path
        };
        let (named, variable, built) = (file("named"), file("variable"), file("built"));
        let choose = |named, variable| Binary::choose(named, variable, &built).unwrap().0;
        assert_eq!(choose(Some(named.as_path()), Some(variable.clone())), named);
        assert_eq!(choose(None, Some(variable.clone())), variable);
        assert_eq!(choose(None, None), built);
    }

    #[test]
    fn a_missing_broker_says_how_to_build_it() {
        let nowhere = Path::new("/nowhere/ledgermq");
        for named in [None, Some(nowhere)] {
            let error = Binary::choose(named, None, nowhere).unwrap_err();
            assert!(error.to_string().contains("make build"), "{error}");
        }
    }
}
