//! Writing histories, a line at a time.

use std::io::{self, BufWriter, Write};

use super::{Finish, Header, Line, Operation};
use crate::limits::WRITE_BUFFER_BYTES;

/// Writes a history. Lines go through a buffer; [`Writer::finish`] writes what is left in it, and the last line.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    operations: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a history.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, header: &Header) -> io::Result<Writer<W>> {
        let mut writer = Writer { out: BufWriter::with_capacity(WRITE_BUFFER_BYTES, out), operations: 0 };
        writer.write(&Line::Header(header.clone()))?;
        Ok(writer)
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        if let Line::Op(_) = line {
            self.operations += 1;
        }
        serde_json::to_writer(&mut self.out, line).map_err(io::Error::from)?;
        self.out.write_all(b"\n")
    }

    /// Writes what a client did.
    ///
    /// # Errors
    /// Those of the output.
    pub fn operation(&mut self, operation: Operation) -> io::Result<()> {
        self.write(&Line::Op(operation))
    }

    /// Writes out what is in the buffer, so that a reader sees it although the history goes on.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the history.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.write(&Line::Finish(Finish { operations: self.operations }))?;
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}
