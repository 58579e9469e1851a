//! Paths that were checked where they were made: in a tree, of an output, of a target.
//!
//! The rules are those of names that an untrusted program may choose: one
//! path, one spelling, printable, and no component that a shell, a terminal or
//! a joined path could take for something else.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A path below some directory, in its only spelling; it cannot leave the directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(String);

impl TreePath {
    /// Checks a text and makes it a path.
    ///
    /// # Errors
    /// [`InvalidPath`] when the text is absolute, has a component that is
    /// empty, `.`, `..` or starts with `-`, has a control character, or is
    /// longer or deeper than the limits of this crate.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPath> {
        let text = text.into();
        match broken_rule(&text) {
            None => Ok(Self(text)),
            Some(rule) => Err(InvalidPath::new(&text, rule)),
        }
    }

    /// Returns the path as text, without a slash at either end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }

    /// Returns the directory the path lies in, unless that is the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Returns the components, from the top.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns how many components there are; at least one.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// Appends one component that an untrusted program named.
    pub(crate) fn child(parent: Option<&Self>, name: &str) -> Result<Self, &'static str> {
        if let Some(rule) = broken_component_rule(name) {
            return Err(rule);
        }
        let path = match parent {
            None => name.to_owned(),
            Some(parent) => format!("{parent}/{name}"),
        };
        match broken_length_rule(&path) {
            None => Ok(Self(path)),
            Some(rule) => Err(rule),
        }
    }

    /// Tells how this path and another lie to each other.
    pub(crate) fn relation(&self, other: &Self) -> Relation {
        let below = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
        };
        if self == other {
            Relation::Same
        } else if below(&self.0, &other.0) {
            Relation::Below
        } else if below(&other.0, &self.0) {
            Relation::Above
        } else {
            Relation::Apart
        }
    }
}

/// Where an attempt leaves an output, below its output directory.
///
/// The textual form of a directory ends with a slash: `site/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputPath {
    path: TreePath,
    form: Form,
}

impl OutputPath {
    /// Checks a text and makes it an output's path.
    ///
    /// # Errors
    /// [`InvalidPath`] as of [`TreePath::new`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidPath> {
        let text = text.as_ref();
        let (path, form) = match text.strip_suffix('/') {
            Some(tree) => (tree, Form::Tree),
            None => (text, Form::File),
        };
        Ok(Self { path: TreePath::new(path)?, form })
    }

    /// Returns the path without the slash that marks a directory.
    #[must_use]
    pub fn path(&self) -> &TreePath {
        &self.path
    }

    /// Returns what is expected there.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }
}

/// What an output is: one file, or a directory with all that is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One regular file.
    File,
    /// A directory.
    Tree,
}

/// Where an output becomes visible: absolute, or below the first publish root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetPath(String);

impl TargetPath {
    /// Checks a text and makes it a target's path.
    ///
    /// # Errors
    /// [`InvalidPath`] as of [`TreePath::new`], a leading slash excepted, and
    /// when a component is `.votum`.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPath> {
        let text = text.into();
        let relative = text.strip_prefix('/').unwrap_or(&text);
        let rule = broken_rule(relative).or_else(|| {
            relative
                .split('/')
                .any(|component| component == crate::layout::VOTUM)
                .then_some("`.votum` belongs to votum")
        });
        match rule {
            None => Ok(Self(text)),
            Some(rule) => Err(InvalidPath::new(&text, rule)),
        }
    }

    /// Returns the path as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part below `root`, or the whole if it is relative.
    pub(crate) fn below(&self, root: &Path) -> Option<TreePath> {
        let path = Path::new(&self.0);
        let rest = if path.is_absolute() { path.strip_prefix(root).ok()? } else { path };
        TreePath::new(rest.to_str()?).ok()
    }

    pub(crate) fn is_absolute(&self) -> bool {
        self.0.starts_with('/')
    }
}

/// A text that is no path of the wanted sort.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a usable path: {rule}")]
pub struct InvalidPath {
    /// What was given, cut to 200 characters.
    pub text: String,
    /// The rule it breaks, in words.
    pub rule: &'static str,
}

impl InvalidPath {
    fn new(text: &str, rule: &'static str) -> Self {
        Self { text: text.chars().take(200).collect(), rule }
    }
}

macro_rules! textual {
    ($type:ident, $self:ident => $text:expr) => {
        impl fmt::Display for $type {
            fn fmt(&$self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&$text)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = InvalidPath;

            fn from_str(text: &str) -> Result<Self, InvalidPath> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidPath;

            fn try_from(text: String) -> Result<Self, InvalidPath> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(path: $type) -> Self {
                path.to_string()
            }
        }
    };
}

textual!(TreePath, self => self.0);
textual!(TargetPath, self => self.0);
textual!(OutputPath, self => match self.form {
    Form::File => self.path.0.clone(),
    Form::Tree => format!("{}/", self.path.0),
});

/// How one path lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    Below,
    Above,
    Apart,
}

/// Returns the rule that a relative path breaks, if it breaks one.
fn broken_rule(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    broken_length_rule(text).or_else(|| text.split('/').find_map(broken_component_rule))
}

fn broken_length_rule(path: &str) -> Option<&'static str> {
    if path.len() > PATH_BYTES_MAX {
        Some("it is longer than 4096 bytes")
    } else if path.split('/').count() > DEPTH_MAX {
        Some("it is deeper than 64 directories")
    } else {
        None
    }
}

fn broken_component_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("a component is empty")
    } else if name == "." || name == ".." {
        Some("`.` and `..` may not stand in it")
    } else if name.starts_with('-') {
        Some("a component starts with `-`")
    } else if name.len() > NAME_BYTES_MAX {
        Some("a component is longer than 255 bytes")
    } else if name.contains('/') {
        Some("a component contains a slash")
    } else if name.chars().any(char::is_control) {
        Some("a control character stands in it")
    } else {
        None
    }
}

/// Longest path of a tree, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// Deepest path of a tree, in components.
pub const DEPTH_MAX: usize = 64;
/// Longest component, in bytes; the limit of Linux.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_spelling_is_a_path() {
        for text in ["a", "a/b", ".hidden", "a b", "ä/ö", "a..b"] {
            assert_eq!(TreePath::new(text).unwrap().as_str(), text);
        }
        let long = "a/".repeat(64) + "a";
        let wide = "a".repeat(256);
        let bad = ["", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "-a", "a/-b"];
        let control = ["a\nb", "a\0b", "a\tb", "a\u{7f}", "a\u{85}"];
        for text in bad.into_iter().chain(control).chain([long.as_str(), wide.as_str()]) {
            assert!(TreePath::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_trailing_slash_makes_a_directory_output() {
        let site = OutputPath::new("a/site/").unwrap();
        assert_eq!((site.path().as_str(), site.form()), ("a/site", Form::Tree));
        assert_eq!(site.to_string(), "a/site/");
        assert_eq!(OutputPath::new("rows.sql").unwrap().form(), Form::File);
        for text in ["/", "a//", "/abs", "../x", "a/../../x", "./"] {
            assert!(OutputPath::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_target_may_be_absolute_but_never_ours() {
        assert!(TargetPath::new("/srv/www/x").is_ok());
        assert!(TargetPath::new("reports/x").is_ok());
        for text in ["/", "//a", "/a/../b", "/srv/.votum/gen/x", ".votum", "/a/"] {
            assert!(TargetPath::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_stored_path_is_checked_when_read_back() {
        assert!(serde_json::from_str::<TreePath>("\"../x\"").is_err());
        assert!(serde_json::from_str::<TargetPath>("\"/a/../b\"").is_err());
        assert!(serde_json::from_str::<OutputPath>("\"site/\"").is_ok());
    }

    #[test]
    fn neighbours_with_a_common_prefix_lie_apart() {
        let path = |text| TreePath::new(text).unwrap();
        assert_eq!(path("a/b").relation(&path("a")), Relation::Below);
        assert_eq!(path("a").relation(&path("a/b")), Relation::Above);
        assert_eq!(path("a").relation(&path("a")), Relation::Same);
        assert_eq!(path("ab").relation(&path("a")), Relation::Apart);
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_where_it_is_joined(text in "[-./a\\n]{0,12}") {
            if let Ok(path) = TreePath::new(&*text) {
                let joined = Path::new("/top").join(path.as_str());
                let climbs = joined.components().any(|component| component.as_os_str() == "..");
                prop_assert!(!climbs);
                prop_assert!(joined.starts_with("/top") && joined != Path::new("/top"));
                prop_assert_eq!(joined.to_str().unwrap(), format!("/top/{path}"));
            }
        }
    }
}
