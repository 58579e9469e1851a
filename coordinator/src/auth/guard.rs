//! Decides about one request: who asks, and whether that one may.

use std::{net::SocketAddr, sync::Arc};

use tonic::codegen::http::{HeaderMap, header, request::Parts};
use votum_driver::Clock;
use votum_machine::WallTime;
use votum_tls::Peer;

use super::{
    Principal, Rates, Tokens,
    principal::Proof,
    refusal::{Refusal, Unproven},
    routes::{Wanted, wanted},
    rules::rule,
};
use crate::audit::{Audit, Deed};

/// Decides who may ask what, and writes down what was asked.
#[derive(Debug)]
pub(crate) struct Guard {
    tokens: Option<Arc<Tokens>>,
    /// Whether certificates prove anything.
    certificates: bool,
    rates: Option<Rates>,
    audit: Option<Audit>,
    clock: Clock,
}

impl Guard {
    /// Asks for a token or a certificate, whichever of them there is; with neither, everybody who
    /// can connect is trusted, with the name that is claimed.
    pub(crate) fn new(tokens: Option<Arc<Tokens>>, certificates: bool, clock: Clock) -> Self {
        Self { tokens, certificates, rates: None, audit: None, clock }
    }

    /// Bounds how often each may ask.
    pub(crate) fn bounding(self, rates: Option<Rates>) -> Self {
        Self { rates, ..self }
    }

    /// Writes down what changes something.
    pub(crate) fn writing_into(self, audit: Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Writes a deed down, if deeds are.
    pub(crate) fn note(&self, deed: impl FnOnce(WallTime) -> Deed) {
        if let Some(audit) = &self.audit {
            audit.note(deed(self.clock.wall()));
        }
    }

    /// Says who asks, if that one may ask this; nobody has to be known to see what is public.
    pub(crate) fn admit(&self, request: &Parts) -> Result<Option<Principal>, Refusal> {
        let principal = self.principal(request);
        self.bound(request, principal.as_ref().ok())?;
        let rpc = match wanted(&request.method, request.uri.path()) {
            Wanted::Grpc(rpc) | Wanted::Json(rpc) => rpc,
            Wanted::Page => return Ok(principal.ok()),
        };
        let rule = rule(rpc);
        if rule.is_some_and(|rule| rule.role.is_none()) {
            return Ok(principal.ok());
        }
        // Strangers are not told which calls there are.
        let principal = principal.map_err(Refusal::Unproven)?;
        match rule.ok_or(Refusal::NoSuchCall)?.role {
            Some(role) if !principal.may(role) => Err(Refusal::role_needed(&principal, role)),
            Some(_) | None => Ok(Some(principal)),
        }
    }

    /// Takes one request of a principal who has proved to be somebody, else of an address.
    fn bound(&self, request: &Parts, principal: Option<&Principal>) -> Result<(), Refusal> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let proven = principal.filter(|principal| principal.proof != Proof::Nothing);
        let address = || request.extensions.get::<Peer>().map(|peer| peer.address.ip().to_string());
        let who = proven.map(|principal| principal.name.clone()).or_else(address);
        let who = who.unwrap_or_default();
        rates.take(&who, self.clock.now()).map_err(|wait| Refusal::TooOften { who, wait })
    }

    /// Finds out who asks. A token says it before a certificate does: whoever gives one means it.
    fn principal(&self, request: &Parts) -> Result<Principal, Unproven> {
        let peer = request.extensions.get::<Peer>();
        if self.tokens.is_none() && !self.certificates {
            let address = peer.map(|peer| peer.address);
            return Ok(Principal::trusted(claimed_name(&request.headers, address)));
        }
        if let Some(tokens) = &self.tokens
            && let Some(given) = request.headers.get(header::AUTHORIZATION)
        {
            let token = given.to_str().ok().and_then(|text| text.strip_prefix(BEARER));
            let token = token.ok_or(Unproven::NoBearer)?;
            return tokens.holder(token.trim()).ok_or(Unproven::UnknownToken);
        }
        match peer.and_then(|peer| peer.identity.as_ref()).filter(|_| self.certificates) {
            Some(Ok(identity)) => Ok(Principal::certified(identity)),
            Some(Err(error)) => Err(Unproven::Certificate(*error)),
            None if self.tokens.is_some() => Err(Unproven::Nothing),
            None => Err(Unproven::NoCertificate),
        }
    }
}

/// Says who calls: what the client claims, else where it connects from. Nothing rests on it.
fn claimed_name(headers: &HeaderMap, peer: Option<SocketAddr>) -> String {
    let claimed = headers.get(USER_KEY).and_then(|user| user.to_str().ok());
    let claimed = claimed.filter(|user| !user.is_empty() && user.len() <= USER_BYTES_MAX);
    match (claimed, peer) {
        (Some(user), _) => user.to_owned(),
        (None, Some(address)) => address.ip().to_string(),
        (None, None) => "unknown".to_owned(),
    }
}

/// Before the token in the header.
const BEARER: &str = "Bearer ";
/// Metadata in which a client says who it is.
const USER_KEY: &str = "votum-user";
/// Longest name of a user.
const USER_BYTES_MAX: usize = 64;
