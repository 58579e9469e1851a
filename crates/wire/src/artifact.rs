//! What workers ask each other's artifact service for, read and checked.

use bytes::Bytes;
use votum_ids::AttemptId;
use votum_machine::WallTime;
use votum_proto::worker::v1 as pb;

use crate::{
    ArtifactId, LogStream, Malformed, Translate,
    time::{read_timestamp_if_any, timestamp},
    translate::{Numbered, enumerated, read},
};

/// Asks for the manifest of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetArtifact {
    /// Which.
    pub artifact: ArtifactId,
    /// Allows reading this artifact and no other.
    pub read_token: String,
}

impl Translate for GetArtifact {
    type Proto = pb::GetArtifactRequest;

    fn to_proto(&self) -> pb::GetArtifactRequest {
        pb::GetArtifactRequest {
            artifact: Some(self.artifact.to_proto()),
            read_token: self.read_token.clone(),
        }
    }

    fn from_proto(proto: pb::GetArtifactRequest) -> Result<Self, Malformed> {
        Ok(Self { artifact: read("artifact", proto.artifact)?, read_token: proto.read_token })
    }
}

/// Asks for the bytes of one file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadArtifact {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// A file of its manifest; not checked here.
    pub path: String,
    /// First byte.
    pub offset: u64,
    /// At most this many bytes; to the end if absent.
    pub limit: Option<u64>,
    /// Allows reading this artifact and no other.
    pub read_token: String,
}

impl Translate for ReadArtifact {
    type Proto = pb::ReadArtifactRequest;

    fn to_proto(&self) -> pb::ReadArtifactRequest {
        pb::ReadArtifactRequest {
            artifact: Some(self.artifact.to_proto()),
            path: self.path.clone(),
            offset: self.offset,
            limit: self.limit,
            read_token: self.read_token.clone(),
        }
    }

    fn from_proto(proto: pb::ReadArtifactRequest) -> Result<Self, Malformed> {
        Ok(Self {
            artifact: read("artifact", proto.artifact)?,
            path: proto.path,
            offset: proto.offset,
            limit: proto.limit,
            read_token: proto.read_token,
        })
    }
}

/// Asks for one log of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLogs {
    /// Whose.
    pub attempt: AttemptId,
    /// Which of the two.
    pub stream: LogStream,
    /// First byte.
    pub offset: u64,
    /// Stay for further bytes until the attempt has ended.
    pub follow: bool,
    /// Only the last lines, if they begin after the offset.
    pub tail_lines: Option<u32>,
    /// Only what was written then or later, to the second.
    pub since: Option<WallTime>,
    /// Each piece shall have been written within a second, and say when.
    pub timed: bool,
}

impl Translate for ReadLogs {
    type Proto = pb::ReadLogsRequest;

    fn to_proto(&self) -> pb::ReadLogsRequest {
        pb::ReadLogsRequest {
            attempt: Some(self.attempt.to_proto()),
            stream: self.stream.number(),
            offset: self.offset,
            follow: self.follow,
            tail_lines: self.tail_lines,
            since_time: self.since.map(timestamp),
            timed: self.timed,
        }
    }

    fn from_proto(proto: pb::ReadLogsRequest) -> Result<Self, Malformed> {
        Ok(Self {
            attempt: read("attempt", proto.attempt)?,
            stream: enumerated("stream", proto.stream)?,
            offset: proto.offset,
            follow: proto.follow,
            tail_lines: proto.tail_lines,
            since: read_timestamp_if_any("since_time", proto.since_time)?,
            timed: proto.timed,
        })
    }
}

/// A piece of one log of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Position in the stream; a gap means dropped bytes.
    pub offset: u64,
    /// Raw bytes.
    pub data: Bytes,
    /// When they were written, to the second, if that is known.
    pub written: Option<WallTime>,
}

impl Translate for LogChunk {
    type Proto = pb::ReadLogsResponse;

    fn to_proto(&self) -> pb::ReadLogsResponse {
        pb::ReadLogsResponse {
            offset: self.offset,
            data: self.data.clone(),
            write_time: self.written.map(timestamp),
        }
    }

    fn from_proto(proto: pb::ReadLogsResponse) -> Result<Self, Malformed> {
        let written = read_timestamp_if_any("write_time", proto.write_time)?;
        Ok(Self { offset: proto.offset, data: proto.data, written })
    }
}
