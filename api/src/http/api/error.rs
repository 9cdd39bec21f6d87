//! Errors of the HTTP API: a status, and a JSON object that says more.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::{Code, Status};

const DISABLED: &str = "the user is disabled: an administrator can enable it again";

/// What a request failed with.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::BAD_REQUEST, code: "INVALID_ARGUMENT", message: message.into() }
    }

    /// Nobody is known to ask, or not any more.
    pub fn nobody(message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::UNAUTHORIZED, code: "UNAUTHENTICATED", message: message.into() }
    }

    /// The user who asks is switched off.
    pub fn disabled() -> ApiError {
        ApiError::nobody(DISABLED)
    }

    /// Nobody may ask this, from there.
    pub fn forbidden(message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::FORBIDDEN, code: "PERMISSION_DENIED", message: message.into() }
    }

    /// This node cannot answer now.
    pub fn unavailable(message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::SERVICE_UNAVAILABLE, code: "UNAVAILABLE", message: message.into() }
    }

    /// With another status of HTTP.
    pub fn with(status: StatusCode, message: impl Into<String>) -> ApiError {
        let code = if status == StatusCode::NOT_FOUND { "NOT_FOUND" } else { "INVALID_ARGUMENT" };
        ApiError { status, code, message: message.into() }
    }

    /// The same, told to somebody who wants in: a disabled user is told so, for he showed his secret.
    pub fn of_login(self) -> ApiError {
        match self.message.as_str() {
            DISABLED => self,
            _ => ApiError::nobody("the user is not known, or this is not its secret"),
        }
    }

    /// Whether nobody is known to ask.
    pub fn is_of_nobody(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }
}

impl From<Status> for ApiError {
    fn from(status: Status) -> ApiError {
        let (http, code) = match status.code() {
            Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
            Code::FailedPrecondition => (StatusCode::PRECONDITION_FAILED, "FAILED_PRECONDITION"),
            Code::ResourceExhausted => (StatusCode::SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
            Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        ApiError { status: http, code, message: status.message().to_owned() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": { "code": self.code, "message": self.message } }));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => (self.status, [(RETRY_AFTER, "1")], body).into_response(),
            status => (status, body).into_response(),
        }
    }
}
