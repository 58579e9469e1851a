//! HTTP on the same listener as gRPC: JSON for scripts and the page, the page itself, and whether
//! it is well.
//!
//! A request over HTTP becomes the gRPC request that its route stands for and
//! is answered by the same service, so that neither a rule nor a role can
//! differ between the two. What comes in beside the request (headers that say
//! who asks, and the connection's extensions) goes with it.

mod frames;
mod gateway;
mod origin;
pub(crate) mod problem;
mod route;
mod stream;

pub(crate) use origin::Names;
pub(crate) use route::rpc_of;

use axum::{
    Router,
    body::Body,
    extract::{RawPathParams, Request, State},
    http::{HeaderMap, Method as HttpMethod, Response, Uri, header},
    routing::{get, on},
};
use tonic::{Status, service::Routes};
use votum_wire::method::Method;

use gateway::Gateway;
use route::ROUTES;

use crate::web;

/// Joins the gRPC services with everything that HTTP alone asks for.
///
/// `further` are routes of others, such as `/metrics`; `names` says under which names a browser
/// may call this coordinator.
pub(crate) fn joined(grpc: &Routes, names: Names, further: Router) -> Routes {
    let gateway = Gateway::new(grpc.clone(), names);
    let mut http = Router::new().route("/healthz", get(async || "ok\n"));
    for route in ROUTES {
        let method = Method::named(route.rpc).expect("a test looks for each of them");
        let ask =
            async move |State(gateway): State<Gateway>, parts: RawPathParams, request: Request| {
                gateway.answer(route, &method, route.name(parts.iter()), request).await
            };
        http = http.route(&route.path(), on(route.verb.filter(), ask));
    }
    let http = http.with_state(gateway).merge(further).fallback(unknown);
    Routes::from(http.merge(grpc.clone().into_axum_router().reset_fallback()))
}

/// Answers whoever asks for what is not a route, in his own language: a browser gets the page.
async fn unknown(method: HttpMethod, uri: Uri, headers: HeaderMap) -> Response<Body> {
    if is_grpc(&headers) {
        return Status::unimplemented("").into_http();
    }
    if method == HttpMethod::GET && !uri.path().starts_with("/api/") {
        return web::answer(uri.path(), &headers);
    }
    problem::response(&problem::no_such_route())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}
