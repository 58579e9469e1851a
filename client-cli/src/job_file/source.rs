//! How a job file is read: in which syntax, and with which parameters.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    GivenParams, Problem, Rejection, Syntax,
    fields::Reader,
    limits, pair, read,
    tree::{Node, Value},
};
use crate::fault::Fault;

/// How a job file is read.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceArgs {
    /// Value of a parameter; wins over those of files.
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// File with values of parameters, as `name: value` (YAML, `.toml` or `.json`); the last wins.
    #[arg(long = "param-file", value_name = "FILE")]
    param_files: Vec<PathBuf>,
    /// Syntax of the job file, instead of the one its name or, for standard input, its text shows.
    #[arg(long, value_name = "SYNTAX")]
    pub format: Option<Syntax>,
}

impl SourceArgs {
    /// Collects the parameters that were given.
    ///
    /// # Errors
    /// A file that cannot be read, or is no list of names with texts.
    pub(crate) fn given(&self) -> Result<GivenParams, Fault> {
        let mut pairs = Vec::new();
        for path in &self.param_files {
            let bytes = read(path).map_err(|error| Fault::unreadable(path, &error))?;
            let is_stdin = path == Path::new("-");
            let name = if is_stdin { "<stdin>".into() } else { path.to_string_lossy() };
            let syntax = (!is_stdin).then(|| Syntax::of(path));
            pairs.extend(param_file(&name, &bytes, syntax)?);
        }
        pairs.extend(self.params.iter().cloned());
        Ok(GivenParams::new(pairs))
    }
}

/// Reads names with texts.
fn param_file(
    name: &str,
    bytes: &[u8],
    syntax: Option<Syntax>,
) -> Result<Vec<(String, String)>, Rejection> {
    let reject = |source: &str, problems| Rejection::new(name, source, problems);
    let source = limits::text(bytes).map_err(|problem| reject("", vec![problem]))?;
    let syntax = syntax.unwrap_or_else(|| Syntax::guess(source));
    let root = syntax.parse(source).map_err(|problem| reject(source, vec![problem]))?;
    let mut reader = Reader::new(source);
    let entries = reader.entries(&root).iter();
    let pairs =
        entries.filter_map(|(key, node)| Some((key.text.clone(), value(&mut reader, node)?)));
    let pairs = pairs.collect();
    let problems = reader.into_problems();
    if problems.is_empty() { Ok(pairs) } else { Err(reject(source, problems)) }
}

fn value(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    if matches!(node.value, Value::Sequence(_) | Value::Mapping(_)) {
        let problem = Problem::new(node.at, "a parameter is one text".to_owned());
        reader.report(problem.help("write `name: value`, one a line"));
        return None;
    }
    reader.text(node).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_from_a_file_in_any_syntax() {
        let expected =
            [("date".to_owned(), "2026-11-21".to_owned()), ("n".to_owned(), "3".to_owned())];
        for text in [
            "date: 2026-11-21\nn: 3\n",
            "date = 2026-11-21\nn = 3\n",
            r#"{"date": "2026-11-21", "n": 3}"#,
        ] {
            assert_eq!(param_file("p", text.as_bytes(), None).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_parameter_file_with_more_than_texts_is_refused() {
        let told = param_file("p.yaml", b"date: [1]\nregion:\n", None).unwrap_err().to_string();
        assert!(told.contains("--> p.yaml:1:7"), "{told}");
        assert!(told.contains("--> p.yaml:2:"), "{told}");
    }
}
