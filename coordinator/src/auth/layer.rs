//! The layer around the whole server that lets requests through, or answers in their place, and
//! writes down what changes something.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        Service,
        http::{Request, Response, request::Parts},
    },
};
use tower::Layer;
use votum_tls::Peer;
use votum_wire::{Problem, code_word};

use super::{
    Guard, Principal,
    about::{About, Beginning},
    refusal::Refusal,
    routes::{Wanted, wanted},
    rules::{Kind, rule},
};
use crate::audit::Deed;

/// Puts the guard before a service.
#[derive(Debug, Clone)]
pub(crate) struct GuardLayer(Arc<Guard>);

impl GuardLayer {
    /// Makes a layer that asks this guard.
    pub(crate) fn new(guard: Guard) -> Self {
        Self(Arc::new(guard))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: Arc::clone(&self.0), inner }
    }
}

/// A service that only hears what the guard lets through.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error: Send + 'static,
            Future: Send + 'static,
        >,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let admitted = self.guard.admit(&parts);
        let entry = Entry::of(&parts, &admitted);
        let guard = Arc::clone(&self.guard);
        match admitted {
            Ok(principal) => {
                if let Some(principal) = principal {
                    parts.extensions.insert(principal);
                }
                let Some(entry) = entry else {
                    return Box::pin(self.inner.call(Request::from_parts(parts, body)));
                };
                let body = entry.beginning.of(body);
                let answer = self.inner.call(Request::from_parts(parts, body));
                Box::pin(async move {
                    let answer = answer.await?;
                    entry.answered(&guard, &answer);
                    Ok(answer)
                })
            }
            Err(refusal) => {
                if let Some(entry) = entry {
                    entry.refused(&guard, &refusal);
                }
                let answer = refusal.answer(wanted(&parts.method, parts.uri.path()));
                Box::pin(std::future::ready(Ok(answer)))
            }
        }
    }
}

/// What is to be written down of a request that changes something.
struct Entry {
    principal: Option<Principal>,
    from: Option<std::net::SocketAddr>,
    rpc: String,
    /// Of a route, which names its resource.
    path: Option<String>,
    beginning: Beginning,
}

impl Entry {
    fn of(request: &Parts, admitted: &Result<Option<Principal>, Refusal>) -> Option<Self> {
        let (rpc, path) = match wanted(&request.method, request.uri.path()) {
            Wanted::Grpc(rpc) => (rpc, None),
            Wanted::Json(rpc) => (rpc, Some(request.uri.path().to_owned())),
            Wanted::Page => return None,
        };
        rule(rpc).filter(|rule| rule.kind == Kind::Changes)?;
        let principal = match admitted {
            Ok(principal) => principal.clone(),
            Err(refusal) => refusal.principal().cloned(),
        };
        let from = request.extensions.get::<Peer>().map(|peer| peer.address);
        let rpc = rpc.trim_start_matches('/').to_owned();
        Some(Self { principal, from, rpc, path, beginning: Beginning::default() })
    }

    fn answered(self, guard: &Guard, answer: &Response<Body>) {
        // An answer with content is one without an error; its trailers follow it.
        let status = Status::from_header_map(answer.headers());
        let (mut code, mut reason) = (code_word(Code::Ok).to_owned(), None);
        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
            let problem = Problem::from_status(&status);
            code = code_word(problem.code).to_owned();
            reason = Some(problem.reason.as_str().to_owned());
        } else if !answer.status().is_success() {
            code = format!("HTTP {}", answer.status().as_u16());
        }
        let made = answer.extensions().get::<About>().map(|About(name)| name.clone());
        self.note(guard, made, code, reason);
    }

    fn refused(self, guard: &Guard, refusal: &Refusal) {
        let problem = Problem::from_status(&refusal.status(&self.rpc));
        let code = code_word(problem.code).to_owned();
        self.note(guard, None, code, Some(problem.reason.as_str().to_owned()));
    }

    fn note(self, guard: &Guard, made: Option<String>, outcome: String, reason: Option<String>) {
        let about = made.or_else(|| self.beginning.name()).or(self.path);
        let proof = self.principal.as_ref().map_or("none", |principal| principal.proof.word());
        let by = self.principal.map(|principal| principal.name);
        let (from, call) = (self.from, self.rpc);
        guard.note(|at| Deed { at, by, proof, from, call, about, outcome, reason });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::{
        Code, Status,
        codegen::http::{StatusCode, request::Builder},
    };
    use tower::{ServiceExt, service_fn};
    use votum_driver::Clock;
    use votum_tls::{Identity, Peer};

    use super::*;
    use crate::auth::Principal;

    #[tokio::test]
    async fn whoever_is_let_through_is_in_the_extensions() {
        let claimed = Request::get("/votum.v1.JobService/GetJob").header("votum-user", "ada");
        let answer = asked(claimed.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.headers()["seen"], "ada");
    }

    #[tokio::test]
    async fn a_call_in_no_table_reaches_no_service() {
        let unknown = Request::post("/votum.v1.JobService/BurnJob").body(Body::empty()).unwrap();
        let answer = asked(unknown).await;
        assert_eq!(Status::from_header_map(answer.headers()).unwrap().code(), Code::Unimplemented);
        let unknown = Request::post("/api/v1/jobs/a:burn").body(Body::empty()).unwrap();
        let answer = asked(unknown).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers()["content-type"], "application/json");
    }

    #[tokio::test]
    async fn nobody_is_let_through_without_a_proof() {
        let guard = || Guard::new(None, true, Clock::start());
        let answer = asked_of(guard(), Request::post("/votum.v1.JobService/GetJob")).await;
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Unauthenticated);
        // Strangers are not told which calls there are.
        let answer = asked_of(guard(), Request::post("/votum.v1.JobService/BurnJob")).await;
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Unauthenticated);
        let answer = asked_of(guard(), Request::get("/metrics")).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        for public in ["/", "/grpc.health.v1.Health/Check"] {
            let answer = asked_of(guard(), Request::get(public)).await;
            assert_eq!(answer.headers()["seen"], "nobody", "{public}");
        }
    }

    #[tokio::test]
    async fn a_certificate_of_another_role_is_not_enough() {
        let peer = |role: &str| Peer {
            address: "192.0.2.1:7".parse().unwrap(),
            identity: Some(Ok(Identity { role: role.to_owned(), name: "s1".to_owned() })),
        };
        for (role, rpc, code) in [
            ("worker", "/votum.v1.JobService/SubmitJob", Some(Code::PermissionDenied)),
            ("worker", "/votum.worker.v1.SessionService/Session", None),
            ("operator", "/votum.worker.v1.SessionService/Session", Some(Code::PermissionDenied)),
            ("submitter", "/votum.v1.CaseService/ResolveCase", Some(Code::PermissionDenied)),
            ("submitter", "/votum.v1.JobService/SubmitJob", None),
            ("viewer", "/votum.v1.JobService/CancelJob", Some(Code::PermissionDenied)),
            ("viewer", "/votum.v1.JobService/ListJobs", None),
            ("coordinator", "/votum.v1.JobService/ListJobs", Some(Code::PermissionDenied)),
        ] {
            let asked = asked_of(
                Guard::new(None, true, Clock::start()),
                Request::post(rpc).extension(peer(role)),
            );
            let status = Status::from_header_map(asked.await.headers());
            assert_eq!(status.map(|status| status.code()), code, "{role} {rpc}");
        }
    }

    /// Asks a service that says whom it sees.
    async fn asked(request: Request<Body>) -> Response<Body> {
        guarded(Guard::new(None, false, Clock::start()), request).await
    }

    async fn asked_of(guard: Guard, request: Builder) -> Response<Body> {
        guarded(guard, request.body(Body::empty()).unwrap()).await
    }

    async fn guarded(guard: Guard, request: Request<Body>) -> Response<Body> {
        let inner = service_fn(|request: Request<Body>| async move {
            let seen = request.extensions().get::<Principal>();
            let seen = seen.map_or("nobody", |principal| principal.name.as_str());
            let answer = Response::builder().header("seen", seen).body(Body::empty()).unwrap();
            Ok::<_, Infallible>(answer)
        });
        GuardLayer::new(guard).layer(inner).oneshot(request).await.unwrap()
    }
}
