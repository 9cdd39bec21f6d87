//! Why a connection is cut, and how often that happened.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a connection did that no client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It did not say what it wants for too long: its first bytes, the TLS handshake, HTTP/2's preface.
    Silence,
    /// It broke off too many requests (CVE-2023-44487).
    Resets,
    /// It changed its settings too often (CVE-2019-9515).
    Settings,
    /// It sent too many frames that carry nothing: pings, window updates, priorities, empty data (CVE-2019-9512, -9513,
    /// -9518).
    Empty,
    /// It spread headers over too many frames (CVE-2024-27316).
    Continuations,
}

/// All of them, in the order of their numbers.
pub const CUTS: [Cut; 5] = [Cut::Silence, Cut::Resets, Cut::Settings, Cut::Empty, Cut::Continuations];

impl Cut {
    /// In metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cut::Silence => "silence",
            Cut::Resets => "resets",
            Cut::Settings => "settings",
            Cut::Empty => "empty_frames",
            Cut::Continuations => "continuations",
        }
    }
}

/// How many connections were cut for each reason.
#[derive(Debug, Default)]
pub struct Cuts([AtomicU64; CUTS.len()]);

impl Cuts {
    /// One more.
    pub(super) fn count(&self, why: Cut) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Since the start.
    pub fn get(&self, why: Cut) -> u64 {
        self.0[why as usize].load(Ordering::Relaxed)
    }
}
