//! What programs see and can change: files, privileges, processes, network, environment.

use std::{net::TcpListener, os::linux::net::SocketAddrExt as _};

use masque_container::{ContainerSpec, Network, User};

use crate::station::{Station, attack, printed, run, script};

/// A workspace with things to protect beside a secret.
fn furnish(station: &Station) -> ContainerSpec {
    let write = |path: &str, text: &str| fs_err::write(station.at(path), text).unwrap();
    fs_err::create_dir_all(station.at(".git/hooks")).unwrap();
    fs_err::create_dir_all(station.at("private/deep")).unwrap();
    fs_err::create_dir_all(station.at("../library")).unwrap();
    fs_err::create_dir_all(station.at("../absent")).unwrap();
    write("plain", "plain");
    write(".env", "SECRET");
    write("private/deep/key", "SECRET");
    write("../secret", "SECRET");
    write("../library/book", "book");
    fs_err::os::unix::fs::symlink("../secret", station.at("link")).unwrap();
    fs_err::os::unix::fs::symlink(".env", station.at("sub/alias")).unwrap();
    let mut spec = station.spec();
    spec.hidden = vec![".env".into(), "private".into(), "sub/alias".into(), "absent".into()];
    spec.read_only = vec![".git/hooks".into()];
    spec.readable = vec![station.at("../library").canonicalize().unwrap(), std::env::current_exe().unwrap()];
    spec
}

/// Runs shell lines in the workspace that must all fail.
async fn refused(station: &Station, spec: &ContainerSpec, lines: &[&str]) {
    let container = station.start(spec).await;
    let mut text = format!("exec 2>&1\ncd {}\n", station.workspace().display());
    for (number, line) in lines.iter().enumerate() {
        text += &format!("if ({line}); then echo BROKEN {number}; fi\n");
    }
    let ended = run(&container, script(&text)).await;
    assert!(ended.exit.success() && !ended.stdout.contains("SECRET"), "{ended:?}");
    for (number, line) in lines.iter().enumerate() {
        assert!(!ended.stdout.contains(&format!("BROKEN {number}\n")), "not refused: {line}\n{}", ended.stdout);
    }
    container.stop().await.unwrap();
}

#[tokio::test]
async fn files_are_what_the_profile_grants() {
    let Some(station) = Station::open().await else { return };
    let mut spec = furnish(&station);
    let container = station.start(&spec).await;
    let text = "pwd; cat plain; cat ../library/book; echo made > sub/made; echo more >> plain; ls -a; echo x > /tmp/x && echo temporary";
    let mut program = script(text);
    program.directory = station.workspace();
    let ended = run(&container, program).await;
    let workspace = station.workspace();
    let expected =
        format!("{}\nplainbook.\n..\n.env\n.git\nlink\nplain\nprivate\nsub\ntemporary\n", workspace.display());
    assert_eq!((ended.stdout, ended.stderr.as_str()), (expected, ""));
    assert_eq!(fs_err::read_to_string(station.at("plain")).unwrap(), "plainmore\n");
    let made = fs_err::metadata(station.at("sub/made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), rustix::process::geteuid().as_raw());
    container.stop().await.unwrap();
    refused(
        &station,
        &spec,
        &[
            // Paths out of the workspace, and links out of it.
            "cat ../secret",
            "cat link",
            "cat sub/alias",
            "ls ../absent",
            "cat /proc/1/root/etc/hostname",
            // Hidden files and directories.
            "cat .env",
            "cat private/deep/key",
            "ls private",
            "rm -rf private",
            "mv private other",
            "mv .env other",
            "rm .env",
            // What runs later outside.
            "echo x > .git/hooks/pre-commit",
            "mv .git/hooks .git/other",
            "mv .git other",
            "rm -rf .git",
            "rmdir .git/hooks",
            // What may be read only.
            "echo x > ../library/new",
            "echo x >> ../library/book",
            "rm ../library/book",
            "echo x >> /run/masque/masque",
            "rm /run/masque/masque",
            // The image.
            "echo x > /x",
            "echo x > /bin/x",
            "echo x >> /bin/busybox",
            "mkdir /etc/x",
            "mkdir /var/x",
            "mkdir /home",
            // Made in the container's own temporary files.
            "! echo x > ../new",
        ],
    )
    .await;
    assert!(!station.at("../new").exists());
    assert!(station.at(".git/hooks").is_dir() && station.at("private/deep/key").exists());
    assert_eq!(fs_err::read_dir(station.at(".git/hooks")).unwrap().count(), 0);
    spec.writable = vec![station.at("sub")];
    refused(&station, &spec, &["echo x > new", "echo x >> plain", "mv sub other", "rm -rf .git"]).await;
    station.close().await;
}

#[tokio::test]
async fn programs_have_no_privileges_and_gain_none() {
    let Some(station) = Station::open().await else { return };
    station
        .import(&[
            "ENV INHERITED=yes",
            "ENTRYPOINT [\"/bin/false\"]",
            "VOLUME /volume",
            "USER 77",
            "HEALTHCHECK CMD /bin/false",
        ])
        .await;
    for user in [None, Some(User { uid: 1234, gid: 1235 })] {
        let readable = vec![std::env::current_exe().unwrap()];
        let spec = ContainerSpec { user, readable, writable: Vec::new(), ..station.spec() };
        let container = station.start(&spec).await;
        let ended =
            run(&container, script("grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status; id -u; id -g"))
                .await;
        let own = User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        let user = user.unwrap_or(own);
        let words: Vec<_> = ended.stdout.split_ascii_whitespace().collect();
        let values: Vec<_> = words.iter().filter(|word| !word.ends_with(':')).copied().collect();
        let none = "0000000000000000";
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        assert!(
            values.windows(9).any(|found| found == [none, none, none, none, none, "1", "2", &uid, &gid]),
            "{ended:?}"
        );
        let listed = masque_container::Exec::new("/bin/busybox", "/".into()).args(["env"]);
        let environment = run(&container, listed.clone().env("ONLY", "this\nand that")).await;
        assert_eq!(environment.stdout, "ONLY=this\nand that\n", "{environment:?}");
        let direct = run(&container, listed).await;
        assert_eq!(direct.stdout, "", "nothing is added");
        let open = run(&container, script("ls /proc/self/fd | tr '\\n' ' '")).await;
        // The last one is the directory that is listed.
        assert_eq!(open.stdout, "0 1 2 3 ", "{open:?}");
        let calls = run(&container, attack("calls")).await;
        assert!(calls.stdout.contains("DONE") && !calls.stdout.contains("BROKEN"), "{calls:?}");
        container.stop().await.unwrap();
        refused(
            &station,
            &spec,
            &[
                "mount -t tmpfs x /tmp",
                "unshare -i true",
                "unshare -p -f true",
                "unshare -u true",
                "mount -o remount,rw /",
                "umount /tmp",
                "unshare -U true",
                "unshare -m true",
                "unshare -n true",
                "chroot /tmp /bin/busybox true",
                "mknod /tmp/disk b 7 1",
                "hostname other",
                "dmesg",
                "echo 1 > /proc/sys/kernel/hostname",
                "echo b > /proc/sysrq-trigger",
                "cat /proc/kcore",
                "ls /dev/mem || ls /dev/kmsg || ls /dev/vda || ls /dev/kvm",
                "ip link add x type dummy",
                "chown 5 /tmp",
                "nsenter -t 1 -m true",
                "ulimit -c unlimited; [ $(ulimit -c) != 0 ]",
                "ulimit -n 5000",
            ],
        )
        .await;
    }
    station.close().await;
}

#[tokio::test]
async fn other_processes_are_out_of_reach() {
    let Some(station) = Station::open().await else { return };
    let spec = furnish(&station);
    let (one, other) = (station.start(&spec).await, station.start(&spec).await);
    let mut sleeper = one.exec(script("echo ready; exec sleep 98701").env("SECRET", "canary")).await.unwrap();
    printed(&mut sleeper.take_stdout().unwrap(), "ready\n").await;
    let list = || script("cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert!(run(&one, list()).await.stdout.contains("98701"));
    let seen = run(&other, list()).await;
    let engine = station.directory.path().join("engine.sock");
    assert!(!seen.stdout.contains("98701") && !seen.stdout.contains(engine.to_str().unwrap()), "{seen:?}");
    // The first process and each supervisor hold what others must not see.
    let supervisor = run(&one, script("grep PPid /proc/self/status | tr -dc 0-9; true")).await;
    let ended = run(&one, attack("first-process").env("MASQUE_SUPERVISOR", supervisor.stdout)).await;
    assert!(ended.stdout.contains("ALIVE") && !ended.stdout.contains("BROKEN"), "{ended:?}");
    assert!(one.is_alive().await);
    sleeper.kill().await.unwrap();
    one.stop().await.unwrap();
    other.stop().await.unwrap();
    station.close().await;
}

#[tokio::test]
async fn there_is_no_network_and_no_socket_of_the_machine() {
    let Some(station) = Station::open().await else { return };
    let spec = furnish(&station);
    let container = station.start(&spec).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("masque-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let stream = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let attacks = attack("sockets")
        .env("MASQUE_ABSTRACT", &name)
        .env("MASQUE_ADDRESS", listener.local_addr().unwrap().to_string());
    let ended = run(&container, attacks.clone()).await;
    assert!(ended.stdout.matches("TRIED").count() == 8 && !ended.stdout.contains("BROKEN"), "{ended:?}");
    let process = container.process_id().unwrap();
    let namespace = |process: &str| fs_err::read_link(format!("/proc/{process}/ns/net")).unwrap();
    assert_ne!(namespace(&process.to_string()), namespace("self"));
    container.stop().await.unwrap();
    // With the machine's network, its internet sockets answer and its local ones do not.
    let container = station.start(&ContainerSpec { network: Network::Host, ..spec }).await;
    let ended = run(&container, attacks).await;
    let broken: Vec<_> = ended.stdout.lines().filter(|line| line.ends_with("BROKEN")).collect();
    assert!(broken.iter().all(|line| line.contains("tcp") || line.contains("udp")), "{ended:?}");
    assert!(broken.iter().any(|line| line.contains("tcp")), "{ended:?}");
    drop(stream);
    container.stop().await.unwrap();
    station.close().await;
}

#[tokio::test]
async fn masque_runs_in_an_empty_image_and_the_cache_outlives_containers() {
    let Some(station) = Station::open().await else { return };
    station.import_as("localhost/empty", tar::Builder::new(Vec::new()).into_inner().unwrap(), &[]).await;
    let busybox = fs_err::canonicalize("/bin/busybox").unwrap();
    let empty = ContainerSpec {
        image: "localhost/empty".to_owned(),
        readable: vec![busybox.clone()],
        cache: Some("masque-test-cache".to_owned()),
        ..station.spec()
    };
    for (text, expected) in [("echo kept > /run/masque/cache/file", ""), ("cat /run/masque/cache/file", "kept\n")] {
        let container = station.start(&empty).await;
        let program = masque_container::Exec::new(&busybox, "/".into()).args(["sh", "-c", text]);
        let ended = run(&container, program).await;
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (expected, ""));
        container.stop().await.unwrap();
    }
    station.close().await;
}
