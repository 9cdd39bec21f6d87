//! Signatures of requests, as the official clients make them.
//!
//! ```text
//! authorization: MQv2-HMAC-SHA1 Credential=KEY[/...], SignedHeaders=x-mq-date-time, Signature=HEX
//! ```
//!
//! The signature is HMAC-SHA1 over the bytes of the header `x-mq-date-time`. Clients write dates in several ways, so the
//! date is not read: a signature proves that its maker knew the secret, and not when. That it cannot be replayed is for TLS
//! to see to.

use ring::hmac;
use thiserror::Error;

/// The header of the signature.
pub const AUTHORIZATION: &str = "authorization";
/// The header that is signed.
pub const DATE_TIME: &str = "x-mq-date-time";

const ALGORITHM: &str = "MQv2-HMAC-SHA1";
const SIGNATURE_BYTES: usize = 20;

/// The longest header that is looked at, in bytes.
const HEADER_BYTES_MAX: usize = 1024;

/// What the header says, checked for its form only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The access key: the name of a user. May be empty, as a Python client without credentials sends it.
    pub access_key: &'a str,
    bytes: [u8; SIGNATURE_BYTES],
}

/// Why a header is no signature. The words never repeat what it holds.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// It has too many bytes.
    #[error("the authorization header is longer than {HEADER_BYTES_MAX} bytes")]
    TooLong,
    /// It does not begin as it should.
    #[error("the authorization header does not begin with {ALGORITHM}")]
    Algorithm,
    /// It has no key.
    #[error("the authorization header has no Credential")]
    NoCredential,
    /// It has no signature.
    #[error("the authorization header has no Signature of {SIGNATURE_BYTES} bytes in hex")]
    NoSignature,
    /// It signs something else.
    #[error("the authorization header does not sign {DATE_TIME}")]
    OtherHeaders,
}

impl<'a> Signature<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(header: &'a str) -> Result<Signature<'a>, Malformed> {
        if header.len() > HEADER_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let (algorithm, fields) = header.trim().split_once(' ').ok_or(Malformed::Algorithm)?;
        if algorithm != ALGORITHM {
            return Err(Malformed::Algorithm);
        }
        let (mut credential, mut signature, mut signed) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                Some(("SignedHeaders", value)) => signed = Some(value),
                _ => {}
            }
        }
        let credential = credential.ok_or(Malformed::NoCredential)?;
        if !signed.is_some_and(|signed| signed.trim().eq_ignore_ascii_case(DATE_TIME)) {
            return Err(Malformed::OtherHeaders);
        }
        let access_key = credential.split_once('/').map_or(credential, |(key, _)| key).trim();
        let bytes = signature.and_then(|text| from_hex(text.trim())).ok_or(Malformed::NoSignature)?;
        Ok(Signature { access_key, bytes })
    }

    /// Whether it was made with this key, for this value of the header. Takes as long whatever differs.
    pub fn is_by(&self, key: &hmac::Key, date_time: &[u8]) -> bool {
        hmac::verify(key, date_time, &self.bytes).is_ok()
    }
}

/// The key that a secret is.
pub fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret)
}

/// The header for a request of our own clients.
pub fn sign(access_key: &str, secret: &[u8], date_time: &[u8]) -> String {
    let tag = hmac::sign(&key(secret), date_time);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{ALGORITHM} Credential={access_key}, SignedHeaders={DATE_TIME}, Signature={hex}")
}

fn from_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    let mut bytes = [0; SIGNATURE_BYTES];
    if text.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8] = b"20261129T120000Z";

    #[test]
    fn what_is_signed_is_recognized_and_nothing_else() {
        let header = sign("shop", b"secret", DATE);
        let signature = Signature::parse(&header).unwrap();
        assert_eq!(signature.access_key, "shop");
        assert!(signature.is_by(&key(b"secret"), DATE));
        assert!(!signature.is_by(&key(b"Secret"), DATE) && !signature.is_by(&key(b""), DATE));
        assert!(!signature.is_by(&key(b"secret"), b"20261129T120001Z"));
    }

    /// RFC 2202, test case 2.
    #[test]
    fn it_is_the_hmac_of_the_standard() {
        let header = sign("k", b"Jefe", b"what do ya want for nothing?");
        assert!(header.ends_with("Signature=EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"), "{header}");
    }

    #[test]
    fn clients_write_it_in_several_ways() {
        let hex = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        for header in [
            format!("MQv2-HMAC-SHA1 Credential=k, SignedHeaders=x-mq-date-time, Signature={hex}"),
            format!("MQv2-HMAC-SHA1 Credential=k/cn/RocketMQ, SignedHeaders=x-mq-date-time, Signature={hex}"),
            format!(
                "MQv2-HMAC-SHA1 Credential=k//RocketMQ,SignedHeaders=X-Mq-Date-Time,Signature={}",
                hex.to_uppercase()
            ),
        ] {
            let signature = Signature::parse(&header).expect(&header);
            assert_eq!(signature.access_key, "k");
            assert!(signature.is_by(&key(b"Jefe"), b"what do ya want for nothing?"));
        }
        let empty = format!("MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, Signature={hex}");
        assert_eq!(Signature::parse(&empty).unwrap().access_key, "");
    }

    #[test]
    fn what_is_no_signature_is_told_without_repeating_it() {
        let hex = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        for (header, why) in [
            (String::new(), Malformed::Algorithm),
            ("Bearer abc".into(), Malformed::Algorithm),
            (
                format!("MQv2-HMAC-SHA1 SignedHeaders=x-mq-date-time, Signature={hex}"),
                Malformed::NoCredential,
            ),
            (format!("MQv2-HMAC-SHA1 Credential=k, Signature={hex}"), Malformed::OtherHeaders),
            (
                format!("MQv2-HMAC-SHA1 Credential=k, SignedHeaders=host, Signature={hex}"),
                Malformed::OtherHeaders,
            ),
            ("MQv2-HMAC-SHA1 Credential=k, SignedHeaders=x-mq-date-time".into(), Malformed::NoSignature),
            (
                format!("MQv2-HMAC-SHA1 Credential=k, SignedHeaders=x-mq-date-time, Signature={hex}0"),
                Malformed::NoSignature,
            ),
            (
                format!(
                    "MQv2-HMAC-SHA1 Credential=k, SignedHeaders=x-mq-date-time, Signature={}",
                    "é".repeat(20)
                ),
                Malformed::NoSignature,
            ),
            (format!("MQv2-HMAC-SHA1 Credential={}", "k".repeat(2000)), Malformed::TooLong),
        ] {
            assert_eq!(Signature::parse(&header), Err(why), "{header}");
        }
    }
}
