//! The content of a disk: nodes and the names that lead to them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

/// Numbers a file, folder or link for as long as a recording lasts.
pub(crate) type Node = usize;

/// The node of the folder that is recorded.
pub(crate) const TOP: Node = 0;

/// One step of which a filesystem keeps all or nothing, but for the bytes of a write.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Lets names lead to nodes, or to nothing.
    Names(Vec<(Node, String, Option<Node>)>),
    /// Puts bytes into a file.
    Write { file: Node, offset: u64, bytes: Arc<Vec<u8>> },
    /// Cuts a file, or lets it grow by zeros.
    Length { file: Node, length: u64 },
    /// Sets permission bits.
    Mode { node: Node, mode: u32 },
}

/// What a node is from its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Birth {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link { text: String },
}

/// Everything below the folder that is recorded, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) folders: BTreeMap<Node, BTreeMap<String, Node>>,
    pub(crate) files: BTreeMap<Node, Arc<Vec<u8>>>,
    pub(crate) modes: BTreeMap<Node, u32>,
}

/// Returns other bytes for a file, given the inode that each node has.
pub(crate) type Inodes<'a> = dyn Fn(&Path, &[u8], &BTreeMap<Node, u64>) -> Option<Vec<u8>> + 'a;

/// How much of a change is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fate {
    Lost,
    Kept,
    /// Of a write: its length and no byte.
    Zeros,
    /// Of a write: its length, and those blocks whose bit is set, over and over.
    Blocks(u64),
}

impl Disk {
    pub(crate) fn apply(&mut self, change: &Change, fate: Fate) {
        if fate == Fate::Lost {
            return;
        }
        match change {
            Change::Names(names) => {
                for (folder, name, node) in names {
                    let names = self.folders.entry(*folder).or_default();
                    match node {
                        Some(node) => names.insert(name.clone(), *node),
                        None => names.remove(name),
                    };
                }
            }
            Change::Write { file, offset, bytes } => {
                let content = Arc::make_mut(self.files.entry(*file).or_default());
                let start = usize::try_from(*offset).expect("a recorded file fits in memory");
                if content.len() < start + bytes.len() {
                    content.resize(start + bytes.len(), 0);
                }
                for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
                    let is_kept = match fate {
                        Fate::Lost | Fate::Zeros => false,
                        Fate::Kept => true,
                        Fate::Blocks(kept) => kept >> (number % 64) & 1 == 1,
                    };
                    if is_kept {
                        let at = start + number * BLOCK_BYTES;
                        content[at..at + block.len()].copy_from_slice(block);
                    }
                }
            }
            Change::Length { file, length } => {
                let length = usize::try_from(*length).expect("a recorded file fits in memory");
                Arc::make_mut(self.files.entry(*file).or_default()).resize(length, 0);
            }
            Change::Mode { node, mode } => {
                self.modes.insert(*node, *mode);
            }
        }
    }

    /// Finds the node of a path below the top; the top itself has no name.
    pub(crate) fn find(&self, path: &str) -> Option<Node> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(TOP, |folder, name| self.folders.get(&folder)?.get(name).copied())
    }

    /// Makes a folder of it. `rewrite` may change the bytes of a file that names inodes: it is
    /// given the path, the bytes and the inode that each node has here.
    ///
    /// The times of change follow `order`, the latest last.
    pub(crate) fn write_to(
        &self,
        folder: &Path,
        births: &[Birth],
        order: &[Node],
        rewrite: &Inodes<'_>,
    ) -> io::Result<()> {
        let mut made = BTreeMap::new();
        let mut paths = BTreeMap::new();
        let mut left = vec![(TOP, folder.to_owned())];
        while let Some((node, path)) = left.pop() {
            match &births[node].kind {
                Kind::Folder => {
                    fs::create_dir_all(&path)?;
                    for (name, inner) in self.folders.get(&node).into_iter().flatten() {
                        left.push((*inner, path.join(name)));
                    }
                }
                Kind::File => {
                    fs::write(&path, self.files.get(&node).map_or(&[][..], |bytes| bytes))?;
                }
                Kind::Link { text } => symlink(text, &path)?,
            }
            made.insert(node, fs::symlink_metadata(&path)?.ino());
            paths.insert(node, path);
        }
        for (node, content) in &self.files {
            if let Some(path) = paths.get(node)
                && let Some(other) = rewrite(path, content, &made)
            {
                fs::write(path, other)?;
            }
        }
        let rank: BTreeMap<Node, usize> =
            order.iter().enumerate().map(|(rank, node)| (*node, rank)).collect();
        let mut latest: Vec<Node> = paths.keys().copied().collect();
        latest.sort_by_key(|node| rank.get(node).copied());
        for node in latest {
            if !matches!(births[node].kind, Kind::Link { .. }) {
                let mode = self.modes.get(&node).copied().unwrap_or(births[node].mode);
                fs::set_permissions(&paths[&node], fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }
}

/// What a disk writes as a whole.
pub(crate) const BLOCK_BYTES: usize = 512;
