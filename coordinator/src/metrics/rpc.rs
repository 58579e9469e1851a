//! The layer around the whole server that counts RPCs when their answers have ended.

use std::{
    borrow::Cow,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{HeaderMap, Request, Response, header::CONTENT_TYPE},
};
use tower::{Layer, Service};
use votum_driver::Clock;
use votum_machine::Moment;
use votum_wire::code_word;

use super::Metrics;

/// Wraps a server so that its RPCs are counted; what is no gRPC passes uncounted.
#[derive(Debug, Clone)]
pub(crate) struct RpcMetrics {
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

impl<S> Layer<S> for RpcMetrics {
    type Service = CountedRpcs<S>;

    fn layer(&self, inner: S) -> CountedRpcs<S> {
        CountedRpcs { inner, around: self.clone() }
    }
}

/// A server whose RPCs are counted.
#[derive(Debug, Clone)]
pub(crate) struct CountedRpcs<S> {
    inner: S,
    around: RpcMetrics,
}

impl<S, I, O> Service<Request<I>> for CountedRpcs<S>
where
    S: Service<Request<I>, Response = Response<O>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    O: HttpBody<Data = Bytes> + Send + 'static,
    O::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let call = self.around.begin(&request);
        let answer = self.inner.call(request);
        Box::pin(async move {
            // A call that is dropped before its answer counts as cancelled.
            let answer = answer.await?;
            let Some(mut call) = call else { return Ok(answer.map(Body::new)) };
            if let Some(status) = Status::from_header_map(answer.headers()) {
                call.code = Some(status.code());
            }
            Ok(answer.map(|body| Body::new(CountedBody { body: Body::new(body), call })))
        })
    }
}

impl RpcMetrics {
    fn begin<I>(&self, request: &Request<I>) -> Option<Call> {
        let content = request.headers().get(CONTENT_TYPE)?;
        if !content.as_bytes().starts_with(b"application/grpc") {
            return None;
        }
        let (service, method) = request.uri().path().strip_prefix('/')?.split_once('/')?;
        Some(Call {
            service: service.to_owned(),
            method: method.to_owned(),
            began: self.clock.now(),
            code: None,
            around: self.clone(),
        })
    }
}

/// One RPC on its way; counted when it is dropped, however it ends.
#[derive(Debug)]
struct Call {
    service: String,
    method: String,
    began: Moment,
    /// What its answer says; none if it has not ended yet.
    code: Option<Code>,
    around: RpcMetrics,
}

impl Call {
    fn read(&mut self, trailers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(trailers) {
            self.code = Some(status.code());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let known = code != Code::Unimplemented;
        let word = |word: &mut String| match known {
            true => Cow::Owned(std::mem::take(word)),
            // Whatever a stranger asks for would become a label.
            false => Cow::Borrowed("unknown"),
        };
        let (service, method) = (word(&mut self.service), word(&mut self.method));
        let RpcMetrics { metrics, clock } = &self.around;
        let took = clock.now().since(self.began).as_secs_f64();
        let words = [("service", service), ("method", method)];
        // How long a stream lasts says nothing about an answer.
        if !STREAMS.contains(&&*words[1].1) {
            metrics.rpc_duration.get_or_create(&words).observe(took);
        }
        let [service, method] = words;
        let code = ("code", Cow::Borrowed(code_word(code)));
        metrics.rpcs.get_or_create(&[service, method, code]).inc();
    }
}

/// The body of an answer; its trailers say how the RPC has ended.
#[derive(Debug)]
struct CountedBody {
    body: Body,
    call: Call,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.read(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Methods that last as long as somebody listens.
const STREAMS: [&str; 7] = [
    "Session",
    "WatchJob",
    "WatchJobs",
    "TailLogs",
    "Watch",
    "ServerReflectionInfo",
    "BackupStore",
];
