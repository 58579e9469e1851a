//! The layer around the whole server that lets requests through, or answers in its place.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
};
use tower::Layer;

use super::{Guard, routes::wanted};

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
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.guard.admit(&parts) {
            Ok(principal) => {
                parts.extensions.insert(principal);
                Either::Right(self.inner.call(Request::from_parts(parts, body)))
            }
            Err(refusal) => {
                let answer = refusal.answer(wanted(&parts.method, parts.uri.path()));
                Either::Left(ready(Ok(answer)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::{Code, Status, codegen::http::StatusCode};
    use tower::{ServiceExt, service_fn};

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

    /// Asks a service that says whom it sees.
    async fn asked(request: Request<Body>) -> Response<Body> {
        let inner = service_fn(|request: Request<Body>| async move {
            let seen = &request.extensions().get::<Principal>().unwrap().name;
            let answer = Response::builder().header("seen", seen).body(Body::empty()).unwrap();
            Ok::<_, Infallible>(answer)
        });
        GuardLayer::new(Guard::trusting()).layer(inner).oneshot(request).await.unwrap()
    }
}
