//! Every bound of this crate.

use std::time::Duration;

/// Nodes in a cluster. The smallest one is for trying things out.
pub const NODES_MAX: usize = 5;

/// Faults that are installed at once in one cluster.
pub const ACTIVE_FAULTS_MAX: usize = 64;

/// Steps in a plan.
pub const PLAN_STEPS_MAX: usize = 10_000;

/// An image for a node: less does not hold ext4 with a journal, more does not belong on a machine for tests.
pub const IMAGE_BYTES_MIN: u64 = 16 << 20;
/// See [`IMAGE_BYTES_MIN`].
pub const IMAGE_BYTES_MAX: u64 = 16 << 30;

/// A killed process that is not held up by a disk is gone within this.
pub const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How often a condition is looked at that has no event.
pub const POLL: Duration = Duration::from_millis(2);

const _: () = assert!(IMAGE_BYTES_MIN < IMAGE_BYTES_MAX);
