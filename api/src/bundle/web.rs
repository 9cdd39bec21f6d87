//! One question to the HTTP port of a node.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codegen::http::Uri;

use crate::client::access::Headers;

const WAIT_MAX: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// The body of what `HOST:PORT/PATH` answers to who signs with these headers, over TLS if its other connections have it.
///
/// # Errors
/// A sentence that says why there is none.
pub async fn fetch(address: &str, path: &str, headers: &Headers) -> Result<String, String> {
    match tokio::time::timeout(WAIT_MAX, asked(address, path, headers)).await {
        Ok(Ok(answer)) => body(&answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WAIT_MAX.as_secs())),
    }
}

async fn asked(address: &str, path: &str, headers: &Headers) -> std::io::Result<String> {
    let signature: String = headers.signature().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // In the older version, an answer ends with its connection and has no chunks.
    let question = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{signature}\r\n");
    let Some(tls) = headers.tls() else {
        return answered(TcpStream::connect(address).await?, &question).await;
    };
    let uri: Uri = format!("https://{address}{path}").parse().map_err(std::io::Error::other)?;
    answered(tls.dial_http(&uri).await?, &question).await
}

async fn answered(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    question: &str,
) -> std::io::Result<String> {
    stream.write_all(question.as_bytes()).await?;
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
