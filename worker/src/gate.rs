//! Who may ask this worker what, by the certificate of the connection.
//!
//! Without certificates everybody who can connect may ask, and what is asked
//! for decides alone: artifacts need their read token.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use tonic::{
    Status,
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
};
use tower::Layer;
use votum_tls::{COORDINATOR, Peer, WORKER};
use votum_wire::status;

/// The worker that asks, as its certificate names it; in the extensions of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Speaker(pub(crate) String);

/// Looks at who asks, before a service hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Certificates are shown, and count.
    Guarded,
    /// Nobody shows one.
    Open,
}

impl Gate {
    /// Refuses whoever may not ask this; says which worker asks, if one does.
    fn admit(self, rpc: &str, peer: Option<&Peer>) -> Result<Option<Speaker>, Status> {
        if self == Self::Open {
            return Ok(None);
        }
        let (_, roles) = RULES
            .iter()
            .find(|(known, _)| *known == rpc)
            .ok_or_else(|| status::no_such_call(rpc))?;
        let identity = match peer.and_then(|peer| peer.identity.as_ref()) {
            Some(Ok(identity)) => identity,
            Some(Err(error)) => return Err(status::not_authenticated(error)),
            None => return Err(status::not_authenticated("no certificate says who asks")),
        };
        if !roles.contains(&identity.role.as_str()) {
            let call = rpc.rsplit('/').next().unwrap_or(rpc);
            return Err(status::role_needed(&identity.name, call, roles.join(" or ")));
        }
        Ok(identity.is(WORKER).then(|| Speaker(identity.name.clone())))
    }
}

/// Which roles may ask what; nobody may ask anything else.
const RULES: &[(&str, &[&str])] = &[
    ("/votum.worker.v1.PeerService/QueryRound", &[WORKER]),
    ("/votum.worker.v1.ArtifactService/GetArtifact", &[WORKER, COORDINATOR]),
    ("/votum.worker.v1.ArtifactService/ReadArtifact", &[WORKER, COORDINATOR]),
    ("/votum.worker.v1.ArtifactService/ReadLogs", &[COORDINATOR]),
    ("/grpc.health.v1.Health/Check", &[WORKER, COORDINATOR]),
    ("/grpc.health.v1.Health/List", &[WORKER, COORDINATOR]),
    ("/grpc.health.v1.Health/Watch", &[WORKER, COORDINATOR]),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[WORKER, COORDINATOR]),
];

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: *self, inner }
    }
}

/// A service behind a gate.
#[derive(Debug, Clone)]
pub(crate) struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let admitted = self.gate.admit(request.uri().path(), request.extensions().get());
        match admitted {
            Ok(speaker) => {
                if let Some(speaker) = speaker {
                    request.extensions_mut().insert(speaker);
                }
                Either::Right(self.inner.call(request))
            }
            Err(refusal) => {
                tracing::warn!(reason = refusal.message(), "refuses a request");
                Either::Left(ready(Ok(refusal.into_http())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic::Code;
    use votum_tls::Identity;

    use super::*;

    #[test]
    fn every_call_that_workers_serve_has_a_rule() {
        let set = prost_types::FileDescriptorSet::decode(votum_proto::FILE_DESCRIPTOR_SET).unwrap();
        let services = set.file.iter().flat_map(|file| &file.service);
        let ours =
            services.filter(|service| ["PeerService", "ArtifactService"].contains(&service.name()));
        let mut seen = 0;
        for service in ours {
            for method in &service.method {
                let rpc = format!("/votum.worker.v1.{}/{}", service.name(), method.name());
                assert!(RULES.iter().any(|(known, _)| *known == rpc), "{rpc}");
                seen += 1;
            }
        }
        assert_eq!(seen, 4);
    }

    #[test]
    fn only_the_coordinator_reads_logs_and_only_workers_ask_about_rounds() {
        let asks = |role: &str, rpc: &str| {
            let identity = Identity { role: role.to_owned(), name: "s1".to_owned() };
            let peer =
                Peer { address: "192.0.2.1:7".parse().unwrap(), identity: Some(Ok(identity)) };
            let admitted = Gate::Guarded.admit(rpc, Some(&peer));
            admitted.map(|speaker| speaker.is_some()).map_err(|status| status.code())
        };
        let (logs, round) = (
            "/votum.worker.v1.ArtifactService/ReadLogs",
            "/votum.worker.v1.PeerService/QueryRound",
        );
        assert_eq!(asks(COORDINATOR, logs), Ok(false));
        assert_eq!(asks(WORKER, logs), Err(Code::PermissionDenied));
        assert_eq!(asks("operator", logs), Err(Code::PermissionDenied));
        assert_eq!(asks(WORKER, round), Ok(true));
        assert_eq!(asks(COORDINATOR, round), Err(Code::PermissionDenied));
        let stranger = Gate::Guarded.admit(round, None).unwrap_err();
        assert_eq!(stranger.code(), Code::Unauthenticated);
    }
}
