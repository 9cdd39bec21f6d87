//! The calls of the HTTP API, a line each: a verb and a path for each method of the admin service.

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use proto::admin::admin_server::Admin;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::admin::AdminService;

/// What a request does, by HTTP's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Looks, and changes nothing.
    Get,
    /// Makes or does something.
    Post,
    /// Puts something in a place.
    Put,
    /// Changes what is named.
    Patch,
    /// Takes away what is named.
    Delete,
}

impl Verb {
    /// As OpenAPI writes it.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Put => "put",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        }
    }

    /// Whether what is asked for comes in a body, too.
    pub fn has_body(self) -> bool {
        matches!(self, Verb::Post | Verb::Put | Verb::Patch)
    }
}

/// A request of HTTP without its body: who asks.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The headers that the gate looks at.
    pub headers: MetadataMap,
    /// What is known of the connection.
    pub extensions: Extensions,
}

/// Takes an encoded request of the method, and gives its encoded answer.
type Perform = fn(AdminService, Asking, Bytes) -> BoxFuture<'static, Result<Vec<u8>, Status>>;

/// One call.
pub struct Call {
    /// What it does.
    pub verb: Verb,
    /// Its path behind `/api/v1`; in braces, fields of the request.
    pub path: &'static str,
    /// The method.
    pub method: &'static str,
    /// Does it.
    pub perform: Perform,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.verb.name(), self.path, self.method)
    }
}

/// `Verb "path" => Method method;`
macro_rules! calls {
    ($($verb:ident $path:literal => $name:literal $method:ident;)*) => {
        &[$(Call {
            verb: Verb::$verb,
            path: $path,
            method: $name,
            perform: |service, asking, body| Box::pin(async move {
                let message = Message::decode(body).map_err(|error| Status::invalid_argument(error.to_string()))?;
                let request = Request::from_parts(asking.headers, asking.extensions, message);
                let answer = Admin::$method(&service, request).await?;
                Ok(answer.into_inner().encode_to_vec())
            }),
        }),*]
    };
}

/// All of them.
pub const CALLS: &[Call] = calls! {
    Get "/topics" => "ListTopics" list_topics;
    Post "/topics" => "CreateTopic" create_topic;
    Get "/topics/{name}" => "DescribeTopic" describe_topic;
    Patch "/topics/{name}" => "UpdateTopic" update_topic;
    Delete "/topics/{name}" => "DeleteTopic" delete_topic;
    Post "/topics/{name}/spread" => "SpreadTopic" spread_topic;
    Post "/topics/{topic}/messages" => "SendMessage" send_message;

    Get "/groups" => "ListGroups" list_groups;
    Post "/groups" => "CreateGroup" create_group;
    Get "/groups/{name}" => "DescribeGroup" describe_group;
    Patch "/groups/{name}" => "UpdateGroup" update_group;
    Delete "/groups/{name}" => "DeleteGroup" delete_group;
    Post "/groups/{group}/reset" => "ResetOffset" reset_offset;
    Get "/groups/{group}/offsets" => "GroupOffsets" group_offsets;
    Get "/groups/{group}/dead-letters" => "ListDeadLetters" list_dead_letters;
    Post "/groups/{group}/dead-letters/resend" => "ResendDeadLetters" resend_dead_letters;
    Get "/lags" => "ListLags" list_lags;
    Get "/clients" => "ListClients" list_clients;

    Get "/messages" => "QueryMessages" query_messages;
    Get "/messages/{id}/trace" => "TraceMessage" trace_message;
    Get "/messages/{id}/why" => "ExplainDelivery" explain_delivery;
    Post "/messages/{id}/resend" => "ResendMessage" resend_message;
    Post "/messages/{id}/verify" => "VerifyMessage" verify_message;
    Get "/timers" => "ListTimers" list_timers;
    Post "/timers/recall" => "RecallTimer" recall_timer;
    Get "/transactions" => "ListTransactions" list_transactions;

    Get "/cluster" => "ClusterStatus" cluster_status;
    Get "/cluster/digest" => "DigestReplicas" digest_replicas;
    Get "/cluster/rebalance" => "PlanRebalance" plan_rebalance;
    Post "/cluster/groups" => "AddBrokerGroups" add_broker_groups;
    Post "/cluster/groups/{group}/transfer" => "TransferLeader" transfer_leader;
    Post "/cluster/groups/{group}/voters" => "ChangeVoters" change_voters;
    Post "/cluster/groups/{group}/move" => "MoveReplica" move_replica;
    Delete "/cluster/nodes/{node}" => "RemoveNode" remove_node;
    Post "/cluster/feature-level" => "RaiseFeatureLevel" raise_feature_level;
    Get "/traffic" => "Traffic" traffic;
    Get "/doctor" => "Doctor" doctor;

    Get "/users" => "ListUsers" list_users;
    Post "/users" => "CreateUser" create_user;
    Patch "/users/{name}" => "UpdateUser" update_user;
    Delete "/users/{name}" => "DeleteUser" delete_user;
    Put "/users/{user}/rules" => "SetRule" set_rule;
    Delete "/users/{user}/rules" => "DeleteRules" delete_rules;
    Post "/users/{user}/test" => "TestAccess" test_access;
};
