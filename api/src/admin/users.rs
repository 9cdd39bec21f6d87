//! Users and their rules.

use std::net::IpAddr;

use proto::admin::{
    self, AccessRule, CreateUserRequest, DeleteRulesRequest, DeleteRulesResponse, DeleteUserRequest,
    DeleteUserResponse, ListUsersRequest, ListUsersResponse, SetRuleRequest, SetRuleResponse,
    TestAccessRequest, TestAccessResponse, UpdateUserRequest, UserResponse,
};
use raft::access::{Action, Asked, Decision, Effect, Kind, Pattern, Resource, Role, Rule, Target, User};
use raft::machine::AccessAction;
use tokio::time::Instant;

use crate::access::seal::SealKey;
use crate::access::secret;
use crate::check;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;

/// Where a question about access comes from that does not say.
const HERE: &str = "127.0.0.1";

pub(super) async fn create(
    edge: &EdgeState,
    caller: &Caller,
    request: CreateUserRequest,
    deadline: Instant,
) -> Result<UserResponse, Fault> {
    let name = request.name;
    check::name::user(&name)?;
    let (secret, made) = match request.secret.is_empty() {
        true => (secret::new(), true),
        false => (checked(request.secret)?, false),
    };
    let sealed = seal(key(edge)?, &name, &secret)?;
    let role = role(request.admin);
    let action = AccessAction::CreateUser { name: name.clone(), secret: sealed, role, first: false };
    edge.node.change_access(action, deadline).await?;
    audit(edge, caller, format!("made user {name}, {}", role_name(role)));
    Ok(UserResponse { user: Some(wire_user(&known(edge, &name)?)), secret: shown(secret, made) })
}

pub(super) async fn update(
    edge: &EdgeState,
    caller: &Caller,
    request: UpdateUserRequest,
    deadline: Instant,
) -> Result<UserResponse, Fault> {
    let name = request.name;
    known(edge, &name)?;
    let (secret, made) = match (request.secret.is_empty(), request.new_secret) {
        (false, true) => return Err(Fault::BadRequest("a secret is given or made, not both".into())),
        (true, true) => (secret::new(), true),
        (true, false) => (String::new(), false),
        (false, false) => (checked(request.secret)?, false),
    };
    let sealed = match secret.is_empty() {
        true => Vec::new(),
        false => seal(key(edge)?, &name, &secret)?,
    };
    let changed: Vec<String> = [
        (!secret.is_empty()).then(|| "its secret".to_owned()),
        request.admin.map(|admin| format!("its role to {}", role_name(role(admin)))),
        request.enabled.map(|enabled| (if enabled { "to enabled" } else { "to disabled" }).to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if changed.is_empty() {
        return Err(Fault::BadRequest(format!("say what is to be changed of user {name}")));
    }
    let (role, enabled) = (request.admin.map(role), request.enabled);
    let action = AccessAction::UpdateUser { name: name.clone(), secret: sealed, role, enabled };
    edge.node.change_access(action, deadline).await?;
    audit(edge, caller, format!("changed user {name}: {}", changed.join(", ")));
    Ok(UserResponse { user: Some(wire_user(&known(edge, &name)?)), secret: shown(secret, made) })
}

pub(super) async fn delete(
    edge: &EdgeState,
    caller: &Caller,
    request: DeleteUserRequest,
    deadline: Instant,
) -> Result<DeleteUserResponse, Fault> {
    known(edge, &request.name)?;
    let action = AccessAction::DeleteUser { name: request.name.clone() };
    edge.node.change_access(action, deadline).await?;
    audit(edge, caller, format!("deleted user {}", request.name));
    Ok(DeleteUserResponse {})
}

pub(super) fn list(edge: &EdgeState, request: &ListUsersRequest) -> Result<ListUsersResponse, Fault> {
    let users = match request.name.as_str() {
        "" => edge.node.catalog().users.values().map(wire_user).collect(),
        name => vec![wire_user(&known(edge, name)?)],
    };
    Ok(ListUsersResponse { users })
}

pub(super) async fn set_rule(
    edge: &EdgeState,
    caller: &Caller,
    request: SetRuleRequest,
    deadline: Instant,
) -> Result<SetRuleResponse, Fault> {
    let user = known(edge, &request.user)?;
    let rule = rule(&request.rule.unwrap_or_default())?;
    let is_it = |it: &Rule| it.resource == rule.resource && it.effect == rule.effect;
    let exists = user.rules.iter().any(is_it);
    if request.must_exist && !exists {
        return Err(Fault::NotFound(format!(
            "user {} has no rule that {} something on {}",
            user.name,
            says(rule.effect),
            rule.resource
        )));
    }
    if request.must_not_exist && exists {
        return Err(Fault::BadRequest(format!(
            "user {} has a rule already that {} something on {}: change that one",
            user.name,
            says(rule.effect),
            rule.resource
        )));
    }
    let told = format!("gave user {} the rule: {}", user.name, told(&rule));
    edge.node.change_access(AccessAction::SetRule { user: user.name, rule }, deadline).await?;
    audit(edge, caller, told);
    Ok(SetRuleResponse {})
}

pub(super) async fn delete_rules(
    edge: &EdgeState,
    caller: &Caller,
    request: DeleteRulesRequest,
    deadline: Instant,
) -> Result<DeleteRulesResponse, Fault> {
    let user = known(edge, &request.user)?;
    let resource = resource(&request.resource)?;
    let effect = request.deny.map(effect);
    let goes = |rule: &&Rule| rule.resource == resource && effect.is_none_or(|effect| effect == rule.effect);
    let deleted = user.rules.iter().filter(goes).count() as u32;
    if deleted == 0 {
        return Err(Fault::NotFound(format!("user {} has no such rule on {resource}", user.name)));
    }
    let told = format!("took {deleted} rules on {resource} from user {}", user.name);
    edge.node
        .change_access(AccessAction::DeleteRules { user: user.name, resource, effect }, deadline)
        .await?;
    audit(edge, caller, told);
    Ok(DeleteRulesResponse { deleted })
}

pub(super) fn test(edge: &EdgeState, request: &TestAccessRequest) -> Result<TestAccessResponse, Fault> {
    let user = known(edge, &request.user)?;
    let action = action(&request.action)?;
    let source = if request.source.is_empty() { HERE } else { &request.source };
    let source: IpAddr = source
        .parse()
        .map_err(|_| Fault::BadRequest(format!("{source:?} is no address, such as 10.0.0.1")))?;
    let resource = resource(&request.resource)?;
    let Resource::Named(kind, Pattern::Literal(name)) = &resource else {
        return Err(Fault::BadRequest(format!("{resource} names several things: name one")));
    };
    let target = match kind {
        Kind::Topic => Target::topic(name),
        Kind::Group => Target::group(name),
        Kind::Cluster => Target::cluster(name),
        Kind::Namespace => {
            return Err(Fault::BadRequest("name a topic, a consumer group or the cluster".into()));
        }
    };
    let decision = user.may(Asked { action, target, source });
    let why = match decision {
        Decision::Admin => format!("user {} is an administrator", user.name),
        Decision::Disabled => format!("user {} is disabled", user.name),
        Decision::NoRule => "no rule speaks of it".to_owned(),
        Decision::ByRule(rule) => format!("the rule: {}", told(rule)),
    };
    let rule = match decision {
        Decision::ByRule(rule) => Some(wire_rule(rule)),
        _ => None,
    };
    Ok(TestAccessResponse { allowed: decision.is_allowed(), why, rule })
}

fn known(edge: &EdgeState, name: &str) -> Result<User, Fault> {
    let user = edge.node.catalog().users.get(name).cloned();
    user.ok_or_else(|| Fault::NotFound(format!("there is no user {name}")))
}

fn key(edge: &EdgeState) -> Result<&SealKey, Fault> {
    let off =
        "this node has no key for secrets: set access.seal_key, the same file on every node, and restart it";
    edge.gate.key().ok_or_else(|| Fault::BadRequest(off.into()))
}

fn seal(key: &SealKey, user: &str, secret: &str) -> Result<Vec<u8>, Fault> {
    key.seal(user, secret.as_bytes()).map_err(|error| Fault::BadRequest(error.to_string()))
}

fn checked(secret: String) -> Result<String, Fault> {
    secret::check(&secret).map_err(Fault::BadRequest)?;
    Ok(secret)
}

fn shown(secret: String, made: bool) -> String {
    if made { secret } else { String::new() }
}

fn role(admin: bool) -> Role {
    if admin { Role::Admin } else { Role::Normal }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "an administrator",
        Role::Normal => "a user with rules",
    }
}

fn effect(deny: bool) -> Effect {
    if deny { Effect::Deny } else { Effect::Allow }
}

fn says(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allows",
        Effect::Deny => "denies",
    }
}

fn told(rule: &Rule) -> String {
    let actions: Vec<&str> = rule.actions.iter().map(|action| action.name()).collect();
    let sources: Vec<String> = rule.sources.iter().map(ToString::to_string).collect();
    let from = if sources.is_empty() { String::new() } else { format!(" from {}", sources.join(", ")) };
    format!("{} {} on {}{from}", says(rule.effect), actions.join(", "), rule.resource)
}

fn resource(text: &str) -> Result<Resource, Fault> {
    text.parse().map_err(|error: raft::access::ResourceError| Fault::BadRequest(error.to_string()))
}

fn action(name: &str) -> Result<Action, Fault> {
    Action::of_name(name).ok_or_else(|| {
        let all: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        Fault::BadRequest(format!("{name:?} is no action: there are {}", all.join(", ")))
    })
}

fn rule(wire: &AccessRule) -> Result<Rule, Fault> {
    let network = |text: &String| {
        text.parse().map_err(|error: raft::access::NetworkError| Fault::BadRequest(error.to_string()))
    };
    let rule = Rule {
        resource: resource(&wire.resource)?,
        actions: wire.actions.iter().map(|name| action(name)).collect::<Result<_, _>>()?,
        sources: wire.sources.iter().map(network).collect::<Result<_, _>>()?,
        effect: effect(wire.deny),
    };
    match rule.actions.is_empty() {
        true => Err(Fault::BadRequest("a rule without an action says nothing".into())),
        false => Ok(rule),
    }
}

fn wire_rule(rule: &Rule) -> AccessRule {
    AccessRule {
        resource: rule.resource.to_string(),
        actions: rule.actions.iter().map(|action| action.name().to_owned()).collect(),
        sources: rule.sources.iter().map(ToString::to_string).collect(),
        deny: rule.effect == Effect::Deny,
    }
}

fn wire_user(user: &User) -> admin::User {
    admin::User {
        name: user.name.clone(),
        admin: user.role == Role::Admin,
        enabled: user.enabled,
        created_unix_ms: user.created_ms as i64,
        rules: user.rules.iter().map(wire_rule).collect(),
    }
}

fn audit(edge: &EdgeState, caller: &Caller, what: String) {
    let source = caller.source().map(|source| source.to_string()).unwrap_or_default();
    let user = edge.gate.name_of(caller).unwrap_or_default();
    tracing::info!(target: "audit", user, source, what, "changed");
}
