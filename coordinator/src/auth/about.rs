//! What a request is about, read from its first bytes while they pass by.
//!
//! Every request about one thing names it in its first field. What is read here
//! is written down and decides nothing.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tonic::{
    Status,
    body::Body,
    codegen::{Body as HttpBody, Bytes},
};

/// The resource that a request made, such as the job it handed in; put into the extensions of
/// the response by whoever knows it.
#[derive(Debug, Clone)]
pub(crate) struct About(pub(crate) String);

/// The first bytes of a body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beginning(Arc<Mutex<Vec<u8>>>);

impl Beginning {
    /// Returns a body that leaves its first bytes here.
    pub(crate) fn of(&self, body: Body) -> Body {
        Body::new(Watched { body, beginning: self.clone() })
    }

    /// Reads the name that a gRPC request begins with, if it begins with one.
    pub(crate) fn name(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [PLAIN, _, _, _, _, FIRST_TEXT, length, rest @ ..] = bytes.as_slice() else {
            return None;
        };
        // A length beyond 127 takes two bytes, and no name is so long.
        let text = rest.get(..usize::from(*length)).filter(|_| *length < 0x80)?;
        let is_name = |byte: &u8| byte.is_ascii_graphic();
        let text = (!text.is_empty() && text.iter().all(is_name)).then_some(text)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn see(&self, data: &[u8]) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = BEGINNING_BYTES_MAX.saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(&data[..room]);
    }
}

struct Watched {
    body: Body,
    beginning: Beginning,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.beginning.see(data);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// The first byte of a message that is not compressed.
const PLAIN: u8 = 0;
/// The tag of a first field that is a text.
const FIRST_TEXT: u8 = 0x0a;
/// More than the frame, the tag and the longest name need.
const BEGINNING_BYTES_MAX: usize = 192;

#[cfg(test)]
mod tests {
    use prost::Message;
    use votum_proto::v1::{CancelJobRequest, JobSpec, SubmitJobRequest};

    use super::*;

    #[test]
    fn a_request_is_about_the_name_it_begins_with() {
        let name = "jobs/nightly-k3f9x2ab".to_owned();
        let cancel = CancelJobRequest { name: name.clone(), ..CancelJobRequest::default() };
        assert_eq!(seen(&cancel.encode_to_vec()), Some(name));
        let spec = JobSpec { display_name: "nightly".to_owned(), ..JobSpec::default() };
        let submit = SubmitJobRequest { spec: Some(spec), ..SubmitJobRequest::default() };
        assert_eq!(seen(&submit.encode_to_vec()), None);
        assert_eq!(seen(&[]), None);
        assert_eq!(seen(&[FIRST_TEXT, 100, b'a']), None);
    }

    fn seen(message: &[u8]) -> Option<String> {
        let beginning = Beginning::default();
        beginning.see(&[PLAIN, 0, 0]);
        beginning.see(&[0, u8::try_from(message.len()).unwrap()]);
        beginning.see(message);
        beginning.name()
    }
}
