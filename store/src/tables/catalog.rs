//! What `meta` keeps. The values are the caller's.
//!
//! ```text
//! key: 50 | 00                    counters
//! key: 50 | 01 | name             a topic
//! key: 50 | 02 | name             a consumer group
//! key: 50 | 03 | u64 node         a node                 (big endian)
//! key: 50 | 04                    the broker groups
//! key: 50 | 05 | u64 number       a request that was carried out, and its outcome
//! key: 50 | 06 | name             a user
//! ```

use super::RowKind;
use super::row_kind::key_u64;

/// Which row of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKey<'a> {
    /// The counters.
    Counters,
    /// A topic, by name.
    Topic(&'a str),
    /// A consumer group, by name.
    Consumer(&'a str),
    /// A node, by its id.
    Node(u64),
    /// The broker groups.
    Groups,
    /// A request, by its place in the order of requests.
    Request(u64),
    /// A user, by name.
    User(&'a str),
}

impl<'a> CatalogKey<'a> {
    /// The key's bytes.
    pub fn bytes(self) -> Vec<u8> {
        let (kind, rest) = match self {
            CatalogKey::Counters => (0, vec![]),
            CatalogKey::Topic(name) => (1, name.as_bytes().to_vec()),
            CatalogKey::Consumer(name) => (2, name.as_bytes().to_vec()),
            CatalogKey::Node(id) => (3, id.to_be_bytes().to_vec()),
            CatalogKey::Groups => (4, vec![]),
            CatalogKey::Request(number) => (5, number.to_be_bytes().to_vec()),
            CatalogKey::User(name) => (6, name.as_bytes().to_vec()),
        };
        [vec![RowKind::Catalog as u8, kind], rest].concat()
    }

    /// Reads a key; `None` if it is not one.
    pub fn read(key: &'a [u8]) -> Option<CatalogKey<'a>> {
        let name = || std::str::from_utf8(key.get(2..)?).ok();
        match key.get(1)? {
            0 => Some(CatalogKey::Counters),
            1 => name().map(CatalogKey::Topic),
            2 => name().map(CatalogKey::Consumer),
            3 => key_u64(key, 2).map(CatalogKey::Node),
            4 => Some(CatalogKey::Groups),
            5 => key_u64(key, 2).map(CatalogKey::Request),
            6 => name().map(CatalogKey::User),
            _ => None,
        }
    }
}
