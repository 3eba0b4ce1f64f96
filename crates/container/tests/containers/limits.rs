//! What programs may use up. The container, and programs beside, survive it.

use masque_container::ContainerSpec;

use crate::station::{Station, run, script};

#[tokio::test]
async fn processes_memory_and_temporary_files_are_limited() {
    let Some(station) = Station::open().await else { return };
    let spec = ContainerSpec { pids: 24, memory_bytes: 48 << 20, milli_cpus: Some(1500), ..station.spec() };
    let container = station.start(&spec).await;
    let mut neighbour = container.exec(script("read line; echo heard $line")).await.unwrap();
    let bomb = "for i in $(seq 100); do sleep 1000 & done; echo started";
    let ended = run(&container, script(bomb)).await;
    assert!(!ended.exit.success() || ended.stderr.contains("fork"), "{ended:?}");
    let ended = run(&container, script("tail /dev/zero; echo status $?")).await;
    assert!(!ended.stdout.contains("status 0"), "{ended:?}");
    let fill = "head -c 5000000 /dev/zero > /tmp/a || echo full; head -c 5000000 /dev/zero > /var/tmp/a || echo full";
    let ended = run(&container, script(fill)).await;
    assert_eq!(ended.stdout, "full\nfull\n", "{ended:?}");
    let mut input = neighbour.take_stdin().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, b"it\n").await.unwrap();
    let ended = crate::station::finish(&mut neighbour).await;
    assert_eq!(ended.stdout, "heard it\n", "{ended:?}");
    assert!(container.is_alive().await);
    container.stop().await.unwrap();
    station.close().await;
}
