//! What became of a message, and how it stands for a consumer group.

use tokio::time::Instant;

use crate::names::{ConsumerId, GroupId, QueueKey};
use crate::node::Node;
use crate::node::ask::Source;
use crate::question::{Answer, DeliveryState, JournalFound, Question};
use crate::request::RequestError;

impl Node {
    /// What the delivery journal says of a message since `since_ms`: for one consumer group, or for all.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if the group had no leader until the deadline.
    pub async fn deliveries(
        &self,
        group: GroupId,
        (queue, offset): (QueueKey, u64),
        consumer: Option<ConsumerId>,
        since_ms: u64,
        deadline: Instant,
    ) -> Result<JournalFound, RequestError> {
        let question = Question::Journal { queue, offset, consumer, since_ms };
        match self.inner.ask(group, question, Source::Leader, deadline, deadline).await?.0 {
            Answer::Journal(found) => Ok(found),
            other => {
                Err(RequestError::Unknown { reason: format!("a question for deliveries got {other:?}") })
            }
        }
    }

    /// How a message stands for a consumer group. `order_hash` is that of its message group if the
    /// consumer group reads in order, else 0.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if the group had no leader until the deadline.
    pub async fn delivery_state(
        &self,
        group: GroupId,
        consumer: ConsumerId,
        (queue, offset): (QueueKey, u64),
        order_hash: u64,
        deadline: Instant,
    ) -> Result<DeliveryState, RequestError> {
        let question = Question::Delivery { consumer, queue, offset, order_hash };
        match self.inner.ask(group, question, Source::Leader, deadline, deadline).await?.0 {
            Answer::Delivery(state) => Ok(state),
            other => {
                Err(RequestError::Unknown { reason: format!("a question for a delivery got {other:?}") })
            }
        }
    }
}
