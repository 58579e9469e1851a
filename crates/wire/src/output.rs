//! What an output consists of, and its bytes, as clients see them.

use bytes::Bytes;
use votum_ids::{Digest, JobId, OutputName, TaskId};
use votum_proto::{
    v1::{self, output_entry},
    worker::v1 as worker,
};

use crate::{
    Fault, JobView, Malformed, Translate,
    job::output_to_proto,
    names::{job_name, output_name, read_job_name, read_output_name},
    translate::{count, number, parse, read_all, read_if_any, set, write_all},
};

/// Names one output of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputId {
    /// The job.
    pub job: JobId,
    /// The task that made it.
    pub task: TaskId,
    /// Its name in the task.
    pub output: OutputName,
}

impl std::fmt::Display for OutputId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&output_name(&self.job, &self.task, &self.output))
    }
}

impl OutputId {
    pub(crate) fn read(name: &str) -> Result<Self, Malformed> {
        let (job, task, output) = read_output_name("name", name)?;
        Ok(Self { job, task, output })
    }
}

/// Returns every output of a job that was sealed and is still known, for the wire.
#[must_use]
pub fn outputs_of(view: &JobView) -> v1::ListOutputsResponse {
    let outputs = view.tasks.iter().flat_map(|task| {
        task.outputs.iter().map(|output| output_to_proto(&view.job, &task.task, output))
    });
    v1::ListOutputsResponse { outputs: outputs.collect() }
}

/// Asks for what an output consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOutputFiles {
    /// Which.
    pub output: OutputId,
    /// Also what is not decided yet, or was not published.
    pub staged: bool,
}

impl Translate for ListOutputFiles {
    type Proto = v1::ListOutputFilesRequest;

    fn to_proto(&self) -> v1::ListOutputFilesRequest {
        v1::ListOutputFilesRequest { name: self.output.to_string(), include_staged: self.staged }
    }

    fn from_proto(proto: v1::ListOutputFilesRequest) -> Result<Self, Malformed> {
        Ok(Self { output: OutputId::read(&proto.name)?, staged: proto.include_staged })
    }
}

/// A page of what an output consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFiles {
    /// Whether it is a single file.
    pub single_file: bool,
    /// Sorted by path over all pages.
    pub entries: Vec<OutputEntry>,
    /// What stands at its target; none on later pages, and where that cannot be told.
    pub target: Option<TargetStanding>,
}

/// What stands at the place where an output was published, at the moment somebody looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetStanding {
    /// The output itself.
    InPlace,
    /// The output of another job.
    Replaced {
        /// Whose.
        by: JobId,
    },
    /// Something that no job has published.
    Foreign,
    /// Nothing.
    Gone,
}

impl Translate for TargetStanding {
    type Proto = v1::OutputTarget;

    fn to_proto(&self) -> v1::OutputTarget {
        use v1::TargetStanding as Standing;
        let (standing, job) = match self {
            Self::InPlace => (Standing::InPlace, String::new()),
            Self::Replaced { by } => (Standing::Replaced, job_name(by)),
            Self::Foreign => (Standing::Foreign, String::new()),
            Self::Gone => (Standing::Gone, String::new()),
        };
        v1::OutputTarget { standing: standing.into(), job }
    }

    fn from_proto(proto: v1::OutputTarget) -> Result<Self, Malformed> {
        use v1::TargetStanding as Standing;
        let unknown = || Malformed::new("standing", Fault::UnknownValue(proto.standing));
        Ok(match Standing::try_from(proto.standing).map_err(|_| unknown())? {
            Standing::Unspecified => return Err(unknown()),
            Standing::InPlace => Self::InPlace,
            Standing::Replaced => Self::Replaced { by: read_job_name("job", &proto.job)? },
            Standing::Foreign => Self::Foreign,
            Standing::Gone => Self::Gone,
        })
    }
}

/// One file, directory or symbolic link of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputEntry {
    /// Relative and '/'-separated; not checked here.
    pub path: String,
    /// Permission bits when it was sealed.
    pub mode: u32,
    /// What it is.
    pub content: EntryContent,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Of its bytes.
        digest: Digest,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// What it says; not checked here.
        target: String,
    },
}

impl Translate for OutputFiles {
    type Proto = v1::ListOutputFilesResponse;

    fn to_proto(&self) -> v1::ListOutputFilesResponse {
        v1::ListOutputFilesResponse {
            single_file: self.single_file,
            entries: write_all(&self.entries),
            target: self.target.as_ref().map(Translate::to_proto),
        }
    }

    fn from_proto(proto: v1::ListOutputFilesResponse) -> Result<Self, Malformed> {
        Ok(Self {
            single_file: proto.single_file,
            entries: read_all("entries", proto.entries)?,
            target: read_if_any("target", proto.target)?,
        })
    }
}

impl Translate for OutputEntry {
    type Proto = v1::OutputEntry;

    fn to_proto(&self) -> v1::OutputEntry {
        use output_entry::Content;
        let content = match &self.content {
            EntryContent::File { size, digest } => Content::File(v1::OutputFile {
                size_bytes: count(*size),
                digest: digest.to_string(),
            }),
            EntryContent::Directory => Content::Directory(v1::OutputDirectory {}),
            EntryContent::Link { target } => {
                Content::Link(v1::OutputLink { target: target.clone() })
            }
        };
        v1::OutputEntry { path: self.path.clone(), mode: self.mode, content: Some(content) }
    }

    fn from_proto(proto: v1::OutputEntry) -> Result<Self, Malformed> {
        use output_entry::Content;
        let content = match set("content", proto.content)? {
            Content::File(file) => EntryContent::File {
                size: number("size_bytes", file.size_bytes)?,
                digest: parse::<Digest>("digest", &file.digest)?,
            },
            Content::Directory(_) => EntryContent::Directory,
            Content::Link(link) => EntryContent::Link { target: link.target },
        };
        Ok(Self { path: proto.path, mode: proto.mode, content })
    }
}

impl OutputFiles {
    /// Reads a page of a worker's manifest.
    ///
    /// # Errors
    /// [`Malformed`] with the field that means nothing.
    pub fn of_manifest(page: worker::GetArtifactResponse) -> Result<Self, Malformed> {
        let single_file = match worker::ArtifactForm::try_from(page.form) {
            Ok(worker::ArtifactForm::File) => true,
            Ok(worker::ArtifactForm::Tree) => false,
            Ok(worker::ArtifactForm::Unspecified) | Err(_) => {
                return Err(Malformed::new("form", Fault::UnknownValue(page.form)));
            }
        };
        let entries: Result<_, Malformed> = page.entries.into_iter().map(entry).collect();
        let target = read_if_any("target", page.target)?;
        Ok(Self { single_file, entries: entries?, target })
    }
}

fn entry(proto: worker::ManifestEntry) -> Result<OutputEntry, Malformed> {
    use worker::manifest_entry::Content;
    let content = match set("content", proto.content)? {
        Content::File(file) => EntryContent::File {
            size: file.size_bytes,
            digest: parse::<Digest>("digest", &file.digest)?,
        },
        Content::Directory(_) => EntryContent::Directory,
        Content::Link(link) => EntryContent::Link { target: link.target },
    };
    Ok(OutputEntry { path: proto.path, mode: proto.mode, content })
}

/// Asks for the bytes of one file of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOutput {
    /// Which output.
    pub output: OutputId,
    /// The file in it; not checked here.
    pub path: String,
    /// First byte.
    pub offset: u64,
    /// At most this many bytes; to the end if absent.
    pub limit: Option<u64>,
    /// Also what is not decided yet, or was not published.
    pub staged: bool,
}

impl Translate for ReadOutput {
    type Proto = v1::ReadOutputRequest;

    fn to_proto(&self) -> v1::ReadOutputRequest {
        v1::ReadOutputRequest {
            name: self.output.to_string(),
            path: self.path.clone(),
            offset: count(self.offset),
            limit: self.limit.map(count),
            include_staged: self.staged,
        }
    }

    fn from_proto(proto: v1::ReadOutputRequest) -> Result<Self, Malformed> {
        Ok(Self {
            output: OutputId::read(&proto.name)?,
            path: proto.path,
            offset: number("offset", proto.offset)?,
            limit: proto.limit.map(|limit| number("limit", limit)).transpose()?,
            staged: proto.include_staged,
        })
    }
}

/// A piece of a file of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// Position in the file.
    pub offset: u64,
    /// Bytes.
    pub data: Bytes,
}

impl Translate for OutputPiece {
    type Proto = v1::ReadOutputResponse;

    fn to_proto(&self) -> v1::ReadOutputResponse {
        v1::ReadOutputResponse { offset: count(self.offset), data: self.data.clone() }
    }

    fn from_proto(proto: v1::ReadOutputResponse) -> Result<Self, Malformed> {
        Ok(Self { offset: number("offset", proto.offset)?, data: proto.data })
    }
}
