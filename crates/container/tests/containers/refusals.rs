//! What cannot be had is a typed error that says what to do, and nothing remains of the attempt.

use masque_container::{ContainerSpec, Engine, Error};

use crate::station::Station;

#[tokio::test]
async fn an_engine_that_does_not_answer_is_told_with_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let told = Engine::connect(socket.to_str()).await.unwrap_err().to_string();
    assert!(told.contains("no such socket") && told.contains("engine.sock") && told.contains("systemctl"), "{told}");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let told = Engine::connect(Some(&format!("unix://{}", socket.display()))).await.unwrap_err();
    assert!(matches!(&told, Error::NoEngine { tried } if tried.contains("refused")), "{told}");
    let told = Engine::connect(Some("tcp://127.0.0.1:2375")).await.unwrap_err();
    assert!(matches!(&told, Error::Value { .. }), "{told}");
}

#[tokio::test]
async fn what_cannot_be_had_is_told_with_what_to_do() {
    let Some(station) = Station::open().await else { return };
    let spec = station.spec();
    let start = async |spec: ContainerSpec| station.engine.start(&spec, Box::new(())).await.unwrap_err();
    let told = start(ContainerSpec { image: "localhost/absent:1".to_owned(), ..spec.clone() }).await;
    assert!(matches!(&told, Error::Image { command, .. } if command == "podman pull localhost/absent:1"), "{told}");
    let told = start(ContainerSpec { runtime: Some("runsc".to_owned()), ..spec.clone() }).await;
    assert!(matches!(&told, Error::Runtime { known, .. } if known == "runc"), "{told}");
    let told = start(ContainerSpec { libraries: Vec::new(), ..spec.clone() }).await;
    assert!(matches!(&told, Error::Path { .. }), "{told}");
    let told = start(ContainerSpec { read_only: vec!["absent".into()], ..spec.clone() }).await;
    assert!(matches!(&told, Error::Path { .. }), "{told}");
    fs_err::create_dir(station.at("a,b")).unwrap();
    let told = start(ContainerSpec { writable: vec!["a,b".into()], ..spec.clone() }).await;
    assert!(matches!(&told, Error::Path { .. }), "{told}");
    let known = ContainerSpec { runtime: Some("runc".to_owned()), ..spec.clone() };
    station.start(&known).await.stop().await.unwrap();
    // What is mounted runs, but does not report.
    let told = start(ContainerSpec { masque: "/bin/busybox".into(), ..spec.clone() }).await;
    assert!(matches!(&told, Error::Init { .. } | Error::Engine { .. }), "{told}");
    assert!(station.engine.info().to_string().starts_with("Podman "));
    station.close().await;
}
