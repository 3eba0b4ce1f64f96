//! Attacks on the machine's resources.

use masque_sandbox::{Launcher, Limits, Mechanism, State};

use crate::support::{Scene, attack, launchers, run, script};

/// Whether limits hold for the whole tree.
fn has_cgroups(launcher: &Launcher) -> bool {
    let enforced = |mechanism: &Mechanism| mechanism.name == "cgroups" && matches!(mechanism.state, State::Enforced(_));
    launcher.mechanisms().iter().any(enforced)
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_limit() {
    for launcher in launchers() {
        if !has_cgroups(&launcher) && rustix::process::geteuid().is_root() {
            println!("skipped: without cgroups the kernel does not count root's processes");
            continue;
        }
        let mut profile = Scene::new().profile();
        let scene = Scene::new();
        profile.workspace = scene.workspace();
        profile.writable = vec![scene.workspace()];
        profile.limits = Limits { pids: 40, ..Limits::default() };
        let ended = run(&launcher, &profile, &attack("fork")).await;
        let forked =
            ended.stdout.lines().find_map(|line| line.strip_prefix("FORKED ")).unwrap().parse::<u32>().unwrap();
        assert!((10..40).contains(&forked), "{ended:?}");
    }
}

#[tokio::test]
async fn memory_is_limited() {
    for launcher in launchers() {
        let scene = Scene::new();
        let mut profile = scene.profile();
        profile.limits.memory_bytes = 100 << 20;
        let ended = run(&launcher, &profile, &attack("memory")).await;
        assert!(!ended.exit.success() && !ended.stdout.contains("ALLOCATED"), "{ended:?}");
        if has_cgroups(&launcher) {
            // Many processes together, and files in memory, count as well.
            profile.limits.tmp_bytes = 1 << 30;
            let text = "head -c 200M /dev/zero > /tmp/fill && echo BROKEN";
            let ended = run(&launcher, &profile, &script(text)).await;
            assert!(!ended.stdout.contains("BROKEN"), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn temporary_storage_files_and_descriptors_are_limited() {
    for launcher in launchers() {
        let scene = Scene::new();
        let mut profile = scene.profile();
        profile.limits = Limits { tmp_bytes: 4 << 20, file_bytes: Some(1 << 20), open_files: 20, ..Limits::default() };
        let text = "exec 2>/dev/null
            for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > /tmp/$i || echo full; done
            (head -c 2M /dev/zero > big) || echo large
            (for i in 1 2 3; do head -c 900000 /dev/zero > /dev/shm/$i || echo shared; done)
            ulimit -c; ulimit -n; ulimit -n 100 || echo fixed";
        let ended = run(&launcher, &profile, &script(text)).await;
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert!(lines.contains(&"full") && lines.contains(&"large") && lines.contains(&"shared"), "{ended:?}");
        assert!(lines.ends_with(&["0", "20", "fixed"]), "{ended:?}");
        assert!(fs_err::metadata(scene.workspace().join("big")).unwrap().len() <= 1 << 20);
    }
}

#[tokio::test]
async fn processor_time_is_limited() {
    for launcher in launchers() {
        let scene = Scene::new();
        let mut profile = scene.profile();
        profile.limits.cpu_seconds = Some(1);
        let ended = run(&launcher, &profile, &script("while :; do :; done")).await;
        assert!(matches!(ended.exit, masque_sandbox::Exit::Signal(_)), "{ended:?}");
    }
}
