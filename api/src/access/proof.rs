//! What the last signed request of a connection proved.
//!
//! A client signs the date, by the second at most, so that almost every request on a connection has the very headers of the
//! one before. Who these are of need not be found out again, as long as the user's secret is the one that they were proved
//! with: that is looked at every time, so who is deleted or gets another secret is not known from the next request on.

use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::sync::{PoisonError, RwLock};

use raft::access::User;

/// The headers that prove who signed a request.
#[derive(Clone, Copy)]
pub struct Signed<'h> {
    /// The header `authorization`.
    pub authorization: &'h [u8],
    /// The header that is signed.
    pub date_time: &'h [u8],
}

/// What the last signed request of a connection proved.
#[derive(Default)]
pub struct Proof(RwLock<Option<Proved>>);

struct Proved {
    authorization: Vec<u8>,
    date_time: Vec<u8>,
    user: String,
    sealed_secret: Vec<u8>,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

impl Proof {
    /// The user of whom it was proved that these headers are, if it still has the secret that it had then.
    pub fn user_of<'u>(&self, users: &'u BTreeMap<String, User>, headers: Signed<'_>) -> Option<&'u User> {
        let proved = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let proved = proved.as_ref()?;
        let is_proved = equal(&proved.authorization, headers.authorization)
            && equal(&proved.date_time, headers.date_time);
        let user = users.get(&proved.user).filter(|_| is_proved)?;
        (user.secret == proved.sealed_secret).then_some(user)
    }

    /// Keeps that these headers were proved to be of this user, instead of what was proved before.
    pub fn keep(&self, headers: Signed<'_>, user: &User) {
        let proved = Proved {
            authorization: headers.authorization.to_vec(),
            date_time: headers.date_time.to_vec(),
            user: user.name.clone(),
            sealed_secret: user.secret.clone(),
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(proved);
    }
}

/// Whether two texts are the same. Takes as long wherever they differ: a connection may carry the requests of many.
fn equal(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
    one.len() == other.len() && black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use raft::access::Role;

    use super::*;

    fn users(secret: &[u8]) -> BTreeMap<String, User> {
        let user = User {
            name: "shop".into(),
            secret: secret.to_vec(),
            role: Role::Normal,
            enabled: true,
            created_ms: 0,
            revision: 0,
            rules: Vec::new(),
        };
        BTreeMap::from([(user.name.clone(), user)])
    }

    #[test]
    fn only_the_very_headers_prove_and_only_while_the_secret_is_the_same() {
        let (proof, users_now) = (Proof::default(), users(b"sealed"));
        let headers = Signed { authorization: b"signed by shop", date_time: b"today" };
        let name = |users: &BTreeMap<String, User>, headers: Signed<'_>| {
            proof.user_of(users, headers).map(|user| user.name.clone())
        };
        assert_eq!(name(&users_now, headers), None, "nothing was proved yet");
        proof.keep(headers, &users_now["shop"]);
        assert_eq!(name(&users_now, headers), Some("shop".to_owned()));
        for other in [
            Signed { authorization: b"signed by sho", ..headers },
            Signed { authorization: b"signed by shop.", ..headers },
            Signed { authorization: b"Signed by shop", ..headers },
            Signed { authorization: b"", ..headers },
            Signed { date_time: b"todaz", ..headers },
            Signed { date_time: b"", ..headers },
        ] {
            assert_eq!(name(&users_now, other), None);
        }
        assert_eq!(name(&users(b"another"), headers), None, "it has another secret now");
        assert_eq!(name(&BTreeMap::new(), headers), None, "it is no more");
    }
}
