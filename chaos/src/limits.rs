//! Every bound of this crate.

use std::time::Duration;

/// Nodes in a cluster. The smallest one is for trying things out.
pub const NODES_MAX: usize = 5;

/// Faults that are installed at once in one cluster.
pub const ACTIVE_FAULTS_MAX: usize = 64;

/// Steps in a plan.
pub const PLAN_STEPS_MAX: usize = 10_000;

/// Files that a corruption looks at under a node's directory.
pub const CORRUPTIBLE_FILES_MAX: usize = 100_000;

/// What a stale chunk is made of: so many bytes are put back as they were.
pub const CHUNK_BYTES: u64 = 4096;

/// What a lost tail is made of: so many bytes that were written last are zero, and never more than half of all.
pub const TAIL_BYTES: u64 = 8192;

/// An image for a node: less does not hold ext4 with a journal, more does not belong on a machine for tests.
pub const IMAGE_BYTES_MIN: u64 = 16 << 20;
/// See [`IMAGE_BYTES_MIN`].
pub const IMAGE_BYTES_MAX: u64 = 16 << 30;

/// A killed process that is not held up by a disk is gone within this.
pub const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How often a condition is looked at that has no event.
pub const POLL: Duration = Duration::from_millis(2);

/// A command of the system (`ip`, `nft`, `mount`) that takes longer is stuck.
pub const TOOL_TIMEOUT: Duration = Duration::from_secs(60);

const _: () = assert!(IMAGE_BYTES_MIN < IMAGE_BYTES_MAX);
