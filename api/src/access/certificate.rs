//! Users that prove who they are by a certificate of their connection, instead of a signature.
//!
//! ```text
//! authorization: LedgerMQ-Certificate Credential=USER
//! ```
//!
//! The certificate was checked when the connection was made: an authority that signs users' certificates signed it, and who
//! has it has its key. It is the user's if the user's name is one of the DNS names among its alternative names: letter by
//! letter, for `Eve` is another user than `eve`, and a wildcard is nobody's name.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const SCHEME: &str = "LedgerMQ-Certificate";
const CREDENTIAL: &str = "Credential=";

/// The header of a client that is this user.
pub fn header(user: &str) -> String {
    format!("{SCHEME} {CREDENTIAL}{user}")
}

/// The user that a header names; `None` if it is another kind of header.
pub fn claimed(header: &str) -> Option<&str> {
    let (scheme, credential) = header.trim().split_once(' ')?;
    credential.trim().strip_prefix(CREDENTIAL).filter(|_| scheme == SCHEME)
}

/// Whether a certificate is that of a user.
pub fn is_of(certificate: &CertificateDer<'_>, user: &str) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.valid_dns_names().any(|name| name == user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_a_user() {
        assert_eq!(claimed(&header("ops.eve")), Some("ops.eve"));
        for other in
            ["", "LedgerMQ-Certificate", "Basic Credential=x", "MQv2-HMAC-SHA1 Credential=x, Signature=y"]
        {
            assert_eq!(claimed(other), None, "{other}");
        }
    }

    #[test]
    fn a_certificate_is_of_those_whose_names_it_bears() {
        let names = ["eve", "127.0.0.1", "*.ops.example", "ops.eve", "ops_2"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = made.cert.der();
        for user in ["eve", "ops.eve", "ops_2"] {
            assert!(is_of(certificate, user), "{user}");
        }
        for other in
            ["adam", "ev", "eve.x", "", "127.0.0.1", "*", "e ve", "Eve", "eve.", "a.ops.example", "ops"]
        {
            assert!(!is_of(certificate, other), "{other}");
        }
        assert!(!is_of(&CertificateDer::from(vec![1, 2, 3]), "eve"));
    }
}
