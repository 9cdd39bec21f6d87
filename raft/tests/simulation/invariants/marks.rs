//! How far a replica's log and tables may be ahead of each other: rules R1 and R2.

use raft::simulation::view::ReplicaView;

use super::Held;

pub fn look(replica: &ReplicaView) -> Held {
    let log = &replica.log;
    if replica.applied > log.durable_index.max(replica.snapshot) {
        return Err(format!("R1: tables are ahead of the durable log: {replica:?}"));
    }
    let Some(purged) = log.purged.map(|mark| mark.index) else { return Ok(()) };
    if replica.snapshot.min(replica.applied_durably) < Some(purged) {
        return Err(format!("R2: the log was given up beyond the snapshot or the tables: {replica:?}"));
    }
    Ok(())
}
