//! Many commands into the body of one frame.

use bytes::{Bytes, BytesMut};

use super::{CommandError, decode};
use crate::limits::FRAME_BODY_BYTES_MAX;

/// Collects encoded commands.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    body: BytesMut,
    count: u32,
    /// How long the last body was: the next one is most likely as long, and need not grow step by step.
    last_bytes: usize,
}

impl FrameBuilder {
    /// An empty body with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> FrameBuilder {
        FrameBuilder { body: BytesMut::with_capacity(bytes), count: 0, last_bytes: bytes }
    }

    /// Copies a command as one of the `encode_*` functions made it. A command from another node is
    /// checked here, so that what the log holds can be applied.
    ///
    /// # Errors
    /// It is not a command, or the frame has no room for it; the body is as it was.
    pub fn push(&mut self, command: &Bytes) -> Result<(), CommandError> {
        decode(command)?;
        if self.body.len() + command.len() > FRAME_BODY_BYTES_MAX {
            return Err(CommandError::TooLarge { bytes: command.len() });
        }
        if self.body.is_empty() {
            self.body.reserve(self.last_bytes.max(command.len()));
        }
        self.body.extend_from_slice(command);
        self.count += 1;
        Ok(())
    }

    /// How many bytes the body has.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many commands there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The body, and how many commands it holds. The builder is empty again.
    pub fn finish(&mut self) -> (Bytes, u32) {
        self.last_bytes = self.body.len();
        (self.body.split().freeze(), std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::FrameBuilder;
    use crate::catalog::StartFrom;
    use crate::command::PublishCommand;
    use crate::command::{Command, CommandError, Commands, OffsetTarget, Verdict, Wanted, decode};
    use crate::command::{encode_judged_receive, encode_publish, encode_receive, encode_set_offset};
    use crate::names::{ConsumerId, GroupId, QueueKey, TopicId};
    use crate::request::{Extras, Filter, Publish, Receive, TopicRules};

    const QUEUE: QueueKey = QueueKey { topic: TopicId(1), number: 2 };

    fn publish() -> Publish {
        let record = Bytes::from_static(b"record");
        let extras = Extras::default();
        Publish { queue: QUEUE, group: GroupId(1), dedup: 3, tag_hash: 4, order_hash: 5, extras, record }
    }

    fn receive(filter: Filter) -> Receive {
        Receive {
            consumer: ConsumerId(1),
            topic: TopicId(2),
            group: GroupId(1),
            queues: vec![3, 1],
            max: 32,
            invisible_ms: 30_000,
            fifo: true,
            auto_renew: true,
            client: 7,
            attempt: 8,
            filter,
            max_attempts: 16,
            start: StartFrom::Time(9),
            dead_letters: QUEUE,
            in_flight_max: None,
            rules: TopicRules::default(),
            lite: None,
        }
    }

    #[test]
    fn the_bytes_of_commands_are_part_of_the_format() {
        let hex = |bytes: Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(encode_publish(&publish())),
            "2f0000000101000000020000000300000000000000000000000000000004000000000000000500000000000000\
             7265636f7264"
        );
        let verdict = Verdict { queue: 3, from: 300, to: 310, matches: vec![300, 305] };
        assert_eq!(
            hex(encode_judged_receive(&receive(Filter::Sql("a".into())), &[verdict])),
            "2800000011010202030120b0ea01100102070000000000000008000000000000000209030103ac020a020004"
        );
        assert_eq!(
            hex(encode_receive(&receive(Filter::AnyOf(vec![1])))),
            "2900000002010202030120b0ea01100102070000000000000008000000000000000209070101000000\
             00000000"
        );
    }

    #[test]
    fn a_frame_gives_its_commands_back_with_their_places() {
        let mut frame = FrameBuilder::default();
        let first = encode_receive(&receive(Filter::All));
        frame.push(&first).unwrap();
        frame.push(&encode_publish(&publish())).unwrap();
        let (body, count) = frame.finish();
        assert_eq!((count, frame.is_empty()), (2, true));
        let commands = Commands::new(&body).collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(commands[0].0, 0);
        assert_eq!(commands[1].0, first.len());
        let Command::Publish(PublishCommand { record, .. }) = &commands[1].1 else {
            panic!("{:?}", commands[1])
        };
        assert_eq!(record.as_ptr(), body[body.len() - 6..].as_ptr(), "the record was copied");
    }

    #[test]
    fn what_is_not_a_command_does_not_enter_a_frame() {
        let mut frame = FrameBuilder::default();
        let good = encode_set_offset(ConsumerId(1), QUEUE, OffsetTarget::Offset(3));
        let twice = Bytes::from([&good[..], &good[..]].concat());
        let unknown = Bytes::from_static(&[1, 0, 0, 0, 200]);
        assert_eq!(frame.push(&unknown), Err(CommandError::UnknownKind { kind: 200 }));
        for bad in [Bytes::new(), good.slice(..good.len() - 1), twice, Bytes::from_static(&[2, 0, 0, 0, 9])] {
            assert!(frame.push(&bad).is_err(), "{bad:?}");
        }
        assert!(frame.is_empty());
    }

    #[test]
    fn a_receive_survives_its_encoding() {
        let filters = [Filter::All, Filter::AnyOf(vec![3, 5])];
        for bits in 0..16u8 {
            let filter = filters[usize::from(bits & 1)].clone();
            let in_flight_max = (bits & 2 != 0).then_some(300);
            let (by_priority, ttl_ms) = (bits & 4 != 0, if bits & 8 != 0 { 60_000 } else { 0 });
            let rules = TopicRules { by_priority, ttl_ms };
            let sent = Receive { in_flight_max, rules, ..receive(filter.clone()) };
            let Ok(Command::Receive(read)) = decode(&encode_receive(&sent)) else { panic!("{sent:?}") };
            assert_eq!((read.rules, read.in_flight_max), (rules, in_flight_max));
            let wanted = match filter {
                Filter::AnyOf(hashes) => Wanted::AnyOf(hashes),
                Filter::All | Filter::Sql(_) => Wanted::All,
            };
            assert_eq!((read.wanted, read.queues, read.fifo), (wanted, sent.queues, sent.fifo));
        }
    }

    #[test]
    fn verdicts_survive_their_encoding() {
        let verdicts = vec![
            Verdict { queue: 0, from: 0, to: 0, matches: vec![] },
            Verdict { queue: 3, from: 1 << 40, to: (1 << 40) + 500, matches: vec![1 << 40, (1 << 40) + 499] },
        ];
        let bytes = encode_judged_receive(&receive(Filter::Sql("a = 1".into())), &verdicts);
        let Ok(Command::Receive(command)) = decode(&bytes) else { panic!("{:?}", decode(&bytes)) };
        assert_eq!(command.wanted, Wanted::Judged(verdicts));
        // A match behind its stretch is malformed.
        let wrong = Verdict { queue: 3, from: 5, to: 6, matches: vec![6] };
        assert!(decode(&encode_judged_receive(&receive(Filter::Sql("a = 1".into())), &[wrong])).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in any::<Vec<u8>>(), kind in 0u8..32) {
            let bytes = Bytes::from(bytes);
            let _ = decode(&bytes);
            let mut framed = (bytes.len() as u32 + 1).to_le_bytes().to_vec();
            framed.push(kind);
            framed.extend_from_slice(&bytes);
            let _ = decode(&framed.into());
        }
    }
}
