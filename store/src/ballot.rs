//! A replica's vote.

/// What a replica promised in an election, or that a leader was chosen. Kept in the superblock of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ballot {
    /// The term it belongs to.
    pub term: u64,
    /// The node voted for, or the leader.
    pub node: u64,
    /// Whether a quorum gave that node the same vote.
    pub committed: bool,
}
