//! In which of the three syntaxes a job file is written.

use std::path::Path;

use clap::ValueEnum;

use super::{Problem, json, toml, tree::Node, yaml};

/// A syntax of job files; all three say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Syntax {
    /// YAML 1.2.
    Yaml,
    /// TOML 1.1.
    Toml,
    /// JSON (RFC 8259).
    Json,
}

impl Syntax {
    /// Tells the syntax by the end of a file's name: `.toml`, `.json`, and YAML for any other.
    pub(crate) fn of(path: &Path) -> Self {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            Some(_) | None => Self::Yaml,
        }
    }

    /// Tells the syntax of a text without a name.
    ///
    /// JSON begins with a brace and a quote. TOML begins with a table or with `name =`, of which
    /// neither can begin a job in YAML.
    pub(super) fn guess(source: &str) -> Self {
        let mut lines = source.lines().map(str::trim);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let first = first.unwrap_or_default();
        if source
            .trim_start()
            .strip_prefix('{')
            .is_some_and(|rest| rest.trim_start().starts_with('"'))
        {
            return Self::Json;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"');
        let behind = first.trim_start_matches(is_name);
        if first.starts_with('[')
            || (behind.len() < first.len() && behind.trim_start().starts_with('='))
        {
            return Self::Toml;
        }
        Self::Yaml
    }

    /// Reads a text.
    pub(super) fn parse(self, source: &str) -> Result<Node, Problem> {
        match self {
            Self::Yaml => yaml::parse(source),
            Self::Toml => toml::parse(source),
            Self::Json => json::parse(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_name_shows_its_syntax() {
        for (source, syntax) in [
            ("version: 1\n", Syntax::Yaml),
            ("# a comment = none\n\n---\nversion: 1", Syntax::Yaml),
            ("{version: 1}", Syntax::Yaml),
            ("", Syntax::Yaml),
            (" {\n \"version\": 1}", Syntax::Json),
            ("# TOML\nversion = 1\n", Syntax::Toml),
            ("[tasks.a]\nrun = 'x'\n", Syntax::Toml),
            ("commit.approval=true", Syntax::Toml),
        ] {
            assert_eq!(Syntax::guess(source), syntax, "{source}");
        }
    }

    #[test]
    fn the_end_of_a_name_tells_the_syntax() {
        assert_eq!(Syntax::of(Path::new("a/job.TOML")), Syntax::Toml);
        assert_eq!(Syntax::of(Path::new("job.json")), Syntax::Json);
        assert_eq!(Syntax::of(Path::new("job")), Syntax::Yaml);
        assert_eq!(Syntax::of(Path::new("job.yml")), Syntax::Yaml);
    }
}
