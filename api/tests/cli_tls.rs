//! The command line, the HTTP port and the ports of the peers over TLS, with a real process.

mod cli_process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cli_process::ports::free_base_port;
use cli_process::{Background, ledgermq};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// A node whose ports speak TLS only, with a certificate that it made itself.
fn node(scratch: &Path, port: u16, access: &str) -> Background {
    let config = scratch.join("node.toml");
    let text = format!(
        "[node]\ndata = {:?}\n[grpc]\nbind = \"127.0.0.1:{port}\"\ntls_only = true\n\
         [http]\nbind = \"127.0.0.1:{}\"\ntls_only = true\n[peer]\nbind = \"127.0.0.1:{}\"\n\
         [log]\nsegment_bytes = \"64MiB\"\n[access]\nenabled = true\n{access}",
        scratch.join("data"),
        port + 1,
        port + 2
    );
    std::fs::write(&config, text).expect("written");
    Background::start(&["serve", "--config", config.to_str().expect("UTF-8")], "export LEDGERMQ_ACCESS_KEY")
}

#[test]
fn the_command_line_trusts_what_it_is_told_to() {
    let scratch = tempfile::tempdir().expect("a directory");
    let port = free_base_port(1);
    let node = node(scratch.path(), port, "");
    let secret = node.greeting.split("secret key  ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let secret_file = scratch.path().join("secret");
    std::fs::write(&secret_file, secret.expect("a secret")).expect("written");
    let authority = scratch.path().join("data/tls/self-signed.cert.pem");
    let (authority, secret_file) = (authority.to_str().expect("UTF-8"), secret_file.to_str().expect("UTF-8"));
    let endpoint = format!("127.0.0.1:{port}");
    let who = ["--endpoint", &endpoint, "--access-key", "admin", "--secret-key-file", secret_file];
    let trusting = [&who[..], &["--tls-ca", authority]].concat();
    ledgermq(&[&["topic", "create", "orders"][..], &trusting].concat()).code(0);
    ledgermq(&[&["send", "orders", "--body", "x"][..], &trusting].concat()).code(0);
    let bench = ["bench", "e2e", "--seconds", "1", "--warm-up", "0", "--topic", "orders", "--rate", "50"];
    ledgermq(&[&bench[..], &trusting].concat()).code(0);
    ledgermq(&[&["verify", "--seconds", "2"][..], &trusting].concat()).code(0);

    let bundle = scratch.path().join("bundle.tar.gz");
    let collect = ["debug", "bundle", "--out", bundle.to_str().expect("UTF-8"), "-o", "json"];
    let collected = ledgermq(&[&collect[..], &trusting].concat()).code(0);
    assert!(collected.out.contains("metrics/node1.txt"), "{collected:?}");

    // The name that the certificate must be for.
    let named = |name| [&["topic", "list", "--tls-server-name", name][..], &trusting].concat();
    ledgermq(&named("localhost")).code(0);
    let refused = ledgermq(&named("broker.example.com")).code(4);
    assert!(refused.err.contains("certificate"), "{refused:?}");

    // Without TLS, and with another authority.
    ledgermq(&[&["topic", "list"][..], &who].concat()).code(4);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let other = scratch.path().join("other.pem");
    std::fs::write(&other, made.cert.pem()).expect("written");
    let wrong = [&who[..], &["--tls-ca", other.to_str().expect("UTF-8")]].concat();
    let refused = ledgermq(&[&["topic", "list"][..], &wrong].concat()).code(4);
    assert!(refused.err.contains("certificate"), "{refused:?}");
    std::fs::write(&other, "none").expect("written");
    let none = ledgermq(&[&["topic", "list"][..], &wrong].concat()).code(2);
    assert!(none.err.contains("other.pem"), "{none:?}");

    assert!(https(port + 1, authority, REQUEST).contains("200 OK"));
    assert_eq!(plain_http(port + 1), "", "plaintext is not answered");
    assert_eq!(node.signal("TERM"), Some(0));
}

/// An authority that signs users' certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    /// Writes a certificate for a user, and its key; their names.
    fn sign(&self, scratch: &Path, file: &str, user: &str) -> [String; 2] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![user.to_owned()]).expect("a name");
        let made = params.signed_by(&key, &self.0).expect("signed");
        [("cert", made.pem()), ("key", key.serialize_pem())].map(|(kind, text)| {
            let path = scratch.join(format!("{file}.{kind}.pem"));
            std::fs::write(&path, text).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        })
    }
}

#[test]
fn a_certificate_stands_for_the_user_that_it_is_of() {
    let scratch = tempfile::tempdir().expect("a directory");
    let port = free_base_port(1);
    let authority = Authority::new();
    let trusted = scratch.path().join("users.pem");
    std::fs::write(&trusted, authority.0.pem()).expect("written");
    let node = node(scratch.path(), port, &format!("client_authority = {trusted:?}\n"));
    let brokers = scratch.path().join("data/tls/self-signed.cert.pem");
    let (endpoint, brokers) = (format!("127.0.0.1:{port}"), brokers.to_str().expect("UTF-8"));
    let by = |user: &str, [cert, key]: &[String; 2], args: &[&str]| {
        let who = ["--endpoint", &endpoint, "--tls-ca", brokers, "--access-key", user];
        ledgermq(&[args, &who, &["--tls-cert", cert, "--tls-key", key]].concat())
    };
    let admin = authority.sign(scratch.path(), "admin", "admin");
    let eve = authority.sign(scratch.path(), "eve", "eve");
    by("admin", &admin, &["topic", "create", "orders"]).code(0);
    by("eve", &eve, &["topic", "list"]).code(1);
    by("admin", &admin, &["user", "create", "eve"]).code(0);
    by("admin", &admin, &["acl", "create", "eve", "--resource", "topic:*", "--actions", "list"]).code(0);
    by("eve", &eve, &["topic", "list"]).code(0);
    let refused = by("eve", &eve, &["topic", "create", "mine"]).code(1);
    assert!(refused.err.contains("user eve may not create"), "{refused:?}");

    // One's own certificate, another one's name; and a certificate that somebody else signed.
    let refused = by("admin", &eve, &["topic", "list"]).code(1);
    assert!(refused.err.contains("no certificate of a user of this name"), "{refused:?}");
    let forged = Authority::new().sign(scratch.path(), "forged", "admin");
    by("admin", &forged, &["topic", "list"]).code(4);
    let unsigned = ["topic", "list", "--endpoint", &endpoint, "--tls-ca", brokers];
    ledgermq(&unsigned).code(1);

    // Another authority is taken without a restart.
    let next = Authority::new();
    std::fs::write(&trusted, next.0.pem()).expect("written");
    let admin = next.sign(scratch.path(), "next", "admin");
    let deadline = Instant::now() + Duration::from_secs(60);
    while by("admin", &admin, &["topic", "list"]).code != 0 {
        assert!(Instant::now() < deadline, "the new authority is not taken");
    }
    by("eve", &eve, &["topic", "list"]).code(4);
    assert_eq!(node.signal("TERM"), Some(0));
}

const REQUEST: &str = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[test]
fn metrics_are_for_users_who_may_look_at_the_cluster() {
    let scratch = tempfile::tempdir().expect("a directory");
    let port = free_base_port(1);
    let node = node(scratch.path(), port, "");
    let authority = scratch.path().join("data/tls/self-signed.cert.pem");
    let authority = authority.to_str().expect("UTF-8");
    let secret = node.greeting.split("secret key  ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let (secret, secret_file) = (secret.expect("a secret"), scratch.path().join("secret"));
    std::fs::write(&secret_file, secret).expect("written");
    let secret_file = secret_file.to_str().expect("UTF-8");
    let endpoint = format!("127.0.0.1:{port}");
    let by_admin = |args: &[&str]| {
        let who = ["--endpoint", &endpoint, "--access-key", "admin", "--secret-key-file", secret_file];
        ledgermq(&[args, &who, &["--tls-ca", authority]].concat()).code(0)
    };
    let chosen = scratch.path().join("chosen");
    std::fs::write(&chosen, "a-secret-of-prometheus").expect("written");
    by_admin(&["user", "create", "prometheus", "--secret-file", chosen.to_str().expect("UTF-8")]);

    let metrics = |credentials: &str| {
        let header = match credentials {
            "" => String::new(),
            shown => format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(shown)),
        };
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n");
        https(port + 1, authority, &request)
    };
    for nobody in ["", "admin:", "nobody:x", "prometheus:a-secret-of-someone"] {
        let answer = metrics(nobody);
        assert!(
            answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Basic"),
            "{nobody}: {answer}"
        );
        assert!(!answer.contains("ledgermq_"), "{nobody}");
    }
    let answer = metrics("prometheus:a-secret-of-prometheus");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    by_admin(&["acl", "create", "prometheus", "--resource", "cluster:*", "--actions", "get"]);
    assert!(metrics("prometheus:a-secret-of-prometheus").contains("ledgermq_"));
    assert!(metrics(&format!("admin:{secret}")).starts_with("HTTP/1.1 200"));
    assert_eq!(node.signal("TERM"), Some(0));
}

fn plain_http(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(REQUEST.as_bytes()).expect("sent");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn https(port: u16, authority: &str, request: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("UTF-8")
}
