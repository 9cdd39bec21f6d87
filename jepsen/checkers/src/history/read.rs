//! Reading histories, a line at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use thiserror::Error;

use super::text::Text;
use super::{History, Line, VERSION};
use crate::limits::{LINE_BYTES_MAX, READ_BUFFER_BYTES};

/// Why something is not a history.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read the history: {0}")]
    Io(#[from] io::Error),
    /// A line is not one of a history.
    #[error("line {line} of the history: {source}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A line is too long.
    #[error("line {line} of the history is longer than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// Its number, from 1.
        line: u64,
    },
    /// The first line is another one.
    #[error("the first line is no header: this is not a history")]
    NoHeader,
    /// Another version of the format.
    #[error("the history has version {found}; this build reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
}

impl History {
    /// Reads a history file.
    ///
    /// # Errors
    /// Those of the file, and lines that are not of a history. A last line that was cut off in the
    /// middle is no error: the writer was killed; see [`History::is_complete`].
    pub fn open(path: &Path) -> Result<History, ReadError> {
        History::read(BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path)?))
    }

    /// Reads a history.
    ///
    /// # Errors
    /// As for [`History::open`].
    pub fn read(mut input: impl BufRead) -> Result<History, ReadError> {
        let mut bytes = Vec::new();
        let mut history: Option<History> = None;
        for line in 1.. {
            bytes.clear();
            let read = io::Read::take(&mut input, LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                break;
            }
            let is_whole = bytes.last() == Some(&b'\n');
            if !is_whole && read as u64 == LINE_BYTES_MAX {
                return Err(ReadError::TooLong { line });
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let parsed = match serde_json::from_slice::<Line<Text<'_>>>(&bytes) {
                Ok(parsed) => parsed,
                Err(_) if !is_whole && history.is_some() => break,
                Err(source) => return Err(ReadError::Line { line, source }),
            };
            match (&mut history, parsed) {
                (None, Line::Header(header)) if header.version != VERSION => {
                    return Err(ReadError::Version { found: header.version });
                }
                (None, Line::Header(header)) => history = Some(History::new(header)),
                (None, _) => return Err(ReadError::NoHeader),
                (Some(history), line) => history.push(line),
            }
        }
        history.ok_or(ReadError::NoHeader)
    }
}
