//! Where the messages of a stream end: gRPC puts a byte and the length before each.

use thiserror::Error;

use crate::limits::STREAMED_MESSAGE_BYTES_MAX;

const PREFIX_BYTES: usize = 5;

/// A message of a stream that is longer than any that a client has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {0} bytes in a stream; at most {STREAMED_MESSAGE_BYTES_MAX} are allowed")]
pub(super) struct TooLong(pub usize);

/// How far a stream has come.
#[derive(Debug, Default)]
pub(super) struct Framing {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    /// Bytes that have come since the last message ended.
    open: usize,
}

impl Framing {
    /// Bytes came. How many bytes are of messages that are at their end now, those of earlier calls included.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(super) fn came(&mut self, mut bytes: &[u8]) -> Result<usize, TooLong> {
        let mut done = 0;
        while !bytes.is_empty() {
            let of_message = self.left.min(bytes.len());
            let of_prefix = match self.left {
                0 => (PREFIX_BYTES - self.prefix_bytes).min(bytes.len()),
                _ => 0,
            };
            self.prefix[self.prefix_bytes..self.prefix_bytes + of_prefix]
                .copy_from_slice(&bytes[..of_prefix]);
            self.prefix_bytes += of_prefix;
            self.left -= of_message;
            self.open += of_message + of_prefix;
            bytes = &bytes[of_message + of_prefix..];
            let begins = self.prefix_bytes == PREFIX_BYTES && self.left == 0 && of_prefix > 0;
            if begins {
                let [_, length @ ..] = self.prefix;
                self.left = u32::from_be_bytes(length) as usize;
                if self.left > STREAMED_MESSAGE_BYTES_MAX {
                    return Err(TooLong(self.left));
                }
            }
            if self.prefix_bytes == PREFIX_BYTES && self.left == 0 {
                self.prefix_bytes = 0;
                done += std::mem::take(&mut self.open);
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_they_end_however_they_come() {
        let message = |length: u8| [&[0, 0, 0, 0, length][..], &vec![7; usize::from(length)]].concat();
        let bytes = [message(3), message(0), message(200)].concat();
        for piece in 1..=bytes.len() {
            let mut framing = Framing::default();
            let (mut came, mut done) = (0, Vec::new());
            for piece in bytes.chunks(piece) {
                came += piece.len();
                let before: usize = done.iter().sum();
                done.push(framing.came(piece).unwrap());
                let now = before + done.last().unwrap();
                let ends = [8, 13, 218].into_iter().filter(|end| *end <= came).max().unwrap_or(0);
                assert_eq!((now, framing.open), (ends, came - ends), "in pieces of {}", piece.len());
            }
        }
    }

    #[test]
    fn a_message_that_nobody_sends_is_refused_by_its_first_bytes() {
        let mut framing = Framing::default();
        assert_eq!(framing.came(&[0, 0xff, 0xff, 0xff]), Ok(0));
        assert_eq!(framing.came(&[0xff]), Err(TooLong(u32::MAX as usize)));
    }
}
