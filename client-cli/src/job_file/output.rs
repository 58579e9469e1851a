//! The outputs of a task, and where each becomes visible.

use std::collections::BTreeMap;

use votum_ids::{Existing, OutputName, Target, TargetKind};
use votum_job::{FlatMap, GENERATIONS_KEPT_MAX, OutputSpec, REPLICAS_MAX};

use super::{
    Problem,
    fields::{Reader, at_key},
    quantity,
    shapes::{OUTPUT, PUBLISH},
    tree::{Key, Node, Value},
};

/// Reads the outputs of a task.
pub(super) fn read_all(reader: &mut Reader<'_>, node: &Node) -> FlatMap<OutputName, OutputSpec> {
    let mut outputs = BTreeMap::new();
    for (key, node) in reader.entries(node) {
        let name = reader.name(key, str::parse::<OutputName>);
        let output = read(reader, key, node);
        if let (Some(name), Some(output)) = (name, output) {
            outputs.insert(name, output);
        }
    }
    outputs.into()
}

fn read(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<OutputSpec> {
    if !matches!(node.value, Value::Mapping(_)) {
        let path = reader.substituted(node)?;
        return Some(OutputSpec {
            path,
            optional: false,
            bytes_max: None,
            publish: None,
            replicas: 1,
        });
    }
    let what = format!("output `{}`", key.text);
    let fields = reader.fields(node, &what, &OUTPUT);
    let Some(path) = fields.find("path") else {
        reader.report(
            at_key(key, format!("{what} has no `path`"))
                .help("the path below $VOTUM_OUTPUT_DIR that the task writes"),
        );
        return None;
    };
    let path = reader.substituted(path);
    let optional = fields.find("optional").and_then(|node| reader.flag(node));
    let bytes_max = fields.find("max_bytes").and_then(|node| reader.parsed(node, quantity::size));
    let publish = fields.find("publish").map(|node| target(reader, key, node));
    let replicas = match fields.find("replicas") {
        Some(node) => replicas(reader, node),
        None => Some(reader.replicas(publish.is_some())),
    };
    Some(OutputSpec {
        path: path?,
        optional: optional.unwrap_or(false),
        bytes_max,
        publish: match publish {
            None => None,
            Some(target) => Some(target?),
        },
        replicas: replicas?,
    })
}

/// Reads on how many workers outputs lie before the vote.
pub(super) fn replicas(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    reader.parsed(node, |text| {
        let given = text.parse().ok().filter(|given| (1..=REPLICAS_MAX).contains(given));
        given.ok_or_else(|| {
            format!("`replicas` is a number from 1, the output itself, to {REPLICAS_MAX}")
        })
    })
}

fn target(reader: &mut Reader<'_>, output: &Key, node: &Node) -> Option<Target> {
    if let Value::Scalar(text) = &node.value {
        let width = text.lines().next().unwrap_or_default().chars().count();
        let (kind, other) = match text.ends_with('/') {
            true => ("tree", "file"),
            false => ("file", "tree"),
        };
        let found = reader.kind(node);
        let problem =
            Problem::new(node.at, format!("`publish` has fields of its own; found {found}"));
        reader.report(problem.width(width).help(format!(
            "write `publish: {{ {kind}: {text} }}`, or `{other}` in place of `{kind}`"
        )));
        return None;
    }
    let fields = reader.fields(node, "`publish`", &PUBLISH);
    let (kind, path) = match (fields.find("file"), fields.find("tree")) {
        (Some(path), None) => (TargetKind::File, path),
        (None, Some(path)) => (TargetKind::Tree, path),
        (Some(_), Some(_)) | (None, None) => {
            let message =
                format!("`publish` of output `{}` needs one of `file` and `tree`", output.text);
            reader.report(at_key(output, message));
            return None;
        }
    };
    let path = reader.substituted(path);
    let mode = fields.find("mode").and_then(|node| reader.parsed(node, file_mode));
    if let (TargetKind::Tree, Some(key)) = (kind, fields.key("mode")) {
        reader.report(
            at_key(key, "`mode` belongs to `file`".to_owned())
                .help("the files of a tree keep the modes that the task gave them"),
        );
    }
    let existing = fields.find("existing").and_then(|node| {
        reader.parsed(node, |text| match text {
            "replace" => Ok(Existing::Replace),
            "fail" => Ok(Existing::Fail),
            _ => Err("`existing` is `replace` or `fail`"),
        })
    });
    let kept = fields.find("keep_versions").and_then(|node| reader.parsed(node, versions));
    let existing = existing.unwrap_or_default();
    Some(Target { path: path?, kind, mode, existing, generations_kept: kept })
}

fn versions(text: &str) -> Result<u32, String> {
    let given = text.parse().ok().filter(|given| (1..=GENERATIONS_KEPT_MAX).contains(given));
    given.ok_or_else(|| format!("`keep_versions` is a number from 1 to {GENERATIONS_KEPT_MAX}"))
}

fn file_mode(text: &str) -> Result<u32, &'static str> {
    // TOML and YAML 1.2 write octal numbers with `0o`.
    match u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8) {
        Ok(mode @ 0..=0o777) => Ok(mode),
        Ok(_) | Err(_) => Err("a mode is three or four octal digits, such as `0644`"),
    }
}
