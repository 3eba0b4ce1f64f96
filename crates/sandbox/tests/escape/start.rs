//! Starting: errors that name what is wrong, ordinary programs, and many at once with nothing left behind.

use std::path::{Path, PathBuf};

use masque_sandbox::{Command, Error, Isolation, Profile};

use crate::support::{Scene, launchers, names, run, script};

#[tokio::test]
async fn errors_name_what_is_wrong() {
    for launcher in launchers() {
        let scene = Scene::new();
        let profile = scene.profile();
        let refused = |profile: &Profile, command: &Command| launcher.spawn(profile, command).unwrap_err();
        let error = refused(&profile, &Command::new("no-such-program"));
        assert!(matches!(&error, Error::Program { program, .. } if program == "no-such-program"), "{error}");
        let error = refused(&profile, &Command::new("./plain"));
        assert!(matches!(error, Error::Program { .. }), "{error}");
        for workspace in ["/", "/usr", "/proc/self", "/dev/shm", "/no/such/place", "/tmp"] {
            let error = refused(&Profile::new(PathBuf::from(workspace)), &script("true"));
            assert!(matches!(error, Error::Path { .. }), "{workspace}: {error}");
        }
        for readable in ["/etc", "/proc", "../absent"] {
            let profile = Profile { readable: vec![PathBuf::from(readable)], ..profile.clone() };
            let error = refused(&profile, &script("true"));
            assert!(matches!(error, Error::Path { .. }), "{readable}: {error}");
        }
        let outside = Profile { read_only: vec![PathBuf::from("../secret")], ..profile.clone() };
        assert!(matches!(refused(&outside, &script("true")), Error::Path { .. }));
        let zero = refused(&profile, &script("true").args(["a\0b"]));
        assert!(matches!(zero, Error::ZeroByte { .. }));
        let mut elsewhere = script("true");
        elsewhere.directory = PathBuf::from("/boot");
        let error = refused(&profile, &elsewhere);
        assert!(matches!(&error, Error::Path { path, .. } if path == Path::new("/boot")), "{error}");
        assert!(run(&launcher, &profile, &script("true")).await.exit.success());
        // A refused start leaves nothing either.
        assert_eq!(names(&scene.workspace()), [".env", "plain", "sub"]);
    }
}

#[tokio::test]
async fn ordinary_programs_work() {
    for launcher in launchers() {
        let scene = Scene::new();
        let mut profile = scene.profile();
        profile.read_only = vec![PathBuf::from(".masque")];
        let programs = [
            (
                "git",
                "git init -q . && git add plain && git -c user.name=a -c user.email=a@b commit -qm x && git log --oneline",
            ),
            (
                "/usr/bin/python3",
                "/usr/bin/python3 -c 'import subprocess, threading, tempfile, ssl, multiprocessing; \
              t = threading.Thread(target=print); t.start(); t.join(); subprocess.run([\"true\"], check=True); \
              tempfile.TemporaryFile().write(b\"x\"); multiprocessing.Lock()'",
            ),
            (
                "/usr/bin/node",
                "/usr/bin/node -e 'require(\"child_process\").execSync(\"true\"); setTimeout(() => process.exit(0), 1)'",
            ),
            ("/usr/bin/perl", "/usr/bin/perl -e 'exit 0'"),
            (
                "/bin/bash",
                "/bin/bash -c 'cat <(echo x) | grep x && [ -w /tmp ] && id && ls -la /dev/null && echo > /dev/null'",
            ),
        ];
        let present = |program: &str| {
            ["", "/usr/bin", "/usr/local/bin"].iter().any(|directory| Path::new(directory).join(program).is_file())
        };
        for (program, text) in programs {
            if present(program) {
                let ended = run(&launcher, &profile, &script(text)).await;
                assert!(ended.exit.success(), "{program}: {ended:?}");
            } else {
                println!("skipped: {program} is not installed");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_at_once_leave_nothing_behind() {
    let left = || {
        let own = format!("masque-{}-", std::process::id());
        let groups = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(Path::new);
        let groups = groups.into_iter().filter(|group| group.is_dir()).flat_map(names);
        groups.filter(|name| name.starts_with(&own)).count()
    };
    for launcher in launchers() {
        let scene = Scene::new();
        let before = names(&scene.workspace());
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..50 {
            let (launcher, profile) = (launcher.clone(), scene.profile());
            tasks.spawn(async move {
                let command =
                    script(&format!("cat plain; echo {number}; mkdir .masque .git/hooks 2>/dev/null; exit {number}"));
                let ended = run(&launcher, &profile, &command).await;
                assert_eq!(ended.stdout, format!("plain{number}\n"));
                assert_eq!(ended.exit, masque_sandbox::Exit::Code(number));
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(names(&scene.workspace()), before);
        assert_eq!(fs_err::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
        // Other tests of this process have theirs; none is of a sandbox that is gone, so the number stays small.
        assert!(left() < 40, "{} groups are left", left());
    }
}

#[tokio::test]
async fn without_isolation_the_environment_is_still_exact_and_the_group_dies() {
    let Some(launcher) = launchers().pop() else { return };
    let scene = Scene::new();
    let profile = Profile { isolation: Isolation::None, ..scene.profile() };
    let text = "sleep 1000 >/dev/null 2>&1 & cat .env; [ -z \"$HOME\" ] && echo exact; exit 4";
    let ended = run(&launcher, &profile, &script(text).env("PATH", "/usr/bin:/bin")).await;
    assert_eq!((ended.stdout.as_str(), ended.exit), ("SECRETexact\n", masque_sandbox::Exit::Code(4)));
    let mut child = launcher.spawn(&profile, &script("sleep 1000 & sleep 1000").env("PATH", "/usr/bin:/bin")).unwrap();
    child.kill().await.unwrap();
    assert_eq!(crate::support::output(&mut child).await.0, "");
}
