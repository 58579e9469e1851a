//! Every gRPC service of the coordinator.

use tonic::service::Routes;
use votum_proto::{v1, worker::v1 as worker};
use votum_wire::session::FRAME_BYTES_MAX;

use crate::{
    api::{AdminApi, CaseApi, Desk, JobApi, TxnApi, WorkerApi},
    sessions::SessionApi,
};

/// Joins them, health and reflection included.
///
/// # Errors
/// When the descriptors for reflection cannot be read.
pub(crate) async fn grpc(
    desk: Desk,
    admin: AdminApi,
    session: SessionApi,
) -> anyhow::Result<Routes> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<v1::job_service_server::JobServiceServer<JobApi>>().await;
    let session = worker::session_service_server::SessionServiceServer::new(session)
        .max_decoding_message_size(FRAME_BYTES_MAX);
    Ok(Routes::new(health_service)
        .add_service(reflection_v1()?)
        .add_service(reflection_v1alpha()?)
        .add_service(v1::job_service_server::JobServiceServer::new(JobApi(desk.clone())))
        .add_service(v1::txn_service_server::TxnServiceServer::new(TxnApi(desk.clone())))
        .add_service(v1::case_service_server::CaseServiceServer::new(CaseApi(desk.clone())))
        .add_service(v1::worker_service_server::WorkerServiceServer::new(WorkerApi(desk)))
        .add_service(v1::admin_service_server::AdminServiceServer::new(admin))
        .add_service(session)
        .prepare())
}

fn reflection_v1() -> anyhow::Result<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(votum_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?)
}

/// Older clients, Python's among them, ask for this one.
fn reflection_v1alpha() -> anyhow::Result<
    tonic_reflection::server::v1alpha::ServerReflectionServer<
        impl tonic_reflection::server::v1alpha::ServerReflection,
    >,
> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(votum_proto::FILE_DESCRIPTOR_SET)
        .build_v1alpha()?)
}
