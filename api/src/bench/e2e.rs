//! `bench e2e`: sends, receives and acknowledges at once. Latency is from the intended start of a
//! send to the arrival of the message at the consumer.

use std::sync::Arc;
use std::time::Duration;

use proto::admin;

use super::Load;
use super::meter::Meter;
use super::report::Report;
use super::target::{Target, end_sessions};
use super::{receive, send};
use crate::client::access::ClientError;

/// The most polls that wait at once: more only make work.
const POLLS_MAX: usize = 16;
const RESET_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs both sides.
pub async fn run(load: &Load, show: impl Fn(&Meter)) -> Result<Report, ClientError> {
    let target = Target::open(load).await?;
    target.make_group(load).await?;
    skip_backlog(load, &target).await;
    let sessions = target.begin_sessions(&receive::consumer(load)).await;
    let queues = receive::queues(load, &target).await?;
    let polls = Load { in_flight: load.in_flight.min(POLLS_MAX), batch: receive::BATCH_MAX, ..load.clone() };
    let run: u64 = rand::random();
    let meter = Arc::new(Meter::begin(load));
    let mut consumers = receive::spawn(&polls, &queues, &meter, Some(run));
    let mut producers = send::spawn(load, &target, &meter, Some(run));
    send::finish(&mut producers, &meter, show, |_| false).await;
    consumers.abort_all();
    end_sessions(sessions).await;
    Ok(meter.report(false))
}

/// Messages of earlier runs are not measured; moving past them keeps them out of the way. A broker
/// that cannot do that delivers them, and they count for nothing.
async fn skip_backlog(load: &Load, target: &Target) {
    let request = admin::ResetOffsetRequest {
        group: load.group.clone(),
        topic: load.topic.clone(),
        to: admin::StartFrom::Last as i32,
        unix_ms: 0,
        ..Default::default()
    };
    let request = target.first.headers.request(request, RESET_TIMEOUT);
    if let Err(status) = target.first.admin().reset_offset(request).await {
        tracing::debug!(%status, "the backlog stays");
    }
}
