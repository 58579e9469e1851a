//! What programs asked of the filesystem, and what they promised meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::{
    disk::{Birth, Change, Disk, Fate, Kind, Node, TOP},
    trace::{Argument, Call, calls},
};

/// A run, or several one after the other, on one folder.
#[derive(Debug)]
pub struct Recording {
    base: PathBuf,
    /// Names below the folder that are nobody's concern, by their beginning.
    left_out: Vec<String>,
    pub(crate) start: Disk,
    pub(crate) births: Vec<Birth>,
    pub(crate) events: Vec<Event>,
    /// Of the nodes, as far as they were seen.
    pub(crate) inodes: BTreeMap<u64, Node>,
    /// As it is after all events.
    now: Disk,
    /// Where the next sequential write of a descriptor goes.
    offsets: BTreeMap<i64, u64>,
}

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event {
    Change(Change),
    Sync(Synced),
    Promise(String),
}

/// A sync that returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// What was synced, below the folder; empty for the folder itself.
    pub path: String,
    /// The last promise before it; empty if there was none.
    pub after: String,
    pub(crate) node: Node,
    pub(crate) extent: Extent,
    /// So many events had happened when it began.
    pub(crate) covers: usize,
}

impl Synced {
    /// Says whether permission bits were synced as well: whether it was no `fdatasync`.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.extent == Extent::Whole
    }
}

/// What a sync makes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Without permission bits.
    Data,
}

/// Whether a program could be recorded.
#[derive(Debug)]
pub enum Recorded {
    /// It was, to its end.
    Done,
    /// The machine does not allow it, and why.
    NotHere(String),
}

impl Recording {
    /// Begins with a folder as it is: all of it is durable.
    ///
    /// # Panics
    /// If the folder cannot be read.
    #[must_use]
    pub fn of(base: &Path, left_out: &[&str]) -> Self {
        let base = base.canonicalize().expect("the folder is there");
        let mut recording = Self {
            base: base.clone(),
            left_out: left_out.iter().map(ToString::to_string).collect(),
            start: Disk::default(),
            births: vec![Birth { kind: Kind::Folder, mode: 0o755 }],
            events: Vec::new(),
            inodes: BTreeMap::new(),
            now: Disk::default(),
            offsets: BTreeMap::new(),
        };
        recording.take_in(TOP, &base);
        recording.start = recording.now.clone();
        recording
    }

    /// Runs a program that may change the folder, and takes down what it does. It may end as it
    /// likes, killed as well; what it says on its standard output are promises, a line each.
    ///
    /// # Panics
    /// If what was taken down does not explain what the folder looks like afterwards.
    pub fn run(&mut self, program: &Path, arguments: &[OsString], at: &[(&str, &str)]) -> Recorded {
        let scratch = tempfile::tempdir().expect("a folder for the log");
        let log = scratch.path().join("log");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-v", "-xx", "-s", "16777216", "-e", CALLS, "-o"]).arg(&log);
        // Permission bits depend on it.
        command.args(["sh", "-c", "umask 022; exec \"$@\"", "sh"]).arg(program).args(arguments);
        match command.envs(at.iter().copied()).output() {
            Ok(_) => {}
            Err(error) => return Recorded::NotHere(format!("strace: {error}")),
        }
        let log = fs::read_to_string(&log).unwrap_or_default();
        if !log.contains("execve(") {
            return Recorded::NotHere("strace may not trace here".to_owned());
        }
        self.offsets.clear();
        let offset = self.events.len();
        let mut ends: Vec<usize> = Vec::new();
        for call in calls(&log) {
            let begun = offset + ends.partition_point(|end| *end < call.began);
            let before = self.events.len();
            self.take_down(&call, begun);
            ends.resize(ends.len() + self.events.len() - before, call.ended);
        }
        self.assert_explained();
        Recorded::Done
    }

    /// Returns every sync in order.
    pub fn syncs(&self) -> impl Iterator<Item = &Synced> {
        self.events.iter().filter_map(|event| match event {
            Event::Sync(synced) => Some(synced),
            Event::Change(_) | Event::Promise(_) => None,
        })
    }

    /// Returns where it was recorded.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Takes a folder in as it stands.
    fn take_in(&mut self, node: Node, path: &Path) {
        self.note_inode(node, fs::symlink_metadata(path).expect("it was listed").ino());
        self.now.folders.entry(node).or_default();
        for entry in fs::read_dir(path).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
            if self.below(path.to_str().expect("UTF-8")).is_none() {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).expect("it was listed");
            let kind = if metadata.is_dir() {
                Kind::Folder
            } else if metadata.is_symlink() {
                let text = fs::read_link(&path).expect("it was listed");
                Kind::Link { text: text.to_str().expect("UTF-8").to_owned() }
            } else {
                Kind::File
            };
            let inner = self.bear(kind.clone(), metadata.permissions().mode() & 0o7777);
            self.now.folders.entry(node).or_default().insert(name, inner);
            match kind {
                Kind::Folder => self.take_in(inner, &path),
                Kind::File => {
                    let bytes = fs::read(&path).expect("it was listed");
                    self.now.files.insert(inner, Arc::new(bytes));
                    self.note_inode(inner, metadata.ino());
                }
                Kind::Link { .. } => self.note_inode(inner, metadata.ino()),
            }
        }
    }

    fn bear(&mut self, kind: Kind, mode: u32) -> Node {
        self.births.push(Birth { kind, mode });
        self.births.len() - 1
    }

    fn note_inode(&mut self, node: Node, inode: u64) {
        self.inodes.insert(inode, node);
    }

    fn is_left_out(&self, below: &str) -> bool {
        self.left_out.iter().any(|start| below.starts_with(start.as_str()))
    }

    /// Returns a path below the folder, if it is one and somebody's concern.
    fn below(&self, path: &str) -> Option<String> {
        let below = Path::new(path).strip_prefix(&self.base).ok()?.to_str()?;
        (!self.is_left_out(below) && !below.ends_with(" (deleted)")).then(|| below.to_owned())
    }

    /// Returns the folder and the name that a call speaks of.
    fn place(&self, dir: Option<&Argument>, name: &Argument) -> Option<(Node, String)> {
        let path = full_path(dir, name)?;
        let below = self.below(&path)?;
        let (parent, name) = below.rsplit_once('/').unwrap_or(("", &below));
        let folder = self.now.find(parent).unwrap_or_else(|| panic!("nothing is at {parent}"));
        (!name.is_empty()).then(|| (folder, name.to_owned()))
    }

    /// Returns the node that a descriptor leads to.
    fn node_of(&self, descriptor: &Argument) -> Option<Node> {
        self.now.find(&self.below(&descriptor.path()?)?)
    }

    fn change(&mut self, change: Change) {
        self.now.apply(&change, Fate::Kept);
        self.events.push(Event::Change(change));
    }

    fn make(&mut self, (folder, name): (Node, String), kind: Kind, mode: u32) {
        let node = self.bear(kind, mode);
        self.change(Change::Names(vec![(folder, name, Some(node))]));
    }

    fn take_down(&mut self, call: &Call, begun: usize) {
        let argument = |at: usize| &call.arguments[at];
        let mode = |at: usize| {
            let mode = call.arguments.get(at).and_then(Argument::number).unwrap_or(0);
            u32::try_from(mode).expect("permission bits") & !0o022
        };
        match call.name.as_str() {
            "open" => self.opened(call, None, argument(0), argument(1), mode(2)),
            "openat" => self.opened(call, Some(argument(0)), argument(1), argument(2), mode(3)),
            "openat2" => {
                let mode = argument(2).field("mode").and_then(|mode| mode.number()).unwrap_or(0);
                let mode = u32::try_from(mode).expect("permission bits") & !0o022;
                self.opened(call, Some(argument(0)), argument(1), argument(2), mode);
            }
            "mkdir" => self.made_folder(None, argument(0), mode(1)),
            "mkdirat" => self.made_folder(Some(argument(0)), argument(1), mode(2)),
            "unlink" | "rmdir" => self.removed(None, argument(0)),
            "unlinkat" => self.removed(Some(argument(0)), argument(1)),
            "rename" => self.renamed((None, argument(0)), (None, argument(1)), false),
            "renameat" | "renameat2" => {
                let exchanged = call.arguments.get(4).is_some_and(|a| a.names("RENAME_EXCHANGE"));
                let from = (Some(argument(0)), argument(1));
                self.renamed(from, (Some(argument(2)), argument(3)), exchanged);
            }
            "symlink" => self.linked(argument(0), None, argument(1)),
            "symlinkat" => self.linked(argument(0), Some(argument(1)), argument(2)),
            "write" | "pwrite64" | "ftruncate" | "lseek" | "fchmod" => self.changed(call),
            "fsync" | "fdatasync" => self.synced(call, begun),
            "fstat" => {
                let inode = argument(1).field("st_ino").and_then(|inode| inode.number());
                if let (Some(node), Some(inode)) = (self.node_of(argument(0)), inode) {
                    self.note_inode(node, inode.unsigned_abs());
                }
            }
            // These change nothing, or keep nothing.
            "execve" | "sync_file_range" => {}
            other => self.assert_no_concern(other, call),
        }
    }

    fn opened(
        &mut self,
        call: &Call,
        dir: Option<&Argument>,
        name: &Argument,
        flags: &Argument,
        mode: u32,
    ) {
        if let Some(descriptor) = call.result.number() {
            self.offsets.insert(descriptor, 0);
        }
        if flags.names("O_TMPFILE") || !(flags.names("O_CREAT") || flags.names("O_TRUNC")) {
            return;
        }
        let Some(place) = self.place(dir, name) else { return };
        let there = self.now.folders.get(&place.0).and_then(|names| names.get(&place.1)).copied();
        match there {
            None => self.make(place, Kind::File, mode),
            Some(file) if flags.names("O_TRUNC") && !self.is_empty(file) => {
                self.change(Change::Length { file, length: 0 });
            }
            Some(_) => {}
        }
    }

    fn is_empty(&self, file: Node) -> bool {
        self.now.files.get(&file).is_none_or(|content| content.is_empty())
    }

    fn made_folder(&mut self, dir: Option<&Argument>, name: &Argument, mode: u32) {
        if let Some(place) = self.place(dir, name) {
            self.make(place, Kind::Folder, mode);
        }
    }

    fn linked(&mut self, text: &Argument, dir: Option<&Argument>, name: &Argument) {
        if let Some(place) = self.place(dir, name) {
            let text = text.text().expect("the text of a link");
            self.make(place, Kind::Link { text }, 0o777);
        }
    }

    fn removed(&mut self, dir: Option<&Argument>, name: &Argument) {
        if let Some((folder, name)) = self.place(dir, name) {
            self.change(Change::Names(vec![(folder, name, None)]));
        }
    }

    fn renamed(
        &mut self,
        from: (Option<&Argument>, &Argument),
        to: (Option<&Argument>, &Argument),
        exchanged: bool,
    ) {
        let (from, to) = (self.place(from.0, from.1), self.place(to.0, to.1));
        let (Some(from), Some(to)) = (from, to) else { return };
        let at = |place: &(Node, String)| {
            self.now.folders.get(&place.0).and_then(|names| names.get(&place.1)).copied()
        };
        let (moved, replaced) = (at(&from), at(&to).filter(|_| exchanged));
        assert!(moved.is_some(), "{from:?} was never made");
        self.change(Change::Names(vec![(from.0, from.1, replaced), (to.0, to.1, moved)]));
    }

    fn changed(&mut self, call: &Call) {
        let argument = |at: usize| &call.arguments[at];
        let (name, descriptor) = (call.name.as_str(), argument(0).number().unwrap_or(-1));
        let number = |at: usize| argument(at).number().expect("a number").unsigned_abs();
        if name == "write" && descriptor == 1 {
            let text = argument(1).text().expect("a promise is UTF-8");
            self.events.push(Event::Promise(text.trim_end().to_owned()));
            return;
        }
        let Some(node) = self.node_of(argument(0)) else { return };
        match name {
            "fchmod" => {
                let mode = u32::try_from(number(1)).expect("permission bits");
                let before = self.now.modes.get(&node).copied().unwrap_or(self.births[node].mode);
                if mode != before {
                    self.change(Change::Mode { node, mode });
                }
            }
            "ftruncate" => self.change(Change::Length { file: node, length: number(1) }),
            "lseek" => {
                let to = call.result.number().expect("a number").unsigned_abs();
                self.offsets.insert(descriptor, to);
            }
            _write => {
                let mut bytes = argument(1).bytes().expect("bytes");
                let written = call.result.number().expect("a number").unsigned_abs();
                bytes.truncate(usize::try_from(written).expect("it was in memory"));
                let next = self.offsets.entry(descriptor).or_insert(0);
                let offset = if name == "write" {
                    *next += written;
                    *next - written
                } else {
                    number(3)
                };
                self.change(Change::Write { file: node, offset, bytes: Arc::new(bytes) });
            }
        }
    }

    fn synced(&mut self, call: &Call, begun: usize) {
        let descriptor = &call.arguments[0];
        let Some(path) = descriptor.path().and_then(|path| self.below(&path)) else { return };
        let node = self.now.find(&path).unwrap_or_else(|| panic!("nothing is at {path}"));
        let extent = if call.name == "fsync" { Extent::Whole } else { Extent::Data };
        let after = self.events.iter().rev().find_map(|event| match event {
            Event::Promise(text) => Some(text.clone()),
            Event::Change(_) | Event::Sync(_) => None,
        });
        let after = after.unwrap_or_default();
        self.events.push(Event::Sync(Synced { path, after, node, extent, covers: begun }));
    }

    /// A call that the model does not know must not concern the folder.
    fn assert_no_concern(&self, name: &str, call: &Call) {
        let concerns = call
            .arguments
            .iter()
            .filter_map(|argument| argument.path().or_else(|| argument.text()))
            .any(|path| self.below(&path).is_some());
        assert!(!concerns, "the model of the filesystem does not know {name}: {call:?}");
    }

    /// What was taken down must lead to what is there.
    fn assert_explained(&self) {
        let found =
            Self::of(&self.base, &self.left_out.iter().map(String::as_str).collect::<Vec<_>>());
        let (expected, found) = (self.picture(), found.picture());
        let differs: BTreeSet<_> = expected.symmetric_difference(&found).take(6).collect();
        assert!(differs.is_empty(), "the recording does not explain the folder: {differs:#?}");
    }

    fn picture(&self) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut left = vec![(TOP, String::new())];
        while let Some((node, path)) = left.pop() {
            let mode = self.now.modes.get(&node).copied().unwrap_or(self.births[node].mode);
            match &self.births[node].kind {
                Kind::Folder => {
                    seen.insert(format!("{path} folder"));
                    let names = self.now.folders.get(&node).into_iter().flatten();
                    left.extend(names.map(|(name, inner)| (*inner, format!("{path}/{name}"))));
                }
                Kind::File => {
                    let content = self.now.files.get(&node).map_or(&[][..], |bytes| bytes);
                    let (length, sum) = (content.len(), checksum(content));
                    seen.insert(format!("{path} file {mode:o} {length} {sum:x}"));
                }
                Kind::Link { text } => drop(seen.insert(format!("{path} -> {text}"))),
            }
        }
        seen
    }
}

fn full_path(dir: Option<&Argument>, name: &Argument) -> Option<String> {
    let name = name.text()?;
    if name.starts_with('/') {
        return Some(name);
    }
    Some(format!("{}/{name}", dir?.path()?))
}

/// FNV-1a: enough to tell two contents of one file apart.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What changes, syncs or tells of files; what is not modelled must be seen as well.
const CALLS: &str = "trace=execve,open,openat,openat2,creat,mkdir,mkdirat,rmdir,unlink,unlinkat,\
                     rename,renameat,renameat2,link,linkat,symlink,symlinkat,write,pwrite64,writev,\
                     pwritev,pwritev2,truncate,ftruncate,fallocate,chmod,fchmod,fchmodat,fsync,\
                     fdatasync,syncfs,sync_file_range,copy_file_range,sendfile,lseek,fstat";
