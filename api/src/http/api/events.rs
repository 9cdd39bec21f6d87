//! What changes, told as it does: server-sent events (the HTML standard, section 9.2).
//!
//! Each reader asks like a caller, with the caller's rights, once a moment; so what it may not see is not told, and a session that
//! is over ends the stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};
use tokio_stream::wrappers::ReceiverStream;

use super::calls::Asking;
use super::{Api, known, perform};

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
}

const TOPICS: [Topic; 4] = [
    Topic { name: "cluster", method: "ClusterStatus", request: Bytes::new, ticks: 1, silence_ticks: 4 },
    Topic { name: "traffic", method: "Traffic", request: no_history, ticks: 4, silence_ticks: 4 },
    Topic { name: "lags", method: "ListLags", request: worst_lags, ticks: 10, silence_ticks: 10 },
    Topic { name: "doctor", method: "Doctor", request: Bytes::new, ticks: 20, silence_ticks: 20 },
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
    let mut last: [(Vec<u8>, u32); TOPICS.len()] = Default::default();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        if api.edge().and_then(|edge| known(&edge, asking)).is_err_and(|error| error.is_of_nobody()) {
            return;
        }
        for (topic, (before, told_at)) in TOPICS.iter().zip(&mut last) {
            if tick % topic.ticks != 0 {
                continue;
            }
            let json = match perform(api, topic.method, asking.clone(), (topic.request)()).await {
                Ok(json) => json,
                // It may not be seen, or is not known now.
                Err(_) => continue,
            };
            if json == *before && tick - *told_at < topic.silence_ticks {
                continue;
            }
            let text = String::from_utf8_lossy(&json).into_owned();
            (*before, *told_at) = (json, tick);
            if events.send(Ok(Event::default().event(topic.name).data(text))).await.is_err() {
                return;
            }
        }
    }
}
