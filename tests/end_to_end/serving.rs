//! What every gRPC tool expects of a server: health, reflection, and small answers at once.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use votum_tests::{Cluster, Stopwatch};

use crate::patient;

#[test]
fn health_says_that_it_serves() {
    let cluster = patient();
    let mut health = HealthClient::new(channel(&cluster, cluster.address()));
    for service in ["", "votum.v1.JobService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = cluster.block_on(health.check(request)).unwrap().into_inner();
        assert_eq!(answer.status, SERVING, "{service:?}");
    }
}

#[test]
fn reflection_lists_the_services() {
    let cluster = patient();
    let services = services(&cluster, cluster.address());
    for service in ["votum.v1.JobService", "votum.v1.WorkerService", "votum.v1.AdminService"] {
        assert!(services.iter().any(|found| found == service), "{service} in {services:?}");
    }
    let workers = cluster.block_on(cluster.client().workers()).unwrap();
    let services = self::services(&cluster, &workers[0].artifact_address);
    let artifacts = "votum.worker.v1.ArtifactService";
    assert!(services.iter().any(|found| found == artifacts), "{services:?}");
}

#[test]
fn small_answers_do_not_wait_for_more() {
    let cluster = patient();
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let watch = Stopwatch::start();
            cluster.block_on(cluster.client().cluster()).unwrap();
            watch.elapsed()
        })
        .collect();
    times.sort();
    println!("unary call on loopback: median {:?}, slowest {:?}", times[50], times[99]);
    // Without TCP_NODELAY on both sides, a delayed acknowledgement costs 40 ms each time.
    assert!(times[25] < Duration::from_millis(40), "{:?}", times[25]);
}

fn channel(cluster: &Cluster, address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    cluster.block_on(endpoint.connect()).unwrap()
}

fn services(cluster: &Cluster, address: &str) -> Vec<String> {
    let mut reflection = ServerReflectionClient::new(channel(cluster, address));
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answer = cluster.block_on(async {
        let requests = tokio_stream::iter([request]);
        let mut answers = reflection.server_reflection_info(requests).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap()
    });
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

const SERVING: i32 = 1;
