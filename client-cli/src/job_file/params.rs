//! Parameters of a job: declared in the file, given at submission, put in for `${{ params.X }}`.

use std::{collections::BTreeMap, fmt};

use votum_ids::OutputName;
use votum_job::closest;

use super::{
    Problem,
    fields::{Reader, at_key},
    shapes::PARAM,
    tree::{Node, Position, Value},
};

/// Parameters given beside the file, as `-p K=V`.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenParams(BTreeMap<String, String>);

impl GivenParams {
    /// Collects pairs; of several with one name the last counts.
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Splits `K=V`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// What a declared parameter without default and value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingParams {
    /// A problem: the job cannot run.
    Refused,
    /// Its name stands in for it, so that the rest of the file can be checked.
    StoodIn,
}

/// Reads the declared parameters and settles the value of each.
pub(super) fn settle(
    reader: &mut Reader<'_>,
    declared: Option<&Node>,
    given: &GivenParams,
    missing: MissingParams,
) -> BTreeMap<String, String> {
    let mut settled = BTreeMap::new();
    let entries = declared.map_or(&[][..], |node| reader.entries(node));
    for (key, node) in entries {
        if reader.name(key, rule).is_none() {
            continue;
        }
        let default = default(reader, node);
        let value = given.0.get(&key.text).cloned().or(default);
        let stand_in = || (missing == MissingParams::StoodIn).then(|| key.text.replace('_', "-"));
        match value.or_else(stand_in) {
            Some(value) => {
                settled.insert(key.text.clone(), value);
            }
            None => reader.report(
                at_key(key, format!("parameter `{}` has no value", key.text))
                    .help(format!("give it with  -p {}=VALUE", key.text)),
            ),
        }
    }
    for name in given.0.keys() {
        if !entries.iter().any(|(key, _)| key.text == *name) {
            let at = declared.map_or(Position::START, |node| node.at);
            let problem = Problem::new(at, format!("`-p {name}=…` names no parameter of this job"));
            let meant = closest(name, entries.iter().map(|(key, _)| key.text.as_str()));
            reader.report(match meant {
                Some(meant) => problem.label(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
    }
    settled
}

fn default(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => None,
        Value::Scalar(text) => Some(text.clone()),
        Value::Sequence(_) | Value::Mapping(_) => {
            let fields = reader.fields(node, "a parameter", &PARAM);
            if let Some(description) = fields.find("description") {
                reader.text(description);
            }
            fields.find("default").and_then(|node| reader.text(node)).map(str::to_owned)
        }
    }
}

fn rule(name: &str) -> Result<(), String> {
    match OutputName::new(name) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{name}` is not a parameter name: {}", error.rule)),
    }
}

/// An expression that nothing can be put in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unresolved {
    /// As it was written, `${{` included.
    pub expression: String,
    /// The parameter it asks for, if it asks for one.
    pub name: Option<String>,
    closed: bool,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            _ if !self.closed => f.write_str("`${{` without `}}`"),
            Some(name) => write!(f, "unknown parameter `{name}`"),
            None => write!(f, "`{}` is not known here", self.expression),
        }
    }
}

/// Puts parameters in for `${{ params.X }}`; `$${{` stays a literal `${{`.
pub(super) fn substitute(
    text: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${{") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${{");
            rest = &rest[start + 3..];
            continue;
        }
        out.push_str(&rest[..start]);
        let expression = &rest[start..];
        let Some(length) = expression.find("}}") else {
            return Err(Unresolved {
                expression: expression.chars().take(40).collect(),
                name: None,
                closed: false,
            });
        };
        let inner = expression[3..length].trim();
        let name = inner.strip_prefix("params.");
        match name.and_then(|name| params.get(name)) {
            Some(value) => out.push_str(value),
            None => {
                return Err(Unresolved {
                    expression: expression[..length + 2].to_owned(),
                    name: name.map(str::to_owned),
                    closed: true,
                });
            }
        }
        rest = &expression[length + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Said with every expression that cannot be replaced.
pub(super) const RULE: &str = "only `${{ params.NAME }}` is replaced; write `$${{` for a literal `${{`; \
     a task finds its inputs and outputs in $VOTUM_INPUT_<NAME> and $VOTUM_OUTPUT_<NAME>";

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, Unresolved> {
        let params = BTreeMap::from([("date".to_owned(), "2026-11-21".to_owned())]);
        substitute(text, &params)
    }

    #[test]
    fn a_parameter_is_put_in_wherever_it_stands() {
        assert_eq!(put("/srv/${{ params.date }}/x"), Ok("/srv/2026-11-21/x".to_owned()));
        assert_eq!(put("${{params.date}}${{ params.date}}"), Ok("2026-11-21".repeat(2)));
    }

    #[test]
    fn a_doubled_dollar_keeps_the_expression_literal() {
        assert_eq!(put("$${{ params.date }}"), Ok("${{ params.date }}".to_owned()));
        assert_eq!(put("$HOME ${x} }}"), Ok("$HOME ${x} }}".to_owned()));
    }

    #[test]
    fn an_unknown_expression_is_never_passed_on() {
        let unresolved = put("a ${{ params.dat }} b").unwrap_err();
        assert_eq!(unresolved.to_string(), "unknown parameter `dat`");
        assert_eq!(
            put("${{ job.id }}").unwrap_err().to_string(),
            "`${{ job.id }}` is not known here"
        );
        assert_eq!(put("${{ params.date").unwrap_err().to_string(), "`${{` without `}}`");
    }
}
