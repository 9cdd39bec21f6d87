//! `ledgermq dev`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::exit::Failure;
use super::insecure::InsecureArgs;
use super::output::line;
use crate::boot;
use crate::options::{Options, SMALL_SEGMENT_BYTES};

const GRPC_PORT: u16 = 8081;

/// Arguments of `dev`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq dev
  ledgermq dev --bind 0.0.0.0 --advertise 192.168.1.7 --insecure --data /var/tmp/ledgermq

Listens on PORT for clients, PORT+1 for HTTP, and on loopback on PORT+2 for peers. Topics and consumer groups are
made when they are first used. Ctrl-C stops it; everything acknowledged is there again next time.")]
pub struct DevArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDR[:PORT]", value_parser = bind)]
    bind: SocketAddr,
    /// Where everything is kept
    #[arg(long, default_value = "ledgermq-data", value_name = "DIR")]
    data: PathBuf,
    /// What clients are told to dial, if not the address above
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,
    #[command(flatten)]
    insecure: InsecureArgs,
}

fn bind(text: &str) -> Result<SocketAddr, String> {
    let address = SocketAddr::from_str(text)
        .or_else(|_| IpAddr::from_str(text).map(|ip| SocketAddr::new(ip, GRPC_PORT)))
        .map_err(|_| format!("`{text}` is not an IP address with or without a port, such as 0.0.0.0:8081"))?;
    match address.port() {
        1..=65_533 => Ok(address),
        port => Err(format!("port {port} leaves no room for the two ports above it")),
    }
}

impl DevArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let insecure = self.insecure.clone();
        let options = self.options();
        options.validate().map_err(|wrong| Failure::Usage(wrong.join("\n")))?;
        insecure.check(&options)?;
        boot::run(options, welcome).await
    }

    fn options(self) -> Options {
        let mut options = Options::default();
        let at = |offset: u16| SocketAddr::new(self.bind.ip(), self.bind.port() + offset).to_string();
        // It has no peers, and never will: nobody else reaches their port.
        let alone =
            if self.bind.ip().is_loopback() { self.bind.ip() } else { IpAddr::from(Ipv4Addr::LOCALHOST) };
        options.cluster.name = "dev".to_owned();
        options.node.data = self.data;
        options.log.segment_bytes = SMALL_SEGMENT_BYTES;
        options.grpc.bind = at(0);
        options.http.bind = at(1);
        options.peer.bind = SocketAddr::new(alone, self.bind.port() + 2).to_string();
        options.grpc.advertise = match self.advertise {
            Some(host) if host.contains(':') => host,
            Some(host) => format!("{host}:{}", self.bind.port()),
            None => String::new(),
        };
        options
    }
}

fn welcome(options: &Options) {
    let at = options.advertised();
    let flag = if at == "127.0.0.1:8081" { String::new() } else { format!(" --endpoint {at}") };
    line(&format!(
        "LedgerMQ {} is ready.
  clients  {} (RocketMQ 5 gRPC, TLS and plaintext)
  console  http://{}/
  data     {}

Try in another terminal:
  ledgermq send demo --body hello{flag}
  ledgermq receive demo --group g{flag}
  ledgermq topic list{flag}

Ctrl-C stops it.",
        env!("CARGO_PKG_VERSION"),
        options.grpc.bind,
        options.http.bind,
        options.node.data.display(),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_the_first() {
        let args = DevArgs {
            bind: bind("0.0.0.0:9000").unwrap(),
            data: "x".into(),
            advertise: Some("broker.example.com".into()),
            insecure: InsecureArgs::default(),
        };
        let options = args.options();
        assert_eq!(
            (options.http.bind.as_str(), options.peer.bind.as_str()),
            ("0.0.0.0:9001", "127.0.0.1:9002")
        );
        assert_eq!(options.advertised(), "broker.example.com:9000");
        assert_eq!(options.validate(), Ok(()));
        assert!(bind("localhost").is_err() && bind("1.2.3.4:65535").is_err() && bind("1.2.3.4:0").is_err());
        assert_eq!(bind("1.2.3.4").unwrap().port(), 8081);
    }
}
