//! `ledgermq topic spread`

use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde_json::json;

use super::exit::Failure;
use super::output::{ConfirmArgs, progress, spinner};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::Broker;
use crate::options::values::parse_duration;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// `meta` has ended a step by then that gave itself up.
const END_WAIT_MAX: Duration = Duration::from_secs(15);

/// `ledgermq topic spread ...`
#[derive(Debug, Args)]
pub struct SpreadArgs {
    /// Its name
    name: String,
    /// Go on as before if not all broker groups take part within this time; sends with a message group wait meanwhile
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = parse_duration)]
    within: Duration,
    /// Wait so long for consumer groups to settle what came before; they do so without this command, too
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_duration)]
    wait: Duration,
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "abort")]
    dry_run: bool,
    /// Give up what is under way, and go on as before
    #[arg(long)]
    abort: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    common: CommonArgs,
}

type Behind = Vec<admin::GroupBehindSpread>;

impl SpreadArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        if self.abort {
            return self.give_up(&broker).await;
        }
        let (before, _) = self.look(&broker).await?;
        let (from, to) = (before.ordered_queues, before.queues);
        if from == to {
            let value = json!({ "topic": self.name, "from": from, "to": to, "changed": false });
            self.common.output.print(&value, || {
                format!("the message groups of topic {} are spread over all of its {to} queues", self.name)
            });
            return Ok(());
        }
        let plan = format!(
            "The message groups of topic {} will be spread over {to} queues instead of {from}, for good. Sends with a \
             message group wait for a moment. A FIFO consumer group gets what is sent from then on when it has settled \
             what was sent before.",
            self.name
        );
        if self.dry_run {
            let value = json!({ "topic": self.name, "from": from, "to": to, "dry_run": true });
            self.common.output.print(&value, || format!("{plan} Nothing was done."));
            return Ok(());
        }
        self.confirm.confirm(&plan)?;
        let begun = Instant::now();
        let after = self.switch(&broker, &before).await?;
        let switched_ms = begun.elapsed().as_millis() as u64;
        let behind = self.drained(&broker, begun + self.wait).await?;
        self.tell(from, after.ordered_queues, switched_ms, &behind);
        Ok(())
    }

    /// The topic, and the consumer groups that have something to settle.
    async fn look(&self, broker: &Broker) -> Result<(admin::Topic, Behind), Failure> {
        let request = admin::DescribeTopicRequest { name: self.name.clone() };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker
            .answer(broker.admin().describe_topic(request).await)
            .map_err(|error| Failure::about_topic(error, &self.name))?;
        Ok((answer.topic.unwrap_or_default(), answer.behind_spread))
    }

    async fn ask(&self, broker: &Broker, give_up: bool) -> Result<admin::Topic, Failure> {
        let within_ms = self.within.as_millis().max(1) as u64;
        let request = admin::SpreadTopicRequest { name: self.name.clone(), within_ms, give_up };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker
            .answer(broker.admin().spread_topic(request).await)
            .map_err(|error| Failure::about_topic(error, &self.name))?;
        Ok(answer.topic.unwrap_or_default())
    }

    /// The topic as it is when nothing is under way any more.
    async fn ended(&self, broker: &Broker, mut topic: admin::Topic) -> Result<admin::Topic, Failure> {
        let until = Instant::now() + self.within + END_WAIT_MAX;
        while topic.spreading.is_some() {
            if Instant::now() >= until {
                return Err(Failure::Failed(format!(
                    "the message groups of topic {} are being spread still: `ledgermq cluster doctor` looks why; give the \
                     same command again to watch, or `ledgermq topic spread {} --abort` to go on as before",
                    self.name, self.name
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let request = broker.headers.request(admin::ListTopicsRequest { all: true }, ADMIN_TIMEOUT);
            let answer = broker.answer(broker.admin().list_topics(request).await)?;
            let found = answer.topics.into_iter().find(|topic| topic.name == self.name);
            topic = found.ok_or_else(|| Failure::Failed(format!("topic {} is gone", self.name)))?;
        }
        Ok(topic)
    }

    async fn switch(&self, broker: &Broker, before: &admin::Topic) -> Result<admin::Topic, Failure> {
        let bar = spinner("all broker groups take part");
        let begun = self.ask(broker, false).await?;
        let topic = self.ended(broker, begun).await;
        bar.finish_and_clear();
        let topic = topic?;
        if topic.spread_steps > before.spread_steps {
            return Ok(topic);
        }
        Err(Failure::Failed(format!(
            "the message groups of topic {} stay on {} queues: {}. Nothing has changed: give the same command again, perhaps \
             with a longer --within",
            self.name, topic.ordered_queues, topic.spread_given_up
        )))
    }

    /// Waits until consumer groups have settled what came before; those that have not.
    async fn drained(&self, broker: &Broker, until: Instant) -> Result<Behind, Failure> {
        let sum = |behind: &Behind| behind.iter().map(|it| it.messages).sum::<u64>();
        let (_, mut behind) = self.look(broker).await?;
        let total = sum(&behind);
        let bar = progress(total, "consumer groups settle what came before");
        while !behind.is_empty() && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            (_, behind) = self.look(broker).await?;
            bar.set_position(total.saturating_sub(sum(&behind)));
        }
        bar.finish_and_clear();
        Ok(behind)
    }

    fn tell(&self, from: u32, to: u32, switched_ms: u64, behind: &Behind) {
        let groups = behind.iter().map(|it| json!({ "group": it.group, "messages": it.messages }));
        let value = json!({
            "topic": self.name, "from": from, "to": to, "changed": true, "switched_ms": switched_ms,
            "behind": groups.collect::<Vec<_>>(),
        });
        self.common.output.print(&value, || {
            let mut text = format!(
                "the message groups of topic {} are spread over {to} queues instead of {from}",
                self.name
            );
            for of in behind {
                let (group, messages) = (&of.group, of.messages);
                text += &format!(
                    "\nconsumer group {group} has {messages} messages to settle before it gets new ones"
                );
            }
            text
        });
    }

    async fn give_up(&self, broker: &Broker) -> Result<(), Failure> {
        let (before, _) = self.look(broker).await?;
        let asked = self.ask(broker, true).await?;
        let topic = self.ended(broker, asked).await?;
        let gave_up = before.spreading.is_some() && topic.spread_steps == before.spread_steps;
        let value = json!({ "topic": self.name, "gave_up": gave_up, "ordered_queues": topic.ordered_queues });
        self.common.output.print(&value, || match gave_up {
            true => {
                format!("the message groups of topic {} stay on {} queues", self.name, topic.ordered_queues)
            }
            false => format!("nothing was under way: they are spread over {} queues", topic.ordered_queues),
        });
        Ok(())
    }
}
