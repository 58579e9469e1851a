//! One span, and many of them as OTLP writes them in JSON.

use std::borrow::Cow;

use serde_json::{Value, json};
use votum_machine::WallTime;

use super::context::{Context, SpanId, hex};

/// Something that took a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) context: Context,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) began: WallTime,
    pub(super) ended: WallTime,
    pub(super) attributes: Vec<(&'static str, Cow<'static, str>)>,
    /// Why it is a failure: a stable word; none if it is none.
    pub(super) failure: Option<Cow<'static, str>>,
}

/// Who waits for a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Votum itself.
    Internal,
    /// Whoever called.
    Server,
}

impl Span {
    /// Adds an attribute: an id, a number or a stable word.
    pub(super) fn tell(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }
}

/// Writes spans as one request to a collector.
pub(super) fn request(cluster: &str, spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(written).collect();
    let resource = [
        attribute("service.name", "votum-coordinator"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("votum.cluster.id", cluster),
    ];
    let scope = json!({ "name": "votum", "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }]})
}

fn written(span: &Span) -> Value {
    let attributes: Vec<Value> =
        span.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    let kind = match span.kind {
        Kind::Internal => 1,
        Kind::Server => 2,
    };
    let mut written = json!({
        "traceId": hex(&span.context.trace),
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.ended.max(span.began)),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        written["parentSpanId"] = hex(&parent).into();
    }
    // What is no failure says nothing of itself, as OpenTelemetry wants it.
    if let Some(why) = &span.failure {
        written["status"] = json!({ "code": STATUS_ERROR, "message": why });
    }
    written
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// 64-bit numbers are texts in JSON.
fn nanoseconds(at: WallTime) -> String {
    (u128::from(at.0) * 1_000_000).to_string()
}

const STATUS_ERROR: u8 = 2;
