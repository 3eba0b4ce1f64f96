//! What services say themselves: on the notify socket, by a descriptor, a file, a line.

use std::{os::linux::net::SocketAddrExt as _, sync::Arc};

use masque_fleet::model::Check;
use masque_sandbox::service::ServiceGroups;
use masque_supervisor::{
    machine::{Notice, Outcome},
    probe::Hooks,
    process::adopt,
};
use masque_types::time::Timestamp;

use crate::stage::{Stage, guarded, unhealthy};

/// Sends its arguments to the notify socket, each as a message.
const TELL: &str = r#"perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0); ($name = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/;
    for (@ARGV) { send(S, $_, 0, pack_sockaddr_un($name)) or die }'"#;

#[tokio::test]
async fn a_service_speaks_on_its_socket_and_nobody_else_does() {
    let line = format!("read gate < gate; {TELL} STATUS=loading READY=1 WATCHDOG=1; exec sleep 1000");
    let mut stage = Stage::new(&line, Some(Check::Notify));
    let gate = stage.service.program.directory.join("gate");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let additions = stage.hooks.take_additions();
    let address = additions.environment["NOTIFY_SOCKET"].clone();
    let process = stage.surroundings.start(additions, &stage.capture).unwrap();
    let mut notices = stage.hooks.take_notices().unwrap();
    // A process that is not the service's, first.
    let stranger = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let name = std::os::unix::net::SocketAddr::from_abstract_name(&address[1..]).unwrap();
    stranger.send_to_addr(b"STOPPING=1", &name).unwrap();
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
    let expected = [Notice::Status("loading".into()), Notice::Ready, Notice::Watchdog];
    for expected in expected {
        assert_eq!(guarded(notices.next(&process)).await.unwrap(), expected);
    }
    guarded(process.kill_tree()).await.unwrap();
}

#[tokio::test]
async fn a_descriptor_is_written_or_closed_but_not_by_the_end() {
    for (line, ready) in
        [("printf x >&$READY_FD; exec sleep 1000", true), ("exec 3>&-; exec sleep 1000", true), ("exit 0", false)]
    {
        let mut stage = Stage::new(line, Some(Check::Descriptor));
        let process = stage.start();
        let mut watched = stage.watch(&process);
        if ready {
            assert_eq!(watched.next().await, Outcome::Healthy, "{line}");
        } else {
            guarded(process.wait()).await.unwrap();
            assert!(watched.outcomes.try_recv().is_err());
        }
        guarded(process.kill_tree()).await.unwrap();
    }
}

#[tokio::test]
async fn a_descriptor_outlives_the_supervisor() {
    let mut stage = Stage::new(
        "read gate < gate; printf x >&$READY_FD && touch survived; exec sleep 1000",
        Some(Check::Descriptor),
    );
    let gate = stage.service.program.directory.join("gate");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let process = stage.start();
    // The supervisor ends; the service says that it is ready; the next supervisor comes.
    stage.hooks = Hooks::default();
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
    let survived = stage.service.program.directory.join("survived");
    guarded(async {
        while !survived.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
    let cookie = stage.instance.cookie().to_owned();
    stage.hooks = Hooks::resume(&stage.service, &cookie, stage.directory.path(), &stage.capture, Timestamp(0)).unwrap();
    let adopted = adopt(&stage.instance, process.pid(), process.start_time(), &ServiceGroups::default()).unwrap();
    let mut watched = stage.watch(&Arc::new(adopted));
    assert_eq!(watched.next().await, Outcome::Healthy);
    guarded(process.kill_tree()).await.unwrap();
}

#[tokio::test]
async fn a_file_counts_when_it_is_new() {
    let line = "read gate < gate; mkdir -p run; echo 1 > run/ready; exec sleep 1000";
    let mut stage = Stage::changed(line, Some(Check::File("run/ready".into())), |service| {
        let directory = &service.program.directory;
        std::fs::create_dir(directory.join("run")).unwrap();
        // What an earlier start has left says nothing.
        std::fs::write(directory.join("run/ready"), "0").unwrap();
        let gate = directory.join("gate");
        rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    });
    let directory = stage.service.program.directory.clone();
    let process = stage.start();
    let mut watched = stage.watch(&process);
    let gate = directory.join("gate");
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
    assert_eq!(watched.next().await, Outcome::Healthy);
    std::fs::remove_dir_all(directory.join("run")).unwrap();
    let gone = format!("file {} is gone", directory.join("run/ready").display());
    assert_eq!(watched.next().await, unhealthy(&gone));
    std::fs::create_dir(directory.join("run")).unwrap();
    std::fs::write(directory.join("run/ready"), "2").unwrap();
    assert_eq!(watched.next().await, Outcome::Healthy);
    guarded(process.kill_tree()).await.unwrap();
}

#[tokio::test]
async fn a_file_of_an_earlier_start_says_nothing_to_the_next_supervisor() {
    let mut stage = Stage::new("exec sleep 1000", Some(Check::File("ready".into())));
    let directory = stage.service.program.directory.clone();
    std::fs::write(directory.join("ready"), "0").unwrap();
    let process = stage.start();
    let cookie = stage.instance.cookie().to_owned();
    let long_after = Timestamp(now().0 + 60_000);
    stage.hooks = Hooks::resume(&stage.service, &cookie, stage.directory.path(), &stage.capture, long_after).unwrap();
    let mut watched = stage.watch(&process);
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), watched.next()).await;
    assert!(early.is_err(), "{early:?}");
    std::fs::remove_file(directory.join("ready")).unwrap();
    std::fs::write(directory.join("ready"), "1").unwrap();
    assert_eq!(watched.next().await, Outcome::Healthy);
    guarded(process.kill_tree()).await.unwrap();
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

#[tokio::test]
async fn a_line_counts_also_when_it_was_printed_before_a_supervisor_came() {
    let mut stage =
        Stage::new("echo listening on 5570; exec sleep 1000", Some(Check::Log("^listening on [0-9]+$".into())));
    let process = stage.start();
    let mut watched = stage.watch(&process);
    assert_eq!(watched.next().await, Outcome::Healthy);
    let cookie = stage.instance.cookie().to_owned();
    stage.hooks = Hooks::resume(&stage.service, &cookie, stage.directory.path(), &stage.capture, Timestamp(0)).unwrap();
    assert_eq!(stage.watch(&process).next().await, Outcome::Healthy);
    guarded(process.kill_tree()).await.unwrap();
    let wrong = Check::Log("(".into());
    stage.service.ready = Some(crate::stage::probe(wrong));
    assert!(Hooks::prepare(&stage.service, &cookie, stage.directory.path(), &stage.capture).is_err());
}
