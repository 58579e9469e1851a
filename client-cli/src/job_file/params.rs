//! Parameters of a job: declared in the file, given at submission, put in for `${{ params.X }}`.

use std::{collections::BTreeMap, fmt};

use votum_ids::OutputName;
use votum_job::{Expression, closest};

use super::{
    Problem,
    fields::{Reader, at_key},
    shapes::PARAM,
    tree::{Node, Value},
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
            let given = format!("-p {name}");
            let message = format!("`-p {name}=…` names no parameter of this job");
            let problem = Problem::beside_the_file(given, message);
            let known = || entries.iter().map(|(key, _)| key.text.as_str());
            reader.report(match closest(name, known()) {
                Some(meant) => problem.label(format!("did you mean `{meant}`?")),
                None if entries.is_empty() => problem.help("the job declares no `params`"),
                None => {
                    let known: Vec<&str> = known().collect();
                    problem.help(format!("it declares: {}", known.join(", ")))
                }
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

/// What the worker knows of a task beyond its parameters, by the names that its file gives them.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownToWorker {
    /// Its inputs.
    pub inputs: Vec<String>,
    /// Its outputs.
    pub outputs: Vec<String>,
}

/// An expression that nothing can be put in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unresolved {
    /// As it was written, `${{` included.
    pub expression: String,
    /// What it asks for, if that is a kind of things that are known here.
    pub name: Option<(Kind, String)>,
    closed: bool,
}

/// A kind of things that an expression can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `params.X`
    Parameter,
    /// `inputs.X`
    Input,
    /// `outputs.X`
    Output,
}

impl Kind {
    /// Returns what it is called in an expression.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Parameter => "params",
            Self::Input => "inputs",
            Self::Output => "outputs",
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            _ if !self.closed => f.write_str("`${{` without `}}`"),
            Some((Kind::Parameter, name)) => write!(f, "unknown parameter `{name}`"),
            Some((Kind::Input, name)) => write!(f, "the task has no input `{name}`"),
            Some((Kind::Output, name)) => write!(f, "the task has no output `{name}`"),
            None => write!(f, "`{}` is not known here", self.expression),
        }
    }
}

/// Puts parameters in for `${{ params.X }}`; `$${{` stays a literal `${{`.
///
/// In a text that a worker reads (`known`), what only it knows is left to it, and what shall stay
/// as it is is told so.
pub(super) fn substitute(
    text: &str,
    params: &BTreeMap<String, String>,
    known: Option<&KnownToWorker>,
) -> Result<String, Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${{") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            out.push_str(before);
            out.push_str(if known.is_some() { "$${{" } else { "${{" });
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
        let written = &expression[..length + 2];
        out.push_str(&value(written, params, known).map_err(|name| Unresolved {
            expression: written.to_owned(),
            name,
            closed: true,
        })?);
        rest = &expression[length + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Returns what stands in for one expression, or what it asks for in vain.
fn value(
    written: &str,
    params: &BTreeMap<String, String>,
    known: Option<&KnownToWorker>,
) -> Result<String, Option<(Kind, String)>> {
    let inner = written[3..written.len() - 2].trim();
    if let Some(name) = inner.strip_prefix("params.") {
        let value = params.get(name).ok_or_else(|| Some((Kind::Parameter, name.to_owned())))?;
        return Ok(known.map_or_else(|| value.clone(), |_| Expression::escaped(value)));
    }
    let Some((known, expression)) = known.zip(Expression::read(inner)) else { return Err(None) };
    let (kind, names, name) = match expression {
        Expression::JobId => return Ok(written.to_owned()),
        Expression::Input(name) => (Kind::Input, &known.inputs, name),
        Expression::Output(name) => (Kind::Output, &known.outputs, name),
    };
    let is_known = names.iter().any(|known| known == name);
    if is_known { Ok(written.to_owned()) } else { Err(Some((kind, name.to_owned()))) }
}

/// Said with every expression that cannot be replaced.
pub(super) const RULE: &str = "`${{ params.NAME }}` is replaced, in the `command` and `env` of a task also `${{ inputs.NAME }}`, \
     `${{ outputs.NAME }}` and `${{ job.id }}`; write `$${{` for a literal `${{`; a script finds all of them in its environment";

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, Unresolved> {
        let params = BTreeMap::from([("date".to_owned(), "2026-11-21".to_owned())]);
        substitute(text, &params, None)
    }

    /// Puts in what is known, and what is left to the worker.
    fn put_for_worker(text: &str) -> Result<String, Unresolved> {
        let params = BTreeMap::from([("odd".to_owned(), "${{ job.id }}".to_owned())]);
        let known =
            KnownToWorker { inputs: vec!["orders".to_owned()], outputs: vec!["site".to_owned()] };
        substitute(text, &params, Some(&known))
    }

    #[test]
    fn what_only_the_worker_knows_is_left_to_it() {
        for text in
            ["--in=${{ inputs.orders }}", "${{outputs.site}}/${{ job.id }}", "$${{ job.id }}"]
        {
            assert_eq!(put_for_worker(text), Ok(text.to_owned()));
        }
        let told = |text| put_for_worker(text).unwrap_err().to_string();
        assert_eq!(told("${{ inputs.order }}"), "the task has no input `order`");
        assert_eq!(told("${{ outputs.orders }}"), "the task has no output `orders`");
        assert_eq!(told("${{ job.name }}"), "`${{ job.name }}` is not known here");
    }

    #[test]
    fn a_parameter_never_becomes_an_expression_of_the_worker() {
        assert_eq!(put_for_worker("${{ params.odd }}"), Ok("$${{ job.id }}".to_owned()));
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
