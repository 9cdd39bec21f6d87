//! Who is logged in: a cookie that every node of the cluster understands.
//!
//! It holds the user's name and secret, sealed with the key that secrets lie sealed with in `meta`, so no node has to remember
//! anything and nobody else can make one. Each request is signed with that secret and passes the gate like any other: a user
//! who gets another secret, is disabled or deleted is out at once.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::access::seal::SealKey;

/// A session ends when nothing was asked for so long.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// And so long after the login, whatever is asked.
pub const AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// The cookie is made anew after so long, so that it says when something was asked last.
const RENEWED_AFTER: Duration = Duration::from_secs(60);

const COOKIE_NAME: &str = "ledgermq_session";
/// What a session is bound to when it is sealed: no user has such a name.
const SEALED_FOR: &str = " session of the console";

/// Somebody who is logged in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The user.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// When it logged in, in milliseconds since 1970.
    begun_ms: u64,
    /// When something was asked, give or take [`RENEWED_AFTER`].
    used_ms: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, ..)", self.user)
    }
}

impl Session {
    /// Begins now.
    pub fn begin(user: String, secret: String, now_ms: u64) -> Session {
        Session { user, secret, begun_ms: now_ms, used_ms: now_ms }
    }

    /// The one whose cookie is among the headers, if it is not over.
    pub fn of_headers(headers: &HeaderMap, key: &SealKey, now_ms: u64) -> Option<Session> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut named =
            cookies.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, text) = named.find(|(name, _)| *name == COOKIE_NAME)?;
        let opened = key.open(SEALED_FOR, &BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let session: Session = serde_json::from_slice(&opened).ok()?;
        (now_ms < session.ends_ms()).then_some(session)
    }

    /// When it is over if nothing more is asked, in milliseconds since 1970.
    pub fn ends_ms(&self) -> u64 {
        let (idle_ms, age_ms) = (IDLE_MAX.as_millis() as u64, AGE_MAX.as_millis() as u64);
        (self.used_ms + idle_ms).min(self.begun_ms + age_ms)
    }

    /// The same, used now; none if its cookie need not be made anew.
    pub fn used(&self, now_ms: u64) -> Option<Session> {
        let is_due = now_ms >= self.used_ms + RENEWED_AFTER.as_millis() as u64;
        is_due.then(|| Session { used_ms: now_ms, ..self.clone() })
    }

    /// The header that sets its cookie. None if the system gives no random bytes.
    pub fn set_cookie(&self, key: &SealKey, is_tls: bool) -> Option<String> {
        let plain = serde_json::to_vec(self).expect("a session is plain text");
        let sealed = key.seal(SEALED_FOR, &plain).ok()?;
        Some(cookie(&BASE64_URL_SAFE_NO_PAD.encode(sealed), AGE_MAX.as_secs(), is_tls))
    }
}

/// The header that takes the cookie away.
pub fn no_cookie(is_tls: bool) -> String {
    cookie("", 0, is_tls)
}

fn cookie(value: &str, age_s: u64, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    fn value_of(set_cookie: &str) -> String {
        set_cookie.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_cookie_is_a_session_until_it_is_over() {
        let (key, minute_ms) = (SealKey::of_bytes(&[7; 32]), 60_000);
        let session = Session::begin("eve".into(), "secret".into(), 1_000_000);
        let set = session.set_cookie(&key, true).unwrap();
        assert!(set.contains("HttpOnly; SameSite=Strict; Secure") && !set.contains("secret"), "{set}");
        let sent = headers(&format!("theme=dark; {}", value_of(&set)));
        let at = |now_ms| Session::of_headers(&sent, &key, now_ms);
        assert_eq!(at(1_000_000), Some(session.clone()));
        assert_eq!(at(1_000_000 + 30 * minute_ms - 1), Some(session.clone()));
        assert_eq!(at(1_000_000 + 30 * minute_ms), None, "nothing was asked for too long");

        assert_eq!(session.used(1_000_000 + minute_ms - 1), None);
        let mut used = session;
        for minute in 1..=12 * 60 {
            used = used.used(1_000_000 + minute * minute_ms).expect("a minute has passed");
        }
        assert_eq!(used.ends_ms(), 1_000_000 + 12 * 60 * minute_ms, "twelve hours are the most");
        assert_eq!(Session::of_headers(&headers("theme=dark"), &key, 0), None);
    }

    #[test]
    fn nobody_makes_one_without_the_key_and_what_is_sealed_for_users_is_none() {
        let (key, other) = (SealKey::of_bytes(&[7; 32]), SealKey::of_bytes(&[8; 32]));
        let session = Session::begin("eve".into(), "secret".into(), 1);
        let sent = headers(&value_of(&session.set_cookie(&other, false).unwrap()));
        assert_eq!(Session::of_headers(&sent, &key, 1), None);
        let plain = serde_json::to_vec(&session).unwrap();
        for sealed in [key.seal("eve", &plain).unwrap(), plain, Vec::new()] {
            let sent = headers(&format!("{COOKIE_NAME}={}", BASE64_URL_SAFE_NO_PAD.encode(sealed)));
            assert_eq!(Session::of_headers(&sent, &key, 1), None);
        }
        assert!(no_cookie(false).starts_with("ledgermq_session=; Path=/; Max-Age=0"));
    }
}
