//! What a cluster is made of.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name of the state file, in the root.
pub const STATE_FILE: &str = "chaos-state.json";

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// How many nodes: 1 to 5; 3 or 5 make sense.
    pub nodes: usize,
    /// Where everything is kept: the state file, the nodes' directories or images, their output. Made if absent. What
    /// is in there is kept when the cluster goes down, but for what lies on images.
    pub root: PathBuf,
    /// Where the nodes live.
    pub backend: Backend,
}

/// Where the nodes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Processes with directories under the root, each on a loopback address of its own (127.a.b.node). Needs no
    /// rights; knows no faults of the network and few of disks.
    Loopback,
    /// A network namespace, an address (198.18.n.node, of the range that RFC 2544 keeps for tests) and a loop-mounted
    /// ext4 image for each node, on a bridge in a namespace of its own; this host is on the bridge too, so that
    /// clients on it reach the nodes. Needs root, `ip`, `mount` and `mkfs.ext4`.
    Namespaces {
        /// The size of each node's image.
        image_bytes: u64,
    },
}

impl Backend {
    /// Namespaces with images of 1 GiB. They take what is written, not more.
    pub const NAMESPACES: Backend = Backend::Namespaces { image_bytes: 1 << 30 };
}

impl ClusterOptions {
    /// The state file of a cluster with this root.
    pub fn state_file(&self) -> PathBuf {
        self.root.join(STATE_FILE)
    }
}
