//! Short histories for tests. Times are milliseconds of the run; everything is about topic `t`,
//! consumer group `c`, and the replicas' group `g1`, unless it says otherwise.

use crate::evidence::Evidence;
use crate::history::{
    BytesDigest, Call, ChangeInvisible, ChangeVotes, Dead, Delivery, Drained, End, Farewell, Fault,
    FaultStatus, Finish, GroupOffset, GroupVoters, Header, History, Kind, Lease, Line, Operation, Outcome,
    Place, Pull, Pulled, QueueRead, ReadVoters, Recall, Receive, Record, Replica, Rules, Send, State, Stored,
    Subscription, VERSION, Voters,
};
use crate::verdict::Verdict;

const MS: u64 = 1_000_000;
/// The wall clock at the run's beginning.
pub const STARTED_UNIX_MS: u64 = 1_000_000;

/// A history that is being told.
pub struct Story {
    pub lines: Vec<Line>,
    pub header: Header,
}

/// A history's header.
pub fn header() -> Header {
    Header {
        version: VERSION,
        seed: 7,
        workload: "story".into(),
        nemesis: Vec::new(),
        nodes: 3,
        commit: "0000000".into(),
        command: "cargo test".into(),
        started_unix_ms: STARTED_UNIX_MS,
        rules: Rules { clock_tolerance_ms: 100, ..Rules::default() },
    }
}

/// The digest of the body that a message has.
pub fn body_of(id: &str) -> u64 {
    id.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte))
}

impl Story {
    pub fn new() -> Story {
        Story { lines: Vec::new(), header: header() }
    }

    pub fn line(&mut self, line: Line) -> &mut Story {
        self.lines.push(line);
        self
    }

    pub fn op(&mut self, operation: Op) -> &mut Story {
        self.line(Line::Op(operation.0))
    }

    pub fn history(&self) -> History {
        let mut history = History::new(self.header.clone());
        self.lines.iter().for_each(|line| history.push(line.clone()));
        let operations = history.operations.len() as u64;
        history.push::<String>(Line::Finish(Finish { operations }));
        history
    }

    pub fn check(&self, check: fn(&Evidence<'_>) -> Verdict) -> Verdict {
        let history = self.history();
        check(&Evidence::new(&history))
    }

    pub fn store(&mut self, id: &str, queue: u32, offset: u64) -> &mut Story {
        self.store_ordered(id, None, queue, offset)
    }

    pub fn store_ordered(&mut self, id: &str, group: Option<&str>, queue: u32, offset: u64) -> &mut Story {
        self.line(Line::Stored(Stored {
            topic: "t".into(),
            place: Place { queue, offset },
            message: id.into(),
            body: body_of(id),
            message_group: group.map(Into::into),
        }))
    }

    pub fn unstore(&mut self, id: &str) {
        self.lines.retain(|line| !matches!(line, Line::Stored(stored) if stored.message == id));
    }

    pub fn read_queue(&mut self, queue: u32, first: u64, next: u64) -> &mut Story {
        let at_ns = 100_000 * MS;
        self.line(Line::Queue(QueueRead { topic: "t".into(), queue, first, next, complete: true, at_ns }))
    }

    /// Nothing may go by retention.
    pub fn without_retention(&mut self) -> &mut Story {
        self.header.rules.retention = false;
        self
    }

    pub fn unread_queues(&mut self) -> &mut Story {
        self.lines.retain(|line| !matches!(line, Line::Queue(_)));
        self
    }

    pub fn record(&mut self, nodes: &[u32], id: &str, index: u64) -> &mut Story {
        self.line(Line::Record(Record {
            nodes: nodes.to_vec(),
            group: "g1".into(),
            index,
            topic: "t".into(),
            message: id.into(),
            body: body_of(id),
            message_group: None,
            place: None,
            carried: false,
        }))
    }

    pub fn unrecord(&mut self, id: &str) -> &mut Story {
        self.lines.retain(|line| !matches!(line, Line::Record(record) if record.message == id));
        self
    }

    pub fn replica(&mut self, node: u32, first_index: u64, last_index: u64) -> &mut Story {
        self.line(Line::Replica(Replica {
            node,
            group: "g1".into(),
            first_index,
            last_index,
            committed_index: last_index,
            bytes: Vec::new(),
            unreadable: None,
        }))
    }

    pub fn replicas(&mut self, count: u32, first_index: u64, last_index: u64) -> &mut Story {
        (1..=count).for_each(|node| {
            self.replica(node, first_index, last_index);
        });
        self
    }

    pub fn unreplicate(&mut self) -> &mut Story {
        self.lines.retain(|line| !matches!(line, Line::Replica(_)));
        self
    }

    /// The digest of the bytes of a replica's entries.
    pub fn bytes_of(&mut self, node: u32, entries: (u64, u64), digest: &str) -> &mut Story {
        let Some(Line::Replica(replica)) =
            self.lines.iter_mut().find(|line| matches!(line, Line::Replica(replica) if replica.node == node))
        else {
            panic!("there is no replica {node}")
        };
        let (from_index, to_index) = entries;
        replica.bytes.push(BytesDigest { from_index, to_index, bytes: 100, digest: digest.into() });
        self
    }

    pub fn state(&mut self, node: u32, applied_index: u64, digest: &str) -> &mut Story {
        let (group, digest) = ("g1".into(), digest.into());
        self.line(Line::State(State { node, group, applied_index, digest }))
    }

    /// What a node says at the end.
    pub fn voters(&mut self, through: u32, voters: &[u32]) -> &mut Story {
        let (group, voters) = ("g1".into(), voters.to_vec());
        self.line(Line::Voters(Voters { through, group, voters, at_ns: 100_000 * MS }))
    }

    pub fn subscribe(&mut self) -> &mut Story {
        self.subscribe_as(false, 16)
    }

    pub fn subscribe_as(&mut self, fifo: bool, max_attempts: u32) -> &mut Story {
        let (group, topic) = ("c".into(), "t".into());
        self.line(Line::Subscription(Subscription { group, topic, fifo, max_attempts, from_first: true }))
    }

    pub fn drained(&mut self, at_ms: u64) -> &mut Story {
        let (group, topic) = ("c".into(), "t".into());
        self.line(Line::Drained(Drained { group, topic, complete: true, dead_read: true, at_ns: at_ms * MS }))
    }

    pub fn dead(&mut self, id: &str) -> &mut Story {
        let (group, topic) = ("c".into(), "t".into());
        self.line(Line::Dead(Dead { group, topic, message: id.into(), body: body_of(id) }))
    }

    pub fn fault(&mut self, fault: &str, nodes: &[u32], from_ms: u64, to_ms: u64) -> &mut Story {
        self.line(Line::Fault(Fault {
            fault: fault.into(),
            target: "one".into(),
            nodes: nodes.to_vec(),
            status: FaultStatus::Installed,
            from_ns: from_ms * MS,
            to_ns: to_ms * MS,
        }))
    }
}

/// An operation that is being told.
pub struct Op(pub Operation);

fn op(call: Call) -> Op {
    Op(Operation { process: 1, invoke_ns: 0, return_ns: 0, outcome: Outcome::Ok, error: None, call })
}

impl Op {
    pub fn at(mut self, invoke_ms: u64, return_ms: u64) -> Op {
        self.0.invoke_ns = invoke_ms * MS;
        self.0.return_ns = return_ms * MS;
        self
    }

    pub fn by(mut self, process: u32) -> Op {
        self.0.process = process;
        self
    }

    pub fn info(mut self) -> Op {
        self.0.outcome = Outcome::Info;
        self
    }

    pub fn fail(mut self) -> Op {
        self.0.outcome = Outcome::Fail;
        self
    }

    fn send_mut(&mut self) -> &mut Send {
        match &mut self.0.call {
            Call::Send(send) => send,
            other => panic!("{other:?} is no send"),
        }
    }

    pub fn placed(mut self, queue: u32, offset: u64) -> Op {
        self.send_mut().place = Some(Place { queue, offset });
        self
    }

    pub fn ordered(mut self, group: &str) -> Op {
        self.send_mut().message_group = Some(group.into());
        self
    }

    pub fn attempts(mut self, attempts: u32) -> Op {
        self.send_mut().attempts = attempts;
        self
    }

    /// Due at a millisecond of the run.
    pub fn due_in(mut self, at_ms: u64) -> Op {
        self.send_mut().kind = Kind::Delay { due_unix_ms: STARTED_UNIX_MS + at_ms };
        self
    }

    pub fn half(mut self, transaction: &str) -> Op {
        let send = self.send_mut();
        send.kind = Kind::Transaction;
        send.transaction = Some(transaction.into());
        self
    }

    /// A change of votes, with the voters that were answered.
    pub fn answered(mut self, voters: &[u32]) -> Op {
        match &mut self.0.call {
            Call::ChangeVotes(change) => change.voters = Some(voters.to_vec()),
            other => panic!("{other:?} is no change of votes"),
        }
        self
    }

    /// An answer about votes to which so many nodes contributed.
    pub fn replicas(mut self, replicas: u32) -> Op {
        match &mut self.0.call {
            Call::ReadVoters(read) => read.groups[0].replicas = replicas,
            other => panic!("{other:?} does not read the voters"),
        }
        self
    }

    pub fn invisible(mut self, ms: u64) -> Op {
        match &mut self.0.call {
            Call::Receive(receive) => receive.invisible_ms = ms,
            other => panic!("{other:?} is no receive"),
        }
        self
    }
}

pub fn send(id: &str) -> Op {
    op(Call::Send(Send {
        topic: "t".into(),
        message: id.into(),
        body: body_of(id),
        message_group: None,
        kind: Kind::Normal,
        attempts: 1,
        place: None,
        transaction: None,
    }))
}

/// A receive whose leases last 30 s.
pub fn receive<const N: usize>(delivered: [Got; N]) -> Op {
    op(Call::Receive(Receive {
        group: "c".into(),
        topic: "t".into(),
        invisible_ms: 30_000,
        renewed: false,
        delivered: delivered.into_iter().map(|got| got.0).collect(),
    }))
}

/// A delivery that is being told.
pub struct Got(pub Delivery);

/// The first delivery of a message in queue 0 at offset 0, with receipt `id#1`.
pub fn got(id: &str) -> Got {
    Got(Delivery {
        message: id.into(),
        body: body_of(id),
        message_group: None,
        place: Place { queue: 0, offset: 0 },
        attempt: 1,
        receipt: format!("{id}#1"),
        stored_unix_ms: None,
    })
}

impl Got {
    pub fn placed(mut self, queue: u32, offset: u64) -> Got {
        self.0.place = Place { queue, offset };
        self
    }

    /// With receipt `id#attempt`.
    pub fn attempt(mut self, attempt: u32) -> Got {
        self.0.attempt = attempt;
        self.0.receipt = format!("{}#{attempt}", self.0.message);
        self
    }

    pub fn receipt(mut self, receipt: &str) -> Got {
        self.0.receipt = receipt.into();
        self
    }

    pub fn ordered(mut self, group: &str) -> Got {
        self.0.message_group = Some(group.into());
        self
    }

    /// Stored at a millisecond of the run, by the broker's clock.
    pub fn stored_at(mut self, at_ms: u64) -> Got {
        self.0.stored_unix_ms = Some(STARTED_UNIX_MS + at_ms);
        self
    }
}

fn lease(receipt: &str) -> Lease {
    let message = receipt.split('#').next().expect("a receipt is id#attempt").to_owned();
    Lease { group: "c".into(), message, receipt: receipt.into() }
}

pub fn ack(receipt: &str) -> Op {
    op(Call::Acknowledge(lease(receipt)))
}

pub fn bury(receipt: &str) -> Op {
    op(Call::DeadLetter(lease(receipt)))
}

pub fn change(receipt: &str, invisible_ms: u64, new_receipt: &str) -> Op {
    let Lease { group, message, receipt } = lease(receipt);
    let new_receipt = Some(new_receipt.to_owned());
    op(Call::ChangeInvisible(ChangeInvisible { group, message, receipt, invisible_ms, new_receipt }))
}

pub fn farewell() -> Op {
    op(Call::Farewell(Farewell { group: "c".into() }))
}

pub fn recall(id: &str) -> Op {
    op(Call::Recall(Recall { message: id.into() }))
}

pub fn commit(id: &str, transaction: &str) -> Op {
    op(Call::Commit(End { message: id.into(), transaction: transaction.into() }))
}

pub fn rollback(id: &str, transaction: &str) -> Op {
    op(Call::Rollback(End { message: id.into(), transaction: transaction.into() }))
}

pub fn pull<const N: usize>(from: u64, pulled: [(&str, u64); N]) -> Op {
    let pulled: Vec<Pulled> = pulled
        .into_iter()
        .map(|(id, offset)| Pulled { message: id.into(), body: body_of(id), offset })
        .collect();
    op(Call::Pull(Pull { group: "c".into(), topic: "t".into(), queue: 0, from, pulled, next: None }))
}

fn group_offset(offset: Option<u64>) -> GroupOffset {
    GroupOffset { group: "c".into(), topic: "t".into(), queue: 0, offset }
}

pub fn update_offset(offset: u64) -> Op {
    op(Call::UpdateOffset(group_offset(Some(offset))))
}

pub fn query_offset(offset: Option<u64>) -> Op {
    op(Call::QueryOffset(group_offset(offset)))
}

pub fn vote(node: u32, votes: bool) -> Op {
    op(Call::ChangeVotes(ChangeVotes { group: "g1".into(), node, votes, voters: None }))
}

/// All three nodes answer, and this one leads.
pub fn read_voters(leader: u32, term: u64, voters: &[u32]) -> Op {
    let of = GroupVoters { group: "g1".into(), leader, term, replicas: 3, voters: voters.to_vec() };
    op(Call::ReadVoters(ReadVoters { through: 1, groups: vec![of] }))
}
