//! What an output consists of, checked against what was voted on, and its bytes, checked against that.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use votum_client::Client;
use votum_ids::Digest;
use votum_shadow::{Content, Entry, Form, Manifest, TreePath};
use votum_wire::{
    OutputView,
    output::{EntryContent, OutputEntry, OutputFiles, OutputId, ReadOutput},
};

use crate::{exit::Exit, fault::Fault};

/// Checks that what a worker lists is the very content that was sealed and voted on.
pub(crate) fn manifest(
    output: &OutputId,
    shown: &OutputView,
    files: OutputFiles,
) -> Result<OutputFiles, Fault> {
    let name = format!("{}.{}", output.task, output.output);
    let wrong = |why: String| {
        let words = format!("what {} lists of {name} {why}", shown.worker);
        Fault::new(Exit::Failure, "CONTENT_DAMAGED", words)
    };
    let entries: Result<Vec<Entry>, String> = files.entries.iter().map(entry).collect();
    let entries = entries.map_err(|why| wrong(format!("makes no sense: {why}")))?;
    let form = if files.single_file { Form::File } else { Form::Tree };
    let manifest =
        Manifest::new(form, entries).map_err(|error| wrong(format!("makes no sense: {error}")))?;
    if manifest.digest() != shown.digest {
        return Err(wrong("is not what was recorded when it was sealed".to_owned()));
    }
    Ok(files)
}

fn entry(entry: &OutputEntry) -> Result<Entry, String> {
    let content = match &entry.content {
        EntryContent::File { size, digest } => Content::File { size: *size, digest: *digest },
        EntryContent::Directory => Content::Directory,
        EntryContent::Link { target } => Content::Link { text: target.clone() },
    };
    let path = TreePath::new(entry.path.as_str()).map_err(|error| error.to_string())?;
    Ok(Entry { path, mode: entry.mode, content })
}

/// Puts an output where nothing is, checking every byte; what is incomplete bears another name.
pub(crate) async fn fetch(
    client: &Client,
    output: &OutputId,
    files: &OutputFiles,
    path: &Path,
    staged: bool,
) -> Result<(), Fault> {
    if path.symlink_metadata().is_ok() {
        let words = format!("{} is there already; nothing is replaced", path.display());
        return Err(Fault::new(Exit::Refused, "PATH_TAKEN", words));
    }
    let draft = draft_of(path);
    if draft.is_dir() {
        fs::remove_dir_all(&draft)?;
    }
    if !files.single_file {
        fs::create_dir_all(&draft)?;
    }
    for entry in &files.entries {
        let at = if files.single_file { draft.clone() } else { draft.join(&entry.path) };
        match &entry.content {
            EntryContent::Directory => fs::create_dir_all(&at)?,
            EntryContent::Link { target } => symlink(target, &at)?,
            EntryContent::File { digest, .. } => {
                if let Some(parent) = at.parent() {
                    fs::create_dir_all(parent)?;
                }
                let mut file =
                    OpenOptions::new().write(true).create(true).truncate(true).open(&at)?;
                let hashed = hash(client, output, &entry.path, staged, Some(&mut file)).await?;
                if hashed != *digest {
                    return Err(damaged(&entry.path));
                }
                file.set_permissions(Permissions::from_mode(entry.mode | OWNER_WRITES))?;
            }
        }
    }
    fs::rename(&draft, path)?;
    Ok(())
}

/// Reads a file of an output to its end; writes it down if that is wanted.
pub(crate) async fn hash(
    client: &Client,
    output: &OutputId,
    path: &str,
    staged: bool,
    mut into: Option<&mut File>,
) -> Result<Digest, Fault> {
    let (output, path) = (output.clone(), path.to_owned());
    let wanted = ReadOutput { output, path, offset: 0, limit: None, staged };
    let mut pieces = client.output_bytes(wanted);
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = pieces.next().await? {
        hasher.update(&piece);
        if let Some(file) = &mut into {
            file.write_all(&piece)?;
        }
    }
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// States that bytes are not those that were sealed.
pub(crate) fn damaged(path: &str) -> Fault {
    let words = format!("the bytes of {path} are not those that were sealed");
    Fault::new(Exit::Failure, "CONTENT_DAMAGED", words)
}

fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    path.with_file_name(format!(".{}.part", name.unwrap_or_else(|| "output".to_owned())))
}

/// Whoever fetched a copy may change it.
const OWNER_WRITES: u32 = 0o200;
