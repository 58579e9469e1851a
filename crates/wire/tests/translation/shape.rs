//! Messages taken apart by their descriptors: which fields they set, and what they become without.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the many kinds of values only those that hold messages matter here"
)]

use std::{collections::BTreeSet, sync::LazyLock};

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};

/// What is done to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// One enumeration gets a value that nobody knows.
    UnknownValue,
    /// One oneof is cleared.
    UnsetChoice,
    /// One field is cleared.
    UnsetField,
}

/// Returns every field of Votum's messages, as `message.field`.
pub(crate) fn fields_there_are() -> BTreeSet<String> {
    let ours = |message: &MessageDescriptor| {
        message.package_name().starts_with("votum.") && !message.is_map_entry()
    };
    let mut fields = BTreeSet::new();
    for message in pool().all_messages().filter(ours) {
        fields.extend(message.fields().map(|field| field.full_name().to_owned()));
    }
    fields
}

/// Collects every field that a message or a message in it sets.
pub(crate) fn fields_set(name: &str, bytes: &[u8], seen: &mut BTreeSet<String>) {
    collect(&decode(name, bytes), seen);
}

fn collect(message: &DynamicMessage, seen: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        seen.insert(field.full_name().to_owned());
        for inner in messages_in(value) {
            collect(inner, seen);
        }
    }
}

/// Returns every way to change a message in one place, with the name of the field changed.
pub(crate) fn changes(name: &str, bytes: &[u8], change: Change) -> Vec<(String, Vec<u8>)> {
    let encode = |(field, message): (String, DynamicMessage)| (field, message.encode_to_vec());
    changed(&decode(name, bytes), change).into_iter().map(encode).collect()
}

fn changed(message: &DynamicMessage, change: Change) -> Vec<(String, DynamicMessage)> {
    let mut all = Vec::new();
    let fields: Vec<(FieldDescriptor, Value)> =
        message.fields().map(|(field, value)| (field, value.clone())).collect();
    for (field, value) in fields {
        all.extend(here(message, &field, &value, change));
        if !in_votum(&field) {
            continue;
        }
        for (name, value) in within(&value, change) {
            let mut copy = message.clone();
            copy.set_field(&field, value);
            all.push((name, copy));
        }
    }
    all
}

/// Changes one field of a message itself.
fn here(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    value: &Value,
    change: Change,
) -> Option<(String, DynamicMessage)> {
    let mut copy = message.clone();
    let choice = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    match (change, field.kind(), value, choice) {
        (Change::UnknownValue, Kind::Enum(_), Value::EnumNumber(_), _) => {
            copy.set_field(field, Value::EnumNumber(UNKNOWN));
            Some((field.name().to_owned(), copy))
        }
        (Change::UnsetChoice, _, _, Some(choice)) => {
            copy.clear_field(field);
            Some((choice.name().to_owned(), copy))
        }
        (Change::UnsetField, ..) => {
            copy.clear_field(field);
            Some((field.name().to_owned(), copy))
        }
        _ => None,
    }
}

/// Changes one message within a value.
fn within(value: &Value, change: Change) -> Vec<(String, Value)> {
    match value {
        Value::Message(inner) => changed(inner, change)
            .into_iter()
            .map(|(name, inner)| (name, Value::Message(inner)))
            .collect(),
        Value::List(values) => {
            let mut all = Vec::new();
            for (i, value) in values.iter().enumerate() {
                for (name, value) in within(value, change) {
                    let mut copy = values.clone();
                    copy[i] = value;
                    all.push((name, Value::List(copy)));
                }
            }
            all
        }
        _ => Vec::new(),
    }
}

fn messages_in(value: &Value) -> Vec<&DynamicMessage> {
    match value {
        Value::Message(inner) => vec![inner],
        Value::List(values) => values.iter().flat_map(messages_in).collect(),
        _ => Vec::new(),
    }
}

fn in_votum(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => message.package_name().starts_with("votum."),
        _ => false,
    }
}

fn decode(name: &str, bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(descriptor(name), bytes).unwrap()
}

fn descriptor(name: &str) -> MessageDescriptor {
    pool().get_message_by_name(name).unwrap()
}

fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(votum_proto::FILE_DESCRIPTOR_SET).unwrap());
    &POOL
}

/// A value that no enumeration has.
pub(crate) const UNKNOWN: i32 = 99;
