//! Manifests on the wire, in pages, so that no message grows with the number of files.

use thiserror::Error;
use votum_ids::{Digest, MalformedDigest};
use votum_proto::worker::v1 as pb;
use votum_shadow::{
    Content, ENTRIES_MAX, Entry, Form, InvalidManifest, InvalidPath, Manifest, TreePath,
};

/// Returns page `index` of a manifest; `None` after the last. There is at least one.
pub(crate) fn page(manifest: &Manifest, index: usize) -> Option<pb::GetArtifactResponse> {
    let entries = manifest.entries();
    let from = index.checked_mul(PAGE_ENTRIES)?;
    if index > 0 && from >= entries.len() {
        return None;
    }
    let entries = &entries[from..entries.len().min(from + PAGE_ENTRIES)];
    let form = match manifest.form() {
        Form::File => pb::ArtifactForm::File,
        Form::Tree => pb::ArtifactForm::Tree,
    };
    let entries = entries.iter().map(entry_to_proto).collect();
    Some(pb::GetArtifactResponse { form: form as i32, entries, target: None, before: None })
}

/// A manifest whose pages are still coming.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    form: Option<Form>,
    entries: Vec<Entry>,
}

impl Incoming {
    /// Takes the next page.
    pub(crate) fn take(&mut self, page: pb::GetArtifactResponse) -> Result<(), BadManifest> {
        let form = match pb::ArtifactForm::try_from(page.form) {
            Ok(pb::ArtifactForm::File) => Form::File,
            Ok(pb::ArtifactForm::Tree) => Form::Tree,
            Ok(pb::ArtifactForm::Unspecified) | Err(_) => return Err(BadManifest::NoForm),
        };
        if *self.form.get_or_insert(form) != form {
            return Err(BadManifest::NoForm);
        }
        if self.entries.len() + page.entries.len() > ENTRIES_MAX {
            return Err(InvalidManifest::TooManyEntries { limit: ENTRIES_MAX }.into());
        }
        for entry in page.entries {
            self.entries.push(entry_from_proto(entry)?);
        }
        Ok(())
    }

    /// Checks what has come as a whole.
    pub(crate) fn finish(self) -> Result<Manifest, BadManifest> {
        let form = self.form.ok_or(BadManifest::NoForm)?;
        Ok(Manifest::new(form, self.entries)?)
    }
}

/// Why what came is no manifest.
#[derive(Debug, Error)]
pub enum BadManifest {
    /// No page says, or pages differ in, whether it is a file or a directory.
    #[error("it does not say whether it is of a file or of a directory")]
    NoForm,
    /// An entry says not what it is.
    #[error("the entry {path:?} does not say what it is")]
    NoContent {
        /// Its path.
        path: String,
    },
    /// A path that no output has.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// A digest that is none.
    #[error(transparent)]
    Digest(#[from] MalformedDigest),
    /// Entries that describe no output.
    #[error(transparent)]
    Invalid(#[from] InvalidManifest),
}

fn entry_to_proto(entry: &Entry) -> pb::ManifestEntry {
    let content = match &entry.content {
        Content::File { size, digest } => pb::manifest_entry::Content::File(pb::ManifestFile {
            size_bytes: *size,
            digest: digest.to_string(),
        }),
        Content::Directory => pb::manifest_entry::Content::Directory(pb::ManifestDirectory {}),
        Content::Link { text } => {
            pb::manifest_entry::Content::Link(pb::ManifestLink { target: text.clone() })
        }
    };
    pb::ManifestEntry {
        path: entry.path.as_str().to_owned(),
        mode: entry.mode,
        content: Some(content),
    }
}

fn entry_from_proto(proto: pb::ManifestEntry) -> Result<Entry, BadManifest> {
    let content = match proto.content {
        Some(pb::manifest_entry::Content::File(file)) => {
            Content::File { size: file.size_bytes, digest: file.digest.parse::<Digest>()? }
        }
        Some(pb::manifest_entry::Content::Directory(pb::ManifestDirectory {})) => {
            Content::Directory
        }
        Some(pb::manifest_entry::Content::Link(link)) => Content::Link { text: link.target },
        None => return Err(BadManifest::NoContent { path: proto.path }),
    };
    Ok(Entry { path: TreePath::new(proto.path)?, mode: proto.mode, content })
}

/// With the longest paths and links that is two mebibytes.
const PAGE_ENTRIES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: usize) -> Manifest {
        let entry = |i| {
            let content = Content::File { size: i as u64, digest: Digest([7; 32]) };
            Entry { path: TreePath::new(format!("f{i}")).unwrap(), mode: 0o444, content }
        };
        let mut entries: Vec<Entry> = (0..files).map(entry).collect();
        entries.push(Entry::directory(TreePath::new("d").unwrap()));
        entries.push(Entry::link(TreePath::new("d/l").unwrap(), "../f0".to_owned()));
        Manifest::new(Form::Tree, entries).unwrap()
    }

    fn pages(manifest: &Manifest) -> Vec<pb::GetArtifactResponse> {
        (0..).map_while(|index| page(manifest, index)).collect()
    }

    #[test]
    fn a_manifest_survives_its_pages() {
        for files in [0, 1, PAGE_ENTRIES - 2, PAGE_ENTRIES, 3 * PAGE_ENTRIES + 1] {
            let manifest = manifest(files);
            let mut incoming = Incoming::default();
            for page in pages(&manifest) {
                incoming.take(page).unwrap();
            }
            assert_eq!(incoming.finish().unwrap().digest(), manifest.digest());
        }
    }

    #[test]
    fn an_empty_directory_has_one_page() {
        let empty = Manifest::new(Form::Tree, Vec::new()).unwrap();
        assert_eq!(pages(&empty).len(), 1);
    }

    #[test]
    fn a_path_that_leaves_the_output_is_refused() {
        let mut pages = pages(&manifest(1));
        pages[0].entries[0].path = "../etc/passwd".to_owned();
        let refused = Incoming::default().take(pages.remove(0));
        assert!(matches!(refused, Err(BadManifest::Path(_))));
    }

    #[test]
    fn pages_of_two_forms_are_no_manifest() {
        let mut pages = pages(&manifest(PAGE_ENTRIES));
        pages[1].form = pb::ArtifactForm::File as i32;
        let mut incoming = Incoming::default();
        incoming.take(pages.remove(0)).unwrap();
        assert!(matches!(incoming.take(pages.remove(0)), Err(BadManifest::NoForm)));
    }
}
