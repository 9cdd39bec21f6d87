//! What changes, told as it does: server-sent events (the HTML standard, section 9.2).
//!
//! Each reader asks like a caller, with the caller's rights, once a moment; so what it may not see is not told, and a session that
//! is over ends the stream. What is the same for all who may see it is asked once for all of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use bytes::Bytes;
use futures::Stream;
use proto::admin::ClusterStatusRequest;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, interval, sleep};
use tokio_stream::wrappers::ReceiverStream;

use super::calls::Asking;
use super::error::ApiError;
use super::{Api, caller, known, perform};

/// How often the state of the cluster is looked at.
const TICK: Duration = Duration::from_millis(500);
/// A stream ends after so long.
const LASTS_MAX: Duration = Duration::from_secs(5 * 60);
/// So long a reader waits before he comes back.
const COMES_BACK_AFTER: Duration = Duration::from_millis(500);
/// Events that wait for a reader who does not read; then it is waited for.
const WAITING_MAX: usize = 4;

/// One kind of event.
struct Topic {
    name: &'static str,
    method: &'static str,
    request: fn() -> Bytes,
    /// It is asked once in so many ticks.
    ticks: u32,
    /// It is told even if nothing changed after so many ticks.
    silence_ticks: u32,
    /// It is the same for all who may look at the cluster.
    is_same: bool,
}

/// What was asked for all, and when.
type Kept = Mutex<Option<(Instant, Arc<str>)>>;

/// What readers share. A mutex of tokio's, because who comes second waits for the answer of the first.
#[derive(Default)]
pub struct Shared([Kept; TOPICS.len()]);

const TOPICS: [Topic; 4] = [
    Topic {
        name: "cluster",
        method: "ClusterStatus",
        request: Bytes::new,
        ticks: 1,
        silence_ticks: 4,
        is_same: true,
    },
    Topic {
        name: "traffic",
        method: "Traffic",
        request: no_history,
        ticks: 4,
        silence_ticks: 4,
        is_same: true,
    },
    Topic {
        name: "lags",
        method: "ListLags",
        request: worst_lags,
        ticks: 10,
        silence_ticks: 10,
        is_same: false,
    },
    Topic {
        name: "doctor",
        method: "Doctor",
        request: Bytes::new,
        ticks: 20,
        silence_ticks: 20,
        is_same: true,
    },
];

fn no_history() -> Bytes {
    prost::Message::encode_to_vec(&proto::admin::TrafficRequest { since_unix_ms: i64::MAX }).into()
}

fn worst_lags() -> Bytes {
    let request = proto::admin::ListLagsRequest { limit: 100, ..Default::default() };
    prost::Message::encode_to_vec(&request).into()
}

/// Tells until the reader goes, the node stops, or nobody is known to ask any more. After a while it ends by itself: a reader comes
/// back with the cookie that he has by then, if his session is not over.
pub fn stream(api: Api, asking: Asking) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (events, told) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = tell(&api, &asking, &events) => {
                let _ = events.send(Ok(Event::default().event("over").data("{}"))).await;
            }
            () = events.closed() => {}
            () = sleep(LASTS_MAX) => {}
            () = api.closing.cancelled() => {}
        }
    });
    Sse::new(ReceiverStream::new(told)).keep_alive(KeepAlive::default())
}

/// Returns when nobody is known to ask any more.
async fn tell(api: &Api, asking: &Asking, events: &mpsc::Sender<Result<Event, Infallible>>) {
    let _ = events.send(Ok(Event::default().retry(COMES_BACK_AFTER))).await;
    let mut last: [(Option<Arc<str>>, u32); TOPICS.len()] = Default::default();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        if api.edge().and_then(|edge| known(&edge, asking)).is_err_and(|error| error.is_of_nobody()) {
            return;
        }
        for (at, (before, told_at)) in last.iter_mut().enumerate() {
            let topic = &TOPICS[at];
            if tick % topic.ticks != 0 {
                continue;
            }
            // It may not be seen, or is not known now.
            let Ok(json) = asked(api, asking, at).await else { continue };
            if Some(&json) == before.as_ref() && tick - *told_at < topic.silence_ticks {
                continue;
            }
            let event = Event::default().event(topic.name).data(&json);
            (*before, *told_at) = (Some(json), tick);
            if events.send(Ok(event)).await.is_err() {
                return;
            }
        }
    }
}

/// What is told of a topic now, to this reader.
async fn asked(api: &Api, asking: &Asking, at: usize) -> Result<Arc<str>, ApiError> {
    let topic = &TOPICS[at];
    let perform = async {
        let json = perform(api, topic.method, asking.clone(), (topic.request)()).await?;
        Ok::<Arc<str>, ApiError>(String::from_utf8_lossy(&json).into())
    };
    if !topic.is_same {
        return perform.await;
    }
    api.edge()?.admit(&caller(asking), &ClusterStatusRequest {}).map_err(|fault| fault.grpc())?;
    let mut kept = api.shared.0[at].lock().await;
    let fresh = TICK * topic.ticks * 4 / 5;
    if let Some((_, json)) = kept.as_ref().filter(|(since, _)| since.elapsed() < fresh) {
        return Ok(json.clone());
    }
    let json = perform.await?;
    *kept = Some((Instant::now(), json.clone()));
    Ok(json)
}
