//! The generated messages and services of Votum's two gRPC packages.
//!
//! `votum.v1` is for clients, `votum.worker.v1` lies between coordinator and
//! workers. Only `votum-wire` turns these types into domain values and back.

/// The API for clients.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::use_self, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("votum.v1");
}

/// What coordinator and workers say to each other.
pub mod worker {
    /// The only version so far.
    #[allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::use_self,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("votum.worker.v1");
    }
}

/// The encoded descriptors of every message and service, for reflection and JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
