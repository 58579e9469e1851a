//! The messages in a gRPC body: five bytes that say how long, then the message.

use std::{future::poll_fn, pin::Pin};

use axum::body::HttpBody as _;
use bytes::{Buf as _, Bytes, BytesMut};
use tonic::{Code, Status, body::Body};
use votum_wire::status;

/// The messages of an answer, one after the other.
pub(super) struct Frames {
    body: Body,
    received: BytesMut,
}

impl Frames {
    /// Reads from a body.
    pub(super) fn of(body: Body) -> Self {
        Self { body, received: BytesMut::new() }
    }

    /// Returns the next message, none at the end; nothing is lost if this is given up waiting.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.complete()? {
                return Ok(Some(message));
            }
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            let Some(frame) = frame.transpose()? else { return Ok(None) };
            match frame.into_data() {
                Ok(data) => self.received.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.trailers_ref();
                    match trailers.and_then(Status::from_header_map) {
                        Some(status) if status.code() != Code::Ok => return Err(status),
                        Some(_) | None => {}
                    }
                }
            }
        }
    }

    fn complete(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((head, rest)) = self.received.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let [PLAIN, length @ ..] = *head else {
            return Err(status::internal(&std::io::Error::other("a compressed answer")));
        };
        let length = u32::from_be_bytes(length) as usize;
        if rest.len() < length {
            return Ok(None);
        }
        self.received.advance(HEAD_BYTES);
        Ok(Some(self.received.split_to(length).freeze()))
    }
}

/// Returns the body that carries one message.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a request is bounded far below");
    let mut body = BytesMut::with_capacity(HEAD_BYTES + message.len());
    body.extend_from_slice(&[PLAIN]);
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(message);
    body.freeze()
}

/// Whether it is compressed, and how long it is.
const HEAD_BYTES: usize = 5;
/// Not compressed: nobody has asked for it.
const PLAIN: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_out_as_they_went_in() {
        let body = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let mut frames = Frames::of(Body::new(axum::body::Body::from(body)));
        for message in [&b"one"[..], b"", b"three"] {
            assert_eq!(frames.next().await.unwrap().unwrap(), message);
        }
        assert!(frames.next().await.unwrap().is_none());
    }

    #[test]
    fn half_a_message_is_none_yet() {
        let received = BytesMut::from(&framed(b"one")[..6]);
        let mut frames = Frames { body: Body::empty(), received };
        assert!(frames.complete().unwrap().is_none());
    }
}
