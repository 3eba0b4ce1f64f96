//! Sandboxes from a pool are like others, and leave nothing.

use std::{path::Path, time::Duration};

use masque_sandbox::{Child, Command, Error, Exit, Isolation, Launcher, Pool, PoolLimits, PoolUse, Profile};

use crate::support::{Scene, attack, launchers, names, output, script};

fn pool(launcher: &Launcher) -> Pool {
    Pool::new(launcher.clone(), PoolLimits { idle: Duration::from_secs(600), ..PoolLimits::default() }).unwrap()
}

/// Waits until a sandbox of the profile waits.
async fn filled(pool: &Pool, profile: &Profile) {
    pool.prepare(profile);
    let ready = async {
        while pool.waiting(profile) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.unwrap();
}

async fn finish(mut child: Child) -> (String, Exit) {
    drop(child.take_stdin());
    let (stdout, stderr) = output(&mut child).await;
    (stdout + &stderr, child.wait().await.unwrap())
}

/// Runs in a sandbox that waited.
async fn warm(pool: &Pool, profile: &Profile, command: &Command) -> (String, Exit) {
    filled(pool, profile).await;
    let before = pool.used().warm;
    let ended = finish(pool.spawn(profile, command).unwrap()).await;
    assert_eq!(pool.used().warm, before + 1, "{ended:?}");
    ended
}

#[tokio::test]
async fn attacks_are_refused_in_warm_sandboxes_too() {
    for launcher in launchers() {
        let (scene, pool) = (Scene::new(), pool(&launcher));
        let profile = scene.profile();
        for (name, calls) in [("calls", 49), ("sockets", 27), ("processes", 18)] {
            let command = attack(name).env("MASQUE_HOST_PROCESS", std::process::id().to_string());
            let (printed, _) = warm(&pool, &profile, &command).await;
            let answers: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("CALL ")).collect();
            assert_eq!(answers.len(), calls, "{printed}");
            assert!(answers.iter().all(|answer| !answer.ends_with(" 0")), "{answers:?}");
        }
        let (printed, _) = warm(&pool, &profile, &attack("descriptors")).await;
        assert!(printed.contains("\nOPEN [0, 1, 2]\n"), "{printed}");
        let text =
            format!("cat .env; cat {}; mkdir .masque; echo x > .git/config; env", scene.outside("secret").display());
        let (printed, _) = warm(&pool, &profile, &script(&text).env("GIVEN", "1")).await;
        assert!(!printed.contains("SECRET") && printed.contains("\nGIVEN=1\n"), "{printed}");
        let set_by_shell = ["OLDPWD", "PWD", "SHLVL", "_"];
        let variables = printed.lines().filter_map(|line| line.split_once('=').map(|(name, _)| name));
        assert_eq!(variables.filter(|name| !set_by_shell.contains(name)).count(), 4, "{printed}");
        pool.close();
        assert_eq!(names(&scene.workspace()), [".env", "plain", "sub"]);
    }
}

#[tokio::test]
async fn each_is_used_once_and_starts_what_it_is_told() {
    for launcher in launchers() {
        let (scene, pool) = (Scene::new(), pool(&launcher));
        let profile = scene.profile();
        let (printed, exit) = warm(&pool, &profile, &script("echo x > /tmp/mine; cat plain; exit 7")).await;
        assert_eq!((printed.as_str(), exit), ("plain", Exit::Code(7)));
        let mut command = script("ls -A /tmp/mine ~; pwd; kill -TERM $$");
        command.directory = "sub".into();
        let (printed, exit) = warm(&pool, &profile, &command).await;
        assert!(printed.contains("No such file") && printed.contains("workspace/sub\n"), "{printed}");
        assert_eq!(exit, Exit::Signal(libc::SIGTERM));
        // A program that is not there, and one that is too long to be handed over.
        filled(&pool, &profile).await;
        let error = pool.spawn(&profile, &Command::new("no-such-program")).unwrap_err();
        assert!(matches!(&error, Error::Program { program, .. } if program == "no-such-program"), "{error}");
        let long =
            script("echo ${#1}").args(["x".to_owned(), "y".repeat(100_000), "y".repeat(100_000), "y".repeat(100_000)]);
        assert_eq!(finish(pool.spawn(&profile, &long).unwrap()).await.0, "100000\n");
        let plain = Profile { isolation: Isolation::None, ..profile.clone() };
        let (printed, _) = finish(pool.spawn(&plain, &script("cat .env").env("PATH", "/usr/bin:/bin")).unwrap()).await;
        assert_eq!((printed.as_str(), pool.waiting(&plain)), ("SECRET", 0));
    }
}

/// What became secret, or was replaced, after the sandbox was made.
#[tokio::test]
async fn what_changes_while_a_sandbox_waits_is_seen() {
    for launcher in launchers() {
        let (scene, pool) = (Scene::new(), pool(&launcher));
        let mut profile = scene.profile();
        // A file that is protected by itself, not with its directory.
        profile.read_only.retain(|path| path != Path::new(".git"));
        profile.read_only.push(".git/config".into());
        fs_err::create_dir_all(scene.workspace().join(".git/hooks")).unwrap();
        fs_err::write(scene.workspace().join(".git/config"), "theirs").unwrap();
        let write = |name: &str, text: &str| fs_err::write(scene.workspace().join(name), text).unwrap();
        let replace = |name: &str, text: &str| {
            write("new", text);
            fs_err::rename(scene.workspace().join("new"), scene.workspace().join(name)).unwrap();
        };
        let look =
            "cat sub/key.pem .env; echo evil > .git/config; mkdir .claude/x; echo evil > .claude/x; cat .git/config";
        let changes: [&dyn Fn(); 5] = [
            &|| write("sub/key.pem", "SECRET"),
            &|| replace(".env", "SECRET"),
            &|| replace(".git/config", "theirs"),
            &|| {
                fs_err::create_dir(scene.workspace().join(".claude"))
                    .or_else(|_| {
                        // A placeholder is in the way, as for everybody: it is replaced.
                        fs_err::remove_dir(scene.workspace().join(".claude"))?;
                        fs_err::create_dir(scene.workspace().join(".claude"))
                    })
                    .unwrap()
            },
            &|| fs_err::remove_file(scene.workspace().join("sub/key.pem")).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            filled(&pool, &profile).await;
            change();
            let outdated = pool.used().outdated;
            let (printed, _) = finish(pool.spawn(&profile, &script(look)).unwrap()).await;
            assert!(pool.used().outdated > outdated, "change {number} was not seen");
            assert!(!printed.contains("SECRET") && printed.starts_with("theirs"), "change {number}: {printed}");
        }
        assert!(names(&scene.workspace().join(".claude")).is_empty());
    }
}

#[tokio::test]
async fn waiting_sandboxes_are_bounded_end_and_leave_nothing() {
    let Some(launcher) = launchers().pop() else { return };
    let scenes = [Scene::new(), Scene::new(), Scene::new()];
    let limits = PoolLimits { per_profile: 2, total: 3, idle: Duration::from_secs(600) };
    let pool = Pool::new(launcher.clone(), limits).unwrap();
    for scene in &scenes {
        filled(&pool, &scene.profile()).await;
    }
    let waiting = |pool: &Pool| scenes.iter().map(|scene| pool.waiting(&scene.profile())).sum::<usize>();
    assert!(waiting(&pool) <= 3);
    pool.forget(&scenes[2].profile());
    pool.close();
    for scene in &scenes {
        assert_eq!(names(&scene.workspace()), [".env", "plain", "sub"]);
    }
    let short = Pool::new(launcher, PoolLimits { idle: Duration::from_millis(1), ..limits }).unwrap();
    short.prepare(&scenes[0].profile());
    let used = finish(short.spawn(&scenes[0].profile(), &script("true")).unwrap()).await;
    assert!(used.1.success());
    let PoolUse { warm, cold, .. } = short.used();
    assert_eq!(warm + cold, 1);
    let idle = async {
        while waiting(&short) > 0 || names(&scenes[0].workspace()) != [".env", "plain", "sub"] {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), idle).await.unwrap();
    assert!(Path::new("/proc/self").exists());
}
