//! Users and their rules: made, changed and deleted. Secrets come sealed; the machine cannot read them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::tables::TableStore;
use store::tables::catalog::CatalogKey;

use super::metadata::MetaMachine;
use crate::access::{Effect, Resource, Role, Rule, User};
use crate::limits::{RULES_PER_USER_MAX, SEALED_SECRET_BYTES_MAX, USERS_MAX};
use crate::outcome::Outcome;
use crate::request::Rejection;

/// What is done to users. What is repeated has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessAction {
    /// Makes a user without rules.
    CreateUser {
        /// Its name.
        name: String,
        /// Its secret, sealed.
        #[serde(with = "crate::access::hex")]
        secret: Vec<u8>,
        /// What it is.
        role: Role,
        /// Only if there is no user at all yet: the first one.
        first: bool,
    },
    /// Changes a user; what is `None` stays.
    UpdateUser {
        /// Which one.
        name: String,
        /// Its new secret, sealed; empty: as it is.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::access::hex")]
        secret: Vec<u8>,
        /// What it is from now on.
        role: Option<Role>,
        /// Whether it may do anything at all.
        enabled: Option<bool>,
    },
    /// Deletes a user and its rules.
    DeleteUser {
        /// Which one.
        name: String,
    },
    /// Gives a user a rule, in place of the one for the same resource and effect.
    SetRule {
        /// Whom.
        user: String,
        /// Which.
        rule: Rule,
    },
    /// Takes rules from a user.
    DeleteRules {
        /// From whom.
        user: String,
        /// Those for this resource.
        resource: Resource,
        /// And for this effect, if one is named.
        effect: Option<Effect>,
    },
}

impl<T: TableStore> MetaMachine<T> {
    pub(super) fn change_access(&mut self, action: AccessAction) -> Result<Outcome, Rejection> {
        match action {
            AccessAction::CreateUser { name, secret, role, first } => {
                self.create_user(name, secret, role, first)
            }
            AccessAction::UpdateUser { name, secret, role, enabled } => {
                self.update_user(&name, secret, role, enabled)
            }
            AccessAction::DeleteUser { name } => self.delete_user(&name),
            AccessAction::SetRule { user, rule } => self.set_rule(&user, rule),
            AccessAction::DeleteRules { user, resource, effect } => {
                self.delete_rules(&user, &resource, effect)
            }
        }
    }

    fn create_user(
        &mut self,
        name: String,
        secret: Vec<u8>,
        role: Role,
        first: bool,
    ) -> Result<Outcome, Rejection> {
        let count = self.catalog.users.len();
        if first && count > 0 {
            return Err(Rejection::AlreadyExists { what: "first user".into(), name });
        }
        if self.catalog.users.contains_key(&name) {
            return Err(Rejection::AlreadyExists { what: "user".into(), name });
        }
        if count >= USERS_MAX {
            return Err(Rejection::Full(format!("a cluster has at most {USERS_MAX} users")));
        }
        check_secret(&secret)?;
        let created_ms = self.progress.stamp_ms();
        self.put_user(User { name, secret, role, enabled: true, created_ms, revision: 0, rules: Vec::new() });
        Ok(Outcome::Done)
    }

    fn update_user(
        &mut self,
        name: &str,
        secret: Vec<u8>,
        role: Option<Role>,
        enabled: Option<bool>,
    ) -> Result<Outcome, Rejection> {
        let before = self.user(name)?;
        let mut user = before.clone();
        user.role = role.unwrap_or(user.role);
        user.enabled = enabled.unwrap_or(user.enabled);
        if !secret.is_empty() {
            check_secret(&secret)?;
            user.secret = secret;
        }
        if before.is_acting_admin() && !user.is_acting_admin() {
            self.check_other_admin(name)?;
        }
        if user != before {
            user.revision += 1;
            self.put_user(user);
        }
        Ok(Outcome::Done)
    }

    fn delete_user(&mut self, name: &str) -> Result<Outcome, Rejection> {
        if self.user(name)?.is_acting_admin() {
            self.check_other_admin(name)?;
        }
        self.progress.batch().delete(&CatalogKey::User(name).bytes());
        Arc::make_mut(&mut self.change().users).remove(name);
        Ok(Outcome::Done)
    }

    fn set_rule(&mut self, name: &str, rule: Rule) -> Result<Outcome, Rejection> {
        if rule.actions.is_empty() {
            return Err(Rejection::Invalid("a rule without an action says nothing".into()));
        }
        let mut user = self.user(name)?;
        let is_it = |it: &Rule| it.resource == rule.resource && it.effect == rule.effect;
        match user.rules.iter().position(is_it) {
            Some(at) if user.rules[at] == rule => return Ok(Outcome::Done),
            Some(at) => user.rules[at] = rule,
            None if user.rules.len() >= RULES_PER_USER_MAX => {
                let why = format!("user {name} has {RULES_PER_USER_MAX} rules, as many as there may be");
                return Err(Rejection::Full(why));
            }
            None => user.rules.push(rule),
        }
        user.revision += 1;
        self.put_user(user);
        Ok(Outcome::Done)
    }

    fn delete_rules(
        &mut self,
        name: &str,
        resource: &Resource,
        effect: Option<Effect>,
    ) -> Result<Outcome, Rejection> {
        let mut user = self.user(name)?;
        let goes = |rule: &Rule| rule.resource == *resource && effect.is_none_or(|it| it == rule.effect);
        let before = user.rules.len();
        user.rules.retain(|rule| !goes(rule));
        if user.rules.len() < before {
            user.revision += 1;
            self.put_user(user);
        }
        Ok(Outcome::Done)
    }

    fn user(&self, name: &str) -> Result<User, Rejection> {
        let found = self.catalog.users.get(name).cloned();
        found.ok_or_else(|| Rejection::Invalid(format!("there is no user {name}")))
    }

    /// Nobody could give rights again if the last one who may do everything were gone.
    fn check_other_admin(&self, name: &str) -> Result<(), Rejection> {
        let others = self.catalog.users.values().filter(|user| user.name != name);
        match others.into_iter().any(User::is_acting_admin) {
            true => Ok(()),
            false => Err(Rejection::Invalid(format!(
                "user {name} is the only administrator: make another one first"
            ))),
        }
    }

    fn put_user(&mut self, user: User) {
        self.put(CatalogKey::User(&user.name), &user);
        Arc::make_mut(&mut self.change().users).insert(user.name.clone(), user);
    }
}

fn check_secret(sealed: &[u8]) -> Result<(), Rejection> {
    match (1..=SEALED_SECRET_BYTES_MAX).contains(&sealed.len()) {
        true => Ok(()),
        false => Err(Rejection::Invalid(format!(
            "a sealed secret has 1 to {SEALED_SECRET_BYTES_MAX} bytes, not {}",
            sealed.len()
        ))),
    }
}
