//! Secrets as `meta` keeps them: sealed with a key that every node has and the log does not.
//!
//! A signature is checked with the secret itself, so a salted hash will not do. What is sealed is bound to the name of its
//! user: the secret of one cannot be put into the row of another.
//!
//! ```text
//! u8 version, 1 | 12 bytes nonce | the secret, ChaCha20-Poly1305 (RFC 8439) with the user's name as associated data | 16 bytes tag
//! ```

use std::fmt;
use std::path::Path;

use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

const VERSION: u8 = 1;
/// Bytes of the key.
pub const KEY_BYTES: usize = 32;

/// The key of the cluster. Its file is the same on every node.
pub struct SealKey(LessSafeKey);

/// Why a key or a secret cannot be used.
#[derive(Debug, Error)]
pub enum SealError {
    /// The file of the key cannot be read.
    #[error("cannot use the seal key {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{path} is no seal key: it must hold {KEY_BYTES} bytes as {} hex digits (`ledgermq acl new-key` makes one)", 2 * KEY_BYTES)]
    NoKey {
        /// The file.
        path: String,
    },
    /// It was sealed with another key, or for another user, or is damaged.
    #[error(
        "a secret was sealed with another key than this node has: give every node the same access.seal_key"
    )]
    Opened,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl fmt::Debug for SealKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// The key with these bytes.
    pub fn of_bytes(bytes: &[u8; KEY_BYTES]) -> SealKey {
        SealKey(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("the length is right")))
    }

    /// Reads the key's file: hex digits, and perhaps an end of line.
    ///
    /// # Errors
    /// [`SealError::File`], [`SealError::NoKey`].
    pub fn read(path: &Path) -> Result<SealKey, SealError> {
        let named = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| SealError::File { path: named.clone(), source })?;
        let digits: Option<Vec<u8>> =
            text.trim_end().chars().map(|digit| digit.to_digit(16).map(|it| it as u8)).collect();
        let bytes: Vec<u8> = digits
            .unwrap_or_default()
            .chunks(2)
            .filter(|pair| pair.len() == 2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        match <[u8; KEY_BYTES]>::try_from(bytes) {
            Ok(bytes) if text.trim_end().len() == 2 * KEY_BYTES => Ok(SealKey::of_bytes(&bytes)),
            _ => Err(SealError::NoKey { path: named }),
        }
    }

    /// Makes a key and writes its file, readable by its owner only.
    ///
    /// # Errors
    /// [`SealError::File`]; also if there is a file already.
    pub fn make(path: &Path) -> Result<(), SealError> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let failed = |source| SealError::File { path: path.display().to_string(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file =
            std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(SealKey::text()?.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// A new key as its file has it.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn text() -> Result<String, SealError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::Random)?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(digits + "\n")
    }

    /// Seals a secret for a user.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn seal(&self, user: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; aead::NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut sealed = secret.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(unique, Aad::from(user.as_bytes()), &mut sealed)
            .expect("a secret is short enough");
        Ok([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for a user.
    ///
    /// # Errors
    /// [`SealError::Opened`].
    pub fn open(&self, user: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Opened)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(SealError::Opened)?;
        if *version != VERSION {
            return Err(SealError::Opened);
        }
        let mut opened = rest.to_vec();
        let aad = Aad::from(user.as_bytes());
        let secret = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut opened);
        let length = secret.map_err(|_| SealError::Opened)?.len();
        opened.truncate(length);
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_opened_by_its_key_for_its_user_only() {
        let (key, other) = (SealKey::of_bytes(&[7; 32]), SealKey::of_bytes(&[8; 32]));
        let sealed = key.seal("shop", b"secret").unwrap();
        assert_eq!(key.open("shop", &sealed).unwrap(), b"secret");
        assert!(key.open("admin", &sealed).is_err() && other.open("shop", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open("shop", &damaged).is_err(), "byte {at}");
        }
        for short in 0..sealed.len() {
            assert!(key.open("shop", &sealed[..short]).is_err());
        }
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(key.seal("shop", b"secret").unwrap(), sealed, "each has a nonce of its own");
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deep").join("key");
        SealKey::make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = SealKey::read(&path).unwrap().seal("u", b"s").unwrap();
        assert!(SealKey::make(&path).is_err(), "it would lock everybody out");
        assert_eq!(SealKey::read(&path).unwrap().open("u", &sealed).unwrap(), b"s");
    }

    #[test]
    fn a_key_is_read_from_hex() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("key");
        std::fs::write(&path, format!("{}\n", "07".repeat(32))).unwrap();
        let sealed = SealKey::of_bytes(&[7; 32]).seal("u", b"s").unwrap();
        assert_eq!(SealKey::read(&path).unwrap().open("u", &sealed).unwrap(), b"s");
        for wrong in ["", "07", &"0g".repeat(32), &"07".repeat(33), &format!("{}0", "07".repeat(32))] {
            std::fs::write(&path, wrong).unwrap();
            let error = SealKey::read(&path).unwrap_err();
            assert!(error.to_string().contains("new-key"), "{wrong:?}: {error}");
        }
        assert!(SealKey::read(&scratch.path().join("none")).unwrap_err().to_string().contains("none"));
        assert_eq!(format!("{:?}", SealKey::of_bytes(&[7; 32])), "SealKey(..)");
    }
}
