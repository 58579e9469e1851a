//! A stream of messages as server-sent events.
//!
//! Between the service and the client stand a few events and no more: a client
//! that reads slowly makes its own service wait, and one that has stopped
//! reading is let go.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use futures_util::StreamExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use votum_wire::{Problem, method::Method, status};

use super::{frames::Frames, problem};

/// Passes a stream on until it ends, or until the client has gone or has stopped reading.
pub(super) fn response(
    frames: Frames,
    method: Method,
    permit: OwnedSemaphorePermit,
) -> Response<Body> {
    let (events, received) = mpsc::channel(EVENTS_WAITING_MAX);
    tokio::spawn(async move {
        let _permit = permit;
        pass_on(frames, &method, &events).await;
    });
    let body = ReceiverStream::new(received).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn pass_on(mut frames: Frames, method: &Method, events: &mpsc::Sender<String>) {
    loop {
        let next = tokio::select! {
            next = timeout(SILENCE_MAX, frames.next()) => next,
            () = events.closed() => return,
        };
        let (event, goes_on) = match next {
            Err(_silent) => (":\n\n".to_owned(), true),
            Ok(Ok(Some(message))) => match method.write(&message) {
                Ok(text) => (format!("data: {text}\n\n"), true),
                Err(error) => (failure(&status::internal(&error)), false),
            },
            Ok(Ok(None)) => ("event: end\ndata: {}\n\n".to_owned(), false),
            Ok(Err(status)) => (failure(&status), false),
        };
        let taken = timeout(READER_PATIENCE, events.send(event)).await;
        if !goes_on || !matches!(taken, Ok(Ok(()))) {
            return;
        }
    }
}

fn failure(status: &Status) -> String {
    format!("event: error\ndata: {}\n\n", problem::text(&Problem::from_status(status)))
}

/// Most events that wait for a client.
const EVENTS_WAITING_MAX: usize = 4;
/// After this long without an event a comment shows that the connection stands.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// A client that takes nothing for this long has stopped reading.
const READER_PATIENCE: Duration = Duration::from_secs(30);
