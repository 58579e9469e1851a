//! What a job has left visible, judged from the files alone.

use std::{fs, path::Path};

/// The bytes at a target, as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content(pub String);

/// How much of a job is visible at its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// Every target shows this job.
    Everything,
    /// No target shows this job.
    Nothing,
    /// Some do and some do not: what must never be in the end.
    Mixed(String),
}

impl Content {
    /// Returns the job that wrote it, if it says so in its first line.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        self.word("job=")
    }

    /// Returns the token of the attempt that wrote it.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.word("token=")
    }

    fn word(&self, prefix: &str) -> Option<&str> {
        self.0.lines().next()?.split(' ').find_map(|word| word.strip_prefix(prefix))
    }
}

/// Reads what stands at a target; nothing if nothing does.
///
/// # Panics
/// If something stands there that cannot be read to its end.
#[must_use]
pub fn content_of(target: &Path) -> Option<Content> {
    match fs::read_to_string(target) {
        Ok(text) => Some(Content(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", target.display()),
    }
}

impl Visible {
    /// Judges the targets of a job.
    #[must_use]
    pub fn of<'a>(job: &str, targets: impl IntoIterator<Item = &'a Path>) -> Self {
        let (mut shown, mut missing) = (Vec::new(), Vec::new());
        for target in targets {
            let content = content_of(target);
            if content.as_ref().and_then(Content::job) == Some(job) {
                shown.push(target.display().to_string());
            } else {
                missing.push(format!("{} ({content:?})", target.display()));
            }
        }
        match (shown.is_empty(), missing.is_empty()) {
            (_, true) => Self::Everything,
            (true, false) => Self::Nothing,
            (false, false) => Self::Mixed(format!("{job} at {shown:?}, not at {missing:?}")),
        }
    }
}
