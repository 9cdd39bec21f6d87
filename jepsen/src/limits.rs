//! Every bound of the suite, and every span of time that it waits.

use std::time::Duration;

/// How long a connection may take to come up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One attempt of a request at one node.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Between two attempts: at first, and at most.
pub const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// See [`BACKOFF_MIN`].
pub const BACKOFF_MAX: Duration = Duration::from_millis(200);
/// All attempts of one send, acknowledgement or change together; then its outcome is unknown.
pub const REQUEST_PATIENCE: Duration = Duration::from_millis(5_000);
/// The same for a receive: one long poll and what it takes to find a node that answers.
pub const RECEIVE_PATIENCE: Duration = Duration::from_secs(12);
/// Brokers hold an empty poll for this long at least.
pub const POLL_WAIT_MIN: Duration = Duration::from_secs(5);
/// A call outlives its long poll by this much.
pub const POLL_MARGIN: Duration = Duration::from_secs(4);
/// The shortest lease that brokers give.
pub const LEASE_MIN: Duration = Duration::from_secs(10);
/// The largest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One admin call.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(2);
/// All attempts of one admin call.
pub const ADMIN_PATIENCE: Duration = Duration::from_secs(30);
/// A node makes digests of its tables within this.
pub const DIGEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The tables of replicas are compared again for so long while these are at different entries.
pub const STATES_PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a condition that is waited for.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A broken telemetry stream is opened again after this.
pub const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Questions about transactions that wait for an answer.
pub const QUESTIONS_MAX: usize = 1_024;

/// A cluster that was just started has leaders within this.
pub const READY_PATIENCE: Duration = Duration::from_secs(60);
/// After healing every replica is level within this (property 16).
pub const CONVERGENCE_MAX: Duration = Duration::from_secs(60);
/// Everything that was sent is consumed within this after the last send.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(120);
/// The longest line of a node's log that is kept in a report.
pub const LOG_LINE_CHARS_MAX: usize = 400;
/// Operations that wait to be written to the history.
pub const RECORDS_IN_FLIGHT_MAX: usize = 65_536;
/// Fewer operations than this that overlap a fault say nothing about it.
pub const OPERATIONS_DURING_FAULT_MIN: u64 = 20;
/// Operations of one run; they are kept in memory.
pub const OPERATIONS_MAX: usize = 4_000_000;
/// Of the reason for a failure so much is kept.
pub const REASON_CHARS_MAX: usize = 160;
/// A large body.
pub const BODY_BYTES_LARGE: usize = 100_000;
/// A pull waits so long for the first message.
pub const PULL_WAIT: Duration = Duration::from_millis(1_000);
/// The size of a node's file system in a namespace: four segments, the tables, and room.
pub const IMAGE_BYTES: u64 = 1 << 30;
/// Before the first fault the cluster works undisturbed for this long.
pub const NEMESIS_START: Duration = Duration::from_millis(1_500);
/// Between two faults, in milliseconds.
pub const NEMESIS_PAUSE_MIN_MS: u64 = 800;
/// See [`NEMESIS_PAUSE_MIN_MS`].
pub const NEMESIS_PAUSE_MAX_MS: u64 = 3_000;
/// Topics and consumer groups that were made are known everywhere within this.
pub const READINESS_OF_TOPICS: Duration = Duration::from_secs(10);
/// Clients go on for so long after everything is well again.
pub const AFTER_HEALING: Duration = Duration::from_millis(2_500);
/// Processes end within this after they were asked to: the longest call, and what is left of a batch.
pub const PROCESSES_PATIENCE: Duration = Duration::from_secs(45);
/// A run has so many operations for each second of its length at least, or clients did next to nothing.
pub const OPERATIONS_PER_SECOND_MIN: u64 = 20;
/// Each topic of a run gets so many messages for each second of its length at least.
pub const SENDS_PER_SECOND_MIN: u64 = 2;
/// Before and after each fault of a measurement of availability the cluster works undisturbed for this long.
pub const AVAILABILITY_STEADY: Duration = Duration::from_millis(1_000);
/// A fault of such a measurement lasts this long: longer than the longest gap that is still of interest.
pub const AVAILABILITY_LASTING: Duration = Duration::from_millis(3_500);
/// A cluster is asked for its terms so often, until a node answers.
pub const TERMS_ASKED_MAX: usize = 30;
/// Sends of one client of a measurement of availability that are under way at once.
pub const SENDS_UNDER_WAY_MAX: usize = 1_024;
/// One try to change who has a vote: the leader may have to hand over first, and a node to catch up.
pub const VOTES_TIMEOUT: Duration = Duration::from_secs(4);
/// All tries to take a node a vote.
pub const VOTES_TAKEN_PATIENCE: Duration = Duration::from_secs(8);
/// All tries to give it back while faults come and go.
pub const VOTES_GIVEN_PATIENCE: Duration = Duration::from_secs(30);
/// Whoever wants to take votes waits so long for votes that somebody else has taken.
pub const VOTES_TURN_PATIENCE: Duration = Duration::from_secs(60);
/// At the end every node says within this who has a vote.
pub const VOTERS_PATIENCE: Duration = Duration::from_secs(15);
/// A node that is asked to stop is gone within this, or is killed.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);
