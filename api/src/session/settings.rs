//! The answer to a client's settings: the same settings, filled in as its language needs them.

use std::time::Duration;

use proto::v2::retry_policy::Strategy;
use proto::v2::settings::PubSub;
use proto::v2::{
    ClientType, CustomizedBackoff, ExponentialBackoff, Metric, Publishing, RetryPolicy, Settings,
    Subscription,
};
use raft::catalog::ConsumerGroup;
use raft::limits::RETRY_LEVELS_MAX;
use raft::settings as policy;

use crate::convert::status::{ClientLanguage, Fault};
use crate::convert::time::wire_duration;
use crate::limits::{LITE_SUBSCRIPTION_QUOTA, LITE_TOPIC_BYTES_MAX, RECEIVE_BATCH_MAX, REQUEST_TIMEOUT};
use crate::session::client_properties;

/// Attempts of a send.
const SEND_ATTEMPTS: i32 = 3;

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
        lite_subscription_quota: Some(LITE_SUBSCRIPTION_QUOTA as i32),
        max_lite_topic_size: Some(LITE_TOPIC_BYTES_MAX as i32),
        ..subscription
    }
}

/// Producers understand only the exponential one.
fn send_backoff() -> RetryPolicy {
    let strategy = exponential(Duration::from_millis(10), Duration::from_secs(1), 2.0);
    RetryPolicy { max_attempts: SEND_ATTEMPTS, strategy: Some(strategy) }
}

/// The consumer group's policy. Python honours only the customized one, so an exponential one is written out for it.
/// Node ignores the customized one and would give a message back after 0 s, so it gets an exponential one (which it
/// reads in milliseconds: see the floor in [`crate::messaging::change_invisible_duration`]).
fn receive_backoff(terms: &Terms<'_>) -> RetryPolicy {
    let default = policy::RetryPolicy::default();
    let retry = terms.consumer.map_or(&default, |consumer| &consumer.settings.retry);
    let strategy = match (retry, terms.language) {
        (policy::RetryPolicy::Levels(_), ClientLanguage::Node) => {
            let first = Duration::from_millis(retry.pause_ms(1).max(1));
            let last = Duration::from_millis(retry.pause_ms(u16::MAX).max(1));
            exponential(first, last.max(first), 2.0)
        }
        (policy::RetryPolicy::Exponential { initial_ms, max_ms, multiplier_percent }, language)
            if language != ClientLanguage::Python =>
        {
            let factor = *multiplier_percent as f32 / 100.0;
            exponential(Duration::from_millis(*initial_ms), Duration::from_millis(*max_ms), factor)
        }
        (policy::RetryPolicy::Levels(levels), _) => customized(levels.iter().copied()),
        (policy::RetryPolicy::Exponential { .. }, _) => customized(written_out(retry)),
    };
    let max_attempts = terms.consumer.map_or(terms.max_attempts, |consumer| consumer.max_attempts);
    RetryPolicy { max_attempts: i32::from(max_attempts), strategy: Some(strategy) }
}

/// The pauses of a policy, up to the one that does not change any more.
fn written_out(retry: &policy::RetryPolicy) -> impl Iterator<Item = u64> {
    let pauses = (1..=RETRY_LEVELS_MAX as u16).map(|attempt| retry.pause_ms(attempt));
    let mut last = None;
    pauses.take_while(move |pause_ms| last.replace(*pause_ms) != Some(*pause_ms))
}

fn customized(pauses_ms: impl Iterator<Item = u64>) -> Strategy {
    let next = pauses_ms.map(|pause_ms| wire_duration(Duration::from_millis(pause_ms))).collect();
    Strategy::CustomizedBackoff(CustomizedBackoff { next })
}

fn exponential(initial: Duration, max: Duration, multiplier: f32) -> Strategy {
    Strategy::ExponentialBackoff(ExponentialBackoff {
        initial: Some(wire_duration(initial)),
        max: Some(wire_duration(max)),
        multiplier,
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

    fn group() -> ConsumerGroup {
        ConsumerGroup {
            id: ConsumerId(1),
            name: "g".into(),
            fifo: true,
            max_attempts: 5,
            start: StartFrom::First,
            dead_letters: TopicId(9),
            created_ms: 0,
            revision: 0,
            settings: Default::default(),
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
        let group = group();
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
    fn the_groups_own_policy_reaches_each_language_in_its_words() {
        let mut group = group();
        group.settings.retry =
            policy::RetryPolicy::Exponential { initial_ms: 500, max_ms: 3_000, multiplier_percent: 200 };
        let strategy = |group: &ConsumerGroup, language| {
            let filled = fill(consumer(ClientType::PushConsumer), &terms(language, Some(group)));
            filled.backoff_policy.unwrap().strategy.unwrap()
        };
        for language in [ClientLanguage::Java, ClientLanguage::Go, ClientLanguage::Node] {
            let Strategy::ExponentialBackoff(it) = strategy(&group, language) else { panic!("{language:?}") };
            assert_eq!((it.initial.unwrap().nanos, it.max.unwrap().seconds), (500_000_000, 3));
        }
        let Strategy::CustomizedBackoff(it) = strategy(&group, ClientLanguage::Python) else { panic!() };
        let ms = it.next.iter().map(|pause| pause.seconds * 1_000 + i64::from(pause.nanos) / 1_000_000);
        assert_eq!(ms.collect::<Vec<_>>(), [500, 1_000, 2_000, 3_000]);
        group.settings.retry = policy::RetryPolicy::Levels(vec![7_000]);
        let Strategy::CustomizedBackoff(it) = strategy(&group, ClientLanguage::Java) else { panic!() };
        assert_eq!(it.next.iter().map(|pause| pause.seconds).collect::<Vec<_>>(), [7]);
    }
}
