//! Backups of a whole cluster: taken while it serves, kept in a directory or a bucket, restored into new data directories.
//!
//! **The order of the groups.** The broker groups come first, in any order, and `meta` last. What a broker group holds
//! names topics and consumer groups by their ids, and those were given out by `meta` before. So a `meta` that is copied
//! after all of them knows every id that they name, or gave it out and knows that it is gone. The other way round a topic
//! that was made in between would be in the messages and not in the catalog; worse, the restored `meta` would give
//! its id out a second time, and another topic would find messages in its queues (rule R10). Broker groups refer to
//! nothing in each other, so between them any order will do.
//!
//! **Within a group** the log comes first and the snapshot after it: see [`raft::node::ReplicaCopy`].

mod copy;
mod directory;
mod manifest;
mod pace;
mod place;
mod restore;
mod save;

pub use pace::Pace;
pub use place::Place;
pub use restore::{Restored, Target, restore, shape};
pub use save::{Saved, save};
