//! Compiles the `.proto` files in this folder, without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    for folder in ["google", "votum"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let mut config = tonic_prost_build::Config::new();
    config
        .enable_type_names()
        .btree_map(["."])
        .bytes([".votum"])
        .extern_path(".google.rpc", "::tonic_types::pb");
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}

const FILES: [&str; 10] = [
    "google/rpc/error_details.proto",
    "votum/v1/admin_service.proto",
    "votum/v1/case_service.proto",
    "votum/v1/job_service.proto",
    "votum/v1/txn_service.proto",
    "votum/v1/worker_service.proto",
    "votum/worker/v1/artifact_service.proto",
    "votum/worker/v1/commit.proto",
    "votum/worker/v1/peer_service.proto",
    "votum/worker/v1/session_service.proto",
];
