//! `ledgermq dlq`

use clap::{Args, Subcommand};
use proto::admin;
use proto::admin::resend_result::Kind;
use serde_json::{Value, json};

use super::exit::Failure;
use super::moment::{Span, parse_span, print_unix_ms};
use super::output::{ConfirmArgs, progress, table};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::Broker;

/// Dead letters that one call sends again.
const RESEND_BATCH: usize = 500;
/// Characters of a body that a table shows.
const BODY_CHARS_SHOWN: usize = 40;

/// `ledgermq dlq ...`
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List the messages that a consumer group could not settle: where they came from, and how often they were tried
    #[command(after_help = "Examples:
  ledgermq dlq list billing
  ledgermq dlq list billing --time 2h..1h --limit 1000 -o json

They can be received too: ledgermq receive %DLQ%billing --group inspectors")]
    List {
        /// The consumer group
        group: String,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        /// Those too that were sent again
        #[arg(long)]
        resent: bool,
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Send dead letters again: into the queues that they came from, for every consumer group of the topic
    #[command(after_help = "Examples:
  ledgermq dlq resend billing --id 01AABBCCDDEEFF00110000002A00000001
  ledgermq dlq resend billing --time 2026-01-31T08:00:00Z.. --yes
  ledgermq dlq resend billing --all --yes

Each is sent again once: repeat the command after a failure, and it goes on where it stopped.")]
    Resend {
        /// The consumer group
        group: String,
        /// All of them
        #[arg(long, conflicts_with_all = ["ids", "time"], required_unless_present_any = ["ids", "time"])]
        all: bool,
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// Which dead letters.
#[derive(Clone, Debug, Args)]
pub struct SelectionArgs {
    /// The one with this message id; may be repeated
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Those given up between two times, or since or before one: A..B, A.., ..B
    #[arg(long, value_name = "A..B", value_parser = parse_span)]
    time: Option<Span>,
}

impl SelectionArgs {
    fn request(&self, group: &str) -> admin::ListDeadLettersRequest {
        admin::ListDeadLettersRequest {
            group: group.to_owned(),
            message_ids: self.ids.clone(),
            from_unix_ms: self.time.and_then(|span| span.from_ms).unwrap_or(0),
            to_unix_ms: self.time.and_then(|span| span.to_ms).unwrap_or(0),
            ..Default::default()
        }
    }
}

impl DlqCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            DlqCommand::List { group, limit, resent, selection, common } => {
                let broker = common.target.connect().await?;
                let request = admin::ListDeadLettersRequest { resent, ..selection.request(&group) };
                let letters = collect(&broker, request, limit).await?;
                print_letters(&group, &letters, &common);
                Ok(())
            }
            DlqCommand::Resend { group, all: _, selection, confirm, common } => {
                confirm.confirm(&format!(
                    "This sends dead letters of consumer group {group} again, to all groups of their topics."
                ))?;
                resend(&group, &selection, &common).await
            }
        }
    }
}

/// Page after page, until there are enough or no more.
async fn collect(
    broker: &Broker,
    mut request: admin::ListDeadLettersRequest,
    limit: u64,
) -> Result<Vec<admin::DeadLetter>, Failure> {
    let mut letters = Vec::new();
    loop {
        request.limit = u32::try_from(limit - letters.len() as u64).unwrap_or(u32::MAX);
        let page = broker.headers.request(request.clone(), ADMIN_TIMEOUT);
        let page = broker.answer(broker.admin().list_dead_letters(page).await);
        let page = page.map_err(|error| Failure::about_group(error, &request.group))?;
        letters.extend(page.letters);
        if page.cursor.is_empty() || letters.len() as u64 >= limit {
            return Ok(letters);
        }
        request.cursor = page.cursor;
    }
}

fn print_letters(group: &str, letters: &[admin::DeadLetter], common: &CommonArgs) {
    let values: Vec<Value> = letters.iter().map(letter_value).collect();
    common.output.print(&json!({ "group": group, "dead_letters": values }), || {
        if letters.is_empty() {
            return format!("consumer group {group} has no dead letters");
        }
        let row = |letter: &admin::DeadLetter| {
            let again = letter.resent_offset.map_or("-".to_owned(), |_| print_unix_ms(letter.resent_unix_ms));
            [
                letter.message_id.clone(),
                format!("{}/{}/{}", letter.topic, letter.topic_queue, letter.topic_offset),
                letter.attempts.to_string(),
                print_unix_ms(letter.buried_unix_ms),
                again,
                String::from_utf8_lossy(&letter.body).chars().take(BODY_CHARS_SHOWN).collect(),
            ]
        };
        let rows: Vec<_> = letters.iter().map(row).collect();
        table(["MESSAGE", "FROM", "ATTEMPTS", "GIVEN UP", "SENT AGAIN", "BODY"], &rows)
    });
}

fn letter_value(letter: &admin::DeadLetter) -> Value {
    json!({
        "message_id": letter.message_id, "topic": letter.topic, "queue": letter.topic_queue,
        "offset": letter.topic_offset, "attempts": letter.attempts,
        "given_up_unix_ms": letter.buried_unix_ms, "tag": letter.tag, "keys": letter.keys,
        "body": String::from_utf8_lossy(&letter.body), "dead_letter_queue": letter.queue,
        "dead_letter_offset": letter.offset, "resent_offset": letter.resent_offset,
        "resent_unix_ms": letter.resent_offset.map(|_| letter.resent_unix_ms),
    })
}

/// What became of those that were to be sent again.
#[derive(Default)]
struct Tally {
    resent: u64,
    already: u64,
    unknown: u64,
    topic_gone: u64,
}

async fn resend(group: &str, selection: &SelectionArgs, common: &CommonArgs) -> Result<(), Failure> {
    let broker = common.target.connect().await?;
    let request = admin::ListDeadLettersRequest { places_only: true, ..selection.request(group) };
    let letters = collect(&broker, request, u64::MAX).await?;
    let missing = selection.ids.iter().find(|id| !letters.iter().any(|letter| letter.message_id == **id));
    if let Some(id) = missing {
        return Err(Failure::Nothing(format!(
            "consumer group {group} has no dead letter {id} that was not sent again: see `ledgermq dlq list {group} --resent`"
        )));
    }
    let bar = progress(letters.len() as u64, "sent again");
    let mut tally = Tally::default();
    for batch in letters.chunks(RESEND_BATCH) {
        let place = |letter: &admin::DeadLetter| admin::DeadLetterPlace {
            queue: letter.queue,
            offset: letter.offset,
        };
        let request = admin::ResendDeadLettersRequest {
            group: group.to_owned(),
            places: batch.iter().map(place).collect(),
        };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker.answer(broker.admin().resend_dead_letters(request).await).map_err(|error| {
            let sent = tally.resent;
            Failure::Failed(format!(
                "{error}; {sent} of {} were sent again: repeat the command, none goes twice",
                letters.len()
            ))
        })?;
        for result in &answer.results {
            match result.kind() {
                Kind::Resent => tally.resent += 1,
                Kind::Already => tally.already += 1,
                Kind::TopicGone => tally.topic_gone += 1,
                Kind::Unknown | Kind::Unspecified => tally.unknown += 1,
            }
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let value = json!({
        "group": group, "resent": tally.resent, "already": tally.already,
        "unknown": tally.unknown, "topic_gone": tally.topic_gone,
    });
    common.output.print(&value, || sentence(&tally));
    Ok(())
}

fn sentence(tally: &Tally) -> String {
    let mut text = format!("{} sent again", tally.resent);
    let rest = [
        (tally.already, "were sent again before"),
        (tally.topic_gone, "belong to a topic that was deleted"),
        (tally.unknown, "are gone"),
    ];
    for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {count} {what}"));
    }
    text
}
