//! A server that controls access, its users, and calls that are signed.

use std::sync::Arc;

use api::access::gate::AccessControl;
use api::access::seal::SealKey;
use api::access::signature::sign;
use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use proto::v2;
use raft::access::{Action, Effect, Role, Rule};
use raft::machine::AccessAction;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::support::{PATIENCE, Server, soon};

/// The secret of every user of a test.
pub const SECRET: &str = "correct-horse-battery-staple";
pub const DATE: &str = "2026-11-29T12:00:00.000Z";
pub const KEY: [u8; 32] = [7; 32];

/// A right, or its denial: `publish topic:orders`.
pub type Right = (&'static str, &'static str);

/// A server that lets nobody in but its users.
pub struct Guarded {
    pub server: Server,
    channel: Channel,
}

impl Guarded {
    /// With an administrator `admin`, and a user `nobody` without rules.
    pub async fn start() -> Guarded {
        let key = Arc::new(SealKey::of_bytes(&KEY));
        let server = Server::start_with(1, |options| options.access = AccessControl::On(key)).await;
        let uri = format!("http://{}", server.address);
        let channel = Channel::from_shared(uri).expect("a URI").connect().await.expect("a connection");
        let guarded = Guarded { server, channel };
        guarded.user("admin", Role::Admin, Vec::new()).await;
        guarded.user("nobody", Role::Normal, Vec::new()).await;
        guarded
    }

    /// Makes a user, in place of one of the same name.
    pub async fn user(&self, name: &str, role: Role, rules: Vec<Rule>) {
        if self.server.node.catalog().users.contains_key(name) {
            self.change(AccessAction::DeleteUser { name: name.into() }).await;
        }
        let secret = SealKey::of_bytes(&KEY).seal(name, SECRET.as_bytes()).expect("random bytes");
        self.change(AccessAction::CreateUser { name: name.into(), secret, role, first: false }).await;
        for rule in rules {
            self.change(AccessAction::SetRule { user: name.into(), rule }).await;
        }
    }

    pub async fn change(&self, action: AccessAction) {
        self.server.node.change_access(action, soon()).await.expect("the change is made");
    }

    /// Calls a method as a user with this secret, or as nobody.
    pub async fn call(&self, caller: Option<(&str, &str)>, path: &'static str, body: &Bytes) -> Answered {
        Answered::of(path, self.answer(caller, path, body).await)
    }

    /// The same; the first message of the answer as it came.
    pub async fn answer(
        &self,
        caller: Option<(&str, &str)>,
        path: &'static str,
        body: &Bytes,
    ) -> Result<Option<Bytes>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.expect("a connection");
        // A stream of one message is what a single request is on the wire; it stays open, as telemetry wants it.
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(body.clone()).await.expect("there is room");
        let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
        sign_as(request.metadata_mut(), caller);
        let stays_open = path.ends_with("/Telemetry")
            || path.ends_with("/ServerReflectionInfo")
            || path.ends_with("/CopyReplica");
        let sender = stays_open.then_some(sender);
        let asked = async {
            let answer = grpc.streaming(request, PathAndQuery::from_static(path), Raw).await?;
            answer.into_inner().message().await
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time");
        drop(sender);
        answer
    }
}

/// Adds the headers of a client, signed as a user.
pub fn sign_as(headers: &mut tonic::metadata::MetadataMap, caller: Option<(&str, &str)>) {
    headers.insert("x-mq-client-id", "client".parse().expect("an id"));
    headers.insert("x-mq-language", "JAVA".parse().expect("a language"));
    headers.insert("x-mq-date-time", DATE.parse().expect("a date"));
    if let Some((user, secret)) = caller {
        let signature = sign(user, secret.as_bytes(), DATE.as_bytes());
        headers.insert("authorization", signature.parse().expect("a header"));
    }
}

/// A rule for one right.
pub fn rule(effect: Effect, (action, resource): Right) -> Rule {
    Rule {
        resource: resource.parse().expect("a resource"),
        actions: [Action::of_name(action).expect("an action")].into(),
        sources: Default::default(),
        effect,
    }
}

/// Rules for these rights and nothing else.
pub fn only(rights: &[Right]) -> Vec<Rule> {
    merged(Vec::new(), Effect::Allow, rights)
}

/// One rule for a resource: what is set anew replaces it.
fn merged(mut rules: Vec<Rule>, effect: Effect, rights: &[Right]) -> Vec<Rule> {
    for right in rights {
        let new = rule(effect, *right);
        match rules.iter_mut().find(|it| it.resource == new.resource && it.effect == new.effect) {
            Some(rule) => rule.actions.extend(new.actions),
            None => rules.push(new),
        }
    }
    rules
}

/// All rights on everything but these.
pub fn all_but(denied: &[Right]) -> Vec<Rule> {
    let all = Rule {
        resource: "*".parse().expect("a resource"),
        actions: Action::ALL.into(),
        sources: Default::default(),
        effect: Effect::Allow,
    };
    merged(vec![all], Effect::Deny, denied)
}

/// How a call was answered, as far as access goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is not known who calls.
    Unauthorized,
    /// Who calls may not do that.
    Forbidden,
    /// It got through the gate, whatever became of it then.
    Passed,
}

impl Answered {
    fn of(path: &str, answer: Result<Option<Bytes>, Status>) -> Answered {
        let body = match answer {
            Ok(body) => body.unwrap_or_default(),
            Err(status) => {
                return match status.code() {
                    tonic::Code::Unauthenticated => Answered::Unauthorized,
                    tonic::Code::PermissionDenied => Answered::Forbidden,
                    tonic::Code::Unimplemented => panic!("{path} is not there"),
                    _ => Answered::Passed,
                };
            }
        };
        if path.ends_with("/ChangeLogLevel") {
            let remark = v2::ChangeLogLevelResponse::decode(body).expect("its answer").remark;
            return match () {
                () if remark.contains("not signed") || remark.contains("not known") => Answered::Unauthorized,
                () if remark.contains("may not") => Answered::Forbidden,
                () => Answered::Passed,
            };
        }
        if !path.starts_with("/apache.rocketmq.v2.") {
            return Answered::Passed;
        }
        let code = StatusOnly::decode(body).expect("an answer with a status").status.unwrap_or_default().code;
        match v2::Code::try_from(code).expect("a known code") {
            v2::Code::Unauthorized => Answered::Unauthorized,
            v2::Code::Forbidden => Answered::Forbidden,
            _ => Answered::Passed,
        }
    }
}

/// What all answers of the public protocol begin with.
#[derive(Clone, PartialEq, Message)]
struct StatusOnly {
    #[prost(message, optional, tag = "1")]
    status: Option<v2::Status>,
}

/// Bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
