//! The manifest: what an output consists of, and the digest that votes name.
//!
//! The canonical bytes are one line per entry after a heading, sorted by path,
//! fields separated by tabs. No path has a control character, so the lines can
//! be taken apart in one way only, and a person can check a digest with `sort`
//! and `b3sum`.

use std::{collections::BTreeSet, fmt::Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_ids::Digest;

use crate::path::{Form, PATH_BYTES_MAX, TreePath};

/// The complete list of what an output consists of; valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Manifest {
    form: Form,
    entries: Vec<Entry>,
}

impl Manifest {
    /// Sorts and checks entries, wherever they came from.
    ///
    /// # Errors
    /// [`InvalidManifest`] when the entries do not describe one output that
    /// this crate could have sealed.
    pub fn new(form: Form, mut entries: Vec<Entry>) -> Result<Self, InvalidManifest> {
        if entries.len() > ENTRIES_MAX {
            return Err(InvalidManifest::TooManyEntries { limit: ENTRIES_MAX });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        if form == Form::File {
            let single = matches!(
                entries.as_slice(),
                [Entry { path, content: Content::File { .. }, .. }] if path.depth() == 1
            );
            if !single {
                return Err(InvalidManifest::NotOneFile);
            }
        }
        let mut directories = BTreeSet::new();
        let mut last: Option<&TreePath> = None;
        for entry in &entries {
            if last == Some(&entry.path) {
                return Err(InvalidManifest::Twice { path: entry.path.clone() });
            }
            last = Some(&entry.path);
            if entry.path.parent().is_some_and(|parent| !directories.contains(parent.as_str())) {
                return Err(InvalidManifest::NoParent { path: entry.path.clone() });
            }
            entry.check()?;
            if matches!(entry.content, Content::Directory) {
                directories.insert(entry.path.as_str());
            }
        }
        Ok(Self { form, entries })
    }

    /// Tells whether the output is one file or a directory.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the entries, sorted by path. The directory of a tree is not one of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entries that are files.
    pub fn files(&self) -> impl Iterator<Item = ManifestFile<'_>> {
        self.entries.iter().filter_map(|entry| match &entry.content {
            Content::File { size, digest } => {
                Some(ManifestFile { path: &entry.path, size: *size, digest: *digest })
            }
            Content::Directory | Content::Link { .. } => None,
        })
    }

    /// Returns the entry at a path.
    #[must_use]
    pub fn entry(&self, path: &TreePath) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        self.entries.get(at)
    }

    /// Returns how many bytes the files have together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Returns the name of this content: the BLAKE3 hash of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(*blake3::hash(self.canonical().as_bytes()).as_bytes())
    }

    /// Returns the canonical bytes: the same for the same content, on every worker.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::from(match self.form {
            Form::File => "votum-manifest\t1\tfile\n",
            Form::Tree => "votum-manifest\t1\ttree\n",
        });
        for Entry { path, mode, content } in &self.entries {
            match content {
                Content::File { size, digest } => {
                    writeln!(text, "file\t{mode:04o}\t{size}\t{digest}\t{path}")
                }
                Content::Directory => writeln!(text, "directory\t{mode:04o}\t\t\t{path}"),
                Content::Link { text: to } => {
                    writeln!(text, "link\t{mode:04o}\t\t{to}\t{path}")
                }
            }
            .expect("writing to a string cannot fail");
        }
        text
    }
}

/// One file, directory or link of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it lies in the tree; for an output of one file, the file's name.
    pub path: TreePath,
    /// Permission bits: without any write bit for a file, 0755 for a
    /// directory, 0777 for a link.
    pub mode: u32,
    /// What it is.
    pub content: Content,
}

impl Entry {
    /// Describes a directory.
    #[must_use]
    pub fn directory(path: TreePath) -> Self {
        Self { path, mode: DIRECTORY_MODE, content: Content::Directory }
    }

    /// Describes a link.
    #[must_use]
    pub fn link(path: TreePath, text: String) -> Self {
        Self { path, mode: LINK_MODE, content: Content::Link { text } }
    }

    fn check(&self) -> Result<(), InvalidManifest> {
        let mode_fits = match &self.content {
            Content::File { .. } => self.mode & !FILE_MODE_MASK == 0,
            Content::Directory => self.mode == DIRECTORY_MODE,
            Content::Link { .. } => self.mode == LINK_MODE,
        };
        if !mode_fits {
            return Err(InvalidManifest::Mode { path: self.path.clone(), mode: self.mode });
        }
        match &self.content {
            Content::Link { text } if !link_stays_inside(&self.path, text) => {
                Err(InvalidManifest::EscapingLink { path: self.path.clone(), text: text.clone() })
            }
            Content::Link { .. } | Content::File { .. } | Content::Directory => Ok(()),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
        /// Of all its bytes.
        digest: Digest,
    },
    /// A directory.
    Directory,
    /// A symbolic link that stays inside the tree.
    Link {
        /// Where it leads; relative.
        text: String,
    },
}

/// A file of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestFile<'a> {
    /// Where it lies in the tree.
    pub path: &'a TreePath,
    /// In bytes.
    pub size: u64,
    /// Of all its bytes.
    pub digest: Digest,
}

/// Entries that describe no output.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidManifest {
    /// More entries than this crate handles.
    #[error("the manifest has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// The manifest of a file output has something else than one file.
    #[error("the manifest of a file has something else than one file")]
    NotOneFile,
    /// Two entries have one path.
    #[error("the manifest has {path:?} twice")]
    Twice {
        /// The path.
        path: TreePath,
    },
    /// An entry lies in no directory of the manifest.
    #[error("the manifest has no directory for {path:?}")]
    NoParent {
        /// The entry's path.
        path: TreePath,
    },
    /// Permission bits that no sealed entry has.
    #[error("{path:?} cannot have the mode {mode:04o}")]
    Mode {
        /// The entry's path.
        path: TreePath,
        /// Its bits.
        mode: u32,
    },
    /// A link that could lead out of the tree.
    #[error("the link {path:?} to {text:?} could lead out of the output")]
    EscapingLink {
        /// The link's path.
        path: TreePath,
        /// Where it leads.
        text: String,
    },
}

/// The stored form of a [`Manifest`], checked when it is read.
#[derive(Serialize, Deserialize)]
struct Unchecked {
    form: Form,
    entries: Vec<Entry>,
}

impl TryFrom<Unchecked> for Manifest {
    type Error = InvalidManifest;

    fn try_from(stored: Unchecked) -> Result<Self, InvalidManifest> {
        Self::new(stored.form, stored.entries)
    }
}

impl From<Manifest> for Unchecked {
    fn from(manifest: Manifest) -> Self {
        Self { form: manifest.form, entries: manifest.entries }
    }
}

/// Tells whether a link at `path` can lead to nothing outside its tree.
///
/// `..` may stand at the front only, where the directories it leaves are real.
/// Behind a name it could leave a directory that was itself reached through a
/// link, and the count of levels would mean nothing. With every link of a tree
/// in this form, no chain of them leads out.
pub(crate) fn link_stays_inside(path: &TreePath, text: &str) -> bool {
    if text.is_empty()
        || text.starts_with('/')
        || text.len() > PATH_BYTES_MAX
        || text.chars().any(char::is_control)
    {
        return false;
    }
    let mut levels = path.depth() - 1;
    let mut descending = false;
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." if descending || levels == 0 => return false,
            ".." => levels -= 1,
            _name => descending = true,
        }
    }
    true
}

/// Most entries of all outputs of one attempt.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Bits that a sealed file may have.
pub(crate) const FILE_MODE_MASK: u32 = 0o555;
/// Of every directory that is or will be published.
pub(crate) const DIRECTORY_MODE: u32 = 0o755;
const LINK_MODE: u32 = 0o777;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    fn file(at: &str, bytes: &[u8]) -> Entry {
        let digest = Digest(*blake3::hash(bytes).as_bytes());
        let content = Content::File { size: bytes.len() as u64, digest };
        Entry { path: path(at), mode: 0o444, content }
    }

    #[test]
    fn the_order_of_discovery_leaves_the_digest_alone() {
        let entries = || vec![Entry::directory(path("a")), file("a/x", b"1"), file("b", b"2")];
        let forward = Manifest::new(Form::Tree, entries()).unwrap();
        let backward = Manifest::new(Form::Tree, entries().into_iter().rev().collect()).unwrap();
        assert_eq!(forward.digest(), backward.digest());
    }

    #[test]
    fn the_canonical_bytes_never_change() {
        let link = Entry::link(path("a/l"), "../b".into());
        let entries = vec![file("b", b""), link, Entry::directory(path("a"))];
        let manifest = Manifest::new(Form::Tree, entries).unwrap();
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(
            manifest.canonical(),
            format!(
                "votum-manifest\t1\ttree\ndirectory\t0755\t\t\ta\nlink\t0777\t\t../b\ta/l\n\
                 file\t0444\t0\t{empty}\tb\n"
            )
        );
    }

    #[test]
    fn a_file_and_a_tree_of_it_differ() {
        let one = Manifest::new(Form::File, vec![file("x", b"1")]).unwrap();
        let tree = Manifest::new(Form::Tree, vec![file("x", b"1")]).unwrap();
        assert_ne!(one.digest(), tree.digest());
    }

    #[test]
    fn a_foreign_manifest_is_not_believed() {
        let writable = Entry { mode: 0o644, ..file("x", b"1") };
        let setuid = Entry { mode: 0o4555, ..file("x", b"1") };
        for entries in [
            vec![file("x", b"1"), file("x", b"2")],
            vec![file("a/x", b"1")],
            vec![file("a", b"1"), file("a/x", b"1")],
            vec![writable],
            vec![setuid],
            vec![Entry::link(path("l"), "/etc/passwd".into())],
        ] {
            assert!(Manifest::new(Form::Tree, entries.clone()).is_err(), "{entries:?}");
        }
        assert!(Manifest::new(Form::File, vec![Entry::directory(path("x"))]).is_err());
    }

    #[test]
    fn a_link_may_only_climb_what_it_descended() {
        for (at, to) in [("l", "x"), ("a/l", "../x"), ("a/b/l", "../../x/y"), ("l", "./x//y/")] {
            assert!(link_stays_inside(&path(at), to), "{at} -> {to}");
        }
        for (at, to) in [
            ("l", ".."),
            ("l", "/etc"),
            ("a/l", "../../x"),
            ("l", "x/../y"),
            ("a/l", "../b/../../x"),
            ("l", ""),
            ("l", "x\ny"),
        ] {
            assert!(!link_stays_inside(&path(at), to), "{at} -> {to}");
        }
    }

    proptest! {
        #[test]
        fn no_chain_of_accepted_links_leads_out(
            texts in prop::collection::vec("(\\.\\./){0,3}([ab]/?){0,3}", 4)
        ) {
            // Two levels of directories, and in each a link that may lead to any other.
            let top = tempfile::tempdir().unwrap();
            let inside = top.path().join("tree");
            std::fs::create_dir_all(inside.join("a/b")).unwrap();
            for (at, to) in ["l", "a/l", "b", "a/b/a"].into_iter().zip(&texts) {
                if link_stays_inside(&path(at), to) {
                    std::os::unix::fs::symlink(to, inside.join(at)).unwrap();
                }
            }
            for at in ["l", "a/l", "b", "a/b/a"] {
                if let Ok(real) = inside.join(at).canonicalize() {
                    prop_assert!(real.starts_with(inside.canonicalize().unwrap()), "{}", at);
                }
            }
        }
    }
}
