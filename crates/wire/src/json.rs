//! The canonical JSON of a message (proto3): what `-o json` prints.
//!
//! 64-bit numbers are strings, absent fields are left out, fields stand in the
//! order of the `.proto` files, and maps in the order of their keys.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;
use thiserror::Error;

/// Writes a message as one line.
#[must_use]
pub fn to_json<M: Message + Name>(message: &M) -> String {
    let (descriptor, value) = plain(message);
    serde_json::to_string(&Ordered::message(&descriptor, &value)).expect("keys are strings")
}

/// Writes a message over several lines, for people.
#[must_use]
pub fn to_json_pretty<M: Message + Name>(message: &M) -> String {
    let (descriptor, value) = plain(message);
    serde_json::to_string_pretty(&Ordered::message(&descriptor, &value)).expect("keys are strings")
}

/// Reads a message from its JSON; unknown fields are refused.
///
/// # Errors
/// [`InvalidJson`] when the text is no JSON or not of this message.
pub fn from_json<M: Message + Name + Default>(text: &str) -> Result<M, InvalidJson> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor::<M>(), &mut reader)?;
    reader.end()?;
    Ok(message.transcode_to().expect("read by the descriptor of the same message"))
}

/// A text that is not the JSON of a message.
#[derive(Debug, Error)]
#[error("the text is not the JSON of the message")]
pub struct InvalidJson(#[from] serde_json::Error);

/// Writes a message that is known by its descriptor only, as one line.
pub(crate) fn written(message: &DynamicMessage) -> String {
    let value = value(message);
    let descriptor = message.descriptor();
    serde_json::to_string(&Ordered::message(&descriptor, &value)).expect("keys are strings")
}

/// Returns the JSON of a message, in no order that could be relied upon.
fn plain<M: Message + Name>(message: &M) -> (MessageDescriptor, Value) {
    let descriptor = descriptor::<M>();
    let mut dynamic = DynamicMessage::new(descriptor.clone());
    dynamic.transcode_from(message).expect("written by the same message");
    let value = value(&dynamic);
    (descriptor, value)
}

fn value(message: &DynamicMessage) -> Value {
    serde_json::to_value(message)
        .expect("every detail that Votum puts into a status has a descriptor")
}

/// A part of the JSON of a message, to be written in the order of the `.proto` file.
struct Ordered<'a> {
    value: &'a Value,
    shape: Shape,
}

/// What tells fields of a message from keys of a map.
enum Shape {
    /// An object whose keys are the fields of this message.
    Message(MessageDescriptor),
    /// An object whose values have the shape of this field.
    Map(FieldDescriptor),
    /// A list of this field's shape, or one of them.
    Field(Kind),
}

impl<'a> Ordered<'a> {
    fn message(descriptor: &MessageDescriptor, value: &'a Value) -> Self {
        Self { value, shape: Shape::Message(descriptor.clone()) }
    }

    fn field(field: &FieldDescriptor, value: &'a Value) -> Self {
        let kind = field.kind();
        let entry = kind.as_message().filter(|message| message.is_map_entry());
        let shape = match entry {
            Some(entry) => Shape::Map(entry.map_entry_value_field()),
            None => Shape::Field(kind),
        };
        Self { value, shape }
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.shape, self.value) {
            // Timestamps, durations and details have forms of their own.
            (Shape::Message(message), Value::Object(object))
                if message.package_name() != "google.protobuf" =>
            {
                let mut map = serializer.serialize_map(None)?;
                for field in message.fields() {
                    if let Some(value) = object.get(field.json_name()) {
                        map.serialize_entry(field.json_name(), &Ordered::field(&field, value))?;
                    }
                }
                map.end()
            }
            (Shape::Map(field), Value::Object(object)) => {
                let sorted: BTreeMap<_, _> =
                    object.iter().map(|(key, value)| (key, Ordered::field(field, value))).collect();
                serializer.collect_map(sorted)
            }
            (Shape::Field(kind), Value::Array(values)) => serializer.collect_seq(
                values.iter().map(|value| Ordered { value, shape: Shape::Field(kind.clone()) }),
            ),
            (Shape::Field(Kind::Message(message)), value) => {
                Ordered::message(message, value).serialize(serializer)
            }
            (Shape::Message(_) | Shape::Map(_) | Shape::Field(_), value) => {
                value.serialize(serializer)
            }
        }
    }
}

fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name()).expect("every generated message has a descriptor")
}

/// Every message and service of Votum.
pub(crate) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(votum_proto::FILE_DESCRIPTOR_SET).expect("the build script compiled it")
});
