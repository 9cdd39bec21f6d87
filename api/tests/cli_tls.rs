//! The command line, the HTTP port and the ports of the peers over TLS, with a real process.

mod cli_process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use cli_process::{Background, free_base_port, ledgermq};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// A node whose ports speak TLS only, with a certificate that it made itself.
fn node(scratch: &Path, port: u16) -> Background {
    let config = scratch.join("node.toml");
    let text = format!(
        "[node]\ndata = {:?}\n[grpc]\nbind = \"127.0.0.1:{port}\"\ntls_only = true\n\
         [http]\nbind = \"127.0.0.1:{}\"\ntls_only = true\n[peer]\nbind = \"127.0.0.1:{}\"\n\
         [log]\nsegment_bytes = \"64MiB\"\n[access]\nenabled = true\n",
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
    let node = node(scratch.path(), port);
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

    assert!(https(port + 1, authority).contains("200 OK"));
    assert_eq!(plain_http(port + 1), "", "plaintext is not answered");
    assert_eq!(node.signal("TERM"), Some(0));
}

const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn plain_http(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(REQUEST).expect("sent");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn https(port: u16, authority: &str) -> String {
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
    stream.write_all(REQUEST).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("UTF-8")
}
