//! The repository's own Rust files, as texts.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl Source {
    /// Says whether the file lies below a folder, given relative to the root.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        let folder = folder.replace("crates/votum-", "crates/");
        self.path.starts_with(&format!("{folder}/"))
    }

    /// Returns the numbered lines of production code, without comments and tests.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.contains("/tests/")
            || self.path.contains("/examples/")
            || self.path.starts_with("tests/")
            || self.path.ends_with("tests.rs");
        let end = if is_test { 0 } else { production_end(&self.text) };
        let numbered = self.text.lines().enumerate().take(end);
        numbered
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the package lies below the root").to_owned()
}

/// Returns every Rust file of the repository.
pub(crate) fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["proto", "crates", "coordinator", "worker", "client-cli", "tests"] {
        gather(&root, &root.join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources were not found below {}", root.display());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn gather(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                gather(root, &path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

/// Counts the lines before the tests of a file.
pub(crate) fn production_lines(text: &str) -> usize {
    production_end(text)
}

fn production_end(text: &str) -> usize {
    let is_end = |line: &str| line.starts_with("#[cfg(test)]");
    text.lines().position(is_end).unwrap_or_else(|| text.lines().count())
}
