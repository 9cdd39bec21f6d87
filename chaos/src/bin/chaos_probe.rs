//! The process that this crate's tests torment. It serves on port 7100 of the address given to it: one line in, one
//! line out.
//!
//! | Line | Answer |
//! |---|---|
//! | `pid` | its process number |
//! | `wall` | milliseconds since the Unix epoch |
//! | `monotonic` | milliseconds since its start |
//! | `dial ADDRESS` | `ok MILLISECONDS` if the probe there answers within a second, or else an error |
//! | `write FILE TEXT` | appends to a file in its directory, without a sync |
//! | `fill FILE BYTES` | appends so many bytes, without a sync |
//! | `blob BYTES` | so many bytes in a line |
//! | `count TEXT` | how many bytes the text has |
//! | `datagrams` | how many datagrams have come to the same port, but for marks |
//! | `marks` | how many datagrams were marks: those that begin with a dot |
//! | `shout ADDRESS` | sends a datagram to the probe there |
//! | `sync FILE` | fsync of that file |
//!
//! What fails is answered with `error ...`. On SIGTERM it ends as any process does.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

const PORT: u16 = 7100;
const PATIENCE: Duration = Duration::from_secs(1);

/// How many have come that are no marks.
static DATAGRAMS: AtomicU64 = AtomicU64::new(0);
static MARKS: AtomicU64 = AtomicU64::new(0);

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: chaos-probe ADDRESS DIRECTORY"));
    };
    let born = Instant::now();
    let listener = TcpListener::bind(format!("{address}:{PORT}"))?;
    let datagrams = UdpSocket::bind(format!("{address}:{PORT}"))?;
    std::thread::spawn(move || {
        let mut datagram = [0; 16];
        while datagrams.recv(&mut datagram).is_ok() {
            let count = if datagram[0] == b'.' { &MARKS } else { &DATAGRAMS };
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    for stream in listener.incoming() {
        let (stream, directory) = (stream?, PathBuf::from(&directory));
        std::thread::spawn(move || serve(stream, &directory, born));
    }
    Ok(())
}

fn serve(stream: TcpStream, directory: &Path, born: Instant) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let answer = answer(&line?, directory, born).unwrap_or_else(|error| format!("error {error}"));
        writer.write_all(format!("{answer}\n").as_bytes())?;
    }
    Ok(())
}

fn answer(line: &str, directory: &Path, born: Instant) -> io::Result<String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "pid" => Ok(std::process::id().to_string()),
        "wall" => {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
            Ok(since.as_millis().to_string())
        }
        "monotonic" => Ok(born.elapsed().as_millis().to_string()),
        "dial" => dial(rest).map(|took| format!("ok {}", took.as_millis())),
        "write" => {
            let (file, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let mut file = File::options().create(true).append(true).open(directory.join(file))?;
            file.write_all(text.as_bytes()).map(|()| "ok".into())
        }
        "fill" => {
            let (file, bytes) = rest.split_once(' ').unwrap_or((rest, "0"));
            let bytes = vec![b'x'; bytes.parse().map_err(io::Error::other)?];
            let mut file = File::options().create(true).append(true).open(directory.join(file))?;
            file.write_all(&bytes).map(|()| "ok".into())
        }
        "blob" => Ok("x".repeat(rest.parse().map_err(io::Error::other)?)),
        "count" => Ok(rest.len().to_string()),
        "datagrams" => Ok(DATAGRAMS.load(Ordering::Relaxed).to_string()),
        "marks" => Ok(MARKS.load(Ordering::Relaxed).to_string()),
        "shout" => UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", format!("{rest}:{PORT}")).map(|_| "ok".into()),
        "sync" => File::open(directory.join(rest))?.sync_all().map(|()| "ok".into()),
        _ => Ok(format!("error no such word: {word}")),
    }
}

fn dial(address: &str) -> io::Result<Duration> {
    let began = Instant::now();
    let address: SocketAddr = format!("{address}:{PORT}").parse().map_err(io::Error::other)?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).write_all(b"pid\n")?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    Ok(began.elapsed())
}
