//! How a caller is told that it may not, in gRPC or in JSON.

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tonic::{
    Status,
    body::Body,
    codegen::http::{HeaderValue, Response, StatusCode, header},
};
use votum_tls::IdentityError;
use votum_wire::{Problem, status};

use super::{Principal, Role, routes::Wanted};

/// Why a request is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not known who asks.
    Unproven(Unproven),
    /// The role of this call is not among the caller's.
    RoleNeeded { principal: Principal, needs: Role },
    /// The call is in no table.
    NoSuchCall,
    /// The caller asks more often than it may.
    TooOften { who: String, wait: Duration },
}

/// Why it is not known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unproven {
    /// Neither a token nor a certificate.
    #[error("neither a token nor a certificate says who asks")]
    Nothing,
    /// No certificate, where there are no tokens.
    #[error("no certificate says who asks")]
    NoCertificate,
    /// The certificate is of the authority, but names nobody.
    #[error(transparent)]
    Certificate(IdentityError),
    /// The header is of another form.
    #[error("the authorization header is not of the form `Bearer TOKEN`")]
    NoBearer,
    /// Nobody has the token.
    #[error("the token is not, or no longer, one of this coordinator's")]
    UnknownToken,
}

impl Refusal {
    /// The caller's roles do not cover what the call needs.
    pub(crate) fn role_needed(principal: &Principal, needs: Role) -> Self {
        Self::RoleNeeded { principal: principal.clone(), needs }
    }

    /// Returns who is refused, if that is known.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        match self {
            Self::RoleNeeded { principal, .. } => Some(principal),
            Self::Unproven(_) | Self::NoSuchCall | Self::TooOften { .. } => None,
        }
    }

    /// Returns the answer to a request that wanted `wanted`.
    pub(crate) fn answer(&self, wanted: Wanted<'_>) -> Response<Body> {
        match wanted {
            Wanted::Grpc(rpc) => self.status(rpc).into_http(),
            Wanted::Json(rpc) => self.json(rpc),
            Wanted::Page => self.json("the page"),
        }
    }

    /// Returns the refusal of a call, in gRPC's form.
    pub(crate) fn status(&self, rpc: &str) -> Status {
        match self {
            Self::Unproven(why) => status::not_authenticated(why),
            Self::RoleNeeded { principal, needs } => {
                status::role_needed(&principal.name, method(rpc), needs)
            }
            Self::NoSuchCall => status::no_such_call(rpc),
            Self::TooOften { who, wait } => status::too_often(who, *wait),
        }
    }

    /// Writes the refusal as the JSON API writes errors.
    fn json(&self, rpc: &str) -> Response<Body> {
        let (http, word) = match self {
            Self::Unproven(_) => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::RoleNeeded { .. } => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::NoSuchCall => (StatusCode::NOT_FOUND, "UNIMPLEMENTED"),
            Self::TooOften { .. } => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        };
        let problem = Problem::from_status(&self.status(rpc));
        let error = ErrorObject {
            code: word,
            reason: problem.reason.as_str(),
            message: &problem.message,
            metadata: &problem.metadata,
        };
        let text = serde_json::to_string(&ErrorAnswer { error }).expect("texts become JSON");
        let mut response = Response::new(Body::new(text));
        *response.status_mut() = http;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Unproven(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooOften { wait, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Self::RoleNeeded { .. } | Self::NoSuchCall => {}
        }
        response
    }
}

/// Returns the last part of a call's full name.
fn method(rpc: &str) -> &str {
    rpc.rsplit('/').next().unwrap_or(rpc)
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: &'a str,
    reason: &'a str,
    message: &'a str,
    metadata: &'a std::collections::BTreeMap<String, String>,
}
