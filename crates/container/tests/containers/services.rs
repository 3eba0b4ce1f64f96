//! Containers that run on: an image built from a directory, starts that leave what fits, health from outside, ends.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use masque_container::{BuildSpec, Engine, Error, Mount, MountSource, NetworkJoin, Restart, ServiceSpec, Started};

use crate::station::{IMAGE, LIMIT, Station};

const BUILT: &str = "localhost/masque-built:latest";

fn build(station: &Station, instructions: &str) -> BuildSpec {
    fs_err::write(station.at("data.txt"), "from the context\n").unwrap();
    BuildSpec {
        image: BUILT.to_owned(),
        context: station.workspace(),
        file: PathBuf::from("own/Containerfile"),
        ignored: Vec::new(),
        texts: [("own/Containerfile".into(), instructions.to_owned())].into(),
        files: [("own/program".into(), PathBuf::from("/bin/busybox"))].into(),
    }
}

fn spec(station: &Station, line: &str) -> ServiceSpec {
    ServiceSpec {
        name: "masque-test-service".to_owned(),
        image: BUILT.to_owned(),
        masque: None,
        entrypoint: Some(["/bin/sh", "-c"].map(str::to_owned).to_vec()),
        command: Some(vec![line.to_owned()]),
        environment: BTreeMap::from([("GREETING".to_owned(), "a b$c".to_owned())]),
        directory: Some("/".to_owned()),
        user: None,
        labels: BTreeMap::from([
            ("io.masque.fleet".to_owned(), "test".to_owned()),
            ("line".to_owned(), line.to_owned()),
        ]),
        mounts: vec![Mount {
            source: MountSource::Path(station.at("made/on/demand")),
            target: "/shared".to_owned(),
            read_only: false,
            options: Vec::new(),
        }],
        network: NetworkJoin::Host,
        publish: Vec::new(),
        devices: Vec::new(),
        memory_bytes: Some(64 << 20),
        milli_cpus: Some(500),
        processes: Some(32),
        open_files: Some(256),
        stop_signal: None,
        stop_grace: Duration::from_secs(1),
        restart: Restart::Never,
    }
}

const OWN: fn(&BTreeMap<String, String>) -> bool =
    |labels| labels.get("io.masque.fleet").is_some_and(|fleet| fleet == "test");

async fn printed(engine: &Engine, name: &str, expected: &str) {
    let looking = async {
        while !engine.service_output(name, 50).await.unwrap().contains(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.unwrap();
}

#[tokio::test]
async fn images_are_built_from_directories_and_never_fetched() {
    let Some(station) = Station::open().await else { return };
    let mut lines = Vec::new();
    let instructions = format!("FROM {IMAGE}\nCOPY data.txt /data.txt\nCOPY own/program /bin/own\n");
    station.engine.build(&build(&station, &instructions), |line| lines.push(line.to_owned())).await.unwrap();
    assert!(!lines.is_empty());
    assert!(station.engine.images().await.unwrap().contains(BUILT));
    let first = station.engine.image_id(BUILT).await.unwrap();
    // An instruction that fails, and an image that is not there.
    let broken = station.engine.build(&build(&station, &format!("FROM {IMAGE}\nCOPY nothing /x\n")), |_| {}).await;
    let text = broken.unwrap_err().to_string();
    assert!(text.contains("nothing"), "{text}");
    let missing = station.engine.build(&build(&station, "FROM localhost/masque-nowhere:1\n"), |_| {}).await;
    assert!(matches!(missing, Err(Error::Image { .. })), "{missing:?}");
    assert_eq!(station.engine.image_id(BUILT).await.unwrap(), first);
    station.close().await;
}

#[tokio::test]
async fn services_run_on_are_found_again_replaced_and_ended() {
    let Some(station) = Station::open().await else { return };
    let engine = &station.engine;
    engine.build(&build(&station, &format!("FROM {IMAGE}\nCOPY data.txt /data.txt\n")), |_| {}).await.unwrap();
    let line = "echo \"$GREETING\"; while read line; do echo \"$line\"; done < /data.txt; echo here > /shared/file; exec /bin/sleep 600";
    let first = spec(&station, line);
    assert_eq!(engine.service(&first.name).await.unwrap(), None);
    assert_eq!(engine.start_service(&first, OWN).await.unwrap(), Started::New);
    printed(engine, &first.name, "a b$c\nfrom the context\n").await;
    let state = engine.service(&first.name).await.unwrap().unwrap();
    assert!(state.is_running && state.process.is_some());
    // The same again, by an engine that knows nothing of it.
    let again = Engine::connect(Some(&engine.info().socket)).await.unwrap();
    assert_eq!(again.start_service(&first, OWN).await.unwrap(), Started::Unchanged);
    let shell = |line: &str| ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
    assert_eq!(
        again.execute_in_service(&first.name, shell("read x < /shared/file; test \"$x\" = here")).await.unwrap(),
        0
    );
    assert_eq!(again.execute_in_service(&first.name, shell("exit 3")).await.unwrap(), 3);
    assert_eq!(fs_err::read_to_string(station.at("made/on/demand/file")).unwrap(), "here\n");
    // Another definition replaces it, but never a container of somebody else.
    let second = spec(&station, "echo second; exit 7");
    let refused = engine.start_service(&second, |_| false).await.unwrap_err().to_string();
    assert!(refused.contains("is taken by another container"), "{refused}");
    assert_eq!(engine.start_service(&second, OWN).await.unwrap(), Started::Replaced);
    assert_eq!(engine.service_end(&second.name).await.unwrap(), 7);
    assert_eq!(engine.service(&second.name).await.unwrap().unwrap().exit_code, Some(7));
    engine.stop_service(&second.name, second.stop_grace).await.unwrap();
    engine.stop_service(&second.name, second.stop_grace).await.unwrap();
    assert_eq!(engine.service(&second.name).await.unwrap(), None);
    engine.ensure_volume("masque-test-volume").await.unwrap();
    engine.ensure_volume("masque-test-volume").await.unwrap();
    engine.ensure_network("masque-test-network", Some("10.213.0.0/24")).await.unwrap();
    engine.ensure_network("masque-test-network", None).await.unwrap();
    station.close().await;
}
