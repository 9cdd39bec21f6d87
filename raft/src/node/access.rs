//! Changes of users and their rules: see [`crate::access`].

use tokio::time::Instant;

use crate::access::{Rule, User};
use crate::catalog::Catalog;
use crate::features::FeatureLevel;
use crate::machine::{AccessAction, MetaAction};
use crate::node::{Node, unexpected};
use crate::outcome::Outcome;
use crate::request::RequestError;

impl Node {
    /// Makes, changes or deletes a user or a rule. Returns when this node heeds it; the others do within a heartbeat.
    ///
    /// # Errors
    /// [`crate::request::Rejection::AlreadyExists`], [`crate::request::Rejection::Invalid`] if there is no such user or it
    /// is the last administrator, [`crate::request::Rejection::Full`], or the cluster is below the feature level
    /// [`FeatureLevel::ACCESS`].
    pub async fn change_access(&self, action: AccessAction, deadline: Instant) -> Result<(), RequestError> {
        self.inner.needs(FeatureLevel::ACCESS)?;
        match self.inner.change(MetaAction::Access(action.clone()), deadline).await? {
            Outcome::Done => {}
            other => return Err(unexpected(other)),
        }
        let mut catalog = self.inner.catalog.clone();
        let seen = catalog.wait_for(|catalog| is_done(&action, catalog));
        // At the deadline it is done all the same; and somebody may have changed it again meanwhile.
        let _ = tokio::time::timeout_at(deadline, seen).await;
        Ok(())
    }
}

/// Whether a catalog shows that an action was carried out.
fn is_done(action: &AccessAction, catalog: &Catalog) -> bool {
    let user = |name: &str| catalog.users.get(name);
    match action {
        AccessAction::CreateUser { name, .. } => user(name).is_some(),
        AccessAction::DeleteUser { name } => user(name).is_none(),
        AccessAction::UpdateUser { name, secret, role, enabled } => user(name).is_none_or(|user: &User| {
            (secret.is_empty() || *secret == user.secret)
                && role.is_none_or(|role| role == user.role)
                && enabled.is_none_or(|enabled| enabled == user.enabled)
        }),
        AccessAction::SetRule { user: name, rule } => user(name).is_none_or(|user| user.rules.contains(rule)),
        AccessAction::DeleteRules { user: name, resource, effect } => user(name).is_none_or(|user| {
            let is_it = |rule: &Rule| rule.resource == *resource && effect.is_none_or(|it| it == rule.effect);
            !user.rules.iter().any(is_it)
        }),
    }
}
