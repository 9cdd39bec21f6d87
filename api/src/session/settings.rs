//! The answer to a client's settings: the same settings, filled in as its language needs them.

use std::time::Duration;

use proto::v2::retry_policy::Strategy;
use proto::v2::settings::PubSub;
use proto::v2::{
    ClientType, CustomizedBackoff, ExponentialBackoff, Metric, Publishing, RetryPolicy, Settings,
    Subscription,
};
use raft::catalog::ConsumerGroup;

use crate::convert::status::{ClientLanguage, Fault};
use crate::convert::time::wire_duration;
use crate::limits::{LITE_TOPIC_BYTES_MAX, RECEIVE_BATCH_MAX, REQUEST_TIMEOUT};
use crate::session::client_properties;

/// Pauses before the deliveries after the first, in seconds: 1s 5s 10s 30s, then 1 to 10 minutes,
/// 20, 30, an hour, two.
pub const RETRY_PAUSES_S: [u64; 18] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];

/// Attempts of a send.
const SEND_ATTEMPTS: i32 = 3;
/// Lite topics that one client may subscribe to.
const LITE_SUBSCRIPTION_QUOTA: i32 = 1_000;

/// The pause before the delivery after this one.
pub fn retry_pause(attempt: u16) -> Duration {
    let at = usize::from(attempt.max(1) - 1).min(RETRY_PAUSES_S.len() - 1);
    Duration::from_secs(RETRY_PAUSES_S[at])
}

/// What this node fills in.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// What the client is written in.
    pub language: ClientLanguage,
    /// Largest body of a message, in bytes.
    pub body_bytes: usize,
    /// Longest long poll.
    pub long_poll: Duration,
    /// The consumer group, if it exists.
    pub consumer: Option<&'a ConsumerGroup>,
    /// Deliveries of a message, for a group that does not exist yet.
    pub max_attempts: u16,
}

/// Checks what a client said of itself.
///
/// # Errors
/// When the part for producers or for consumers is missing or does not fit the client's type, or
/// the client's properties break their limits.
pub fn check(settings: &Settings) -> Result<(), Fault> {
    let kind = settings.client_type();
    let fits = match &settings.pub_sub {
        None => return Err(Fault::BadRequest("settings without publishing or subscription".into())),
        Some(PubSub::Publishing(_)) => matches!(kind, ClientType::Producer | ClientType::Unspecified),
        Some(PubSub::Subscription(_)) => kind != ClientType::Producer,
    };
    if !fits {
        let kind = kind.as_str_name();
        return Err(Fault::BadRequest(format!("the settings do not fit a client of type {kind}")));
    }
    client_properties::check(&settings.client_properties)
}

/// Fills in checked settings.
pub fn fill(settings: Settings, terms: &Terms<'_>) -> Settings {
    let (backoff, pub_sub) = match settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            (send_backoff(), Some(PubSub::Publishing(fill_publishing(publishing, terms))))
        }
        Some(PubSub::Subscription(subscription)) => {
            (receive_backoff(terms), Some(PubSub::Subscription(fill_subscription(subscription, terms))))
        }
        None => (send_backoff(), None),
    };
    Settings {
        backoff_policy: Some(backoff),
        request_timeout: settings.request_timeout.or(Some(wire_duration(REQUEST_TIMEOUT))),
        // Clients read metric.on, so the message must be there even though all of it is default.
        metric: Some(Metric { on: false, endpoints: None }),
        pub_sub,
        ..settings
    }
}

fn fill_publishing(publishing: Publishing, terms: &Terms<'_>) -> Publishing {
    Publishing {
        topics: publishing.topics,
        // 0 makes clients refuse every send.
        max_body_size: i32::try_from(terms.body_bytes).unwrap_or(i32::MAX),
        validate_message_type: true,
    }
}

fn fill_subscription(subscription: Subscription, terms: &Terms<'_>) -> Subscription {
    Subscription {
        fifo: Some(terms.consumer.is_some_and(|consumer| consumer.fifo)),
        receive_batch_size: Some(RECEIVE_BATCH_MAX),
        long_polling_timeout: Some(wire_duration(terms.long_poll)),
        lite_subscription_quota: Some(LITE_SUBSCRIPTION_QUOTA),
        max_lite_topic_size: Some(LITE_TOPIC_BYTES_MAX as i32),
        ..subscription
    }
}

/// Producers understand only the exponential one.
fn send_backoff() -> RetryPolicy {
    let strategy = exponential(Duration::from_millis(10), Duration::from_secs(1));
    RetryPolicy { max_attempts: SEND_ATTEMPTS, strategy: Some(strategy) }
}

/// Python honours only the customized one; Node ignores it and would give a message back after 0 s,
/// so it gets the exponential one (which it reads in milliseconds: see the floor in
/// [`crate::messaging::change_invisible_duration`]).
fn receive_backoff(terms: &Terms<'_>) -> RetryPolicy {
    let strategy = match terms.language {
        ClientLanguage::Node => exponential(Duration::from_secs(1), Duration::from_secs(7_200)),
        _ => Strategy::CustomizedBackoff(CustomizedBackoff {
            next: RETRY_PAUSES_S.iter().map(|pause| wire_duration(Duration::from_secs(*pause))).collect(),
        }),
    };
    let max_attempts = terms.consumer.map_or(terms.max_attempts, |consumer| consumer.max_attempts);
    RetryPolicy { max_attempts: i32::from(max_attempts), strategy: Some(strategy) }
}

fn exponential(initial: Duration, max: Duration) -> Strategy {
    Strategy::ExponentialBackoff(ExponentialBackoff {
        initial: Some(wire_duration(initial)),
        max: Some(wire_duration(max)),
        multiplier: 2.0,
    })
}

#[cfg(test)]
mod tests {
    use proto::v2::{Resource, SubscriptionEntry, Ua};
    use raft::catalog::StartFrom;
    use raft::names::{ConsumerId, TopicId};

    use super::*;

    fn terms(language: ClientLanguage, consumer: Option<&ConsumerGroup>) -> Terms<'_> {
        Terms {
            language,
            body_bytes: 4_194_304,
            long_poll: Duration::from_secs(20),
            consumer,
            max_attempts: 16,
        }
    }

    fn producer() -> Settings {
        Settings {
            client_type: Some(ClientType::Producer as i32),
            user_agent: Some(Ua { version: "5.0".into(), ..Ua::default() }),
            pub_sub: Some(PubSub::Publishing(Publishing::default())),
            ..Settings::default()
        }
    }

    fn consumer(kind: ClientType) -> Settings {
        let subscription = Subscription {
            group: Some(Resource { name: "g".into(), ..Resource::default() }),
            subscriptions: vec![SubscriptionEntry::default()],
            ..Subscription::default()
        };
        Settings {
            client_type: Some(kind as i32),
            pub_sub: Some(PubSub::Subscription(subscription)),
            ..Settings::default()
        }
    }

    #[test]
    fn a_producer_can_send_afterwards() {
        let filled = fill(producer(), &terms(ClientLanguage::Java, None));
        let Some(PubSub::Publishing(publishing)) = &filled.pub_sub else { panic!("{filled:?}") };
        assert!(publishing.max_body_size == 4_194_304 && publishing.validate_message_type);
        let backoff = filled.backoff_policy.as_ref().unwrap();
        assert_eq!(backoff.max_attempts, 3);
        assert!(matches!(backoff.strategy, Some(Strategy::ExponentialBackoff(_))));
        assert!(filled.metric.is_some());
        assert_eq!(filled.user_agent, producer().user_agent);
    }

    #[test]
    fn a_consumer_learns_of_its_group_and_keeps_its_subscriptions() {
        let group = ConsumerGroup {
            id: ConsumerId(1),
            name: "g".into(),
            fifo: true,
            max_attempts: 5,
            start: StartFrom::First,
            dead_letters: TopicId(9),
            created_ms: 0,
            revision: 0,
            settings: Default::default(),
        };
        let filled = fill(consumer(ClientType::PushConsumer), &terms(ClientLanguage::Python, Some(&group)));
        let Some(PubSub::Subscription(subscription)) = &filled.pub_sub else { panic!("{filled:?}") };
        assert_eq!(subscription.fifo, Some(true));
        assert_eq!(subscription.receive_batch_size, Some(32));
        assert_eq!(subscription.long_polling_timeout.as_ref().unwrap().seconds, 20);
        assert_eq!((subscription.subscriptions.len(), subscription.group.is_some()), (1, true));
        assert_eq!(filled.backoff_policy.unwrap().max_attempts, 5);
    }

    #[test]
    fn the_backoff_is_the_one_that_the_language_understands() {
        let strategy = |language| {
            let filled = fill(consumer(ClientType::PushConsumer), &terms(language, None));
            filled.backoff_policy.unwrap().strategy.unwrap()
        };
        for language in [ClientLanguage::Python, ClientLanguage::Java, ClientLanguage::Go] {
            let Strategy::CustomizedBackoff(backoff) = strategy(language) else { panic!("{language:?}") };
            assert_eq!((backoff.next[0].seconds, backoff.next[17].seconds), (1, 7_200));
        }
        assert!(matches!(strategy(ClientLanguage::Node), Strategy::ExponentialBackoff(_)));
    }

    #[test]
    fn settings_must_fit_the_client() {
        assert_eq!(check(&producer()), Ok(()));
        assert_eq!(check(&consumer(ClientType::SimpleConsumer)), Ok(()));
        assert!(check(&consumer(ClientType::Producer)).is_err());
        assert!(check(&Settings { pub_sub: None, ..producer() }).is_err());
        let odd = Settings { client_properties: [("1".to_owned(), String::new())].into(), ..producer() };
        assert!(matches!(check(&odd), Err(Fault::InvalidClientProperties(_))));
    }

    #[test]
    fn pauses_grow_with_the_attempt() {
        assert_eq!(retry_pause(0), Duration::from_secs(1));
        assert_eq!(retry_pause(1), Duration::from_secs(1));
        assert_eq!(retry_pause(4), Duration::from_secs(30));
        assert_eq!(retry_pause(100), Duration::from_secs(7_200));
    }
}
