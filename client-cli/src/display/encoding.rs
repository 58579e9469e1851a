//! JSON in other clothes: as YAML, or line by line.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap as _, SerializeSeq as _},
};

/// Writes a JSON document as YAML, its fields in the same order.
pub(crate) fn yaml(json: &str) -> String {
    serde_saphyr::to_string(&read(json)).expect("whatever is JSON can be YAML")
}

/// Writes a JSON document on one line; of a list, one line for each entry.
pub(crate) fn lines(json: &str) -> String {
    let node = read(json);
    let entries = match &node {
        Node::Map(fields) => match fields.as_slice() {
            [(_, Node::Seq(entries))] => Some(entries),
            [(_, Node::Seq(entries)), (name, Node::Text(_))] if name == TOKEN => Some(entries),
            [..] => None,
        },
        Node::Seq(entries) => Some(entries),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => None,
    };
    match entries {
        Some(entries) => entries.iter().map(|entry| line(entry) + "\n").collect(),
        None => line(&node),
    }
}

fn read(json: &str) -> Node {
    serde_json::from_str(json).expect("it was written as JSON a moment ago")
}

fn line(node: &Node) -> String {
    serde_json::to_string(node).expect("it was read from JSON")
}

/// A JSON value that keeps the order of its fields.
enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    Seq(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Seq(nodes) => {
                let mut seq = serializer.serialize_seq(Some(nodes.len()))?;
                nodes.iter().try_for_each(|node| seq.serialize_element(node))?;
                seq.end()
            }
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, node)| map.serialize_entry(name, node))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Node::Seq(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Map(fields))
    }
}

/// What a page of a list has besides its entries.
const TOKEN: &str = "nextPageToken";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_the_order_of_fields() {
        let text = yaml(r#"{"name":"jobs/a","count":"3","tasks":[{"z":1,"b":true}],"none":null}"#);
        assert_eq!(text, "name: jobs/a\ncount: \"3\"\ntasks:\n- z: 1\n  b: true\nnone: null\n");
    }

    #[test]
    fn a_list_is_one_line_for_each_entry() {
        let page = r#"{"jobs":[{"name":"a"},{"name":"b"}],"nextPageToken":""}"#;
        assert_eq!(lines(page), "{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
        assert_eq!(lines(r#"{"name": "a", "tasks": []}"#), r#"{"name":"a","tasks":[]}"#);
    }
}
