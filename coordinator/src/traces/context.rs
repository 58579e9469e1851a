//! Which trace a job belongs to, and what its spans are called: W3C trace context, level 1.

use std::fmt::Write as _;

use uuid::Uuid;

/// Names a span within its trace.
pub(super) type SpanId = [u8; 8];

/// A job's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    /// The trace.
    pub(super) trace: [u8; 16],
    /// The span of whoever handed the job in.
    pub(super) caller: Option<SpanId>,
    /// Whoever handed it in wants no spans of it.
    pub(super) muted: bool,
}

impl Context {
    /// Returns the trace of the caller, or one of the job's own: its uid.
    pub(crate) fn of(uid: Uuid, traceparent: Option<&str>) -> Self {
        let own = Self { trace: uid.into_bytes(), caller: None, muted: false };
        traceparent.and_then(parsed).unwrap_or(own)
    }

    /// Returns the id of a span of the job by what it is, which is always the same.
    pub(super) fn span(&self, words: &[&str]) -> SpanId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.trace);
        for word in words {
            hasher.update(&[0]).update(word.as_bytes());
        }
        let id = *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer");
        if id == [0; 8] { [1; 8] } else { id }
    }

    /// Returns what a program is given to go on with below a span.
    pub(super) fn traceparent(&self, span: SpanId) -> String {
        let flags = if self.muted { "00" } else { "01" };
        format!("00-{}-{}-{flags}", hex(&self.trace), hex(&span))
    }
}

/// Says whether a text is a traceparent; anything else is not kept.
pub(crate) fn is_traceparent(text: &str) -> bool {
    parsed(text).is_some()
}

/// Reads `00-<32 hex>-<16 hex>-<2 hex>`.
fn parsed(text: &str) -> Option<Context> {
    let parts: Vec<&str> = text.split('-').collect();
    let ["00", trace, caller, flags] = parts.as_slice() else { return None };
    let (trace, caller, [flags]) = (bytes(trace)?, bytes(caller)?, bytes::<1>(flags)?);
    let context = Context { trace, caller: Some(caller), muted: flags & 1 == 0 };
    (trace != [0; 16] && caller != [0; 8]).then_some(context)
}

fn bytes<const LENGTH: usize>(hex: &str) -> Option<[u8; LENGTH]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let mut bytes = [0; LENGTH];
    if hex.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_taken_over_and_told_further() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = Context::of(Uuid::nil(), Some(given));
        assert_eq!(hex(&context.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.caller.map(|id| hex(&id)).as_deref(), Some("00f067aa0ba902b7"));
        let told = context.traceparent(context.span(&["attempt", "1"]));
        assert!(told.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && is_traceparent(&told));
        assert_ne!(context.span(&["task", "a"]), context.span(&["taska"]));
    }

    #[test]
    fn what_is_no_traceparent_leaves_the_job_its_own_trace() {
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(wrong), "{wrong}");
            assert_eq!(Context::of(Uuid::max(), Some(wrong)).trace, [255; 16]);
        }
    }
}
