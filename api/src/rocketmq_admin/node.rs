//! The node that is asked: its log, and what goes through it.

use proto::v2::change_log_level_request::Level;
use proto::v2::{ChangeLogLevelRequest, ChangeLogLevelResponse, ClientType, GetProxyRuntimeStatsResponse};

use crate::boot::logging;
use crate::convert::status::ok;
use crate::edge::EdgeState;
use crate::port::holdings::Held;

/// Changes what this node logs, until it is changed again or the node restarts.
pub(super) fn change_log_level(request: &ChangeLogLevelRequest) -> ChangeLogLevelResponse {
    let level = match Level::try_from(request.level) {
        Ok(Level::Trace) => "trace",
        Ok(Level::Debug) => "debug",
        Ok(Level::Info) => "info",
        Ok(Level::Warn) => "warn",
        Ok(Level::Error) => "error",
        Err(_) => {
            let remark = format!(
                "the log level was not changed: {} is none; trace is 0, debug 1, info 2, warn 3, error 4",
                request.level
            );
            return ChangeLogLevelResponse { remark };
        }
    };
    let remark = match logging::change_level(level) {
        Ok(()) => format!("this node logs {level} from now on"),
        Err(reason) => format!("the log level was not changed: {reason}"),
    };
    ChangeLogLevelResponse { remark }
}

/// What went through this node lately, and who is connected to it.
pub(super) fn stats(edge: &EdgeState) -> GetProxyRuntimeStatsResponse {
    let rates = edge.traffic.now().per_second;
    let (in_tps, out_tps) = (rates.messages_in, rates.messages_out);
    let count = |producers: bool| {
        edge.sessions
            .count(|kind| (kind == ClientType::Producer) == producers && kind != ClientType::Unspecified)
    };
    let name = edge.live_nodes().iter().find(|node| node.id == edge.node.id()).map(|node| node.name.clone());
    GetProxyRuntimeStatsResponse {
        status: Some(ok()),
        proxy_name: name.unwrap_or_else(|| format!("node {}", edge.node.id())),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        in_tps,
        out_tps,
        connections: edge.holdings.held(Held::Connections) as i64,
        producers: count(true) as i64,
        consumers: count(false) as i64,
    }
}
