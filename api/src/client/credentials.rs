//! Who a client is: an access key and its secret.

use std::path::Path;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::access::signature::{AUTHORIZATION, DATE_TIME, sign};

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name of a user.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ..)", self.access_key)
    }
}

impl Credentials {
    /// With the secret that is in a file, without the end of the line.
    ///
    /// # Errors
    /// A sentence.
    pub fn with_secret_of(access_key: &str, file: &Path) -> Result<Credentials, String> {
        let read = std::fs::read_to_string(file);
        let secret = read.map_err(|error| format!("cannot read the secret {}: {error}", file.display()))?;
        Ok(Credentials { access_key: access_key.to_owned(), secret: secret.trim_end().to_owned() })
    }

    /// Signs what has these headers. The signature is of the date only, so it serves for many requests.
    ///
    /// # Errors
    /// A sentence, when the access key is no text for a header.
    pub fn sign(&self, headers: &mut MetadataMap) -> Result<(), String> {
        let now_ms = raft::clock::now_ms() as i64;
        let date = crate::cli::moment::print_unix_ms(now_ms);
        let text = sign(&self.access_key, self.secret.as_bytes(), date.as_bytes());
        let value = |text: &str| -> Result<MetadataValue<Ascii>, String> {
            text.parse().map_err(|_| format!("{:?} is no access key", self.access_key))
        };
        headers.insert(DATE_TIME, value(&date)?);
        headers.insert(AUTHORIZATION, value(&text)?);
        Ok(())
    }
}
