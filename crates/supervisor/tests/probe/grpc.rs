//! A real gRPC server with the standard health service, and servers without.

use masque_fleet::model::Check;
use masque_supervisor::machine::Outcome;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::stage::{Stage, unhealthy};

async fn check(address: &str, service: &str) -> Outcome {
    Stage::check(Check::Grpc { address: address.to_owned(), service: service.to_owned() }).await
}

#[tokio::test]
async fn a_server_says_how_its_services_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (reporter, service) = tonic_health::server::health_reporter();
    let mut tasks = JoinSet::new();
    tasks.spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
    );
    assert_eq!(check(&address, "").await, Outcome::Healthy);
    assert_eq!(check(&address, "a.B").await, unhealthy(&format!("{address} knows no service of that name")));
    reporter.set_service_status("a.B", ServingStatus::Serving).await;
    assert_eq!(check(&address, "a.B").await, Outcome::Healthy);
    for (status, word) in [(ServingStatus::NotServing, "NOT_SERVING"), (ServingStatus::Unknown, "UNKNOWN")] {
        reporter.set_service_status("a.B", status).await;
        let why = format!("the health service at {address} says {word}");
        assert_eq!(check(&address, "a.B").await, unhealthy(&why));
    }
    tasks.shutdown().await;
}

#[tokio::test]
async fn other_servers_are_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    let (_, other) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::default();
    drop(other);
    tasks
        .spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener)));
    assert_eq!(check(&address, "").await, unhealthy(&format!("{address} has no health service")));
    tasks.shutdown().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        Ok(())
    });
    let found = check(&address, "").await;
    assert!(
        matches!(&found, Outcome::Unhealthy(why) if why.starts_with("no gRPC answer from ") || why.starts_with("conn")),
        "{found:?}"
    );
}
