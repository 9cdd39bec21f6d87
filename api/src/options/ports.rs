//! `[grpc]`, `[http]` and `[peer]`: where a node listens, what others dial, and TLS there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[grpc]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcSection {
    /// Where to listen for clients, TLS and plaintext on one port.
    pub bind: String,
    /// `host:port` that clients are told to dial; empty: the one in the member list, else `bind`.
    pub advertise: String,
    /// The `bind` of other nodes on this machine, on loopback: when one of them dies, this node
    /// answers its clients.
    pub stand_in_for: Vec<String>,
    /// PEM file with the certificate chain, of this port and of the HTTP port; empty: one is made at the first start.
    pub tls_cert: PathBuf,
    /// PEM file with its private key. Changed files are taken without a restart.
    pub tls_key: PathBuf,
    /// Who does not speak TLS is not spoken to. Else both are spoken, and the first byte tells them apart.
    pub tls_only: bool,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpSection {
    /// Where to listen.
    pub bind: String,
    /// `host:port` that people and probes dial; empty: `bind`.
    pub advertise: String,
    /// Who does not speak TLS is not spoken to.
    pub tls_only: bool,
}

/// `[peer]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerSection {
    /// Where to listen for the other nodes.
    pub bind: String,
    /// `host:port` that the other nodes dial; empty: `bind`. A name is looked up anew for every connection, so the address
    /// behind it may change.
    pub advertise: String,
    /// PEM file with the certificates of the authority that signs those of the nodes, and nothing else. Empty: without TLS,
    /// and whoever reaches the port is a peer. All nodes alike.
    pub tls_authority: PathBuf,
    /// PEM file with this node's certificate, for the name or address that the others dial, as server and as client.
    pub tls_cert: PathBuf,
    /// PEM file with its private key. Changed files are taken without a restart.
    pub tls_key: PathBuf,
    /// A peer's certificate must be valid for one of these names; none: for any.
    pub tls_names: Vec<String>,
}

impl Default for GrpcSection {
    fn default() -> Self {
        GrpcSection {
            bind: "127.0.0.1:8081".into(),
            advertise: String::new(),
            stand_in_for: Vec::new(),
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_only: false,
        }
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        HttpSection { bind: "127.0.0.1:8082".into(), advertise: String::new(), tls_only: false }
    }
}

impl Default for PeerSection {
    fn default() -> Self {
        PeerSection {
            bind: "127.0.0.1:8083".into(),
            advertise: String::new(),
            tls_authority: PathBuf::new(),
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_names: Vec::new(),
        }
    }
}
