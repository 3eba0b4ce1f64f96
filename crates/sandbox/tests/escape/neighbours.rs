//! Sandboxes beside each other, and beside the death of their launcher.

use std::{path::Path, time::Duration};

use masque_sandbox::{Exit, Launcher, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Scene, attack, launchers, names, run, script};

/// Programs of two personas in two workspaces, with the same user outside.
#[tokio::test]
async fn sandboxes_do_not_see_each_other() {
    for launcher in launchers() {
        let (scene, other) = (Scene::new(), Scene::new());
        let text = "echo private > /tmp/own; echo private > /dev/shm/own; echo private > ~/own; echo up; read end
            cat /tmp/own; exit 5";
        let mut neighbour = launcher.spawn(&scene.profile(), &script(text)).unwrap();
        let (mut stdin, mut stdout) = (neighbour.take_stdin().unwrap(), neighbour.take_stdout().unwrap());
        let mut up = [0; 3];
        stdout.read_exact(&mut up).await.unwrap();
        let look = format!(
            "exec 2>&1; cat /tmp/own /dev/shm/own ~/own {0}/plain; ls {0}; ls -d /proc/[0-9]*; kill -9 -1; kill -9 {1}
             ipcs -m 2>/dev/null | grep 0x; cat /proc/net/tcp | wc -l; hostname; echo looked",
            scene.workspace().display(),
            neighbour.id(),
        );
        let mut profile = other.profile();
        profile.writable.push(other.outside(""));
        profile.writable.pop();
        // The signal to all takes the shell as well unless it is another one that sends it.
        let look = look.replace("kill -9 -1;", "(kill -9 -1) & wait;");
        let ended = run(&launcher, &profile, &script(&look)).await;
        assert!(!ended.stdout.contains("private") && !ended.stdout.contains("plain\n"), "{ended:?}");
        stdin.write_all(b"end\n").await.unwrap();
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await.unwrap();
        assert_eq!((rest.as_str(), neighbour.wait().await.unwrap()), ("private\n", Exit::Code(5)));
    }
}

/// A18: forks, memory, temporary files, output that nobody reads, and endless loops in one sandbox.
#[tokio::test]
async fn a_neighbour_goes_on_beside_an_attack_on_the_machine() {
    for launcher in launchers() {
        let (scene, other) = (Scene::new(), Scene::new());
        let mut profile = scene.profile();
        profile.limits = Limits {
            pids: 40,
            memory_bytes: 100 << 20,
            tmp_bytes: 16 << 20,
            cpu_seconds: Some(20),
            ..Limits::default()
        };
        let attacks = [
            attack("fork"),
            attack("memory"),
            script("while :; do head -c 1M /dev/zero >> /tmp/fill; done"),
            script("while :; do :; done"),
            script("head -c 1G /dev/zero"),
        ];
        let mut attacking: Vec<_> = attacks.iter().map(|command| launcher.spawn(&profile, command).unwrap()).collect();
        for number in 0..5 {
            let text = format!("echo {number} > made; cat made plain");
            let ended = run(&launcher, &other.profile(), &script(&text)).await;
            assert_eq!(ended.stdout, format!("{number}\nplain"), "{ended:?}");
        }
        for child in &mut attacking {
            let id = child.id();
            child.kill().await.unwrap();
            assert!(!Path::new(&format!("/proc/{id}")).exists());
        }
        assert_eq!(names(&other.workspace()), [".env", "made", "plain", "sub"]);
    }
}

/// When the launcher is killed in a way that it cannot notice, its sandboxes end, and nothing is left in the workspace.
#[tokio::test]
async fn nothing_is_left_when_the_launcher_is_killed() {
    if launchers().is_empty() {
        return;
    }
    let scene = Scene::new();
    let before = names(&scene.workspace());
    let mut launcher = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["neighbours::launch_and_wait", "--exact", "--nocapture"])
        .env("MASQUE_WORKSPACE", scene.workspace())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = launcher.stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    let ids = lines.find_map(|line| line.unwrap().strip_prefix("STARTED ").map(str::to_owned)).unwrap();
    assert!(names(&scene.workspace()).contains(&".masque".to_owned()));
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let gone = async {
        while names(&scene.workspace()) != before
            || ids.split(' ').any(|id| Path::new(&format!("/proc/{id}/ns/pid")).exists())
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
}

/// Not a test: the launcher of the test above, which does nothing unless it is asked to.
#[tokio::test]
async fn launch_and_wait() {
    let Some(workspace) = std::env::var_os("MASQUE_WORKSPACE") else { return };
    let launcher = Launcher::detect(masque_sandbox::LandlockUse::IfPresent);
    let profile = masque_sandbox::Profile::new(workspace.into());
    let text = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1000; done' &) ; echo up; sleep 1000";
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut child = launcher.spawn(&profile, &script(text)).unwrap();
        let mut up = [0; 3];
        child.take_stdout().unwrap().read_exact(&mut up).await.unwrap();
        kept.push(child);
    }
    println!("\nSTARTED {} {}", kept[0].id(), kept[1].id());
    std::future::pending::<()>().await;
}
