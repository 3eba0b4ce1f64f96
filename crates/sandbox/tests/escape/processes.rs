//! Attacks on other processes, the kernel's interfaces, the environment and descriptors.

use std::{collections::BTreeMap, os::fd::AsRawFd};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Scene, attack, launchers, run, script};

fn calls(printed: &str) -> Vec<(&str, i32)> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix("CALL ")?.split_once(' '));
    lines.map(|(name, code)| (name, code.parse().unwrap())).collect()
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    for launcher in launchers() {
        let ended = run(&launcher, &Scene::new().profile(), &attack("calls")).await;
        let calls = calls(&ended.stdout);
        assert_eq!(calls.len(), 49, "{ended:?}");
        for (name, code) in calls {
            // The last one is Landlock's answer about devices.
            assert!(matches!(code, libc::EPERM | libc::ENOSYS | libc::EACCES), "{name}: {code}");
        }
    }
}

#[tokio::test]
async fn other_processes_and_init_are_invisible_and_untouchable() {
    for launcher in launchers() {
        let command = attack("processes").env("MASQUE_HOST_PROCESS", std::process::id().to_string());
        let ended = run(&launcher, &Scene::new().profile(), &command).await;
        let calls = calls(&ended.stdout);
        assert_eq!(calls.len(), 18, "{ended:?}");
        for (name, code) in calls {
            assert!(matches!(code, libc::ESRCH | libc::EACCES | libc::EPERM | libc::ENOENT), "{name}: {code}");
        }
        assert!(ended.stdout.contains("\nVISIBLE 1\n"), "the attack alone, not even init's arguments: {ended:?}");
    }
}

#[tokio::test]
async fn only_the_given_environment_is_there() {
    for launcher in launchers() {
        let command = script("env; cat /proc/1/environ /proc/*/environ | tr '\\0' '\\n'").env("GIVEN", "1");
        let ended = run(&launcher, &Scene::new().profile(), &command).await;
        let found: BTreeMap<_, _> = ended.stdout.lines().filter_map(|line| line.split_once('=')).collect();
        let names: Vec<_> = found.keys().copied().collect();
        let set_by_shell = ["OLDPWD", "PWD", "SHLVL", "_"];
        let names: Vec<_> = names.into_iter().filter(|name| !set_by_shell.contains(name)).collect();
        assert_eq!(names, ["GIVEN", "HOME", "PATH", "TMPDIR"], "{ended:?}");
    }
}

#[tokio::test]
async fn no_descriptor_is_inherited() {
    for launcher in launchers() {
        let secret = fs_err::File::open("/etc/hosts").unwrap();
        // Without close-on-exec, as a library might leave it.
        let copy = unsafe { libc::fcntl(secret.as_raw_fd(), libc::F_DUPFD, 50) };
        assert!(copy >= 50);
        let ended = run(&launcher, &Scene::new().profile(), &attack("descriptors")).await;
        unsafe { libc::close(copy) };
        assert!(ended.stdout.contains("\nOPEN [0, 1, 2]\n"), "{ended:?}");
    }
}

/// A daemon that left its parent, its session and its terminal keeps the output open as long as it lives.
#[tokio::test]
async fn a_daemon_dies_with_its_sandbox() {
    let text = "trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM HUP; echo up; while :; do sleep 1000; done' &) &";
    for launcher in launchers() {
        let scene = Scene::new();
        // The program ends by itself.
        let ended = run(&launcher, &scene.profile(), &script(&format!("{text} read up; exit 3"))).await;
        assert_eq!(ended.exit, masque_sandbox::Exit::Code(3));
        // The program is killed, or dropped.
        for by_drop in [false, true] {
            let mut child = launcher.spawn(&scene.profile(), &script(&format!("{text} sleep 1000"))).unwrap();
            let mut stdout = child.take_stdout().unwrap();
            let mut up = [0; 3];
            stdout.read_exact(&mut up).await.unwrap();
            let id = child.id();
            if by_drop {
                drop(child);
            } else {
                child.kill().await.unwrap();
                assert_eq!(child.wait().await.unwrap(), masque_sandbox::Exit::Signal(libc::SIGKILL));
            }
            assert_eq!(stdout.read(&mut up).await.unwrap(), 0, "somebody still holds the output");
            assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
        }
    }
}

#[tokio::test]
async fn streams_and_exits_are_passed_on() {
    for launcher in launchers() {
        let scene = Scene::new();
        let mut child = launcher.spawn(&scene.profile(), &script("cat; echo error >&2; kill -TERM $$")).unwrap();
        let mut stdin = child.take_stdin().unwrap();
        stdin.write_all(b"through").await.unwrap();
        drop(stdin);
        let (stdout, stderr) = crate::support::output(&mut child).await;
        assert_eq!((stdout.as_str(), stderr.as_str()), ("through", "error\n"));
        assert_eq!(child.wait().await.unwrap(), masque_sandbox::Exit::Signal(libc::SIGTERM));
        assert_eq!(run(&launcher, &scene.profile(), &script("exit 7")).await.exit, masque_sandbox::Exit::Code(7));
    }
}

/// A6: what a program sets, defines or writes does not reach the program after it.
#[tokio::test]
async fn an_environment_cannot_be_poisoned_for_the_next_program() {
    for launcher in launchers() {
        let scene = Scene::new();
        let poison = "export PATH=/tmp/evil LD_PRELOAD=/tmp/evil.so BASH_ENV=/tmp/evil ENV=/tmp/evil GIT_SSH=/tmp/evil
            alias ls=evil; cat() { echo evil; }; mkdir -p /tmp/evil ~/.config /dev/shm/evil
            for file in ~/.profile ~/.bashrc ~/.gitconfig /tmp/evil/ls /tmp/evil/cat /dev/shm/evil/x; do
              echo 'echo evil' > $file; chmod +x $file; done; echo poisoned";
        assert_eq!(run(&launcher, &scene.profile(), &script(poison)).await.stdout, "poisoned\n");
        let look = "env | sort; ls -A ~ /tmp/home /dev/shm /tmp/evil 2>/dev/null; cat plain";
        let ended = run(&launcher, &scene.profile(), &script(look)).await;
        assert!(!ended.stdout.contains("evil") && ended.stdout.ends_with("plain"), "{ended:?}");
    }
}

/// A7: the kernel does not read commands.
#[tokio::test]
async fn long_commands_meet_the_same_kernel() {
    for launcher in launchers() {
        let scene = Scene::new();
        let secret = scene.outside("secret");
        for links in [51, 2000] {
            let chain = "true && ".repeat(links);
            let text = format!("{chain} cat {}; {chain} echo x > {}; echo end", secret.display(), secret.display());
            let ended = run(&launcher, &scene.profile(), &script(&text)).await;
            assert_eq!(ended.stdout, "end\n", "{ended:?}");
        }
        assert_eq!(fs_err::read_to_string(&secret).unwrap(), "SECRET");
    }
}

/// A14: init is a copy of the launcher, which holds keys. Neither a program nor anyone else finds them there.
#[tokio::test]
async fn init_keeps_nothing_of_the_launcher() {
    // Made at run time, so that the executable's own constants do not count.
    let canary: Vec<u8> = b"CANARY".iter().chain(std::process::id().to_string().as_bytes()).copied().collect();
    let planted: Vec<Vec<u8>> = (0..64).map(|size| canary.repeat(1 << (size % 12))).collect();
    for launcher in launchers() {
        let scene = Scene::new();
        let mut child = launcher.spawn(&scene.profile(), &script("echo up; read end")).unwrap();
        let mut up = [0; 3];
        child.take_stdout().unwrap().read_exact(&mut up).await.unwrap();
        if rustix::process::geteuid().is_root() {
            // It forgets while the program starts already.
            let clean = async {
                while find_in_memory(child.id(), &canary) > 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(60), clean).await.unwrap();
        }
        child.kill().await.unwrap();
    }
    assert!(find_in_memory(std::process::id(), &canary) > 0 && !planted.is_empty());
}

/// How often some bytes are found in the writable memory of a process.
fn find_in_memory(process: u32, wanted: &[u8]) -> usize {
    use std::os::unix::fs::FileExt;
    let maps = fs_err::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = fs_err::File::open(format!("/proc/{process}/mem")).unwrap();
    let parts = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        // The kept stack may hold copies of what its thread worked on: pointers, not keys.
        let own = fields.next()?.starts_with("rw-p") && !line.ends_with(']') || line.ends_with("[heap]");
        own.then(|| (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap()))
    });
    parts
        .map(|(from, to)| {
            let mut bytes = vec![0; (to - from) as usize];
            let read = memory.file().read_at(&mut bytes, from).unwrap_or(0);
            bytes[..read].windows(wanted.len()).filter(|window| *window == wanted).count()
        })
        .sum()
}
