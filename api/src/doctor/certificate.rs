//! The certificate that a node serves: until when it is valid.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;

use super::{Finding, Level};
use crate::sentence::Sentence;

const CHECK: &str = "certificate";
const WAIT_MAX: Duration = Duration::from_secs(5);
const DAY_MS: i64 = 86_400_000;
/// A certificate that ends sooner is told of.
const WARN_MS: i64 = 30 * DAY_MS;
/// And as bad when it ends within this.
const BAD_MS: i64 = 3 * DAY_MS;

/// Asks a node's client port for its certificate, and judges it.
pub async fn finding(place: &str, grpc: &str) -> Finding {
    let asked = tokio::time::timeout(WAIT_MAX, served(grpc)).await;
    let told = match asked {
        Err(_) => Err("no answer in time".to_owned()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(der)) => ends_unix_ms(&der).ok_or_else(|| "the certificate cannot be read".to_owned()),
    };
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    match told {
        Ok(ends_ms) => judge(place, ends_ms, now_ms),
        Err(error) => {
            let advice = Sentence::new(
                "reach_port",
                "look whether this machine reaches the port; clients that dial TLS cannot connect either",
            );
            let what = Sentence::new("tls_fails", "TLS at {address}: {error}");
            let what = what.with("address", grpc).with("error", error);
            Finding::new(Level::Warn, CHECK, place, what, advice)
        }
    }
}

fn judge(place: &str, ends_ms: i64, now_ms: i64) -> Finding {
    let found = Sentence::new("certificate_ends", "valid until {end_unix_ms}").at("end_unix_ms", ends_ms);
    let advice = Sentence::new(
        "new_certificate",
        "put a new one at grpc.tls_cert and grpc.tls_key: the node takes it within seconds",
    );
    match ends_ms - now_ms {
        ..BAD_MS => Finding::new(Level::Bad, CHECK, place, found, advice),
        BAD_MS..WARN_MS => Finding::new(Level::Warn, CHECK, place, found, advice),
        _ => Finding::ok(CHECK, place, found),
    }
}

/// The certificate is looked at, not trusted: nothing is sent to whoever has it.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn served(grpc: &str) -> Result<Vec<u8>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let host = grpc.rsplit_once(':').map_or(grpc, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(grpc).await.map_err(|error| error.to_string())?;
    let connected = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let connected = connected.map_err(|error| error.to_string())?;
    let (_, session) = connected.get_ref();
    let first = session.peer_certificates().and_then(<[_]>::first);
    first.map(|it| it.as_ref().to_vec()).ok_or_else(|| "it shows no certificate".to_owned())
}

/// The end of the validity of a certificate (RFC 5280), milliseconds since 1970.
fn ends_unix_ms(der: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(der)?;
    let (_, mut body, _) = element(certificate)?;
    // version, if it is there; serial number, signature, issuer.
    let (tag, _, rest) = element(body)?;
    body = if tag == 0xA0 { rest } else { body };
    for _ in 0..3 {
        body = element(body)?.2;
    }
    let (_, validity, _) = element(body)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        // UTCTime: two digits, from 1950 to 2049.
        0x17 => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        0x18 => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    let days = days_since_1970(year, month, day);
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*der.first()?, usize::from(*der.get(1)?));
    let (length, at) = match first {
        0..0x80 => (first, 2),
        _ => {
            let bytes = der.get(2..2 + (first & 0x7F))?;
            (
                bytes
                    .iter()
                    .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?,
                2 + bytes.len(),
            )
        }
    };
    let end = at.checked_add(length)?;
    Some((tag, der.get(at..end)?, &der[end..]))
}

/// Of the proleptic Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::moment::print_unix_ms;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (year, month, day) in [(2031, 2, 28), (2049, 12, 31), (2051, 1, 1)] {
            let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().unwrap();
            let made = parameters.self_signed(&key).unwrap();
            let expected = format!("{year:04}-{month:02}-{day:02}T00:00:00");
            let ends = print_unix_ms(ends_unix_ms(made.der()).expect("a certificate"));
            assert!(ends.starts_with(&expected), "{ends} is not {expected}");
            for cut in 0..made.der().len() / 2 {
                assert_eq!(ends_unix_ms(&made.der()[..cut]), None, "cut at {cut}");
            }
        }
    }

    #[test]
    fn one_that_ends_soon_is_told_of() {
        let level = |left| judge("node1", 1_000 * DAY_MS + left, 1_000 * DAY_MS).level;
        assert_eq!(level(31 * DAY_MS), Level::Ok);
        assert_eq!(level(29 * DAY_MS), Level::Warn);
        assert_eq!(level(2 * DAY_MS), Level::Bad);
        assert_eq!(level(-DAY_MS), Level::Bad);
    }
}
