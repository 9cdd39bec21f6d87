//! One question to the HTTP port of a node.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WAIT_MAX: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// The body of what `http://HOST:PORT/PATH` answers.
///
/// # Errors
/// A sentence that says why there is none.
pub async fn fetch(address: &str, path: &str) -> Result<String, String> {
    match tokio::time::timeout(WAIT_MAX, asked(address, path)).await {
        Ok(Ok(answer)) => body(&answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WAIT_MAX.as_secs())),
    }
}

async fn asked(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // In the older version, an answer ends with its connection and has no chunks.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn body(answer: &str) -> Result<String, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("what came is no answer")?;
    let status = head.lines().next().unwrap_or_default();
    match status.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(status.to_owned()),
    }
}
