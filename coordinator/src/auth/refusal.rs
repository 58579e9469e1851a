//! How a caller is told that it may not, in gRPC or in JSON.

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
    RoleNeeded { name: String, needs: Role },
    /// The call is in no table.
    NoSuchCall,
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
        Self::RoleNeeded { name: principal.name.clone(), needs }
    }

    /// Returns the answer to a request that wanted `wanted`.
    pub(crate) fn answer(&self, wanted: Wanted<'_>) -> Response<Body> {
        match wanted {
            Wanted::Grpc(rpc) => self.status(rpc).into_http(),
            Wanted::Json(rpc) => self.json(rpc),
            Wanted::Page => self.json("the page"),
        }
    }

    fn status(&self, rpc: &str) -> Status {
        match self {
            Self::Unproven(why) => status::not_authenticated(why),
            Self::RoleNeeded { name, needs } => status::role_needed(name, method(rpc), needs),
            Self::NoSuchCall => status::no_such_call(rpc),
        }
    }

    /// Writes the refusal as the JSON API writes errors.
    fn json(&self, rpc: &str) -> Response<Body> {
        let (http, word) = match self {
            Self::Unproven(_) => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::RoleNeeded { .. } => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::NoSuchCall => (StatusCode::NOT_FOUND, "UNIMPLEMENTED"),
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
        if let Self::Unproven(_) = self {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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
