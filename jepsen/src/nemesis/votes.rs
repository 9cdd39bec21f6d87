//! Membership as a fault: nodes lose their votes for a while.

use std::time::Duration;

use chaos::Target;
use checkers::history::{Fault as FaultLine, FaultStatus};
use tokio::sync::OwnedMutexGuard;

use super::script::VOTES_TAKEN;
use super::{Conductor, Nemesis};
use crate::client::Client;
use crate::limits::{
    ADMIN_TIMEOUT, CONVERGENCE_MAX, VOTES_GIVEN_PATIENCE, VOTES_TAKEN_PATIENCE, VOTES_TURN_PATIENCE,
};
use crate::membership::{Changes, Registrar, groups};

/// Nodes whose votes were taken, or may have been.
pub(super) struct Voteless {
    /// Nobody else takes votes meanwhile.
    _turn: OwnedMutexGuard<()>,
    /// The number of the fault's line.
    line: usize,
    groups: Vec<String>,
    nodes: Vec<usize>,
}

impl Conductor {
    /// Takes the nodes of a target their votes in all groups. Nothing if nothing was taken.
    pub(super) async fn take_votes(
        &self,
        nemesis: Nemesis,
        target: &Target,
        (seed, touched): (u64, &[usize]),
    ) -> Option<Voteless> {
        let turn = tokio::time::timeout(VOTES_TURN_PATIENCE, self.arena.votes.clone().lock_owned()).await;
        let from_ns = self.arena.recorder.now_ns();
        let begun = match turn {
            Err(_) => Err("somebody else keeps votes".to_owned()),
            Ok(turn) => self.whose_votes(target, seed, touched).await.map(|whose| (turn, whose)),
        };
        let mut line = FaultLine {
            fault: VOTES_TAKEN.to_owned(),
            target: target.to_string(),
            nodes: Vec::new(),
            status: FaultStatus::Installed,
            from_ns,
            to_ns: from_ns,
        };
        let mut taken = None;
        match begun {
            Err(why) => line.status = FaultStatus::Skipped { why },
            Ok((turn, (groups, nodes))) => {
                line.nodes = nodes.iter().map(|node| *node as u32).collect();
                match self
                    .registrar(async |mut of| of.take(&groups, &nodes, VOTES_TAKEN_PATIENCE).await)
                    .await
                {
                    Changes::Done => {}
                    Changes::Refused { why } => line.status = FaultStatus::Skipped { why },
                    Changes::Unknown { why } => line.status = FaultStatus::Indeterminate { why },
                }
                if !matches!(line.status, FaultStatus::Skipped { .. }) {
                    taken = Some((turn, groups, nodes));
                }
            }
        }
        tracing::info!(?line, "votes were taken");
        line.to_ns = self.arena.recorder.now_ns();
        let mut troubles = self.troubles.borrow_mut();
        troubles.faults.push((nemesis, line));
        let line = troubles.faults.len() - 1;
        taken.map(|(turn, groups, nodes)| Voteless { _turn: turn, line, groups, nodes })
    }

    /// All groups, and the nodes of a target, once every node has its votes: what an earlier change left undone would add
    /// up.
    async fn whose_votes(
        &self,
        target: &Target,
        seed: u64,
        touched: &[usize],
    ) -> Result<(Vec<String>, Vec<usize>), String> {
        let size = self.brokers.size();
        self.registrar(async |mut of| of.restore(size, VOTES_TAKEN_PATIENCE).await).await?;
        let nodes = self.whom(target, seed, touched).await?;
        let mut client = Client::new("jepsen-votes", &self.arena.addresses, 0);
        let groups = groups(&mut client, ADMIN_TIMEOUT).await.ok_or("no group has a leader")?;
        Ok((groups, nodes))
    }

    /// Gives votes back. The change has happened only if both ways were done.
    pub(super) async fn give_votes(&self, voteless: Voteless) {
        let Voteless { line, groups, nodes, _turn } = voteless;
        let given = self.registrar(async |mut of| of.give(&groups, &nodes, VOTES_GIVEN_PATIENCE).await).await;
        let now_ns = self.arena.recorder.now_ns();
        let mut troubles = self.troubles.borrow_mut();
        let line = &mut troubles.faults[line].1;
        line.to_ns = now_ns;
        if let (Changes::Refused { why } | Changes::Unknown { why }, FaultStatus::Installed) =
            (given, &line.status)
        {
            let why = format!("the votes were taken and not given back: {why}");
            line.status = FaultStatus::Indeterminate { why };
        }
    }

    /// Has every node get its votes back once everything else is well. A broker that refuses that for so long is told
    /// of by what is read at the end, too.
    pub(super) async fn restore_votes(&self) {
        let turn = tokio::time::timeout(VOTES_TURN_PATIENCE, self.arena.votes.clone().lock_owned()).await;
        let size = self.brokers.size();
        let patience: Duration = CONVERGENCE_MAX;
        let restored = match turn {
            Err(_) => Err("somebody else keeps votes".to_owned()),
            Ok(_turn) => self.registrar(async |mut of| of.restore(size, patience).await).await,
        };
        if let Err(why) = restored {
            self.troubles.borrow_mut().unhealed.push(why);
        }
    }

    /// Asks for votes as a process of its own.
    async fn registrar<T>(&self, work: impl AsyncFnOnce(Registrar<'_>) -> T) -> T {
        let process = self.arena.recorder.process();
        let mut client = Client::new("jepsen-votes", &self.arena.addresses, process as usize);
        work(Registrar::new(&self.arena.recorder, process, &mut client)).await
    }
}
