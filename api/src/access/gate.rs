//! The gate that every request passes: who is it, and may it do that?
//!
//! Users and rules are looked up in the catalog of the moment, so a change counts from the next request on. Only opened
//! secrets are kept, and what the last headers of a connection proved, for as long as the sealed secret is the one in the
//! catalog.
//!
//! What is refused, and who changed what, goes to the audit log: the log's target `audit`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};

use raft::access::{Action, Asked, Decision, Target, User};
use raft::catalog::Catalog;
use ring::hmac;

use super::certificate;
use super::demand::{Demand, Demands, Names};
use super::proof::Signed;
use super::seal::SealKey;
use super::signature::{self, AUTHORIZATION, DATE_TIME, Signature};
use crate::convert::status::Fault;
use crate::messaging::caller::Caller;

/// Whether access is controlled, and with which key.
#[derive(Clone, Debug, Default)]
pub enum AccessControl {
    /// Everybody may do everything, and there are no users.
    #[default]
    Off,
    /// Everybody may do everything, while users and rules can be made: what comes before [`AccessControl::On`].
    Prepared(Arc<SealKey>),
    /// Who is not known gets nowhere.
    On(Arc<SealKey>),
}

/// The gate of this node.
pub struct Gate {
    key: Option<Arc<SealKey>>,
    closed: Option<Closed>,
}

/// A gate that is not open to all.
struct Closed {
    key: Arc<SealKey>,
    /// By user: the sealed secret, and the key that it holds.
    opened: RwLock<HashMap<String, (Vec<u8>, hmac::Key)>>,
}

impl Gate {
    /// Lets those in whom `meta` knows, where access is controlled; their secrets are opened with its key.
    pub fn new(control: AccessControl) -> Gate {
        match control {
            AccessControl::Off => Gate { key: None, closed: None },
            AccessControl::Prepared(key) => Gate { key: Some(key), closed: None },
            AccessControl::On(key) => {
                let closed = Closed { key: key.clone(), opened: RwLock::default() };
                Gate { key: Some(key), closed: Some(closed) }
            }
        }
    }

    /// The key that secrets are sealed with; none where there are no users.
    pub fn key(&self) -> Option<&SealKey> {
        self.key.as_deref()
    }

    /// Whether access is controlled.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// The user who calls, if that one may do all that the request demands of this cluster. An open gate asks nothing and
    /// knows nobody.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] if it is not known who calls, [`Fault::Forbidden`] if that one may not.
    pub fn admit<'c>(
        &self,
        catalog: &'c Catalog,
        cluster: &str,
        caller: &Caller,
        request: &impl Demands,
    ) -> Result<Option<&'c User>, Fault> {
        let Some(closed) = &self.closed else { return Ok(None) };
        let source = source(caller);
        let user = closed.who(catalog, caller).inspect_err(|fault| {
            told_of(caller, |untold| {
                tracing::warn!(target: "audit", %source, why = %fault, untold, "refused: not known");
            });
        })?;
        let names = Names { namespace: caller.namespace() };
        for demand in request.demands(&names) {
            if let Err(why) = meets(user, &demand, cluster, source) {
                told_of(caller, |untold| {
                    tracing::warn!(target: "audit", user = user.name, %source, why, untold, "refused");
                });
                return Err(Fault::Forbidden(why));
            }
        }
        Ok(Some(user))
    }

    /// Who a caller that was admitted is.
    pub fn name_of<'c>(&self, caller: &'c Caller) -> Option<&'c str> {
        let header = caller.header(AUTHORIZATION)?;
        let signed = || Signature::parse(header).ok().map(|signature| signature.access_key);
        certificate::claimed(header).or_else(signed)
    }

    /// Whether the caller may do this one thing, for lists that show only what their reader may see.
    pub fn may(&self, catalog: &Catalog, caller: &Caller, action: Action, target: Target<'_>) -> bool {
        let Some(closed) = &self.closed else { return true };
        let asked = Asked { action, target, source: source(caller) };
        closed.who(catalog, caller).is_ok_and(|user| user.may(asked).is_allowed())
    }
}

/// Tells of a refusal, but not for every try of somebody who tries on and on; then it says how many were not told.
fn told_of(caller: &Caller, tell: impl FnOnce(Option<u64>)) {
    match caller.peer().map(|peer| peer.holder.may_be_told_of()) {
        Some(None) => {}
        Some(Some(untold)) => tell((untold > 0).then_some(untold)),
        None => tell(None),
    }
}

/// The headers that prove who signed a request, whatever they hold.
fn signed(caller: &Caller) -> Option<Signed<'_>> {
    Some(Signed { authorization: caller.bytes(AUTHORIZATION)?, date_time: caller.bytes(DATE_TIME)? })
}

fn source(caller: &Caller) -> IpAddr {
    caller.source().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Why a user does not meet a demand.
fn meets(user: &User, demand: &Demand<'_>, cluster: &str, source: IpAddr) -> Result<(), String> {
    let name = &user.name;
    let Some((actions, target)) = demand.parts(cluster) else {
        return match user.is_acting_admin() {
            true => Ok(()),
            false => Err(format!("user {name} is no administrator")),
        };
    };
    let decided = |action: &Action| user.may(Asked { action: *action, target, source });
    let mut decisions = actions.iter().map(|action| (action, decided(action)));
    let Some((action, first)) = decisions.next() else { return Ok(()) };
    if first.is_allowed() || decisions.any(|(_, decision)| decision.is_allowed()) {
        return Ok(());
    }
    Err(format!("user {name} may not {} {target}: {}", action.name(), told(first)))
}

impl Closed {
    fn who<'c>(&self, catalog: &'c Catalog, caller: &Caller) -> Result<&'c User, Fault> {
        let proof = caller.peer().map(|peer| &*peer.proof);
        let headers = signed(caller);
        let known = proof.zip(headers).and_then(|(proof, headers)| proof.user_of(&catalog.users, headers));
        if let Some(user) = known {
            return Ok(user);
        }
        let refused = |why: &str| Fault::Unauthorized(why.to_owned());
        let header = caller.header(AUTHORIZATION).ok_or_else(|| refused("the request is not signed"))?;
        if let Some(name) = certificate::claimed(header) {
            let shown = caller.peer().and_then(|peer| peer.certificate.as_deref());
            let is_shown = shown.is_some_and(|certificate| certificate::is_of(certificate, name));
            let user = catalog.users.get(name).filter(|_| is_shown);
            return user.ok_or_else(|| refused("the connection has no certificate of a user of this name"));
        }
        let signature = Signature::parse(header).map_err(|malformed| refused(&malformed.to_string()))?;
        let date_time =
            caller.header(DATE_TIME).ok_or_else(|| refused("the header x-mq-date-time is missing"))?;
        // Whether there is no such user or the secret is another one is nobody's business.
        let unknown = || refused("the access key is not known, or the signature is not made with its secret");
        let Some(user) = catalog.users.get(signature.access_key) else {
            // It takes as long as for a user that there is.
            let nobody = signature::key(&[0; 32]);
            std::hint::black_box(signature.is_by(&nobody, date_time.as_bytes()));
            return Err(unknown());
        };
        if !self.verify(user, &signature, date_time.as_bytes()) {
            return Err(unknown());
        }
        if let (Some(proof), Some(headers)) = (proof, headers) {
            proof.keep(headers, user);
        }
        Ok(user)
    }

    fn verify(&self, user: &User, signature: &Signature<'_>, date_time: &[u8]) -> bool {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((sealed, key)) = opened.get(&user.name)
            && *sealed == user.secret
        {
            return signature.is_by(key, date_time);
        }
        drop(opened);
        let secret = match self.key.open(&user.name, &user.secret) {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!(user = user.name, %error, "a user cannot be let in");
                return false;
            }
        };
        let key = signature::key(&secret);
        let is_by = signature.is_by(&key, date_time);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.insert(user.name.clone(), (user.secret.clone(), key));
        is_by
    }
}

fn told(decision: Decision<'_>) -> String {
    match decision {
        Decision::Admin => "administrators may do everything".to_owned(),
        Decision::Disabled => "the user is disabled".to_owned(),
        Decision::NoRule => "no rule allows it".to_owned(),
        Decision::ByRule(rule) => format!("the rule for {} decides", rule.resource),
    }
}

#[cfg(test)]
mod tests {
    use proto::v2::{Message, Resource, SendMessageRequest};
    use raft::access::{Effect, Role, Rule};
    use tonic::Request;

    use super::*;
    use crate::access::signature::sign;

    const DATE: &str = "2026-11-29T12:00:00Z";

    fn catalog(key: &SealKey) -> Catalog {
        let allow = Rule {
            resource: "topic:orders".parse().unwrap(),
            actions: [Action::Publish].into(),
            sources: Default::default(),
            effect: Effect::Allow,
        };
        let user = |name: &str, rules| User {
            name: name.into(),
            secret: key.seal(name, b"secret").unwrap(),
            role: Role::Normal,
            enabled: true,
            created_ms: 0,
            revision: 0,
            rules,
        };
        let users = [user("shop", vec![allow]), user("other", vec![])];
        Catalog { users: Arc::new(users.map(|user| (user.name.clone(), user)).into()), ..Catalog::default() }
    }

    fn caller(authorization: Option<&str>, date_time: &str) -> Caller {
        let mut request = Request::new(());
        request.metadata_mut().insert(DATE_TIME, date_time.parse().unwrap());
        if let Some(authorization) = authorization {
            request.metadata_mut().insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        Caller::of(request).0
    }

    #[test]
    fn who_is_known_may_do_what_rules_allow_and_nobody_else_anything() {
        let key = SealKey::of_bytes(&[7; 32]);
        let mut catalog = catalog(&key);
        let gate = Gate::new(AccessControl::On(Arc::new(key)));
        let publish = |gate: &Gate, catalog: &Catalog, caller: &Caller, topic: &str| -> Result<(), Fault> {
            let topic = Resource { resource_namespace: String::new(), name: topic.to_owned() };
            let message = Message { topic: Some(topic), ..Message::default() };
            gate.admit(catalog, "test", caller, &SendMessageRequest { messages: vec![message] }).map(drop)
        };
        let signed =
            |user: &str, secret: &[u8], at: &str| caller(Some(&sign(user, secret, DATE.as_bytes())), at);
        let shop = signed("shop", b"secret", DATE);
        assert_eq!(publish(&gate, &catalog, &shop, "orders"), Ok(()));
        assert_eq!(publish(&gate, &catalog, &shop, "orders"), Ok(()), "with the secret that is kept");
        for (caller, topic) in [(&shop, "other"), (&signed("other", b"secret", DATE), "orders")] {
            assert!(matches!(publish(&gate, &catalog, caller, topic), Err(Fault::Forbidden(_))));
        }
        for nobody in [
            caller(None, DATE),
            caller(Some("Bearer x"), DATE),
            signed("nobody", b"secret", DATE),
            signed("shop", b"wrong", DATE),
            signed("", b"", DATE),
            signed("shop", b"secret", "2026-11-29T12:00:01Z"),
        ] {
            let refused = publish(&gate, &catalog, &nobody, "orders");
            assert!(matches!(refused, Err(Fault::Unauthorized(_))), "{refused:?}");
            assert_eq!(publish(&Gate::new(AccessControl::Off), &catalog, &nobody, "orders"), Ok(()));
        }

        // Another secret counts from the next request on.
        let sealed = SealKey::of_bytes(&[7; 32]).seal("shop", b"new").unwrap();
        Arc::make_mut(&mut catalog.users).get_mut("shop").unwrap().secret = sealed;
        assert!(publish(&gate, &catalog, &shop, "orders").is_err());
        assert_eq!(publish(&gate, &catalog, &signed("shop", b"new", DATE), "orders"), Ok(()));
        Arc::make_mut(&mut catalog.users).get_mut("shop").unwrap().enabled = false;
        let disabled = publish(&gate, &catalog, &signed("shop", b"new", DATE), "orders");
        assert!(matches!(disabled, Err(Fault::Forbidden(_))), "{disabled:?}");
    }
}
