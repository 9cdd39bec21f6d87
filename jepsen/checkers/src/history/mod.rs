//! Histories: what clients did to a broker, which faults it suffered, and what was found afterwards.
//!
//! A history file is JSON lines. The first one is the header; the others come in any order. Each is
//! an object with one member, whose name says what the line is:
//!
//! | Member | Type | When |
//! |---|---|---|
//! | `header` | [`Header`] | first |
//! | `op` | [`Operation`] | for each call of a client |
//! | `fault` | [`Fault`] | for each fault that was asked for, skipped ones too |
//! | `subscription` | [`Subscription`] | for each topic that a consumer group reads |
//! | `drained` | [`Drained`] | at the end, for each of them |
//! | `queue`, `stored` | [`QueueRead`], [`Stored`] | at the end, for each queue, and each message in it |
//! | `dead` | [`Dead`] | at the end, for each dead letter |
//! | `replica`, `record` | [`Replica`], [`Record`] | at the end, for each log, and each message in it |
//! | `state` | [`State`] | whenever a replica's digest was asked |
//! | `voters` | [`Voters`] | at the end, for each group of replicas and each node that was asked |
//! | `coverage` | [`Coverage`] | at the end |
//! | `finish` | [`Finish`] | last |

mod finals;
mod operation;
mod read;
mod run;
mod text;
mod votes;
mod write;

use serde::{Deserialize, Serialize};

pub use finals::{BytesDigest, Dead, Drained, QueueRead, Record, Replica, State, Stored, Subscription};
pub use operation::{
    Call, ChangeInvisible, Delivery, End, Farewell, GroupOffset, Kind, Lease, Operation, Outcome, Place,
    Pull, Pulled, Recall, Receive, Send,
};
pub use read::ReadError;
pub use run::{Coverage, Fault, FaultStatus, Finish, Header, Rules};
pub use text::{Names, Symbol};
pub use votes::{ChangeVotes, GroupVoters, ReadVoters, Voters};
pub use write::Writer;

/// The version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the module's page has the table")]
pub enum Line<S = String> {
    Header(Header),
    Op(Operation<S>),
    Fault(Fault),
    Subscription(Subscription<S>),
    Drained(Drained<S>),
    Queue(QueueRead<S>),
    Stored(Stored<S>),
    Dead(Dead<S>),
    Replica(Replica<S>),
    Record(Record<S>),
    State(State<S>),
    Voters(Voters<S>),
    Coverage(Coverage),
    Finish(Finish),
}

/// A history in memory.
#[derive(Debug)]
pub struct History {
    /// What the run was.
    pub header: Header,
    /// The texts behind the symbols.
    pub names: Names,
    /// What clients did, in the order of the file.
    pub operations: Vec<Operation<Symbol>>,
    /// The faults, in the order of the file.
    pub faults: Vec<Fault>,
    /// Who read what.
    pub subscriptions: Vec<Subscription<Symbol>>,
    /// Who read it to the end.
    pub drained: Vec<Drained<Symbol>>,
    /// The queues that were read to their end.
    pub queues: Vec<QueueRead<Symbol>>,
    /// What was in them.
    pub stored: Vec<Stored<Symbol>>,
    /// The dead letters.
    pub dead: Vec<Dead<Symbol>>,
    /// The logs that were read offline.
    pub replicas: Vec<Replica<Symbol>>,
    /// What was in them.
    pub records: Vec<Record<Symbol>>,
    /// Digests of replicas' states.
    pub states: Vec<State<Symbol>>,
    /// Who had a vote at the end.
    pub voters: Vec<Voters<Symbol>>,
    /// What the run had to reach.
    pub coverage: Vec<Coverage>,
    /// The last line; `None` when the history was cut off.
    pub finish: Option<Finish>,
}

impl History {
    /// A history in which nothing happened yet.
    pub fn new(header: Header) -> History {
        History {
            header,
            names: Names::default(),
            operations: Vec::new(),
            faults: Vec::new(),
            subscriptions: Vec::new(),
            drained: Vec::new(),
            queues: Vec::new(),
            stored: Vec::new(),
            dead: Vec::new(),
            replicas: Vec::new(),
            records: Vec::new(),
            states: Vec::new(),
            voters: Vec::new(),
            coverage: Vec::new(),
            finish: None,
        }
    }

    /// Adds a line. A second header takes the place of the first.
    pub fn push<S: AsRef<str>>(&mut self, line: Line<S>) {
        let names = &mut self.names;
        let mut f = |text: S| names.symbol(text.as_ref());
        match line {
            Line::Header(header) => self.header = header,
            Line::Op(operation) => self.operations.push(operation.map(&mut f)),
            Line::Fault(fault) => self.faults.push(fault),
            Line::Subscription(of) => self.subscriptions.push(of.map(&mut f)),
            Line::Drained(drained) => self.drained.push(drained.map(&mut f)),
            Line::Queue(queue) => self.queues.push(queue.map(&mut f)),
            Line::Stored(stored) => self.stored.push(stored.map(&mut f)),
            Line::Dead(dead) => self.dead.push(dead.map(&mut f)),
            Line::Replica(replica) => self.replicas.push(replica.map(&mut f)),
            Line::Record(record) => self.records.push(record.map(&mut f)),
            Line::State(state) => self.states.push(state.map(&mut f)),
            Line::Voters(voters) => self.voters.push(voters.map(&mut f)),
            Line::Coverage(coverage) => self.coverage.push(coverage),
            Line::Finish(finish) => self.finish = Some(finish),
        }
    }

    /// The text of a symbol.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.names.text(symbol)
    }

    /// Whether all that was recorded is here.
    pub fn is_complete(&self) -> bool {
        self.finish.is_some_and(|finish| finish.operations == self.operations.len() as u64)
    }
}
