//! The generated messages and services of Votum's two gRPC packages.
//!
//! `votum.v1` is for clients, `votum.worker.v1` lies between coordinator and
//! workers. Only `votum-wire` turns these types into domain values and back.
#![allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::use_self,
    reason = "what stands here is generated, and documented in the .proto files"
)]

/// The API for clients.
pub mod v1 {
    tonic::include_proto!("votum.v1");
}

/// What coordinator and workers say to each other.
pub mod worker {
    /// The only version so far.
    pub mod v1 {
        tonic::include_proto!("votum.worker.v1");
    }
}

/// The encoded descriptors of every message and service, for reflection and JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
