//! Attacks on files.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use masque_sandbox::GIT_READ_ONLY;

use crate::support::{Scene, launchers, names, refused, run, script};

#[tokio::test]
async fn secrets_cannot_be_read() {
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
    let keys = format!("ls {home}/.ssh");
    refused(
        |scene| {
            let links = [("link", "../secret"), ("sub/.env.local", "../plain"), ("absolute", "/etc/shadow")];
            for (name, target) in links {
                fs_err::os::unix::fs::symlink(target, scene.workspace().join(name)).unwrap();
            }
            fs_err::create_dir(scene.workspace().join(".ssh")).unwrap();
            fs_err::write(scene.workspace().join(".ssh/id_ed25519"), "SECRET").unwrap();
            fs_err::write(scene.workspace().join("sub/key.pem"), "SECRET").unwrap();
        },
        &[
            "cat OUTSIDE/workspace/../secret",
            "cat OUTSIDE/workspace-evil/secret",
            "ls OUTSIDE | grep -v workspace",
            "cat OUTSIDE/workspace/%2e%2e/secret",
            "ls -l /run/docker.sock /var/run/docker.sock /run/dbus /var/run/dbus /run/podman /run/user",
            "cat /etc/shadow",
            "cat absolute",
            "ls /root",
            &keys,
            "ls /home",
            "cat .env",
            "cat sub/../.env",
            "cat ./sub/./../.env",
            "cat OUTSIDE/secret",
            "cat ../secret",
            "cat link",
            "cat sub/../../secret",
            "cat sub/.env.local",
            "cat plain",
            "cat sub/key.pem",
            "ls .ssh | grep .",
            "cat .ssh/id_ed25519",
            "cat /proc/self/root/../../etc/shadow",
            "cat /proc/self/cwd/.env",
            "cat /proc/self/cwd/../secret",
            "chmod 644 .env",
            "chmod 777 .ssh",
            "mv .env visible",
            "mv .ssh visible",
            "rm -f .env",
            "ln .env visible",
            "ln -s .env visible; cat visible",
            "cp -r .ssh visible && cat visible/*",
            "mv sub/key.pem visible",
            "mv sub moved && cat moved/key.pem",
            "cat /proc/kcore",
            "cat /proc/kmsg",
            "head -c 8 /proc/kpageflags",
            "cat /proc/keys",
            "cat /proc/slabinfo",
            "ls /sys/*",
            "ls /run/*/*/*",
            "ls /etc/ssl/private",
            "ls /var/*",
            "cat /dev/vda",
            "ls /dev/pts",
        ],
    )
    .await;
}

#[tokio::test]
async fn nothing_outside_can_be_written() {
    refused(
        |scene| {
            fs_err::os::unix::fs::symlink("../secret", scene.workspace().join("link")).unwrap();
            fs_err::os::unix::fs::symlink("..", scene.workspace().join("up")).unwrap();
        },
        &[
            // Beside the workspace is private temporary storage: what counts is what the host sees afterwards.
            "echo x > OUTSIDE/secret; false",
            "echo x > ../new; false",
            "echo x > link; false",
            "echo x > up/new; false",
            "mkdir ../new2; false",
            "echo x > /usr/bin/new",
            "echo x > /etc/passwd",
            "echo x > /etc/new",
            "echo x > /new",
            "echo x > /dev/new",
            "echo x > /run/masque/masque",
            "chmod 777 /run/masque/masque",
            "echo x > /proc/sys/kernel/core_pattern",
            "echo x > /proc/sysrq-trigger",
            "echo 1000 > /proc/self/oom_score_adj",
            "mv ../workspace ../moved",
            "ln /usr/bin/true hard",
            "ln OUTSIDE/secret hard",
            "touch /usr",
            "rm -rf /usr/bin/env /usr/bin/true",
            "rmdir /tmp/home/../../run/masque",
            "echo x > /lib/new",
        ],
    )
    .await;
}

#[tokio::test]
async fn git_obeys_nothing_that_was_written_inside() {
    for launcher in launchers() {
        let scene = Scene::new();
        let git = scene.workspace().join(".git");
        fs_err::create_dir_all(git.join("objects")).unwrap();
        fs_err::write(git.join("HEAD"), "theirs").unwrap();
        let before = names(&git);
        let text = "exec 2>&1; mkdir evil; echo evil > .git/commondir; echo evil > .git/index; echo evil > .git/HEAD
            echo evil > .git/objects/x; mv .git away; rm -rf .git; mkdir .git; ln -s evil .git; cat .git/HEAD";
        let ended = run(&launcher, &scene.profile(), &script(text)).await;
        assert!(ended.stdout.ends_with("theirs"), "{ended:?}");
        assert_eq!(names(&git), before);
        assert_eq!(fs_err::read_to_string(git.join("HEAD")).unwrap(), "theirs");
    }
}

#[tokio::test]
async fn where_commits_are_granted_what_runs_outside_later_cannot_be_planted() {
    for launcher in launchers() {
        let scene = Scene::new();
        let hooks = scene.workspace().join(".git/hooks");
        fs_err::create_dir_all(&hooks).unwrap();
        fs_err::write(hooks.join("pre-commit"), "theirs").unwrap();
        fs_err::write(scene.workspace().join(".git/config"), "theirs").unwrap();
        fs_err::write(scene.workspace().join("target"), "").unwrap();
        fs_err::os::unix::fs::symlink("sub", scene.workspace().join(".vscode")).unwrap();
        let before = names(&scene.workspace());
        let text = "exec 2>&1
            echo evil > .git/hooks/pre-push; echo evil > .git/hooks/pre-commit; rm -f .git/hooks/pre-commit
            echo evil > .git/config; mv target .git/config; rm -rf .git/config; ln -f target .git/config
            mv .git away; mkdir -p .git/hooks; echo evil > .git/hooks/post-merge; rm -rf .git
            mkdir .masque; echo evil > .masque/config.toml; mkdir -p .claude/x; mv sub .agents; rmdir .masque
            rm -f .vscode; mkdir .vscode; echo evil > .vscode/tasks.json; chmod 777 .masque; mv .masque other
            echo evil > .git/commondir; mkdir .git/modules; echo evil > .git/config.worktree
            echo fine > .git/HEAD; echo done";
        let mut profile = scene.profile();
        profile.read_only.retain(|path| path != Path::new(".git"));
        profile.read_only.extend(GIT_READ_ONLY.iter().map(PathBuf::from));
        let ended = run(&launcher, &profile, &script(text)).await;
        assert!(ended.stdout.ends_with("done\n"), "{ended:?}");
        assert_eq!(names(&hooks), ["pre-commit"]);
        assert_eq!(names(&scene.workspace().join(".git")), ["HEAD", "config", "hooks"]);
        for file in [hooks.join("pre-commit"), scene.workspace().join(".git/config")] {
            assert_eq!(fs_err::read_to_string(file).unwrap(), "theirs");
        }
        // Git's own files may be written and removed, and no placeholder is left.
        assert_eq!(fs_err::read_to_string(scene.workspace().join(".git/HEAD")).unwrap(), "fine\n");
        let after = names(&scene.workspace());
        assert_eq!(after, before, "{ended:?}");
        assert!(names(&scene.workspace().join("sub")).is_empty());
    }
}

#[tokio::test]
async fn a_repository_cannot_be_planted_where_there_is_none() {
    for launcher in launchers() {
        let scene = Scene::new();
        let text = "mkdir -p .git/hooks; git init .; rm -rf .git; mkdir .git; ls -A .git | wc -l";
        let ended = run(&launcher, &scene.profile(), &script(text)).await;
        assert_eq!(ended.stdout.lines().last(), Some("0"), "{ended:?}");
        assert!(!scene.workspace().join(".git").exists());
    }
}

#[tokio::test]
async fn only_what_is_granted_is_writable_or_readable() {
    for launcher in launchers() {
        let scene = Scene::new();
        for directory in ["granted", "data"] {
            fs_err::create_dir(scene.outside(directory)).unwrap();
        }
        fs_err::write(scene.outside("data/file"), "data").unwrap();
        let mut profile = scene.profile();
        profile.writable = vec![PathBuf::from("sub"), scene.outside("granted")];
        profile.readable = vec![scene.outside("data")];
        profile.hidden = vec!["pl*n".into()];
        profile.read_only.push(PathBuf::from("sub/hooks"));
        let outside = scene.outside("");
        let text = format!(
            "cd {}; cat data/file; echo 1 > granted/new && echo a; echo 1 > workspace/sub/new && echo b
             echo 1 > data/new || echo c; echo 1 > workspace/new || echo d; cat workspace/plain || echo e
             mkdir workspace/sub/hooks/x || echo f; echo 1 > workspace/sub/../new || echo g; ls",
            outside.display()
        );
        let ended = run(&launcher, &profile, &script(&text)).await;
        assert_eq!(ended.stdout, "dataa\nb\nc\nd\ne\nf\ng\ndata\ngranted\nworkspace\n", "{ended:?}");
        assert_eq!(names(&scene.workspace().join("sub")), ["new"]);
    }
}

/// A directory in the workspace is exchanged for a link that leads outside, while sandboxes are set up.
#[tokio::test]
async fn a_link_swapped_in_during_set_up_leads_nowhere() {
    for launcher in launchers() {
        let scene = Scene::new();
        fs_err::create_dir(scene.outside("victim")).unwrap();
        let mut profile = scene.profile();
        profile.read_only = ["sub/.masque", "sub/deep/.git"].map(PathBuf::from).into();
        let stop = Arc::new(AtomicBool::new(false));
        let (real, link, place) = (scene.outside("real"), scene.outside("link"), scene.workspace().join("sub"));
        fs_err::os::unix::fs::symlink("../victim", &link).unwrap();
        let stopped = Arc::clone(&stop);
        let swapper = std::thread::spawn(move || {
            let mut flips = 0;
            while flips < FLIPS || !stopped.load(Ordering::Relaxed) {
                flips += 1;
                fs_err::rename(&place, &real).unwrap();
                // The set-up may have made a directory here in between: then it is moved away as well.
                if fs_err::rename(&link, &place).is_ok() {
                    fs_err::rename(&place, &link).unwrap();
                }
                fs_err::rename(&real, &place).unwrap();
            }
        });
        let mut started = 0;
        for _ in 0..STARTS {
            // A refused start is fine; what is started must not reach the victim.
            let command = script("echo evil > sub/.masque/x; mkdir sub/deep; echo evil > sub/deep/.git");
            if let Ok(mut child) = launcher.spawn(&profile, &command) {
                started += 1;
                child.wait().await.unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        println!("{started} of {STARTS} started");
        assert!(names(&scene.outside("victim")).is_empty());
    }
}

/// The directory that holds the workspace is exchanged for a link to another one with a workspace of the same name.
#[tokio::test]
async fn a_parent_swapped_for_a_link_during_set_up_leads_nowhere() {
    for launcher in launchers() {
        let scene = Scene::new();
        for directory in ["parent/workspace/sub", "victim/workspace/sub"] {
            fs_err::create_dir_all(scene.outside(directory)).unwrap();
        }
        let mut profile = scene.profile();
        profile.workspace = scene.outside("parent/workspace");
        profile.writable = vec![profile.workspace.clone()];
        profile.read_only = ["sub/.masque", ".git"].map(PathBuf::from).into();
        let victim_before = identity(&scene.outside("victim/workspace"));
        let stop = Arc::new(AtomicBool::new(false));
        let (real, link, place) = (scene.outside("real"), scene.outside("link"), scene.outside("parent"));
        fs_err::os::unix::fs::symlink("victim", &link).unwrap();
        let stopped = Arc::clone(&stop);
        let swapper = std::thread::spawn(move || {
            let mut flips = 0;
            while flips < FLIPS || !stopped.load(Ordering::Relaxed) {
                flips += 1;
                fs_err::rename(&place, &real).unwrap();
                fs_err::rename(&link, &place).unwrap();
                fs_err::rename(&place, &link).unwrap();
                fs_err::rename(&real, &place).unwrap();
            }
        });
        let mut started = 0;
        for _ in 0..STARTS {
            // Where the link was followed before the check, the victim is the workspace: then its path is shown, and
            // the program works there by the name that was resolved. It never works there under the name that was given.
            let text = format!("cd {} && echo evil > sub/x", scene.outside("parent/workspace").display());
            let mut command = script(&text);
            command.directory = PathBuf::from("/");
            if let Ok(mut child) = launcher.spawn(&profile, &command) {
                started += 1;
                child.wait().await.unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        println!("{started} of {STARTS} started");
        assert_eq!(identity(&scene.outside("victim/workspace")), victim_before);
        assert!(names(&scene.outside("victim/workspace/sub")).is_empty());
    }
}

/// How often something is exchanged while sandboxes are set up, at least.
const FLIPS: u32 = 10_000;
/// How many sandboxes are set up meanwhile.
const STARTS: u32 = 40;

fn identity(path: &std::path::Path) -> (u64, Vec<String>) {
    (std::os::unix::fs::MetadataExt::ino(&fs_err::metadata(path).unwrap()), names(path))
}
