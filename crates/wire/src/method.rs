//! The JSON of a method that is known by its name only: what stands between HTTP and gRPC.
//!
//! A request is read from a body and from fields that stand in the path and in
//! the query; fields win over the body. Both are the canonical JSON of proto3.

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::json::{self, POOL};

/// A method of one of Votum's services.
#[derive(Debug, Clone)]
pub struct Method {
    input: MessageDescriptor,
    output: MessageDescriptor,
    streams: bool,
}

impl Method {
    /// Finds a method by its path on the wire, such as `/votum.v1.JobService/GetJob`.
    #[must_use]
    pub fn named(rpc: &str) -> Option<Self> {
        let (service, name) = rpc.strip_prefix('/')?.split_once('/')?;
        let service = POOL.get_service_by_name(service)?;
        let method = service.methods().find(|method| method.name() == name)?;
        Some(Self {
            input: method.input(),
            output: method.output(),
            streams: method.is_server_streaming(),
        })
    }

    /// Says whether it answers with a stream of messages.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// Returns the field of the request that names what it is about.
    #[must_use]
    pub fn subject(&self) -> &'static str {
        if self.input.get_field_by_name(PARENT).is_some() { PARENT } else { "name" }
    }

    /// Reads a request, encoded as gRPC carries it; an empty body is an empty message.
    ///
    /// # Errors
    /// [`InvalidRequest`] when the body is not of this message, or a field is not in it.
    pub fn read(&self, body: &str, fields: &[(String, String)]) -> Result<Vec<u8>, InvalidRequest> {
        let mut encoded = if body.trim_ascii().is_empty() {
            Vec::new()
        } else {
            self.body(body).map_err(InvalidRequest::Body)?.encode_to_vec()
        };
        // Of two values of one field, the one that stands later counts.
        encoded.extend(self.fields(fields)?.encode_to_vec());
        Ok(encoded)
    }

    /// Writes an answer on one line.
    ///
    /// # Errors
    /// When the bytes are not of this message.
    pub fn write(&self, encoded: &[u8]) -> Result<String, prost::DecodeError> {
        let message = DynamicMessage::decode(self.output.clone(), encoded)?;
        Ok(json::written(&message))
    }

    fn body(&self, body: &str) -> Result<DynamicMessage, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(body);
        let message = DynamicMessage::deserialize(self.input.clone(), &mut reader)?;
        reader.end()?;
        Ok(message)
    }

    fn fields(&self, fields: &[(String, String)]) -> Result<DynamicMessage, InvalidRequest> {
        let mut object = Map::new();
        for (path, text) in fields {
            // An entry of a map is named by its key: `labels.team=sales`.
            let (name, entry) =
                path.split_once('.').map_or((path.as_str(), None), |(name, key)| (name, Some(key)));
            let found = self.input.get_field_by_json_name(name);
            let field = found.or_else(|| self.input.get_field_by_name(name));
            let field = field.filter(|field| field.is_map() == entry.is_some());
            let field = field.ok_or_else(|| InvalidRequest::UnknownField(path.clone()))?;
            let value = scalar(&field, text);
            let key = field.json_name().to_owned();
            if let Some(entry) = entry {
                let map = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(entries) = map {
                    entries.insert(entry.to_owned(), value);
                }
            } else if field.is_list() {
                let list = object.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(values) = list {
                    values.push(value);
                }
            } else {
                object.insert(key, value);
            }
        }
        DynamicMessage::deserialize(self.input.clone(), Value::Object(object))
            .map_err(InvalidRequest::Fields)
    }
}

/// Everything but truth may be written as a string in JSON, numbers too.
fn scalar(field: &FieldDescriptor, text: &str) -> Value {
    match (field.kind() == Kind::Bool, text) {
        (true, "true" | "") => Value::Bool(true),
        (true, "false") => Value::Bool(false),
        (_, text) => Value::String(text.to_owned()),
    }
}

/// The field of requests about what belongs to a resource.
const PARENT: &str = "parent";

/// A request over HTTP that is not one of the method.
#[derive(Debug, Error)]
pub enum InvalidRequest {
    /// The body is no JSON, or not of the message.
    #[error("the body is not the JSON of the request")]
    Body(#[source] serde_json::Error),
    /// A field of the path or the query has a value that it cannot have.
    #[error("a parameter of the query is wrong")]
    Fields(#[source] serde_json::Error),
    /// The query names a field that the request does not have.
    #[error("the request has no parameter {0:?}")]
    UnknownField(String),
}

#[cfg(test)]
mod tests {
    use votum_proto::v1;

    use super::*;

    fn method(rpc: &str) -> Method {
        Method::named(rpc).expect("it is one")
    }

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_query_fills_the_fields_of_a_request() {
        let list = method("/votum.v1.JobService/ListJobs");
        let query = [
            ("pageSize", "20"),
            ("states", "JOB_STATE_RUNNING"),
            ("states", "JOB_STATE_ABORTED"),
            ("paused", "true"),
            ("labels.team", "sales"),
        ];
        let read = list.read("", &fields(&query)).unwrap();
        let request = v1::ListJobsRequest::decode(read.as_slice()).unwrap();
        assert_eq!((request.page_size, request.paused, request.states), (20, true, vec![2, 7]));
        assert_eq!(request.labels["team"], "sales");
    }

    #[test]
    fn the_path_wins_over_the_body() {
        let cancel = method("/votum.v1.JobService/CancelJob");
        let body = r#"{"name": "jobs/another", "reason": "wrong day"}"#;
        let read = cancel.read(body, &fields(&[("name", "jobs/this")])).unwrap();
        let request = v1::CancelJobRequest::decode(read.as_slice()).unwrap();
        assert_eq!((request.name.as_str(), request.reason.as_str()), ("jobs/this", "wrong day"));
    }

    #[test]
    fn what_is_not_of_the_request_is_refused() {
        let cancel = method("/votum.v1.JobService/CancelJob");
        assert!(cancel.read(r#"{"nmae": "jobs/this"}"#, &[]).is_err());
        assert!(cancel.read("{} {}", &[]).is_err());
        let unknown = cancel.read("", &fields(&[("nmae", "jobs/this")])).unwrap_err();
        assert_eq!(unknown.to_string(), "the request has no parameter \"nmae\"");
        let list = method("/votum.v1.JobService/ListJobs");
        assert!(list.read("", &fields(&[("paused", "perhaps")])).is_err());
        assert!(list.read("", &fields(&[("pageSize", "many")])).is_err());
    }

    #[test]
    fn an_answer_is_written_in_canonical_json() {
        let get = method("/votum.v1.JobService/GetJob");
        let job = v1::Job { name: "jobs/this".to_owned(), state: 5, ..v1::Job::default() };
        let answer = v1::GetJobResponse { job: Some(job) }.encode_to_vec();
        let expected = r#"{"job":{"name":"jobs/this","state":"JOB_STATE_COMMITTED"}}"#;
        assert_eq!(get.write(&answer).unwrap(), expected);
        assert!(!get.streams() && method("/votum.v1.JobService/WatchJob").streams());
    }
}
