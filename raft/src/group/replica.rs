//! The state machine of a group's replica, whichever of the two kinds it is.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use store::tables::{GroupTables, TableOptions};

use crate::catalog::Catalog;
use crate::machine::{
    AppliedFrame, AppliedMark, Durability, FrameContext, Machine, MachineFailure, MetaMachine, StateMachine,
};
use crate::names::GroupId;

/// The tables of a group and the machine over them.
pub(crate) enum Replica {
    /// A broker group: queues, leases, dead letters.
    Broker(Box<Machine<GroupTables>>),
    /// The `meta` group: topics, consumer groups, nodes.
    Meta(Box<MetaMachine<GroupTables>>),
}

impl Replica {
    /// Opens the tables in `dir`.
    ///
    /// # Errors
    /// If the tables cannot be opened or hold what this build cannot read.
    pub(crate) fn open(group: GroupId, dir: &Path, memory_bytes: usize) -> Result<Replica, MachineFailure> {
        let tables = GroupTables::open(dir, TableOptions { memory_bytes })?;
        Ok(match group {
            GroupId::META => Replica::Meta(Box::new(MetaMachine::open(tables)?)),
            _ => Replica::Broker(Box::new(Machine::open(tables)?)),
        })
    }

    /// The machine of a broker group.
    ///
    /// # Panics
    /// If this is `meta`: the routes of the node keep the two apart.
    pub(crate) fn broker(&self) -> &Machine<GroupTables> {
        match self {
            Replica::Broker(machine) => machine,
            Replica::Meta(_) => panic!("messages do not live in the meta group"),
        }
    }

    /// The machine of a broker group, to look things up with its caches.
    ///
    /// # Panics
    /// If this is `meta`.
    pub(crate) fn broker_mut(&mut self) -> &mut Machine<GroupTables> {
        match self {
            Replica::Broker(machine) => machine,
            Replica::Meta(_) => panic!("messages do not live in the meta group"),
        }
    }

    pub(crate) fn apply(
        &mut self,
        frame: FrameContext,
        body: &Bytes,
    ) -> Result<AppliedFrame, MachineFailure> {
        match self {
            Replica::Broker(machine) => machine.apply(frame, body),
            Replica::Meta(machine) => machine.apply(frame, body),
        }
    }

    pub(crate) fn apply_blank(&mut self, frame: FrameContext) -> Result<(), MachineFailure> {
        match self {
            Replica::Broker(machine) => machine.apply_blank(frame),
            Replica::Meta(machine) => machine.apply_blank(frame),
        }
    }

    pub(crate) fn apply_membership(
        &mut self,
        frame: FrameContext,
        members: &Bytes,
    ) -> Result<(), MachineFailure> {
        match self {
            Replica::Broker(machine) => machine.apply_membership(frame, members),
            Replica::Meta(machine) => machine.apply_membership(frame, members),
        }
    }

    pub(crate) fn applied(&self) -> Option<AppliedMark> {
        match self {
            Replica::Broker(machine) => machine.applied(),
            Replica::Meta(machine) => machine.applied(),
        }
    }

    pub(crate) fn membership(&self) -> Option<(AppliedMark, Bytes)> {
        match self {
            Replica::Broker(machine) => machine.membership(),
            Replica::Meta(machine) => machine.membership(),
        }
    }

    /// The stamp of the last frame applied.
    pub(crate) fn stamp_ms(&self) -> u64 {
        match self {
            Replica::Broker(machine) => machine.stamp_ms(),
            Replica::Meta(machine) => machine.stamp_ms(),
        }
    }

    /// A handle that brings the tables to disk, beside the applying.
    pub(crate) fn durability(&self) -> Durability<GroupTables> {
        match self {
            Replica::Broker(machine) => machine.durability(),
            Replica::Meta(machine) => machine.durability(),
        }
    }

    /// Puts a copy of the tables, as they are, into the directory `to`, which must not exist.
    pub(crate) fn checkpoint(&self, to: &Path) -> Result<(), MachineFailure> {
        match self {
            Replica::Broker(machine) => machine.checkpoint(to),
            Replica::Meta(machine) => machine.checkpoint(to),
        }
    }

    /// The rows.
    pub(crate) fn tables(&self) -> &GroupTables {
        match self {
            Replica::Broker(machine) => machine.progress().tables(),
            Replica::Meta(machine) => machine.progress().tables(),
        }
    }

    /// Others take the place of these tables: they are removed when nobody has them open any more.
    pub(crate) fn retire(self) {
        self.tables().retire();
    }

    /// What `meta` holds; empty for a broker group.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        match self {
            Replica::Broker(_) => Arc::default(),
            Replica::Meta(machine) => machine.catalog(),
        }
    }
}
