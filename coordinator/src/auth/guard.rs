//! Decides about one request: who asks, and whether that one may.

use std::net::IpAddr;

use tonic::{
    codegen::http::{HeaderMap, request::Parts},
    transport::server::TcpConnectInfo,
};

use super::{
    Principal,
    refusal::Refusal,
    routes::{Wanted, wanted},
    rules::rule,
};

/// Decides who may ask what.
#[derive(Debug)]
pub(crate) struct Guard;

impl Guard {
    /// Trusts everybody who can connect, with the name that is claimed.
    pub(crate) fn trusting() -> Self {
        Self
    }

    /// Says who asks, if that one may ask this.
    pub(crate) fn admit(&self, request: &Parts) -> Result<Principal, Refusal> {
        let principal = Principal::trusted(claimed_name(&request.headers, peer(request)));
        let rpc = match wanted(&request.method, request.uri.path()) {
            Wanted::Grpc(rpc) | Wanted::Json(rpc) => rpc,
            Wanted::Page => return Ok(principal),
        };
        match rule(rpc).ok_or(Refusal::NoSuchCall)?.role {
            Some(role) if !principal.may(role) => Err(Refusal::role_needed(&principal, role)),
            Some(_) | None => Ok(principal),
        }
    }
}

/// Returns where a request comes from.
fn peer(request: &Parts) -> Option<IpAddr> {
    let connection = request.extensions.get::<TcpConnectInfo>()?;
    Some(connection.remote_addr()?.ip())
}

/// Says who calls: what the client claims, else where it connects from. Nothing rests on it.
fn claimed_name(headers: &HeaderMap, peer: Option<IpAddr>) -> String {
    let claimed = headers.get(USER_KEY).and_then(|user| user.to_str().ok());
    let claimed = claimed.filter(|user| !user.is_empty() && user.len() <= USER_BYTES_MAX);
    match (claimed, peer) {
        (Some(user), _) => user.to_owned(),
        (None, Some(address)) => address.to_string(),
        (None, None) => "unknown".to_owned(),
    }
}

/// Metadata in which a client says who it is.
const USER_KEY: &str = "votum-user";
/// Longest name of a user.
const USER_BYTES_MAX: usize = 64;
