//! What the network reaches although nothing protects it.
//!
//! A port that listens on loopback only is reached by nobody else. Any other one wants what protects it, and a node that has it
//! not does not start, unless it is told at every start that the network is trusted.

use std::fmt;
use std::net::SocketAddr;

use clap::ValueEnum;

use super::Options;

/// A protection that may be missing, as it is called where it is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Missing {
    /// All of these
    All,
    /// Clients may speak without TLS: requests and secrets of messages can be read on the way
    Plaintext,
    /// Whoever reaches the client port may do everything
    Access,
    /// Whoever reaches the port of the peers is a peer: it reads and writes everything
    Peers,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// A port that the network reaches, and what it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// What is missing.
    pub missing: Missing,
    /// Where, and what that means: a sentence.
    pub why: String,
}

impl Options {
    /// Every port that the network reaches without what protects it.
    pub fn exposures(&self) -> Vec<Exposure> {
        let (grpc, http, peer) = (&self.grpc, &self.http, &self.peer);
        let is_controlled = self.access.enabled;
        let cases = [
            (
                &grpc.bind,
                is_controlled,
                Missing::Access,
                "grpc.bind",
                "access.enabled is off: whoever reaches it may do everything",
            ),
            (
                &grpc.bind,
                grpc.tls_only,
                Missing::Plaintext,
                "grpc.bind",
                "grpc.tls_only is off: what clients send can be read on the way, and signatures used again",
            ),
            (
                &http.bind,
                is_controlled,
                Missing::Access,
                "http.bind",
                "access.enabled is off: whoever reaches it reads the metrics",
            ),
            (
                &http.bind,
                http.tls_only,
                Missing::Plaintext,
                "http.bind",
                "http.tls_only is off: what is asked there can be read on the way",
            ),
            (
                &peer.bind,
                !peer.tls_authority.as_os_str().is_empty(),
                Missing::Peers,
                "peer.bind",
                "peer.tls_authority is not set: whoever reaches it is a peer, and reads and writes everything",
            ),
        ];
        let exposed =
            |bind: &str| bind.parse::<SocketAddr>().is_ok_and(|bind| !bind.ip().to_canonical().is_loopback());
        cases
            .into_iter()
            .filter(|(bind, is_protected, ..)| !is_protected && exposed(bind))
            .map(|(bind, _, missing, key, why)| Exposure {
                missing,
                why: format!("{key} is {bind}, and {why}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<Missing> {
        let mut missing: Vec<_> = Options::parse(text, "test", [])
            .unwrap()
            .exposures()
            .into_iter()
            .map(|exposure| exposure.missing)
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    #[test]
    fn loopback_is_reached_by_nobody_else() {
        assert_eq!(missing(""), []);
        assert_eq!(
            missing(
                "[grpc]\nbind = \"127.3.2.1:1\"\n[http]\nbind = \"[::1]:2\"\n[peer]\nbind = \"[::ffff:127.0.0.1]:3\"\n"
            ),
            []
        );
    }

    #[test]
    fn what_the_network_reaches_wants_what_protects_it() {
        use Missing::{Access, Peers, Plaintext};
        assert_eq!(missing("[grpc]\nbind = \"0.0.0.0:1\"\n"), [Plaintext, Access]);
        assert_eq!(missing("[grpc]\nbind = \"10.0.0.1:1\"\ntls_only = true\n"), [Access]);
        assert_eq!(missing("[grpc]\nbind = \"10.0.0.1:1\"\n[access]\nenabled = true\n"), [Plaintext]);
        assert_eq!(missing("[grpc]\nbind = \"[::]:1\"\ntls_only = true\n[access]\nenabled = true\n"), []);
        assert_eq!(missing("[http]\nbind = \"192.168.0.1:1\"\n"), [Plaintext, Access]);
        assert_eq!(
            missing("[http]\nbind = \"192.168.0.1:1\"\ntls_only = true\n[access]\nenabled = true\n"),
            []
        );
        assert_eq!(missing("[peer]\nbind = \"[2001:db8::1]:1\"\n"), [Peers]);
        let peer = "[peer]\nbind = \"0.0.0.0:1\"\ntls_authority = \"a\"\ntls_cert = \"b\"\ntls_key = \"c\"\n";
        assert_eq!(missing(peer), []);
    }

    #[test]
    fn it_is_told_which_port_and_why() {
        let options = Options::parse("[peer]\nbind = \"0.0.0.0:8083\"\n", "test", []).unwrap();
        assert_eq!(
            options.exposures()[0].why,
            "peer.bind is 0.0.0.0:8083, and peer.tls_authority is not set: whoever reaches it is a peer, and reads and writes \
             everything"
        );
    }
}
