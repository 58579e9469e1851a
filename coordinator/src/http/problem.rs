//! What went wrong, as HTTP says it: a status and one JSON object.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use votum_wire::{Problem, Reason, code_word, method::InvalidRequest};

/// Answers with what a call ended with.
pub(crate) fn response(status: &Status) -> Response<Body> {
    let problem = Problem::from_status(status);
    let mut response = Response::new(Body::from(text(&problem)));
    *response.status_mut() = http_status(&problem);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if problem.code == Code::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Returns the JSON of an error; on one line.
pub(super) fn text(problem: &Problem) -> String {
    let mut error = json!({
        "code": code_word(problem.code),
        "reason": problem.reason.as_str(),
        "message": problem.message,
        "metadata": problem.metadata,
    });
    let fields = problem.fields.iter();
    let fields: Vec<Value> =
        fields.map(|wrong| json!({"field": wrong.field, "problem": wrong.problem})).collect();
    if !fields.is_empty() {
        error["fields"] = Value::Array(fields);
    }
    json!({ "error": error }).to_string()
}

/// The mapping of `google.rpc.Code`, but for what HTTP alone knows.
fn http_status(problem: &Problem) -> StatusCode {
    match problem.reason.as_str() {
        BODY_TOO_LARGE => return StatusCode::PAYLOAD_TOO_LARGE,
        NOT_JSON => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        reason if reason == Reason::NoSuchCall.as_str() => return StatusCode::NOT_FOUND,
        _ => {}
    }
    match problem.code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// There is nothing under this path.
pub(super) fn no_such_route() -> Status {
    let message = "there is nothing under this path; the API is below /api/v1/, see docs/page.md";
    stated("NO_SUCH_ROUTE", Code::NotFound, message)
}

/// The body is larger than any request.
pub(super) fn body_too_large(max: usize) -> Status {
    let message = format!("the body is too large, or was cut off: at most {max} bytes are read");
    stated(BODY_TOO_LARGE, Code::InvalidArgument, &message)
}

/// The body is said to be something else than JSON.
pub(super) fn not_json() -> Status {
    stated(
        NOT_JSON,
        Code::InvalidArgument,
        "send JSON with the header content-type: application/json",
    )
}

/// The body is no text.
pub(super) fn not_utf8() -> Status {
    stated(Reason::Malformed.as_str(), Code::InvalidArgument, "the body is not UTF-8")
}

/// The body or the query is not of the request.
pub(super) fn invalid(invalid: &InvalidRequest) -> Status {
    let mut message = invalid.to_string();
    if let Some(cause) = std::error::Error::source(invalid) {
        message = format!("{message}: {cause}");
    }
    stated(Reason::Malformed.as_str(), Code::InvalidArgument, &message)
}

/// Another site's page asks, or this one under a name that anybody may have given it.
pub(super) fn foreign_origin(message: &str) -> Status {
    stated("FOREIGN_ORIGIN", Code::PermissionDenied, message)
}

fn stated(reason: &str, code: Code, message: &str) -> Status {
    Problem { code, ..Problem::words(Reason::from(reason), message) }.into()
}

const BODY_TOO_LARGE: &str = "BODY_TOO_LARGE";
const NOT_JSON: &str = "NOT_JSON";
/// What JSON is called in a header.
pub(super) const JSON: &str = "application/json";
