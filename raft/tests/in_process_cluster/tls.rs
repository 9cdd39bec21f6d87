//! Nodes that prove to each other who they are.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use raft::catalog::TopicType;
use raft::limits::PEER_HANDSHAKE_WAIT_MAX;
use raft::tls::{PeerTls, PeerTlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::cluster::{Cluster, PATIENCE, message, soon};

/// What a client of HTTP/2 says first; and an empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    /// Writes a certificate for these names, and its key.
    fn sign(&self, directory: &Path, names: &[String]) {
        std::fs::create_dir_all(directory).expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names.to_vec()).expect("names");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        std::fs::write(directory.join("cert.pem"), certificate.pem()).expect("written");
        std::fs::write(directory.join("key.pem"), key.serialize_pem()).expect("written");
    }
}

fn files(directory: &Path) -> PeerTlsFiles {
    PeerTlsFiles {
        authority: directory.join("authority.pem"),
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    }
}

/// A cluster of nodes with certificates of an authority, that take each other by these names.
async fn secured(authority: &Authority) -> Cluster {
    let mut cluster = Cluster::of(3, 1);
    let names: Vec<String> = (1..=3).map(|id| format!("node{id}.test")).collect();
    for id in 1..=3 {
        let directory = of_node(&cluster, id);
        authority.sign(&directory, &[host(&cluster, id), names[id as usize - 1].clone()]);
        std::fs::write(directory.join("authority.pem"), authority.0.pem()).expect("written");
        cluster.tls.push(PeerTls::of_files(files(&directory), &names).expect("they can be used"));
    }
    for id in 1..=3 {
        cluster.start_node(id).await;
    }
    for node in cluster.nodes.iter().flatten() {
        node.ready(soon()).await.expect("a leader for each group");
    }
    cluster
}

fn of_node(cluster: &Cluster, id: u64) -> std::path::PathBuf {
    cluster.dir.path().join(format!("tls-{id}"))
}

fn host(cluster: &Cluster, id: u64) -> String {
    cluster.peer_address(id).parse::<SocketAddr>().expect("an address").ip().to_string()
}

/// Whether who connects is spoken to: the peer port begins with SETTINGS, and an alert of TLS with something else.
async fn is_spoken_to(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    if stream.write_all(PREFACE).await.is_err() {
        return false;
    }
    let mut first = [0xff; 1];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut first)).await.expect("an answer, or an end");
    read.is_ok_and(|length| length == 1) && first[0] == 0
}

/// A client that trusts `authority`, with the certificate in a directory, or none.
fn client(authority: &Authority, directory: Option<&Path>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match directory {
        None => builder.with_no_client_auth(),
        Some(directory) => {
            let chain = CertificateDer::from_pem_file(directory.join("cert.pem")).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).expect("a key");
            builder.with_client_auth_cert(vec![chain], key).expect("they belong together")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn is_taken(cluster: &Cluster, client: &TlsConnector) -> bool {
    let stream = TcpStream::connect(cluster.peer_address(1)).await.expect("it listens");
    let name = ServerName::try_from(host(cluster, 1)).expect("an address");
    match client.connect(name, stream).await {
        Ok(stream) => is_spoken_to(stream).await,
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_with_certificates_are_a_cluster_and_nobody_else_gets_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut cluster = secured(&authority).await;
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let sent = cluster.node(2).publish(vec![message(&topic, 0, "one", None)], soon()).await;
    assert!(sent[0].is_ok(), "{sent:?}");
    cluster.stop(3).await;
    cluster.start_node(3).await;
    cluster.node(3).ready(soon()).await.expect("it is back");

    let strangers = cluster.dir.path().join("strangers");
    other.sign(&strangers.join("of-another"), &["node1.test".to_owned()]);
    authority.sign(&strangers.join("of-another-name"), &["web.test".to_owned()]);
    authority.sign(&strangers.join("known"), &["node2.test".to_owned()]);
    let plain = TcpStream::connect(cluster.peer_address(1)).await.expect("it listens");
    assert!(!is_spoken_to(plain).await, "plaintext");
    for (what, directory) in [
        ("no certificate", None),
        ("a certificate of another authority", Some(strangers.join("of-another"))),
        ("a certificate for another name", Some(strangers.join("of-another-name"))),
    ] {
        assert!(!is_taken(&cluster, &client(&authority, directory.as_deref())).await, "{what}");
    }
    let known = client(&authority, Some(&strangers.join("known")));
    assert!(is_taken(&cluster, &known).await, "a certificate of a node");
    // Nor does a node speak to who is not its peer: it dials by name.
    let dialled_wrong = client(&other, Some(&strangers.join("known")));
    assert!(!is_taken(&cluster, &dialled_wrong).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_exchanged_while_the_cluster_works() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut cluster = secured(&old).await;
    let was = cluster.dir.path().join("was");
    old.sign(&was, &["node2.test".to_owned()]);
    // First all trust both, then all get new ones, then nobody trusts the old one.
    let both = format!("{}{}", old.0.pem(), new.0.pem());
    write_authority(&cluster, &both);
    for id in 1..=3 {
        new.sign(&of_node(&cluster, id), &[host(&cluster, id), format!("node{id}.test")]);
    }
    reload(&cluster);
    assert!(is_taken(&cluster, &client(&new, Some(&was))).await, "the old one is good for a while");
    write_authority(&cluster, &new.0.pem());
    reload(&cluster);
    assert!(!is_taken(&cluster, &client(&new, Some(&was))).await, "the old one is good for nothing");
    cluster.stop(1).await;
    cluster.start_node(1).await;
    cluster.node(1).ready(soon()).await.expect("it is back");
    let topic = cluster.topic("orders", TopicType::Normal, 1).await;
    let sent = cluster.node(1).publish(vec![message(&topic, 0, "one", None)], soon()).await;
    assert!(sent[0].is_ok(), "{sent:?}");

    // What cannot be used is told, and changes nothing.
    std::fs::write(of_node(&cluster, 1).join("key.pem"), "no key").expect("written");
    let error = cluster.tls[0].reload().expect_err("that is no key");
    assert!(error.path.ends_with("key.pem"), "{error}");
    let known = cluster.dir.path().join("known");
    new.sign(&known, &["node3.test".to_owned()]);
    assert!(is_taken(&cluster, &client(&new, Some(&known))).await);
}

fn write_authority(cluster: &Cluster, text: &str) {
    for id in 1..=3 {
        std::fs::write(of_node(cluster, id).join("authority.pem"), text).expect("written");
    }
}

fn reload(cluster: &Cluster) {
    for tls in &cluster.tls {
        assert_eq!(tls.reload(), Ok(true));
        assert_eq!(tls.reload(), Ok(false));
    }
}

/// Who connects and says nothing keeps nobody out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_strangers_keep_no_peer_out() {
    let authority = Authority::new();
    let cluster = secured(&authority).await;
    let known = cluster.dir.path().join("known");
    authority.sign(&known, &["node2.test".to_owned()]);
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(cluster.peer_address(1)).await.expect("it listens"));
    }
    let peer = client(&authority, Some(&known));
    let began = Instant::now();
    assert!(is_taken(&cluster, &peer).await);
    // Sooner than those who are silent are given up for that.
    assert!(began.elapsed() < PEER_HANDSHAKE_WAIT_MAX, "{:?}", began.elapsed());
    drop(silent);
}
