//! A watch over the HTTP/2 frames of a client (RFC 9113), for what costs the client nothing and us something.
//!
//! The HTTP/2 library bounds what it keeps. What it does not bound is how often it is made to do something for nothing: open
//! and drop a request, answer a ping, take new settings. So the frames are counted on their way to it, by their heads; what a
//! frame holds is not looked at, and what is no HTTP/2 at all is for the library to refuse.

use std::time::Instant;

use super::bucket::Bucket;
use super::cut::Cut;

/// What every connection begins with (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
/// Of SETTINGS and PING: the answer to one of ours.
const ACK: u8 = 1;
/// Of DATA: the last of its request.
const END_STREAM: u8 = 1;

/// So many of a kind at once, and then so many in a second.
struct Allowance {
    burst: u32,
    per_second: u32,
}

/// A client whose deadlines pass breaks off what it asked for, as long as they pass. One that ends may break off more, and
/// loses nothing when it is cut.
const RESETS: Allowance = Allowance { burst: 4_000, per_second: 500 };
const SETTINGS_CHANGES: Allowance = Allowance { burst: 64, per_second: 1 };
/// Go measures the way with pings as often as data comes: what we send gives more of them.
const EMPTY: Allowance = Allowance { burst: 10_000, per_second: 1_000 };
/// The smallest answer to a request is some multiple of this, a pong half of it.
const SENT_BYTES_FOR_ONE_EMPTY: usize = 32;
/// Of one block of headers, which has 64 KiB at most; a frame can hold 16 KiB and more.
const CONTINUATIONS_MAX: u32 = 4;

/// Where in the stream of bytes it is, and what there was of each kind.
#[derive(Debug)]
pub(super) struct FrameWatch {
    /// Bytes to pass over before the next head.
    skip: usize,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    heads: u64,
    sent_bytes: usize,
    resets: Bucket,
    settings: Bucket,
    empty: Bucket,
    continuations: u32,
}

impl FrameWatch {
    pub(super) fn new() -> FrameWatch {
        FrameWatch {
            skip: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            heads: 0,
            sent_bytes: 0,
            resets: Bucket::default(),
            settings: Bucket::default(),
            empty: Bucket::default(),
            continuations: 0,
        }
    }

    /// Whether the client has said what every client says first.
    pub(super) fn has_begun(&self) -> bool {
        self.heads > 0
    }

    /// Looks at what came.
    ///
    /// # Errors
    /// Why the connection is to be cut.
    pub(super) fn came(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Cut> {
        while !bytes.is_empty() {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = &bytes[passed..];
            let wanted = (HEAD_BYTES - self.head_bytes).min(bytes.len());
            self.head[self.head_bytes..self.head_bytes + wanted].copy_from_slice(&bytes[..wanted]);
            self.head_bytes += wanted;
            bytes = &bytes[wanted..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                self.heads += 1;
                let [one, two, three, kind, flags, ..] = self.head;
                self.skip = u32::from_be_bytes([0, one, two, three]) as usize;
                self.count(kind, flags, now)?;
            }
        }
        Ok(())
    }

    /// We sent so many bytes.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes;
        let more = self.sent_bytes / SENT_BYTES_FOR_ONE_EMPTY;
        if more > 0 {
            self.sent_bytes %= SENT_BYTES_FOR_ONE_EMPTY;
            self.empty.put(u32::try_from(more).unwrap_or(u32::MAX));
        }
    }

    fn count(&mut self, kind: u8, flags: u8, now: Instant) -> Result<(), Cut> {
        let (bucket, allowance, why) = match kind {
            HEADERS => {
                self.continuations = 0;
                return Ok(());
            }
            CONTINUATION => {
                self.continuations += 1;
                return if self.continuations <= CONTINUATIONS_MAX {
                    Ok(())
                } else {
                    Err(Cut::Continuations)
                };
            }
            DATA if self.skip > 0 || flags & END_STREAM != 0 => return Ok(()),
            SETTINGS if flags & ACK == 0 => (&mut self.settings, SETTINGS_CHANGES, Cut::Settings),
            RST_STREAM => (&mut self.resets, RESETS, Cut::Resets),
            _ => (&mut self.empty, EMPTY, Cut::Empty),
        };
        match bucket.take_at(now, 1, allowance.burst, allowance.per_second) {
            true => Ok(()),
            false => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn begun() -> FrameWatch {
        let mut watch = FrameWatch::new();
        watch.came(PREFACE, Instant::now()).unwrap();
        watch
    }

    /// After how many of these it cuts, if it does so within `most`, when they come all at once.
    fn cut_after(frame: &[u8], most: usize) -> Option<(usize, Cut)> {
        let (mut watch, now) = (begun(), Instant::now());
        (1..=most).find_map(|number| watch.came(frame, now).err().map(|why| (number, why)))
    }

    #[test]
    fn a_flood_is_cut_by_its_kind() {
        assert_eq!(cut_after(&frame(RST_STREAM, 0, &[0; 4]), 100_000), Some((4_001, Cut::Resets)));
        assert_eq!(cut_after(&frame(SETTINGS, 0, &[]), 100_000), Some((65, Cut::Settings)));
        assert_eq!(cut_after(&frame(PING, 0, &[0; 8]), 100_000), Some((10_001, Cut::Empty)));
        assert_eq!(cut_after(&frame(WINDOW_UPDATE, 0, &[0; 4]), 100_000), Some((10_001, Cut::Empty)));
        assert_eq!(cut_after(&frame(DATA, 0, &[]), 100_000), Some((10_001, Cut::Empty)));
        assert_eq!(cut_after(&frame(0x77, 0, b"who knows"), 100_000), Some((10_001, Cut::Empty)));
        assert_eq!(cut_after(&frame(CONTINUATION, 0, &[]), 100_000), Some((5, Cut::Continuations)));
    }

    #[test]
    fn what_a_client_does_is_let_pass() {
        assert_eq!(cut_after(&frame(HEADERS, 4, &[0; 100]), 100_000), None);
        let long = [
            frame(HEADERS, 0, &[0; 9]),
            frame(CONTINUATION, 0, &[0; 9]).repeat(3),
            frame(CONTINUATION, 4, &[0; 9]),
        ];
        assert_eq!(cut_after(&long.concat(), 1_000), None);
        assert_eq!(cut_after(&frame(DATA, 0, &[0; 1]), 100_000), None);
        assert_eq!(cut_after(&frame(DATA, END_STREAM, &[]), 100_000), None);
        assert_eq!(cut_after(&frame(SETTINGS, ACK, &[]), 10_000), None);

        // Go pings once for every small answer.
        let (mut watch, now) = (begun(), Instant::now());
        for _ in 0..100_000 {
            watch.sent(150);
            watch.came(&frame(PING, 0, &[0; 8]), now).unwrap();
        }
        // Some hundred requests a second that are broken off, for a minute.
        for second in 0..60 {
            for _ in 0..500 {
                watch.came(&frame(RST_STREAM, 0, &[0; 4]), now + Duration::from_secs(second)).unwrap();
            }
        }
    }

    #[test]
    fn pongs_pay_for_half_a_ping() {
        let (mut watch, now) = (begun(), Instant::now());
        let ping = frame(PING, 0, &[0; 8]);
        let cut = (0..1_000_000).find(|_| {
            watch.sent(ping.len());
            watch.came(&ping, now).is_err()
        });
        assert!(cut.is_some_and(|number| number < 50_000), "{cut:?}");
    }

    #[test]
    fn frames_are_seen_however_they_are_cut_into_pieces() {
        let mut bytes = PREFACE.to_vec();
        for _ in 0..65 {
            bytes.extend(frame(DATA, 0, &[SETTINGS; 700]));
            bytes.extend(frame(SETTINGS, 0, &[0; 6]));
        }
        let now = Instant::now();
        for piece in [1, 2, 7, 9, 24, 25, 1_000, bytes.len()] {
            let mut watch = FrameWatch::new();
            let mut seen = bytes.chunks(piece).map(|piece| watch.came(piece, now));
            assert!(seen.any(|seen| seen == Err(Cut::Settings)), "in pieces of {piece}");
        }
        let mut watch = FrameWatch::new();
        watch.came(&bytes[..PREFACE_BYTES + 8], now).unwrap();
        assert!(!watch.has_begun());
        watch.came(&bytes[PREFACE_BYTES + 8..PREFACE_BYTES + 9], now).unwrap();
        assert!(watch.has_begun());
    }
}
