//! Turns a request over HTTP into the gRPC request that it stands for, and the answer back.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use tokio::sync::Semaphore;
use tonic::{Code, Status, codegen::Service, service::Routes};
use votum_wire::{method::Method, status};

use super::{
    frames::{Frames, framed},
    origin::Names,
    problem::{self, JSON},
    route::{Route, Verb},
    stream,
};

/// The way from HTTP to the services; clones share everything.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    grpc: Routes,
    names: Names,
    streams: Arc<Semaphore>,
}

impl Gateway {
    /// Leads to these services.
    pub(super) fn new(grpc: Routes, names: Names) -> Self {
        Self { grpc, names, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    /// Answers one request, whose resource has this name.
    pub(super) async fn answer(
        &self,
        route: &Route,
        method: &Method,
        name: Option<String>,
        request: Request,
    ) -> Response<Body> {
        match self.ask(route, method, name, request).await {
            Ok(response) => response,
            Err(status) => problem::response(&status),
        }
    }

    async fn ask(
        &self,
        route: &Route,
        method: &Method,
        name: Option<String>,
        request: Request,
    ) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        self.names.check(&parts)?;
        let mut fields: Vec<(String, String)> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        fields.extend(name.map(|name| (method.subject().to_owned(), name)));
        let body = match route.verb {
            Verb::Get | Verb::Delete => Bytes::new(),
            Verb::Post => read(&parts.headers, body).await?,
        };
        let body = str::from_utf8(&body).map_err(|_| problem::not_utf8())?;
        let message = method.read(body, &fields).map_err(|invalid| problem::invalid(&invalid))?;
        if !method.streams() {
            return self.unary(route, method, parts, &message).await;
        }
        let permit = self.streams.clone().try_acquire_owned();
        let permit = permit.map_err(|_| status::quota_exceeded("streams", STREAMS_MAX))?;
        let frames = self.call(route, parts, &message).await?;
        Ok(stream::response(frames, method.clone(), permit))
    }

    async fn unary(
        &self,
        route: &Route,
        method: &Method,
        parts: Parts,
        message: &[u8],
    ) -> Result<Response<Body>, Status> {
        let mut frames = self.call(route, parts, message).await?;
        let answer = frames.next().await?;
        // The trailers come after the answer, and may still be a refusal.
        while frames.next().await?.is_some() {}
        let answer = answer.ok_or_else(status::shutting_down)?;
        let text = method.write(&answer).map_err(|error| status::internal(&error))?;
        let mut response = Response::new(Body::from(text));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// Calls the service within this process, as whoever asked.
    async fn call(&self, route: &Route, parts: Parts, message: &[u8]) -> Result<Frames, Status> {
        let mut request = axum::http::Request::post(route.rpc)
            .header(header::CONTENT_TYPE, "application/grpc")
            .body(Body::from(framed(message)))
            .expect("the path of an RPC is one");
        for name in PASSED_ON {
            if let Some(value) = parts.headers.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        *request.extensions_mut() = parts.extensions;
        let answered = self.grpc.clone().call(request).await;
        let (parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
        match Status::from_header_map(&parts.headers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            None if parts.status != StatusCode::OK => Err(Status::unimplemented("")),
            Some(_) | None => Ok(Frames::of(body)),
        }
    }
}

/// Reads a body; one that is no JSON is refused, because a browser sends any other for a
/// stranger's page without asking.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Status> {
    let body = to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| problem::body_too_large(BODY_BYTES_MAX))?;
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if body.is_empty() || kind.is_some_and(|kind| kind.starts_with(JSON.as_bytes())) {
        return Ok(body);
    }
    Err(problem::not_json())
}

/// Headers that go with the request: who asks, and within which trace.
const PASSED_ON: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("votum-user"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// Largest body; a spec takes at most a mebibyte on the wire, and somewhat more in JSON.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Most streams at a time, of all clients together.
const STREAMS_MAX: usize = 512;
