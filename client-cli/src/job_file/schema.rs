//! The JSON Schema of job files, made of the shapes that the reader reads by.
//!
//! It says what a look at one field can tell: names, kinds, bounds, and what
//! excludes each other. What needs the whole file (cycles, unknown tasks, targets
//! that meet) only `votum validate` tells.

use serde_json::{Map, Value, json};

use super::{
    shape::{Field, Holds, Name, Shape},
    shapes::{ALL, JOB},
};

/// Returns the schema, as JSON Schema 2020-12.
pub(crate) fn job() -> Value {
    let definitions: Map<String, Value> =
        ALL.into_iter().map(|shape| (shape.name.to_owned(), definition(shape))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Votum job file",
        "description": JOB.about,
        "$ref": format!("#/$defs/{}", JOB.name),
        "$defs": definitions,
    })
}

fn definition(shape: &Shape) -> Value {
    let properties: Map<String, Value> =
        shape.fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> =
        shape.fields.iter().filter(|field| field.must).map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.about,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !shape.one_of.is_empty() {
        let given = |name: &&str| json!({ "required": [name] });
        schema["oneOf"] = shape.one_of.iter().map(given).collect();
    }
    if !shape.beside.is_empty() {
        let pairs = shape.beside.iter().map(|(name, beside)| ((*name).to_owned(), json!([beside])));
        schema["dependentRequired"] = Value::Object(pairs.collect());
    }
    schema
}

fn property(field: &Field) -> Value {
    let mut schema = holds(field.holds);
    let mut about = plain(field.about);
    if !field.must && field.default != "–" {
        about.push_str(&format!(" (default: {})", plain(field.default)));
    }
    schema["description"] = about.into();
    schema
}

fn holds(holds: Holds) -> Value {
    match holds {
        Holds::Always(number) => json!({ "const": number }),
        Holds::Text => json!({ "type": ["string", "number", "boolean"] }),
        Holds::Name(name) => json!({ "type": "string", "pattern": pattern(name) }),
        Holds::Whole(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Holds::Flag => json!({ "type": "boolean" }),
        Holds::Duration => json!({ "type": "string", "pattern": DURATION }),
        Holds::Size => json!({ "type": ["string", "integer"], "minimum": 0, "pattern": SIZE }),
        Holds::Cores => json!({
            "type": ["string", "number"], "exclusiveMinimum": 0, "maximum": 100_000, "pattern": CORES,
        }),
        Holds::Mode => json!({ "type": ["string", "integer"], "minimum": 0, "pattern": MODE }),
        Holds::Choice(words) => json!({ "enum": words }),
        // In YAML a name without a value holds nothing.
        Holds::Texts => json!({
            "type": ["object", "null"],
            "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
        }),
        Holds::List(of) => json!({ "type": ["array", "null"], "items": self::holds(*of) }),
        Holds::Many(name, of, least, most) => json!({
            "type": "object",
            "propertyNames": { "pattern": pattern(name) },
            "additionalProperties": self::holds(*of),
            "minProperties": least,
            "maxProperties": most,
        }),
        Holds::Fields(shape) => json!({ "$ref": format!("#/$defs/{}", shape.name) }),
        Holds::Either(one, other) => {
            json!({ "anyOf": [self::holds(*one), self::holds(*other)] })
        }
    }
}

fn pattern(name: Name) -> String {
    let inner = "[a-z]([a-z0-9_-]{0,61}[a-z0-9])?";
    match name {
        Name::Job => "^[a-z]([a-z0-9-]{0,52}[a-z0-9])?$".to_owned(),
        Name::Inner => format!("^{inner}$"),
        Name::Output => format!("^{inner}\\.{inner}$"),
    }
}

/// Returns Markdown without its links, which an editor does not show.
fn plain(markdown: &str) -> String {
    let mut plain = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((words, target)) = link.split_once("](") else { break };
        let Some((_, after)) = target.split_once(')') else { break };
        plain.push_str(before);
        plain.push_str(words);
        rest = after;
    }
    plain + rest
}

const DURATION: &str = "^([0-9]+(\\.[0-9]+)? ?(ns|us|µs|ms|s|m|h|d|w) ?)+$";
const SIZE: &str = "^[0-9]+ ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$";
const CORES: &str = "^[0-9]+(\\.[0-9]{1,3})?$";
const MODE: &str = "^(0o)?[0-7]{1,4}$";
