//! `ledgermq user`

use clap::Subcommand;
use proto::admin;
use serde_json::{Value, json};

use super::acl::{rule_line, rule_value};
use super::exit::Failure;
use super::moment::print_unix_ms;
use super::output::{ConfirmArgs, table};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::Broker;

/// `ledgermq user ...`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user, and print its secret: it is not shown again
    #[command(after_help = "Examples:
  ledgermq user create shop
  ledgermq user create operator --admin
  ledgermq user create shop --secret-file ./secret

Its name is the access key of its clients. It may do nothing until it has rules: see ledgermq acl create.")]
    Create {
        /// Its name
        name: String,
        /// It may do everything
        #[arg(long)]
        admin: bool,
        /// Take the secret from a file instead of making one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<std::path::PathBuf>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// List users and their rules
    #[command(after_help = "Example:
  ledgermq user list -o json")]
    List {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Change a user: its secret, what it is, whether it may do anything
    #[command(after_help = "Examples:
  ledgermq user update shop --disable
  ledgermq user update shop --new-secret
  ledgermq user update operator --admin true

It counts from the next request on, on all nodes within a heartbeat; what lasts (long polls, streams) is ended.")]
    Update {
        /// Its name
        name: String,
        /// Make a new secret and print it; the old one is good for nothing any more
        #[arg(long, conflicts_with = "secret_file")]
        new_secret: bool,
        /// Take a new secret from a file
        #[arg(long, value_name = "FILE")]
        secret_file: Option<std::path::PathBuf>,
        /// Whether it may do everything
        #[arg(long, value_name = "true|false")]
        admin: Option<bool>,
        /// It may do nothing until it is enabled again
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// It may do again what it may
        #[arg(long)]
        enable: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Delete a user and its rules
    #[command(after_help = "Example:
  ledgermq user delete shop --yes")]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
}

impl UserCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            UserCommand::Create { name, admin, secret_file, common } => {
                let secret = secret_of(secret_file.as_deref())?;
                let broker = common.target.connect().await?;
                let request = admin::CreateUserRequest { name, secret, admin };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let answer = broker.answer(broker.admin().create_user(request).await)?;
                show(&answer, &common, "was made");
                Ok(())
            }
            UserCommand::List { common } => {
                let broker = common.target.connect().await?;
                let users = users(&broker, "").await?;
                print_users(&users, &common);
                Ok(())
            }
            UserCommand::Update { name, new_secret, secret_file, admin, disable, enable, common } => {
                let enabled = (disable || enable).then_some(enable);
                let secret = secret_of(secret_file.as_deref())?;
                let broker = common.target.connect().await?;
                let request = admin::UpdateUserRequest { name, secret, new_secret, admin, enabled };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let answer = broker.answer(broker.admin().update_user(request).await)?;
                show(&answer, &common, "was changed");
                Ok(())
            }
            UserCommand::Delete { name, confirm, common } => {
                confirm.confirm(&format!("This deletes user {name} and its rules."))?;
                let broker = common.target.connect().await?;
                let request = admin::DeleteUserRequest { name: name.clone() };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                broker.answer(broker.admin().delete_user(request).await)?;
                common.output.print(&json!({ "deleted": name }), || format!("user {name} is deleted"));
                Ok(())
            }
        }
    }
}

/// Users by name; one or all.
pub(super) async fn users(broker: &Broker, name: &str) -> Result<Vec<admin::User>, Failure> {
    let request = broker.headers.request(admin::ListUsersRequest { name: name.to_owned() }, ADMIN_TIMEOUT);
    Ok(broker.answer(broker.admin().list_users(request).await)?.users)
}

fn secret_of(file: Option<&std::path::Path>) -> Result<String, Failure> {
    let Some(file) = file else { return Ok(String::new()) };
    let read = std::fs::read_to_string(file);
    let text = read.map_err(|error| Failure::io(format!("read {}", file.display()), &error))?;
    match text.trim_end() {
        "" => Err(Failure::Usage(format!("{} is empty", file.display()))),
        secret => Ok(secret.to_owned()),
    }
}

fn show(answer: &admin::UserResponse, common: &CommonArgs, what: &str) {
    let user = answer.user.clone().unwrap_or_default();
    let mut value = user_value(&user);
    if !answer.secret.is_empty() {
        value["secret_key"] = json!(answer.secret);
    }
    common.output.print(&value, || {
        let mut text = format!("user {} {what}: {}", user.name, state(&user));
        if !answer.secret.is_empty() {
            let secret = &answer.secret;
            text.push_str(&format!(
                "\n  access key  {}\n  secret key  {secret}   (not shown again)",
                user.name
            ));
        }
        text
    });
}

fn state(user: &admin::User) -> String {
    let role = match (user.admin, user.rules.len()) {
        (true, _) => "an administrator".to_owned(),
        (false, 0) => "without rules it may do nothing".to_owned(),
        (false, 1) => "1 rule".to_owned(),
        (false, count) => format!("{count} rules"),
    };
    if user.enabled { role } else { format!("disabled, {role}") }
}

fn user_value(user: &admin::User) -> Value {
    json!({
        "name": user.name, "admin": user.admin, "enabled": user.enabled,
        "created_unix_ms": user.created_unix_ms, "rules": user.rules.iter().map(rule_value).collect::<Vec<_>>(),
    })
}

pub(super) fn print_users(users: &[admin::User], common: &CommonArgs) {
    common.output.print(&json!({ "users": users.iter().map(user_value).collect::<Vec<_>>() }), || {
        let mut rows = Vec::new();
        for user in users {
            let rules = match (user.admin, user.rules.is_empty()) {
                (true, _) => vec!["everything".to_owned()],
                (false, true) => vec!["nothing".to_owned()],
                (false, false) => user.rules.iter().map(rule_line).collect(),
            };
            for (number, rule) in rules.into_iter().enumerate() {
                let enabled = if user.enabled { "" } else { "disabled" };
                rows.push(match number {
                    0 => [user.name.clone(), enabled.to_owned(), print_unix_ms(user.created_unix_ms), rule],
                    _ => [String::new(), String::new(), String::new(), rule],
                });
            }
        }
        table(["USER", "", "MADE", "MAY"], &rows)
    });
}
