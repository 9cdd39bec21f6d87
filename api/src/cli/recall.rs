//! `ledgermq message recall`

use clap::Args;
use proto::v2;
use serde_json::json;

use super::exit::Failure;
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::{ClientError, resource};

/// Arguments of `message recall`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq send demo --body later --delay 1h      prints the recall handle
  ledgermq message recall demo HANDLE

A message can be recalled until it is due; then it is on its way.")]
pub struct RecallArgs {
    /// The topic
    topic: String,
    /// What `ledgermq send --delay` printed, or a client got with its send receipt
    handle: String,
    #[command(flatten)]
    common: CommonArgs,
}

impl RecallArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = v2::RecallMessageRequest {
            topic: Some(resource(&self.topic)),
            recall_handle: self.handle.clone(),
        };
        let result = broker.messaging().recall_message(broker.headers.request(request, ADMIN_TIMEOUT)).await;
        let answer = broker.answer(result)?;
        let about = |error| Failure::about_topic(error, &self.topic);
        ClientError::of_answer(answer.status).map_err(about)?;
        let value = json!({ "topic": self.topic, "message_id": answer.message_id, "recalled": true });
        self.common.output.print(&value, || format!("recalled {} from {}", answer.message_id, self.topic));
        Ok(())
    }
}
