//! Who a node is: kept with its data, made once.
//!
//! The file `node.json` in the data directory says which node's data it is, of which cluster, and who else is there. It
//! is written before anything else of a new node, and again when the cluster changes, so that a node that starts while
//! the others are down knows whom to look for. Data without it, of a node that has an id in its configuration, is that
//! node's: earlier versions wrote no such file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::NodeInfo;
use crate::names::{GroupId, NodeId};
use crate::node::entrance;
use crate::node::lifecycle::StartError;
use crate::node::options::NodeOptions;
use crate::seams;

const FILE: &str = "node.json";
const VERSION: u32 = 1;
/// What a node had that was removed from the cluster, until the one that took its place is whole.
const FORMER: &str = "former";
/// Where groups are kept, below the data directory.
const GROUPS: &str = "groups";

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    version: u32,
    /// The cluster's name.
    pub cluster: String,
    /// Its id.
    pub node: NodeId,
    /// Made once with the data.
    pub incarnation: u64,
    /// Tells clusters apart that have the same name: a hash over what this one began with.
    pub tag: u64,
    /// Whether it was there when the cluster began.
    pub founder: bool,
    /// Whether it has the replicas and the votes that it came for.
    pub settled: bool,
    /// Whether the cluster has removed it.
    pub removed: bool,
    /// The broker groups that there were when this was written.
    pub broker_groups: u32,
    /// Those of them that it is not to hold.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub not_held: BTreeSet<GroupId>,
    /// Those of them whose replica moved to another node: what is left of it is deleted at the next start.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub leaving: BTreeSet<GroupId>,
    /// The nodes that there were, this one included.
    pub members: Vec<NodeInfo>,
}

/// What a node that just found out who it is was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub node: NodeId,
    pub tag: u64,
    pub founder: bool,
    pub broker_groups: u32,
    pub not_held: BTreeSet<GroupId>,
    pub members: Vec<NodeInfo>,
}

impl Identity {
    fn new(options: &NodeOptions, incarnation: u64, found: Found) -> Identity {
        Identity {
            version: VERSION,
            cluster: options.cluster.clone(),
            node: found.node,
            incarnation,
            tag: found.tag,
            founder: found.founder,
            settled: found.founder,
            removed: false,
            broker_groups: found.broker_groups,
            not_held: found.not_held,
            leaving: BTreeSet::new(),
            members: found.members,
        }
    }

    /// What the data directory says; nothing if it says nothing.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours.
    pub(crate) fn read(data: &Path) -> Result<Option<Identity>, StartError> {
        let path = data.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StartError::Data { path, source }),
        };
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |error: serde_json::Error| {
            StartError::Options(format!(
                "{} is damaged ({error}). It says which node this is; nothing was changed. Put it back from a copy, or \
                 move the whole data directory away: the node then joins the cluster as a new one",
                path.display()
            ))
        };
        let versioned: Versioned = serde_json::from_slice(&text).map_err(damaged)?;
        if versioned.version > VERSION {
            return Err(StartError::Options(format!(
                "{} has version {}; this build reads up to {VERSION}: it was written by a newer ledgermq, start that one",
                path.display(),
                versioned.version
            )));
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Writes it whole and durably, or not at all.
    pub(crate) fn write(&self, data: &Path) -> io::Result<()> {
        let (next, path) = (data.join("node.json.new"), data.join(FILE));
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec_pretty(self).expect("plain structs of strings and numbers"))?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        File::open(data)?.sync_all()
    }

    fn check(&self, options: &NodeOptions) -> Result<(), StartError> {
        let data = options.data.display();
        if self.cluster != options.cluster {
            return Err(StartError::Options(format!(
                "the data directory {data} is of cluster {:?}, and this node is configured for {:?}: correct \
                 cluster.name, or check the data directory",
                self.cluster, options.cluster
            )));
        }
        if options.seeds.is_empty() && options.id != self.node {
            return Err(StartError::Options(format!(
                "the data directory {data} is node {}'s, and this node is configured as node {}: correct node.id, or \
                 check the data directory",
                self.node, options.id
            )));
        }
        Ok(())
    }
}

/// Finds out who this node is: what its data says; else what its configuration says; else what the others say. Puts it
/// into the options, and durably into the data directory.
///
/// # Errors
/// The data is another node's or another cluster's, or cannot be read or written.
pub(crate) async fn establish(options: &mut NodeOptions) -> Result<Identity, StartError> {
    let data = options.data.clone();
    let failed = |source| StartError::Data { path: data.clone(), source };
    let mut identity = Identity::read(&data)?;
    if let Some(removed) = identity.take_if(|identity| identity.removed && !options.seeds.is_empty()) {
        tracing::warn!(was = %removed.node, "the cluster removed this node: it joins again as a new one");
        put_aside(&data, removed.node).map_err(failed)?;
    }
    let identity = match identity {
        Some(identity) => identity,
        None => {
            let incarnation = seams::random() as u64;
            let found = match options.seeds.is_empty() {
                true => configured(options),
                false => {
                    refuse_nameless(&data)?;
                    entrance::identify(options, incarnation).await?
                }
            };
            let identity = Identity::new(options, incarnation, found);
            identity.write(&data).map_err(failed)?;
            identity
        }
    };
    identity.check(options)?;
    if identity.removed {
        return Err(StartError::Options(format!(
            "node {} was removed from the cluster, and its id is not given out again. Move its data directory {} away; \
             to come back it needs cluster.seeds in its configuration instead of an id",
            identity.node,
            data.display()
        )));
    }
    take_over(options, &identity);
    Ok(identity)
}

/// A node whose configuration lists all members, with their ids.
fn configured(options: &NodeOptions) -> Found {
    Found {
        node: options.id,
        tag: options.fingerprint(),
        founder: true,
        broker_groups: options.broker_groups,
        not_held: BTreeSet::new(),
        members: options.members.clone(),
    }
}

/// Rule R6: data that does not say whose it is may be all that is left of an acknowledged message.
fn refuse_nameless(data: &Path) -> Result<(), StartError> {
    let groups = data.join(GROUPS);
    match groups.exists() {
        true => Err(StartError::Options(format!(
            "{} is there, but no {FILE} that says which node's it is. Nothing was changed. Put {FILE} back; or move the \
             whole data directory away: the node then joins the cluster as a new one",
            groups.display()
        ))),
        false => Ok(()),
    }
}

/// From here on the options say who the node is, too. What is configured of other nodes is newer than what was known.
fn take_over(options: &mut NodeOptions, identity: &Identity) {
    let mut own = options.own();
    (own.id, own.incarnation) = (identity.node, identity.incarnation);
    let is_configured = options.seeds.is_empty();
    let configured = std::mem::take(&mut options.members);
    let mut members = identity.members.clone();
    members.retain(|known| known.id != identity.node);
    if is_configured {
        members.retain(|known| configured.iter().all(|info| info.id != known.id));
        members.extend(configured.into_iter().filter(|info| info.id != identity.node));
    }
    members.push(own);
    members.sort_by_key(|info| info.id);
    options.id = identity.node;
    options.members = members;
    // What is configured counts at the first start only.
    options.broker_groups = identity.broker_groups;
}

/// Keeps what a removed node had, until who takes its place is whole.
fn put_aside(data: &Path, node: NodeId) -> io::Result<()> {
    let former = data.join(FORMER).join(format!("node-{node}"));
    fs::create_dir_all(&former)?;
    for name in [GROUPS, FILE] {
        match fs::rename(data.join(name), former.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(&former)?.sync_all()?;
    File::open(data)?.sync_all()
}

/// Where what a removed node had is kept.
pub(crate) fn former(data: &Path) -> PathBuf {
    data.join(FORMER)
}

/// Deletes the replicas of which this node wrote down that they moved to others. Nothing else is deleted (rule R6).
pub(crate) fn delete_what_left(
    options: &NodeOptions,
    mut identity: Identity,
) -> Result<Identity, StartError> {
    for group in std::mem::take(&mut identity.leaving) {
        let path = options.data.join(GROUPS).join(group.to_string());
        let failed = |source| StartError::Data { path: path.clone(), source };
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => tracing::info!(%group, "the replica that moved to another node is deleted"),
        }
        identity.not_held.insert(group);
        identity.write(&options.data).map_err(failed)?;
    }
    Ok(identity)
}

/// The groups that a node opens when it starts: those that it is to hold, and those of which it has something all the
/// same (rule R6).
pub(crate) fn groups(options: &NodeOptions, identity: &Identity) -> Vec<GroupId> {
    let is_there = |group: &GroupId| options.data.join(GROUPS).join(group.to_string()).exists();
    let all = (0..=options.broker_groups).map(GroupId);
    all.filter(|group| !identity.not_held.contains(group) || is_there(group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureLevel;
    use crate::node::options::Tuning;

    fn info(id: u64, peer: &str) -> NodeInfo {
        NodeInfo {
            id: NodeId(id),
            name: format!("node{id}"),
            grpc: format!("{peer}:1"),
            http: String::new(),
            peer: peer.to_owned(),
            incarnation: 0,
        }
    }

    fn options(data: &Path) -> NodeOptions {
        NodeOptions {
            cluster: "c".into(),
            id: NodeId(2),
            members: vec![info(1, "a:1"), info(2, "b:1")],
            seeds: Vec::new(),
            peer_bind: "127.0.0.1:0".parse().unwrap(),
            data: data.to_owned(),
            broker_groups: 1,
            tuning: Tuning::default(),
            transaction_checks: Default::default(),
            reads_up_to: FeatureLevel::NEWEST,
            tls: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_node_is_who_its_data_says() {
        let data = tempfile::tempdir().unwrap();
        let mut first = options(data.path());
        let made = establish(&mut first).await.unwrap();
        assert_eq!((made.node, made.founder, made.settled), (NodeId(2), true, true));
        let mut again = options(data.path());
        again.members[0] = info(1, "moved:1");
        let read = establish(&mut again).await.unwrap();
        assert_eq!(
            (read.incarnation, read.tag),
            (made.incarnation, made.tag),
            "a moved peer made another cluster"
        );
        assert_eq!(again.members[0].peer, "moved:1");
        let mut other = NodeOptions { id: NodeId(1), ..options(data.path()) };
        let refusal = establish(&mut other).await.unwrap_err().to_string();
        assert!(refusal.contains("is node 2's"), "{refusal}");
        let mut other = NodeOptions { cluster: "d".into(), ..options(data.path()) };
        let refusal = establish(&mut other).await.unwrap_err().to_string();
        assert!(refusal.contains("is of cluster \"c\""), "{refusal}");
    }

    #[tokio::test]
    async fn a_removed_node_does_not_come_back_under_its_id() {
        let data = tempfile::tempdir().unwrap();
        let made = establish(&mut options(data.path())).await.unwrap();
        Identity { removed: true, ..made }.write(data.path()).unwrap();
        let refusal = establish(&mut options(data.path())).await.unwrap_err().to_string();
        assert!(refusal.contains("was removed from the cluster"), "{refusal}");
    }

    #[test]
    fn an_identity_that_is_damaged_or_too_new_is_refused() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(FILE), b"{\"version\": 9}").unwrap();
        let refusal = Identity::read(data.path()).unwrap_err().to_string();
        assert!(refusal.contains("newer ledgermq"), "{refusal}");
        fs::write(data.path().join(FILE), b"{\"version\":").unwrap();
        let refusal = Identity::read(data.path()).unwrap_err().to_string();
        assert!(refusal.contains("is damaged"), "{refusal}");
    }

    #[test]
    fn data_without_a_name_is_not_taken_for_empty() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join(GROUPS)).unwrap();
        assert!(refuse_nameless(data.path()).is_err());
    }
}
