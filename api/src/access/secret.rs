//! Secrets of users: made, and checked when they come from elsewhere.

use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of chance in a secret that is made here: as many as an HMAC-SHA1 can use, and some more.
const BYTES: usize = 24;
/// A shorter secret can be guessed from a single signature that somebody has seen.
const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 256;

/// A new secret, as hex.
///
/// # Panics
/// When the system gives no random bytes: nothing that needs a secret may go on then.
pub fn new() -> String {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a secret will do.
///
/// # Errors
/// A sentence.
pub fn check(secret: &str) -> Result<(), String> {
    let printable = secret.bytes().all(|byte| byte.is_ascii_graphic());
    match printable && (LENGTH_MIN..=LENGTH_MAX).contains(&secret.len()) {
        true => Ok(()),
        false => {
            Err(format!("a secret has {LENGTH_MIN} to {LENGTH_MAX} printable ASCII characters and no blanks"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_will_do_and_is_never_the_same() {
        let (one, other) = (new(), new());
        assert_ne!(one, other);
        assert_eq!((one.len(), check(&one)), (48, Ok(())));
    }

    #[test]
    fn what_can_be_guessed_or_not_be_written_is_refused() {
        for wrong in
            ["", "short", "fifteen-letters", "with a blank in it", &"x".repeat(257), "ümläüte-are-not-ok"]
        {
            assert!(check(wrong).is_err(), "{wrong:?} was taken");
        }
        assert!(check("sixteen-letters.").is_ok());
    }
}
