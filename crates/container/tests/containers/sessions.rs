//! Programs: their streams, their ends, and the end of all that they started.

use masque_container::{Error, Exec, Exit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::station::{LIMIT, Station, finish, printed, run, script};

/// How many processes have this word in their command line, the asking one not counted.
async fn count(container: &masque_container::Container, word: &str) -> usize {
    let listed =
        run(container, script("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null")).await;
    listed.stdout.lines().filter(|line| line.contains(word)).count()
}

#[tokio::test]
async fn streams_and_ends_are_those_of_the_program() {
    let Some(station) = Station::open().await else { return };
    let container = station.start(&station.spec()).await;
    let mut echo = container.exec(Exec::new("/bin/busybox", "/".into()).args(["cat"])).await.unwrap();
    let (mut input, mut output) = (echo.take_stdin().unwrap(), echo.take_stdout().unwrap());
    let sent: Vec<u8> = (0..4 << 20).map(|number: u32| number.to_le_bytes()[0]).collect();
    let mut received = Vec::new();
    let writing = async {
        input.write_all(&sent).await.unwrap();
        drop(input);
    };
    let ((), read) =
        tokio::time::timeout(LIMIT, async { tokio::join!(writing, output.read_to_end(&mut received)) }).await.unwrap();
    read.unwrap();
    assert!(received == sent);
    assert_eq!(echo.wait().await.unwrap(), Exit::Code(0));
    assert_eq!(echo.wait().await.unwrap(), Exit::Code(0), "the answer stays");
    let ended = run(&container, script("echo out; echo error >&2; exit 7")).await;
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str(), ended.exit), ("out\n", "error\n", Exit::Code(7)));
    assert_eq!(run(&container, script("kill -USR1 $$")).await.exit, Exit::Signal(10));
    let found = Exec::new("busybox", station.workspace()).args(["pwd"]).env("PATH", "/nowhere:/bin");
    assert_eq!(run(&container, found).await.stdout, format!("{}\n", station.workspace().display()));
    let many = futures::future::join_all((0..10).map(|_| run(&container, script("echo one")))).await;
    assert!(many.iter().all(|ended| ended.stdout == "one\n"));
    for wrong in [
        Exec::new("/bin/absent", "/".into()),
        Exec::new("/bin/sh", "/absent".into()),
        Exec::new("/bin/sh", "/".into()).args(["a\0b"]),
    ] {
        assert!(matches!(container.exec(wrong).await, Err(Error::Program { .. })));
    }
    assert!(matches!(container.exec(Exec::new("/bin/sh", "relative".into())).await, Err(Error::Value { .. })));
    container.stop().await.unwrap();
    station.close().await;
}

#[tokio::test]
async fn everything_that_a_program_started_ends_with_it() {
    let Some(station) = Station::open().await else { return };
    let container = station.start(&station.spec()).await;
    let mut beside = container.exec(script("echo ready; exec sleep 98700")).await.unwrap();
    printed(&mut beside.take_stdout().unwrap(), "ready\n").await;
    // Daemons that leave their parent, their group and their session, and do not hear polite signals.
    let daemons = "trap '' TERM HUP INT; for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM HUP; sleep 98711 & sleep 98711 & wait' &); done; echo ready";
    let mut killed = container.exec(script(&format!("{daemons}; sleep 98711"))).await.unwrap();
    printed(&mut killed.take_stdout().unwrap(), "ready\n").await;
    tokio::time::timeout(LIMIT, killed.kill()).await.unwrap().unwrap();
    assert_eq!(killed.wait().await.unwrap(), Exit::Signal(9));
    assert_eq!(count(&container, "98711").await, 0);
    // Its own end is enough.
    let ended = run(&container, script(daemons)).await;
    assert_eq!((ended.stdout.as_str(), ended.exit), ("ready\n", Exit::Code(0)));
    assert_eq!(count(&container, "98711").await, 0);
    // A program that kills its supervisor does not set its daemons free.
    let murder = format!("{daemons}; kill -9 $PPID; sleep 98711");
    let ended = run(&container, script(&murder)).await;
    assert_eq!(ended.exit, Exit::Signal(9), "{ended:?}");
    assert_eq!(count(&container, "98711").await, 0);
    // Whoever drops a session wants no program.
    let mut dropped = container.exec(script("echo ready; sleep 98722")).await.unwrap();
    let mut output = dropped.take_stdout().unwrap();
    printed(&mut output, "ready\n").await;
    drop(dropped);
    assert_eq!(output.read(&mut [0; 1]).await.unwrap(), 0, "the pipe is closed by the last of its processes");
    assert_eq!(count(&container, "98700").await, 1, "the program beside was left alone");
    beside.kill().await.unwrap();
    container.stop().await.unwrap();
    station.close().await;
}

#[tokio::test]
async fn programs_end_with_their_container() {
    let Some(station) = Station::open().await else { return };
    let container = station.start(&station.spec()).await;
    let mut program = container.exec(script("sleep 98733")).await.unwrap();
    let remaining = finish(&mut program);
    let (ended, stopped) = tokio::join!(remaining, async { container.stop().await });
    stopped.unwrap();
    assert_eq!(ended.exit, Exit::Signal(9));
    station.close().await;
}
