//! `ledgermq acl`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::admin;
use serde_json::{Value, json};

use super::exit::Failure;
use super::output::{ConfirmArgs, line};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use super::user::{print_users, users};
use crate::access::seal::SealKey;

/// `ledgermq acl ...`
#[derive(Debug, Subcommand)]
pub enum AclCommand {
    /// Give a user a rule
    #[command(after_help = "Examples:
  ledgermq acl create shop --resource topic:orders --actions publish
  ledgermq acl create billing --resource 'topic:orders*' --actions subscribe --source 10.1.0.0/16
  ledgermq acl create billing --resource group:billing --actions subscribe
  ledgermq acl create billing --resource topic:orders-secret --actions subscribe --deny

Who receives needs `subscribe` on the topic and on the consumer group. What no rule speaks of is denied. Of several rules
the most particular one decides: a name before a longer prefix before a shorter one before all; of two that are equally
particular, the one that denies.")]
    Create(RuleArgs),
    /// Change a rule: the one for the same resource that allows, or with --deny the one that denies
    #[command(after_help = "Example:
  ledgermq acl update shop --resource topic:orders --actions publish,subscribe")]
    Update(RuleArgs),
    /// Take a user's rules on a resource
    #[command(after_help = "Example:
  ledgermq acl delete shop --resource topic:orders --yes")]
    Delete {
        /// The user
        user: String,
        /// The resource that they are about
        #[arg(long)]
        resource: String,
        /// Only the one that allows, or only the one that denies
        #[arg(long, value_name = "allow|deny", value_parser = ["allow", "deny"])]
        effect: Option<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// List rules, of one user or of all
    #[command(after_help = "Examples:
  ledgermq acl list
  ledgermq acl list shop -o json")]
    List {
        /// The user
        user: Option<String>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// May a user do that, and by which rule? Exit code 0 if it may, 3 if not
    #[command(after_help = "Example:
  ledgermq acl test shop --resource topic:orders --action publish --source 10.1.2.3")]
    Test {
        /// The user
        user: String,
        /// What it does it to: topic:NAME, group:NAME or cluster:NAME
        #[arg(long)]
        resource: String,
        /// publish, subscribe, create, update, delete, get or list
        #[arg(long)]
        action: String,
        /// The address that it comes from
        #[arg(long, default_value = "127.0.0.1")]
        source: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Make a key for access.seal_key: the same file goes to every node
    #[command(after_help = "Example:
  ledgermq acl new-key --out /etc/ledgermq/seal-key")]
    NewKey {
        /// Where to write it, readable by its owner only; else it is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A rule.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// The user
    user: String,
    /// topic:NAME, group:NAME, namespace:NAME or cluster:NAME, where NAME may end in * for all that begin so; or *
    #[arg(long)]
    resource: String,
    /// publish, subscribe, create, update, delete, get, list; several with commas
    #[arg(long, value_delimiter = ',', required = true)]
    actions: Vec<String>,
    /// An address or a network (10.0.0.0/8) from which it counts; may be repeated [default: from everywhere]
    #[arg(long = "source", value_name = "NETWORK", value_delimiter = ',')]
    sources: Vec<String>,
    /// Forbid it
    #[arg(long)]
    deny: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl AclCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            AclCommand::Create(args) => args.set(false).await,
            AclCommand::Update(args) => args.set(true).await,
            AclCommand::Delete { user, resource, effect, confirm, common } => {
                confirm.confirm(&format!("This takes the rules on {resource} from user {user}."))?;
                let broker = common.target.connect().await?;
                let deny = effect.map(|effect| effect == "deny");
                let request =
                    admin::DeleteRulesRequest { user: user.clone(), resource: resource.clone(), deny };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let deleted = broker.answer(broker.admin().delete_rules(request).await)?.deleted;
                common.output.print(&json!({ "deleted": deleted }), || {
                    format!("{deleted} rules on {resource} were taken from user {user}")
                });
                Ok(())
            }
            AclCommand::List { user, common } => {
                let broker = common.target.connect().await?;
                let users = users(&broker, user.as_deref().unwrap_or_default()).await?;
                print_users(&users, &common);
                Ok(())
            }
            AclCommand::Test { user, resource, action, source, common } => {
                let broker = common.target.connect().await?;
                let request = admin::TestAccessRequest { user, action, resource, source };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let answer = broker.answer(broker.admin().test_access(request).await)?;
                let (allowed, why) = (answer.allowed, &answer.why);
                let value = json!({
                    "allowed": allowed, "why": why, "rule": answer.rule.as_ref().map(rule_value),
                });
                common.output.print(&value, || format!("{}: {why}", if allowed { "yes" } else { "no" }));
                match allowed {
                    true => Ok(()),
                    false => Err(Failure::Nothing("it may not".to_owned())),
                }
            }
            AclCommand::NewKey { out: Some(path) } => {
                SealKey::make(&path).map_err(|error| Failure::Failed(error.to_string()))?;
                line(&format!("the key is in {}: give the same file to every node", path.display()));
                Ok(())
            }
            AclCommand::NewKey { out: None } => {
                line(SealKey::text().map_err(|error| Failure::Failed(error.to_string()))?.trim_end());
                Ok(())
            }
        }
    }
}

impl RuleArgs {
    async fn set(self, must_exist: bool) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let rule = admin::AccessRule {
            resource: self.resource,
            actions: self.actions,
            sources: self.sources,
            deny: self.deny,
        };
        let request = admin::SetRuleRequest {
            user: self.user.clone(),
            rule: Some(rule.clone()),
            must_exist,
            must_not_exist: !must_exist,
        };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        broker.answer(broker.admin().set_rule(request).await)?;
        let value = json!({ "user": self.user, "rule": rule_value(&rule) });
        self.common.output.print(&value, || format!("user {}: {}", self.user, rule_line(&rule)));
        Ok(())
    }
}

pub(super) fn rule_value(rule: &admin::AccessRule) -> Value {
    json!({
        "resource": rule.resource, "actions": rule.actions, "sources": rule.sources,
        "effect": if rule.deny { "deny" } else { "allow" },
    })
}

pub(super) fn rule_line(rule: &admin::AccessRule) -> String {
    let not = if rule.deny { "NOT " } else { "" };
    let from = match rule.sources.is_empty() {
        true => String::new(),
        false => format!(" from {}", rule.sources.join(", ")),
    };
    format!("{not}{} {}{from}", rule.actions.join(", "), rule.resource)
}
