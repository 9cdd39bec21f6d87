//! openraft's own suite for log storage, against our log and tables.

use std::sync::{Arc, Mutex};

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use store::commit_log::{CommitLog, LogIdentity, LogOptions};
use store::disk::RealDisk;
use tempfile::TempDir;

use crate::consensus::applier::Applier;
use crate::consensus::log_store::LogStore;
use crate::consensus::types::TypeConfig;
use crate::group::replica::Replica;
use crate::names::GroupId;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Applier, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Applier), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = LogIdentity { cluster: "suite".to_owned(), node: 1, group: 1 };
        let options =
            LogOptions { segment_bytes: 1 << 20, tail_cache_bytes: 1 << 20, ..LogOptions::default() };
        let log = CommitLog::open(Arc::new(RealDisk), &dir.path().join("log"), identity, options)
            .expect("the log opens");
        let store = LogStore::new(log);
        let replica =
            Replica::open(GroupId(1), &dir.path().join("tables"), 8 << 20).expect("the tables open");
        let applier = Applier::new(Arc::new(Mutex::new(replica)), store.durable(), Arc::default(), None);
        Ok((dir, store, applier))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_store_passes_openrafts_suite() {
    Suite::test_store(&Builder).await.expect("the suite passes");
}
