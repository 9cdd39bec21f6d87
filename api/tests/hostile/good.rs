//! A client that behaves, and sees how it fares beside those that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::v2::messaging_service_client::MessagingServiceClient;
use proto::v2::{Message, Resource, SendMessageRequest, SystemProperties};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

/// Sends small messages, one after the other, until it is told to stop.
pub struct Good {
    stop: Arc<AtomicBool>,
    sent: watch::Receiver<usize>,
    sending: JoinHandle<Vec<Duration>>,
}

pub async fn connect(port: u16) -> MessagingServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an endpoint");
    MessagingServiceClient::new(endpoint.connect().await.expect("a new client gets in"))
}

pub fn signed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-mq-client-id", "good".parse().expect("text"));
    request.set_timeout(Duration::from_secs(10));
    request
}

pub fn message(topic: &str, body: Vec<u8>) -> Message {
    Message {
        topic: Some(Resource { name: topic.to_owned(), ..Resource::default() }),
        body: body.into(),
        system_properties: Some(SystemProperties {
            message_id: format!("{:032x}", rand::random::<u128>()),
            ..SystemProperties::default()
        }),
        ..Message::default()
    }
}

impl Good {
    /// Begins, with a connection of its own.
    pub async fn start(port: u16) -> Good {
        let mut stub = connect(port).await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (count, sent) = watch::channel(0);
        let sending = tokio::spawn(async move {
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                let request = SendMessageRequest { messages: vec![message("good", b"x".repeat(100))] };
                let answer = stub.send_message(signed(request)).await.expect("an answer").into_inner();
                let status = answer.status.expect("a status");
                assert_eq!(status.code, 20_000, "{}", status.message);
                took.push(began.elapsed());
                count.send_replace(took.len());
            }
            took
        });
        Good { stop, sent, sending }
    }

    /// Waits until it has sent so many.
    pub async fn until_sent(&mut self, count: usize) {
        self.sent.wait_for(|sent| *sent >= count).await.expect("it goes on");
    }

    /// Ends, and answers with the p99 and the longest of what it saw.
    pub async fn ended(self) -> (usize, Duration, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.sending.await.expect("nothing failed");
        took.sort_unstable();
        (took.len(), took[took.len() * 99 / 100], took[took.len() - 1])
    }
}
