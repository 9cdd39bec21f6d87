//! `Telemetry`: a client's settings, answered at once, and the way back for commands.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use proto::v2::settings::PubSub;
use proto::v2::telemetry_command::Command;
use proto::v2::{Resource, Settings, TelemetryCommand};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::access::demands::Signed;
use crate::check;
use crate::convert::name::full_name;
use crate::convert::status::{ClientLanguage, Fault, ok};
use crate::delivery::filter;
use crate::edge::EdgeState;
use crate::limits::TELEMETRY_QUEUE_MAX;
use crate::messaging::caller::Caller;
use crate::session::pending::ClientAnswer;
use crate::session::registry::{ClientRole, CommandSender};
use crate::session::settings::{self, Terms};

/// Commands for the client.
pub type TelemetryStream = Pin<Box<dyn Stream<Item = Result<TelemetryCommand, tonic::Status>> + Send>>;

/// Answers with headers at once (the Rust client waits for them) and serves the stream by itself.
pub fn telemetry(
    edge: Arc<EdgeState>,
    caller: Caller,
    inbound: Streaming<TelemetryCommand>,
) -> TelemetryStream {
    let (commands, outbound) = mpsc::channel(TELEMETRY_QUEUE_MAX);
    tokio::spawn(async move {
        // Stopping must not wait for a client that does not read its stream.
        tokio::select! {
            () = serve(&edge, &caller, inbound, &commands) => {}
            () = edge.stopping.cancelled() => {}
        }
        if let Ok(client_id) = edge.client_of(&caller) {
            edge.sessions.stream_closed(&client_id, &commands);
        }
    });
    Box::pin(ReceiverStream::new(outbound))
}

async fn serve(
    edge: &EdgeState,
    caller: &Caller,
    mut inbound: Streaming<TelemetryCommand>,
    commands: &CommandSender,
) {
    let client_id = &*match edge.admit_client(caller, &Signed) {
        Ok(client_id) => client_id,
        Err(fault) => {
            let _ = commands.send(Ok(refusal(&fault, caller.language()))).await;
            return;
        }
    };
    edge.client_seen(client_id, caller);
    edge.sessions.stream_opened(client_id, commands.clone());
    // What the client is: asked again whether it may be that when users or rules change.
    let mut held = Settings::default();
    loop {
        let command = tokio::select! {
            command = inbound.message() => command,
            () = commands.closed() => return,
            fault = edge.until_refused(caller, &held), if edge.gate.is_closed() => {
                let _ = commands.send(Ok(refusal(&fault, caller.language()))).await;
                return;
            }
        };
        // The end of the client's half, or of its connection. Its settings stay.
        let Ok(Some(command)) = command else { return };
        edge.client_seen(client_id, caller);
        let wanted = match command.command {
            Some(Command::Settings(wanted)) => wanted,
            Some(Command::ThreadStackTrace(it)) => {
                let answer = ClientAnswer::StackTrace(it.thread_stack_trace.unwrap_or_default());
                edge.pending.answered(client_id, &it.nonce, answer);
                continue;
            }
            Some(Command::VerifyMessageResult(it)) => {
                // A client that says nothing of a failure has consumed it.
                let status = command.status.unwrap_or_else(ok);
                edge.pending.answered(client_id, &it.nonce, ClientAnswer::Verified(status));
                continue;
            }
            _ => continue,
        };
        held.clone_from(&wanted);
        let (answer, last) = match answer(edge, caller, client_id, wanted) {
            Ok(filled) => (Ok(filled), false),
            Err(fault @ Fault::BadRequest(_)) => {
                (Err(tonic::Status::invalid_argument(fault.to_string())), true)
            }
            Err(fault) => (Ok(refusal(&fault, caller.language())), true),
        };
        if commands.send(answer).await.is_err() || last {
            return;
        }
    }
}

fn refusal(fault: &Fault, language: ClientLanguage) -> TelemetryCommand {
    TelemetryCommand { status: Some(fault.status(language)), command: None }
}

fn answer(
    edge: &EdgeState,
    caller: &Caller,
    client_id: &str,
    wanted: Settings,
) -> Result<TelemetryCommand, Fault> {
    edge.admit(caller, &wanted)?;
    settings::check(&wanted)?;
    let role = role(&wanted, caller)?;
    let catalog = edge.node.catalog();
    let terms = Terms {
        language: caller.language(),
        body_bytes: edge.options.limits.body_bytes,
        long_poll: Duration::from_millis(edge.options.limits.long_poll_max_ms),
        consumer: catalog.consumers.get(&role.group),
        max_attempts: edge.options.default_max_attempts,
    };
    let filled = settings::fill(wanted, &terms);
    edge.sessions.set_role(client_id, role);
    Ok(TelemetryCommand { status: Some(ok()), command: Some(Command::Settings(filled)) })
}

/// What the client is, under the catalog's names.
fn role(settings: &Settings, caller: &Caller) -> Result<ClientRole, Fault> {
    let full = |resource: &Resource| full_name(resource, caller.namespace()).into_owned();
    let mut filters = BTreeMap::new();
    let (group, topics): (String, Vec<String>) = match &settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => (String::new(), publishing.topics.iter().map(full).collect()),
        Some(PubSub::Subscription(subscription)) => {
            let group = subscription.group.as_ref().map(full).unwrap_or_default();
            check::name::group(&group)?;
            for entry in &subscription.subscriptions {
                filter::parse(entry.expression.as_ref())?;
                let topic = entry.topic.as_ref().map(full).unwrap_or_default();
                filters.insert(topic, entry.expression.clone().unwrap_or_default());
            }
            let topics = subscription.subscriptions.iter().filter_map(|entry| entry.topic.as_ref());
            (group, topics.map(full).collect())
        }
        None => (String::new(), Vec::new()),
    };
    for topic in &topics {
        check::name::topic(topic)?;
    }
    Ok(ClientRole {
        kind: settings.client_type(),
        group,
        topics,
        filters,
        namespace: caller.namespace().to_owned(),
    })
}
