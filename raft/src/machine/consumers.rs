//! Consumer groups, as `meta` keeps them: made, with a topic for their dead letters, and changed.

use store::tables::TableStore;
use store::tables::catalog::CatalogKey;

use super::metadata::MetaMachine;
use crate::catalog::{ConsumerGroup, DEAD_LETTERS_PREFIX, Mapping, Topic, TopicType};
use crate::names::{ConsumerId, TopicId};
use crate::request::{NewConsumer, Rejection};
use crate::settings::{GroupChange, GroupSettings, TopicSettings};

impl<T: TableStore> MetaMachine<T> {
    pub(super) fn update_consumer(
        &mut self,
        name: &str,
        change: GroupChange,
    ) -> Result<ConsumerGroup, Rejection> {
        let found = self.catalog.consumers.get(name).cloned();
        let mut consumer = found.ok_or(Rejection::ConsumerNotFound { name: name.to_string() })?;
        consumer.max_attempts = change.max_attempts.unwrap_or(consumer.max_attempts);
        consumer.settings.change(change);
        check_consumer(consumer.max_attempts, &consumer.settings)?;
        if self.catalog.consumers.get(name) == Some(&consumer) {
            return Ok(consumer);
        }
        consumer.revision += 1;
        Ok(self.put_consumer(consumer))
    }

    pub(super) fn create_consumer(&mut self, new: NewConsumer) -> Result<ConsumerGroup, Rejection> {
        if let Some(consumer) = self.catalog.consumers.get(&new.name) {
            return match new.if_not_exists {
                true => Ok(consumer.clone()),
                false => Err(Rejection::AlreadyExists { what: "consumer group".into(), name: new.name }),
            };
        }
        self.check_queues(1)?;
        check_consumer(new.max_attempts, &new.settings)?;
        let dead_letters = self.dead_letters_of(&new.name);
        self.counters.last_consumer += 1;
        let consumer = ConsumerGroup {
            id: ConsumerId(self.counters.last_consumer),
            name: new.name,
            fifo: new.fifo,
            max_attempts: new.max_attempts,
            start: new.start,
            dead_letters,
            created_ms: self.progress.stamp_ms(),
            revision: 0,
            settings: new.settings,
        };
        Ok(self.put_consumer(consumer))
    }

    /// The topic of a consumer group's dead letters; an earlier group of the name may have left it.
    fn dead_letters_of(&mut self, consumer: &str) -> TopicId {
        let name = format!("{DEAD_LETTERS_PREFIX}{consumer}");
        if let Some(topic) = self.catalog.topics.get(&name) {
            return topic.id;
        }
        let id = self.new_topic_id();
        let queues = self.catalog.groups.clone();
        let created_ms = self.progress.stamp_ms();
        let settings = TopicSettings::default();
        let kind = TopicType::Normal;
        let mapping = Mapping::default();
        self.put_topic(Topic {
            id,
            name,
            kind,
            queues,
            created_ms,
            revision: 0,
            settings,
            spread: 0,
            mapping,
        })
        .id
    }

    fn put_consumer(&mut self, consumer: ConsumerGroup) -> ConsumerGroup {
        self.put(CatalogKey::Consumer(&consumer.name), &consumer);
        self.change().consumers.insert(consumer.name.clone(), consumer.clone());
        consumer
    }
}

fn check_consumer(max_attempts: u16, settings: &GroupSettings) -> Result<(), Rejection> {
    if max_attempts == 0 {
        return Err(Rejection::Invalid("max attempts must be at least 1".into()));
    }
    settings.retry.check().map_err(Rejection::Invalid)
}
