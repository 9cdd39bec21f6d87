//! HTTP/2 by hand (RFC 9113, RFC 7541), for what no library sends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const GOAWAY: u8 = 7;
const INITIAL_WINDOW_SIZE: u16 = 4;
const HEAD_BYTES: usize = 9;
const FRAME_BYTES_MAX: usize = 16_384;
/// Of a connection, before it is changed.
const WINDOW_BYTES: i64 = 65_535;

/// A connection from an address of the loopback network.
pub async fn connect(port: u16, from: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.into(), 0))?;
    socket.connect(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).await
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What every client says first, with an initial window for the answers.
pub fn preface(window: u32) -> Vec<u8> {
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &setting)].concat()
}

/// The block of headers of a gRPC call, without compression.
pub fn header_block(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let all =
        [(":path", path), (":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers")];
    for (name, value) in all.iter().chain(more) {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "longer ones are written otherwise");
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

pub fn headers(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &header_block(path, &[("x-mq-client-id", "hostile")]))
}

/// A message with gRPC's prefix.
pub fn enveloped(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// A connection that keeps to the windows of the server, and gives it none.
pub struct Stingy {
    stream: TcpStream,
    window: i64,
    initial: i64,
    next: u32,
    current: i64,
    is_reset: bool,
}

impl Stingy {
    pub async fn open(port: u16, from: Ipv4Addr) -> io::Result<Stingy> {
        let mut stream = connect(port, from).await?;
        stream.write_all(&preface(0)).await?;
        let mut stingy = Stingy {
            stream,
            window: WINDOW_BYTES,
            initial: WINDOW_BYTES,
            next: 1,
            current: 0,
            is_reset: false,
        };
        // Its settings, and the window of the connection.
        while stingy.window == WINDOW_BYTES {
            stingy.read_frame().await?;
        }
        Ok(stingy)
    }

    /// Sends a request to its end, as fast as the server takes it. Its answer stays with the server.
    pub async fn request(&mut self, path: &str, message: &[u8]) -> io::Result<()> {
        self.send(path, &enveloped(message), END_STREAM).await
    }

    /// Sends the body of a request, with these flags for its last frame, until the server has enough of it.
    pub async fn send(&mut self, path: &str, body: &[u8], last: u8) -> io::Result<()> {
        let stream = self.next;
        self.next += 2;
        (self.current, self.is_reset) = (self.initial, false);
        self.stream.write_all(&headers(stream, path, 0)).await?;
        let mut chunks = body.chunks(FRAME_BYTES_MAX).peekable();
        while let Some(chunk) = chunks.next() {
            while self.window.min(self.current) < chunk.len() as i64 {
                self.read_frame().await?;
                if self.is_reset {
                    return Ok(());
                }
            }
            self.window -= chunk.len() as i64;
            self.current -= chunk.len() as i64;
            let flags = if chunks.peek().is_none() { last } else { 0 };
            self.stream.write_all(&frame(DATA, flags, stream, chunk)).await?;
        }
        Ok(())
    }

    async fn read_frame(&mut self) -> io::Result<()> {
        let mut head = [0; HEAD_BYTES];
        self.stream.read_exact(&mut head).await?;
        let [one, two, three, kind, flags, a, b, c, d] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, one, two, three]) as usize];
        self.stream.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([a, b, c, d]);
        match kind {
            RST_STREAM if stream + 2 == self.next => self.is_reset = true,
            GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
            PING if flags & ACK == 0 => self.stream.write_all(&frame(PING, ACK, 0, &payload)).await?,
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    let value = u32::from_be_bytes(setting[2..].try_into().expect("four bytes"));
                    if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                        self.initial = i64::from(value);
                    }
                }
                self.stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
            }
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload.try_into().expect("four bytes")));
                match stream {
                    0 => self.window += more,
                    stream if stream + 2 == self.next => self.current += more,
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}
