//! A worker's directories for one test, and a program that leaves what the test says.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_shadow::{
    Declared, Existing, OutputPath, Pledge, Presence, SealError, Sealed, SealedOutput, Shadow,
    Staging, Target, TargetPath,
};

/// `base/{staging,root,outside}`; nothing may ever happen to `outside`.
pub(crate) struct Field {
    pub(crate) base: TempDir,
    pub(crate) shadow: Shadow,
}

impl Field {
    pub(crate) fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        for name in ["root", "outside"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        fs::write(base.path().join("outside/secret"), "secret").unwrap();
        let root = base.path().join("root");
        let shadow = Shadow::open(&base.path().join("staging"), &[root]).unwrap();
        Self { base, shadow }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.base.path().join("root")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.base.path().join("outside")
    }

    pub(crate) fn stage(&self, attempt: &AttemptId) -> Staging {
        self.shadow.stage(attempt).unwrap()
    }

    /// Seals a tree of the given files as output `site`.
    pub(crate) fn seal_site(&self, attempt: &AttemptId, files: &[(&str, &str)]) -> Sealed {
        let staging = self.stage(attempt);
        for (path, text) in files {
            write(&staging.output_dir().join("site").join(path), text);
        }
        staging.seal(&[declared("site", "site/")]).unwrap()
    }

    /// Lets a program leave something in `site/` and tries to seal it.
    pub(crate) fn seal_what(&self, leave: impl FnOnce(&Path)) -> Result<Sealed, SealError> {
        let attempt = attempt("hostile", 1);
        let staging = self.stage(&attempt);
        let site = staging.output_dir().join("site");
        fs::create_dir(&site).unwrap();
        leave(&site);
        staging.seal(&[declared("site", "site/")])
    }
}

pub(crate) fn attempt(job: &str, counter: u64) -> AttemptId {
    AttemptId {
        job: JobId::new(job).unwrap(),
        task: TaskId::new("report").unwrap(),
        token: FencingToken { epoch: Epoch(1), counter },
    }
}

pub(crate) fn name(text: &str) -> OutputName {
    OutputName::new(text).unwrap()
}

pub(crate) fn declared(output: &str, path: &str) -> Declared {
    Declared {
        name: name(output),
        path: OutputPath::new(path).unwrap(),
        presence: Presence::Required,
        publishes: None,
        max_bytes: None,
    }
}

pub(crate) fn file_at(path: &str) -> Target {
    Target::File {
        path: TargetPath::new(path).unwrap(),
        mode: None,
        existing: Existing::Replace,
        kept: None,
    }
}

pub(crate) fn tree_at(path: &str) -> Target {
    Target::Tree { path: TargetPath::new(path).unwrap(), existing: Existing::Replace, kept: None }
}

pub(crate) fn pledge(attempt: &AttemptId, output: &SealedOutput, target: Target) -> Pledge {
    Pledge {
        attempt: attempt.clone(),
        output: output.name.clone(),
        digest: output.digest,
        target: Some(target),
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below a directory: path → kind, mode and content.
pub(crate) fn picture(top: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut left = vec![top.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.mode();
            let content = if metadata.is_dir() {
                left.push(path.clone());
                "directory".to_owned()
            } else if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if metadata.is_file() {
                String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
            } else {
                "special".to_owned()
            };
            let shown = path.strip_prefix(top).unwrap().display().to_string();
            seen.insert(shown, format!("{mode:o} {content}"));
        }
    }
    seen
}
