//! The adapters to openraft. Its types do not leave this folder.

pub(crate) mod applier;
pub(crate) mod convert;
pub(crate) mod entry;
pub(crate) mod log_store;
pub(crate) mod membership;
pub(crate) mod network;
pub(crate) mod snapshot;
pub(crate) mod types;

#[cfg(test)]
mod suite_test;
