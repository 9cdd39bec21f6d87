//! Every bound of this crate (rule R9).

use std::time::Duration;

/// A replica's rows are read no longer than this to make a digest of them.
pub const DIGEST_TIME_MAX: Duration = Duration::from_secs(600);

/// The body of a frame is never larger. A message of 4 MiB fits.
pub const FRAME_BODY_BYTES_MAX: usize = 8 << 20;

// The state machine. These decide outcomes: every node must have the same (rule R4).

/// So many message ids are remembered to recognize a repeated send.
pub const DEDUP_IDS_MAX: usize = 1 << 20;
/// A message id is remembered so long, by the log's time.
pub const DEDUP_WINDOW_MS: u64 = 10 * 60 * 1000;
/// The message groups of a topic are spread over more queues so often at most.
pub const SPREAD_STEPS_MAX: usize = 32;
/// So many steps are begun for a topic, those that were given up included: each leaves a row in its broker groups.
pub const SPREADS_MAX: u32 = 256;
/// A consumer group that is moved is not cleared of a step by what broker groups said earlier than so long afterwards: by
/// then it is moved in all of them.
pub const SPREAD_MOVED_MS: u64 = 15_000;
/// So many runs of settled leases are remembered to recognize a repeated acknowledgement.
pub const ACKNOWLEDGED_RUNS_MAX: usize = 1 << 18;
/// A settled lease is remembered so long, by the log's time.
pub const ACKNOWLEDGED_WINDOW_MS: u64 = 60 * 1000;
/// A consumer group has so many unsettled messages in a queue before it gets no fresh ones.
pub const UNSETTLED_MAX: usize = 1 << 15;
/// So many of them wait for an earlier message of their message group.
pub const PARKED_MAX: usize = 4096;
/// So many consumer groups the leader asks for at once that wait behind a step: see `node/clearing.rs`.
pub const CLEARINGS_AT_ONCE: usize = 64;
/// A receive leases no more messages, whatever it asks for.
pub const RECEIVE_MESSAGES_MAX: usize = 1024;
/// A receive looks at no more messages.
pub const RECEIVE_SCAN_MAX: usize = 4096;
/// A lease is renewed for so long at most.
pub const RENEWAL_MS_MAX: u64 = 3 * 60 * 60 * 1000;
/// So many runs of what became of messages are kept, for people who ask.
pub const JOURNAL_RUNS_MAX: u64 = 1 << 22;
/// They are kept so long, by the log's time.
pub const JOURNAL_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;
/// So many topics and consumer groups that are gone are remembered.
pub const DELETED_MAX: usize = 1 << 16;
/// So many messages the leader releases at once, when many are due.
pub const RELEASE_BATCH: u32 = 512;
/// One release makes no more messages visible, whatever it asks for.
pub const RELEASE_MAX: usize = 2048;
/// So many open transactions are asked about in one go.
pub const CHECKS_MAX: usize = 128;
/// So many open transactions of a broker group are listed at once.
pub const TRANSACTIONS_LISTED_MAX: usize = 256;
/// So many messages of a broker group that wait for their time are listed at once.
pub const TIMERS_LISTED_MAX: usize = 1_000;
/// So many of them are looked at for that, under the machine's lock.
pub const TIMERS_LOOKED_AT_MAX: usize = 5_000;
/// So many transactions of a broker group may be open.
pub const HALVES_MAX: usize = 1 << 20;
/// How a transaction or a timer ended is remembered so long, by the log's time.
pub const ENDED_WINDOW_MS: u64 = 10 * 60 * 1000;
/// And of so many.
pub const ENDED_MAX: usize = 1 << 18;
/// A transaction that was given up can be looked at for a day.
pub const GIVEN_UP_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;
/// And of so many.
pub const GIVEN_UP_MAX: usize = 1 << 16;
/// Where queues are levels of priority, a message that waits longer than this, by the log's time...
pub const PRIORITY_WAIT_MS_MAX: u64 = 30 * 1000;
/// ...has one of so many leases, whatever comes with a higher priority.
pub const PRIORITY_TURN: u64 = 4;
/// The queues of a topic's lite topics have numbers from here on: no other queue has such a number.
pub const LITE_QUEUES_FROM: u32 = 1 << 20;
/// A broker group holds so many lite topics.
pub const LITE_TOPICS_MAX: usize = 1 << 21;
/// So many idle lite topics go with one command.
pub const LITE_GONE_AT_ONCE: usize = 256;
/// One receive reads so many lite topics at most.
pub const LITE_QUEUES_POLLED_MAX: usize = 64;
/// A cluster has no more nodes.
pub const NODES_MAX: usize = 64;
/// Nor more broker groups.
pub const BROKER_GROUPS_MAX: u32 = 64;
/// A topic has no more queues.
pub const QUEUES_MAX: u32 = 4096;
/// So many dead letters are sent again by one command.
pub const RESEND_MAX: usize = 1024;
/// A retry schedule has no more levels.
pub const RETRY_LEVELS_MAX: usize = 64;
/// No retry pause is longer: a lease cannot be.
pub const RETRY_PAUSE_MS_MAX: u64 = 12 * 60 * 60 * 1000;
/// `meta` remembers so many requests, to recognize a repeated one.
pub const META_REQUESTS_MAX: usize = 1024;

// Reads beside the log. They decide nothing that is replicated.

/// One pull answers with no more messages.
pub const PULL_MESSAGES_MAX: usize = 1024;
/// Records that a node reads from its logs at once, in KiB. Those who asked for them wait for their turn.
pub const READING_KIB_MAX: u32 = 192 << 10;
/// One look of a pull goes over no more messages.
pub const PULL_SCAN_MAX: usize = 4096;
/// One pull answers with no more bytes of records (one longer record goes alone).
pub const PULL_BYTES_MAX: usize = 8 << 20;
/// A look is made again so often when retention took away what was looked at.
pub const LOOKS_MAX: usize = 8;
/// A look into the delivery journal goes over no more runs.
pub const JOURNAL_LOOK_RUNS_MAX: usize = 1 << 22;
/// And finds no more about one message.
pub const JOURNAL_EVENTS_MAX: usize = 1000;
/// One answer to a search holds no more messages.
pub const FIND_MESSAGES_MAX: usize = 1000;
/// A search by time looks into no more lite topics of a broker group.
pub const FIND_LITE_TOPICS_MAX: usize = 256;
/// A search by message id looks at no more records.
pub const FIND_RECORDS_MAX: usize = 20_000;
/// A search by message id begins so long before the id's second of birth: clocks differ.
pub const FIND_BEFORE_BIRTH_MS: u64 = 2_000;
/// And ends so long after it: a message is sent soon after its id is made.
pub const FIND_AFTER_BIRTH_MS: u64 = 5 * 60_000;
/// A search by message id looks at no more entries of a queue of dead letters.
pub const FIND_DEAD_LETTERS_MAX: usize = 1_000_000;
/// And holds no more bytes of records (one longer record goes alone).
pub const FIND_BYTES_MAX: usize = 16 << 20;

// SQL filters: text from clients (see `filter`).

/// The longest SQL filter.
pub const SQL_TEXT_BYTES_MAX: usize = 8 * 1024;
/// Conditions stand in each other no deeper: reading and evaluating a filter call themselves so often.
pub const SQL_DEPTH_MAX: usize = 64;
/// A filter has no more parts. A message is judged in as many steps at most.
pub const SQL_PARTS_MAX: usize = 1024;

// The state machine's caches. They decide nothing but speed.

/// So many of the newest consume-queue entries stay in memory, over all queues.
pub const TAIL_ENTRIES_MAX: usize = 1 << 17;
/// So many entries of older blocks stay in memory, over all queues.
pub const BLOCK_CACHE_ENTRIES_MAX: usize = 1 << 15;

const _: () = assert!(FRAME_BODY_BYTES_MAX as u64 <= store::limits::FRAME_BODY_BYTES_MAX);
const _: () = assert!(PARKED_MAX < UNSETTLED_MAX);
const _: () = assert!(RECEIVE_MESSAGES_MAX <= RECEIVE_SCAN_MAX);

// The node: its proposers, its connections, its polls.

/// A frame is closed when its commands reach this size; one larger command makes a frame of its own.
pub const FRAME_BYTES_TARGET: usize = 256 * 1024;
/// The largest single command: a message of 4 MiB with its properties, and room.
pub const COMMAND_BYTES_MAX: usize = 6 * 1024 * 1024;
/// With fewer frames than this under way, a frame is proposed at once, however small.
pub const FRAMES_IN_FLIGHT_EAGER: usize = 2;
/// Never more frames than this under way in a group.
pub const FRAMES_IN_FLIGHT_MAX: usize = 32;
/// Commands that may wait for the proposer of a group; more are refused as overloaded.
pub const PROPOSALS_QUEUED_MAX: usize = 16 * 1024;
/// The longest election timeout, in percent of the shortest. openraft makes it the lease too, within which followers elect
/// nobody: a leader that falls silent is replaced after the longest timeout and one between both. Two followers whose
/// timeouts end within a vote's way (a network round and a sync: some 10 ms) can split the votes and have to wait for
/// another timeout, so there must be a spread; what it is beyond that is added to each such failover, twice.
pub const ELECTION_SPREAD_PERCENT: u64 = 150;
/// A leader whose disk has taken nothing for so long, while its group goes on without it, gives the leadership away. A
/// transfer takes some ten milliseconds, so what is gained by waiting is only that it is not made for nothing: a healthy
/// disk on a busy machine now and then syncs for 100 to 200 ms. And it is less than the shortest time after which
/// followers would elect somebody in the place of a leader that says nothing at all.
pub const LOG_STALL_MAX: Duration = Duration::from_millis(400);
/// How often a leader looks at that.
pub const LOG_STALL_LOOK_EVERY: Duration = Duration::from_millis(50);
/// A replica that gave the leadership of its group away does not do so again for so long: where disks stall in turns the
/// leadership does not go around all the time.
pub const LOG_STALL_PAUSE: Duration = Duration::from_secs(5);
/// Appends on their way to one follower.
pub const APPENDS_IN_FLIGHT_MAX: usize = 32;
/// A follower that does not answer an append for so long is given up, and tried again.
pub const APPEND_ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// The least time that a peer gets to answer a call.
pub const PEER_RPC_WAIT_MIN: Duration = Duration::from_millis(500);
/// Bytes of frames in one append.
pub const REPLICATE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of frames that one read of the log returns.
pub const READ_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Dead letters in one answer: with their records, far below [`PEER_MESSAGE_BYTES_MAX`] for messages of 4 MiB.
pub const DEAD_LETTERS_PAGE_MAX: usize = 1000;
/// Bytes of records in one answer with dead letters; the first one goes in any case.
pub const DEAD_LETTERS_PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest message between peers.
pub const PEER_MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Commands that may wait to be forwarded to one node.
pub const FORWARDS_QUEUED_MAX: usize = 16 * 1024;
/// Forwarded batches on their way to one node.
pub const FORWARDS_IN_FLIGHT_MAX: usize = 64;
/// Commands in one forwarded batch.
pub const FORWARD_COMMANDS_MAX: usize = 1024;
/// A leader that judges messages by a SQL filter reads no more of them in one look...
pub const SQL_LOOK_RECORDS_MAX: usize = 512;
/// ...nor more bytes, but for the last one.
pub const SQL_LOOK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// In one look each queue gets this share at least.
pub const SQL_LOOK_SHARE_MIN: usize = 16;
/// A filter that so many messages were passed over by has its progress written to the log.
pub const SQL_PASSED_OVER_MAX: u64 = 1024;
/// So many stretches (consumer group, queue, filter) that were judged are remembered in a group.
pub const SQL_STRETCHES_MAX: usize = 1 << 14;
/// Long polls that may wait on one node.
pub const WAITING_POLLS_MAX: usize = 100_000;

/// A part of a snapshot on its way: bytes of a file, or of frames (one longer frame goes alone).
pub const SNAPSHOT_PART_BYTES_MAX: usize = 1024 * 1024;
/// Parts of one snapshot on their way.
pub const SNAPSHOT_PARTS_IN_FLIGHT_MAX: usize = 8;
/// Frames that are read at once of a log that is copied for a backup (one longer frame goes alone).
pub const COPY_PART_BYTES_MAX: usize = 1024 * 1024;
/// A snapshot has no more files.
pub const SNAPSHOT_FILES_MAX: usize = 1 << 20;
/// A receiver that takes no part for so long is given up.
pub const SNAPSHOT_PART_WAIT_MAX: Duration = Duration::from_secs(30);
/// A receiver that has everything gets so long to install it.
pub const SNAPSHOT_INSTALL_WAIT_MAX: Duration = Duration::from_secs(300);
/// A refused snapshot is tried again after this.
pub const SNAPSHOT_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Lite topics that are looked at, whether they are idle, while the leader has the machine...
pub const LITE_LOOKS_AT_ONCE: usize = 2048;
/// ... and in one tick, a second.
pub const LITE_LOOKS_A_TICK: usize = 16 * 1024;

/// What is wrong for long is said again after this.
pub const SAID_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// Counts of dead letters, by topic and consumer group, of one broker group; a power of two.
pub const DEAD_LETTER_COUNTS: usize = 4096;
/// Counts of transactions, by topic, of one broker group; a power of two.
pub const TRANSACTION_COUNTS: usize = 1024;
/// Places of consumer groups that are looked at, for their lag, while the look has the machine.
pub const LAG_CURSORS_AT_ONCE: usize = 512;
/// Pairs of a consumer group and a topic whose lag is told; the others are summed up.
pub const LAG_PAIRS_MAX: usize = 16 * 1024;
/// Rows that one walk over lags reads...
pub const LAG_ROWS_READ_MAX: usize = 1024;
/// ... and that are remembered for the next one.
pub const LAG_KNOWN_MAX: usize = 64 * 1024;
/// Lag is not computed again sooner...
pub const LAG_FRESH: Duration = Duration::from_secs(1);
/// ... nor before so many times as long has passed as computing took.
pub const LAG_REST_FACTOR: u32 = 30;
/// Who asks for it waits no longer for what is being computed, and takes what was.
pub const LAG_WAIT: Duration = Duration::from_millis(250);

/// Queues that retention looks at while it has the machine.
pub const QUEUES_AT_ONCE: usize = 256;
/// Records that retention looks at while it has the machine.
pub const HELD_AT_ONCE: usize = 1024;
/// Blocks of queues that retention adds up while it has the machine.
pub const BLOCKS_AT_ONCE: usize = 512;
/// Bytes of records that are carried to the log's end in one go...
pub const CARRY_BYTES_AT_ONCE: u64 = 1024 * 1024;
/// ... and the pause behind them: at most 50 MiB/s.
pub const CARRY_PAUSE: Duration = Duration::from_millis(20);

const _: () = assert!(PULL_BYTES_MAX + COMMAND_BYTES_MAX < PEER_MESSAGE_BYTES_MAX);

const _: () = assert!(SQL_PASSED_OVER_MAX as usize <= RECEIVE_SCAN_MAX);
const _: () = assert!(SQL_LOOK_SHARE_MIN <= SQL_LOOK_RECORDS_MAX);
const _: () = assert!(COMMAND_BYTES_MAX > FRAME_BYTES_TARGET);
const _: () = assert!(COMMAND_BYTES_MAX < PEER_MESSAGE_BYTES_MAX / 4);
const _: () = assert!(REPLICATE_BYTES_MAX >= FRAME_BYTES_TARGET);
const _: () = assert!(FRAMES_IN_FLIGHT_EAGER < FRAMES_IN_FLIGHT_MAX);
const _: () = assert!(SNAPSHOT_PART_BYTES_MAX + FRAME_BODY_BYTES_MAX < PEER_MESSAGE_BYTES_MAX);
/// A handshake between nodes takes no longer.
pub const PEER_HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(3);
/// So many of them are under way at most; beyond that the oldest is given up.
pub const PEER_HANDSHAKES_MAX: usize = 128;
/// That peers are not taken is told no more often.
pub const PEER_REFUSAL_TOLD_EVERY: Duration = Duration::from_secs(5);
/// A cluster has no more users.
pub const USERS_MAX: usize = 10_000;
/// A user has no more rules.
pub const RULES_PER_USER_MAX: usize = 1_000;
/// A secret has no more bytes once it is sealed.
pub const SEALED_SECRET_BYTES_MAX: usize = 512;
