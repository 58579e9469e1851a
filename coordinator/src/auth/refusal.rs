//! How a caller is told that it may not, in gRPC or in JSON.

use std::time::Duration;

use thiserror::Error;
use tonic::{Status, body::Body, codegen::http::Response};
use votum_tls::IdentityError;
use votum_wire::status;

use super::{Principal, Role, routes::Wanted};
use crate::http::problem;

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
        let in_json = |rpc| problem::response(&self.status(rpc)).map(Body::new);
        match wanted {
            Wanted::Grpc(rpc) => self.status(rpc).into_http(),
            Wanted::Json(rpc) => in_json(rpc),
            Wanted::Page => in_json("the page"),
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
}

/// Returns the last part of a call's full name.
fn method(rpc: &str) -> &str {
    rpc.rsplit('/').next().unwrap_or(rpc)
}
