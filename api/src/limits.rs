//! Every bound of the client edge (rule R9), and the limits that the public protocol promises.

use std::time::Duration;

/// Longest message that gRPC decodes. Well above the largest body, so that a body that is too large
/// is answered with a code and a sentence instead of a broken stream.
pub const INBOUND_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Largest message that gRPC encodes: a body with all its properties, and room.
pub const OUTBOUND_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Largest message in a stream of a client: settings, and what a client answers to a command.
pub const STREAMED_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// A request with one message must have come to its end after so long.
pub const REQUEST_BODY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Requests that one connection may have under way; long polls count.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 16_384;
/// Flow control window of a stream: a body of 4 MiB arrives without waiting for a round trip twice.
pub const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// Flow control window of a connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// HTTP/2 frames that a client may send: fewer reads for large bodies.
pub const HTTP2_FRAME_BYTES_MAX: u32 = 64 << 10;
/// Streams that a client may reset before they are accepted. Clients with many calls in flight
/// reset them all when a deadline passes.
pub const PENDING_RESET_STREAMS_MAX: usize = 4_096;
/// Streams reset by this side that a connection remembers.
pub const LOCAL_RESET_STREAMS_MAX: usize = 4_096;
/// Headers of one request.
pub const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;
/// A silent connection is asked whether it is there.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// And closed when it does not answer.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is looked whether a certificate has changed.
pub const CERTIFICATES_LOOK_EVERY: Duration = Duration::from_secs(5);
/// The head of an HTTP request must have come after so long; a connection without a request ends after it.
pub const HTTP_HEADER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Connections of the HTTP port.
pub const HTTP_CONNECTIONS_MAX: usize = 512;
/// A connection must say its first byte, and finish its TLS handshake, within this time.
pub const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections accepted by the kernel and not yet by us.
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Connections that are through their first bytes and wait for the HTTP/2 server.
pub const READY_CONNECTIONS_MAX: usize = 256;
/// How long calls in flight may take to finish after a shutdown was asked for.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);
/// How long after its death a neighbour may still count as alive.
pub const DEATH_NOTICED_WITHIN: Duration = Duration::from_secs(1);
/// How long after its first word to its peers a node listens for clients, with some room.
pub const NEIGHBOUR_LISTENS_WITHIN: Duration = Duration::from_millis(200);
/// How long connections that were accepted just before it may take to say something.
pub const CLOSING_GRACE: Duration = Duration::from_millis(20);
/// Pause after a failed accept (no file descriptors left): others may close meanwhile.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Clients whose settings this node keeps.
pub const SESSIONS_MAX: usize = 100_000;
/// A client that says nothing for so long is gone.
pub const SESSION_EXPIRY: Duration = Duration::from_secs(120);
/// A client whose last telemetry stream broke, and that says nothing for so long, is gone.
/// Heartbeats come every 10 s, the Rust client's every 30 s.
pub const SESSION_LOST_EXPIRY: Duration = Duration::from_secs(35);
/// How often sessions are looked through.
pub const SESSION_SWEEP_INTERVAL: Duration = Duration::from_secs(2);
/// Commands that wait for a client to read its telemetry stream.
pub const TELEMETRY_QUEUE_MAX: usize = 16;

/// Messages in one receive.
pub const RECEIVE_BATCH_MAX: i32 = 32;
/// Lease of a message whose consumer lets the server renew it.
pub const AUTO_RENEW_LEASE: Duration = Duration::from_secs(60);
/// Shortest lease that a receive may ask for.
pub const INVISIBLE_MIN: Duration = Duration::from_secs(10);
/// Longest lease.
pub const INVISIBLE_MAX: Duration = Duration::from_secs(12 * 3600);
/// A receive has this long to lease and answer after its wait is over.
pub const RECEIVE_GRACE: Duration = Duration::from_secs(3);
/// An error of a receive is held back so long: the Go client asks again after 20 ms otherwise.
pub const RECEIVE_ERROR_PAUSE: Duration = Duration::from_secs(1);
/// While the other broker groups of a topic may have messages, one group gets so long to answer.
pub const GROUP_TRY_TIMEOUT: Duration = Duration::from_millis(500);
/// Tags in one filter.
pub const FILTER_TAGS_MAX: usize = 256;
/// Entries in one acknowledgement.
pub const ACK_ENTRIES_MAX: usize = 4_096;
/// Messages in one send.
pub const SEND_BATCH_MAX: usize = 4_096;

/// A request that names no deadline gets this one (the clients' default).
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// No request is carried longer.
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// A request is answered this long before its deadline, or a tenth of the time it has, whichever
/// is more: a late answer is an error at the client.
pub const DEADLINE_MARGIN_MIN: Duration = Duration::from_millis(100);
/// A topic or group that this node has not heard of yet may have been made on another node a
/// moment ago: wait so long for the catalog before saying that it does not exist.
pub const CATALOG_CATCH_UP: Duration = Duration::from_millis(300);
/// A client that said goodbye waits no longer for its leases to be released.
pub const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
/// Goodbyes that are being carried out.
pub const RELEASES_MAX: usize = 1_024;

/// Queues of a topic that a route lists for each node. Clients only pick a node by them.
pub const ROUTE_QUEUES_MAX: usize = 8;

/// Largest body.
pub const BODY_BYTES_MAX: usize = 4_194_304;
/// Largest record: a body with its properties, and what we add.
pub const RECORD_BYTES_MAX: usize = BODY_BYTES_MAX + PROPERTIES_BYTES_MAX + 4_096;
/// User properties of a message.
pub const PROPERTIES_MAX: usize = 128;
/// Keys and values of the user properties, the tag and the message keys, together.
pub const PROPERTIES_BYTES_MAX: usize = 16_384;
/// Longest topic name.
pub const TOPIC_NAME_BYTES_MAX: usize = 127;
/// Longest name of a retry or dead-letter topic.
pub const SYSTEM_TOPIC_NAME_BYTES_MAX: usize = 255;
/// Longest name of a user.
pub const USER_NAME_BYTES_MAX: usize = 64;
/// Longest consumer group name.
pub const GROUP_NAME_BYTES_MAX: usize = 120;
/// A message group must be shorter.
pub const MESSAGE_GROUP_BYTES_END: usize = 64;
/// Longest message id.
pub const MESSAGE_ID_BYTES_MAX: usize = 255;
/// Lite topics that one client may subscribe to, of one topic for one consumer group.
pub const LITE_SUBSCRIPTION_QUOTA: usize = 1_000;
/// A lite topic to which nothing is sent is idle after this at the earliest.
pub const LITE_IDLE_MIN: Duration = Duration::from_secs(1);
/// What a client subscribes to is forgotten after this silence. Official clients repeat it every 30 s.
pub const LITE_SILENCE_MAX: Duration = Duration::from_secs(120);
/// Longest lite topic name.
pub const LITE_TOPIC_BYTES_MAX: usize = 64;
/// Longest time until an orphaned transaction is asked about.
pub const ORPHAN_RECOVERY_MAX: Duration = Duration::from_secs(3600);
/// Client properties of a session.
pub const CLIENT_PROPERTIES_MAX: usize = 32;
/// Longest key of a client property.
pub const CLIENT_PROPERTY_KEY_BYTES_MAX: usize = 64;
/// Longest value of a client property.
pub const CLIENT_PROPERTY_VALUE_BYTES_MAX: usize = 256;
/// All client properties of a session together.
pub const CLIENT_PROPERTIES_BYTES_MAX: usize = 4_096;
/// A step that spreads message groups over more queues is given up after so long, if nobody says otherwise.
pub const SPREAD_WITHIN: Duration = Duration::from_secs(10);
/// Queues of a topic.
pub const QUEUES_MAX: u32 = 65_536;
/// How long a client may take to answer a command over telemetry.
pub const CLIENT_ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long another node may take to say who is connected to it.
pub const EDGE_ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Commands to clients that may wait for their answers at once.
pub const PENDING_COMMANDS_MAX: usize = 1_000;
/// Quotas that one node keeps count of at once.
pub const QUOTA_BUCKETS_MAX: usize = 100_000;
/// A repeated message is recognized for at least so long: a client's own repetitions come within this.
pub const DEDUP_WINDOW_MIN: Duration = Duration::from_secs(10);
/// Deliveries of a message.
pub const ATTEMPTS_MAX: u32 = 10_000;
/// Messages on one page of a search, unless it says how many.
pub const FOUND_MESSAGES_DEFAULT: usize = 32;
/// Messages on one page of a search.
pub const FOUND_MESSAGES_MAX: usize = 1_000;
/// Searches for messages under way on one node; more wait for their turn.
pub const SEARCHES_MAX: usize = 8;
/// Topics that are searched for an id that comes without one.
pub const SEARCHED_TOPICS_MAX: usize = 1_000;
/// Topics that the description of a consumer group looks at.
pub const DESCRIBED_TOPICS_MAX: usize = 1_000;
/// Labels that one metric tells of, those beyond are summed up.
pub const SERIES_MAX: usize = 4_096;
/// Topics, by kind of message, and pairs of a topic and a consumer group, that messages are counted for; a power of two.
pub const MESSAGE_COUNTS: usize = 8_192;
/// Time for a digest of every replica's tables, if nobody says how much there is.
pub const DIGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a command of an administrator.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a log or a file that one answer of a copy holds.
pub const COPY_DATA_BYTES_MAX: usize = 1 << 20;
/// Answers of a copy that wait for the client.
pub const COPY_PARTS_IN_FLIGHT_MAX: usize = 4;
/// A copy waits no longer for a replica that lags.
pub const COPY_WAIT_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(INBOUND_MESSAGE_BYTES_MAX >= 2 * (BODY_BYTES_MAX + PROPERTIES_BYTES_MAX));
const _: () = assert!(OUTBOUND_MESSAGE_BYTES_MAX >= 2 * (BODY_BYTES_MAX + PROPERTIES_BYTES_MAX));
const _: () = assert!(SESSION_LOST_EXPIRY.as_secs() < SESSION_EXPIRY.as_secs());

/// A message is found under so many of its keys; more are stored, but not indexed.
pub const KEYS_INDEXED_MAX: usize = 64;
/// A producer is asked about its open transaction after so long, unless the message says otherwise.
pub const TRANSACTION_CHECK_AFTER: Duration = Duration::from_secs(6);
/// Messages that `ledgermq verify` sends: it holds what it did in memory, about a kilobyte each.
pub const VERIFY_MESSAGES_MAX: u64 = 1_000_000;
/// Ended spans that wait for the collector of traces.
pub const SPANS_QUEUED_MAX: usize = 8_192;
/// Spans in one call to the collector.
pub const SPANS_BATCH_MAX: usize = 512;
/// How long a node that stops gives the collector.
pub const SPANS_FLUSH_WAIT: Duration = Duration::from_secs(2);
/// Messages of one call that get a span of their own.
pub const TRACED_MESSAGES_MAX: usize = 64;
