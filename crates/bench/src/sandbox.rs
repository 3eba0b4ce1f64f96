//! The sandbox's cost: from the start of `true` to its end, confined and not, beside bubblewrap and podman.

use std::{
    path::Path,
    process::Command as Program,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use masque_sandbox::{Child, Command, LandlockUse, Launcher, Pool, PoolLimits, Profile};
use masque_testkit::disk::SmallDisk;
use tempfile::TempDir;

use crate::{
    figures::{Row, Section, Unit},
    job,
    process::{inherited, run, succeeds, timed},
    statistics::{median_ms, real},
};

const ROUNDS: usize = 60;
const CONTAINER_ROUNDS: usize = 5;
/// How many sandboxes live at once where their memory is measured.
const LIVE: usize = 500;
const IMAGE: &str = "masque-bench-true";

/// Measures a confined `true` beside its peers, in turn.
pub(crate) fn measure() -> anyhow::Result<Section> {
    // The usual disk in memory lies below /dev, which no sandbox gets.
    let in_memory = SmallDisk::mount(1 << 20).context("only root can mount a disk in memory for the workspace")?;
    let on_disk = tempfile::tempdir()?;
    let runtime = job::runtime()?;
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let profile = Profile::new(in_memory.path().to_owned());
    let disk_profile = Profile::new(on_disk.path().to_owned());
    let has_bubblewrap = succeeds(&mut bubblewrap());
    let pool = Pool::new(launcher.clone(), PoolLimits { per_profile: 1, ..PoolLimits::default() })?;
    let (mut plain, mut confined, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    let (mut disk, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(timed(&mut inherited("true"))?);
        confined.push(runtime.block_on(one(|command| launcher.spawn(&profile, command)))?);
        disk.push(runtime.block_on(one(|command| launcher.spawn(&disk_profile, command)))?);
        wait_for_one(&pool, &profile);
        warm.push(runtime.block_on(one(|command| pool.spawn_only(&profile, command)))?);
        if has_bubblewrap {
            peer.push(timed(&mut bubblewrap())?);
        }
    }
    let (ours, pooled, fork) = (median_ms(&confined), median_ms(&warm), median_ms(&plain));
    let memory = live_memory(&runtime, &launcher, &profile)?;
    let no_bubblewrap = || "`bwrap` is missing or may not unshare".to_owned();
    let bubblewrap = if has_bubblewrap { Ok(median_ms(&peer)) } else { Err(no_bubblewrap()) };
    let share = bubblewrap.as_ref().map_or(f64::NAN, |theirs| ours / theirs);
    Ok(Section {
        title: "Sandbox",
        command: "make bench ARGS=sandbox",
        about: format!(
            "From the start of `true` to its end, each time in a new sandbox with all mechanisms of this machine: \
             namespaces, own root, seccomp, Landlock, limits. The workspace is empty, so that for each protected path \
             a directory is made and removed again; the second figure has it on this machine's disk, whose file system \
             decides what that costs, the first in memory. Medians of {ROUNDS}, taken in turn with fork and exec \
             and with `bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc`; of {CONTAINER_ROUNDS} for podman \
             with runc, an image of one static program, and no network."
        ),
        rows: vec![
            Row::new("`true` in the sandbox", Unit::Milliseconds, ours)
                .at_most(4.0)
                .beside("fork and exec", Ok(fork))
                .beside("bubblewrap", bubblewrap)
                .beside("podman", container_ms()),
            Row::new("`true` in the sandbox, empty workspace on disk", Unit::Milliseconds, median_ms(&disk)),
            Row::new("as a share of bubblewrap", Unit::Share, share).at_most(1.0 / 3.0),
            Row::new("`true` in a sandbox that was started ahead", Unit::Milliseconds, pooled)
                .at_most(1.3 * fork)
                .beside("fork and exec", Ok(fork)),
            Row::new(format!("memory of {LIVE} live sandboxes, without their programs"), Unit::Bytes, memory)
                .at_most(real(250 << 20)),
        ],
    })
}

async fn one(spawn: impl FnOnce(&Command) -> Result<Child, masque_sandbox::Error>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let exit = spawn(&Command::new("true"))?.wait().await?;
    let elapsed = begun.elapsed();
    anyhow::ensure!(exit.success(), "`true` failed in the sandbox: {exit:?}");
    Ok(elapsed)
}

/// Lets a pool start one ahead, which is not part of what is measured.
fn wait_for_one(pool: &Pool, profile: &Profile) {
    pool.prepare(profile);
    while pool.waiting(profile) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes of the first processes of many live sandboxes, shared pages counted by share.
fn live_memory(runtime: &tokio::runtime::Runtime, launcher: &Launcher, profile: &Profile) -> anyhow::Result<f64> {
    let _entered = runtime.enter();
    let sleep = Command::new("sleep").args(["1000"]);
    let live = (0..LIVE).map(|_| launcher.spawn(profile, &sleep)).collect::<Result<Vec<_>, _>>()?;
    let kilobytes = live.iter().map(|child| proportional(child.id())).sum::<anyhow::Result<u64>>()?;
    Ok(real(kilobytes << 10))
}

fn proportional(process: u32) -> anyhow::Result<u64> {
    let text = fs_err::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel names no share")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn bubblewrap() -> Program {
    let mut program = inherited("bwrap");
    program.args(["--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]);
    program
}

/// The median of some containers, or why there is none. The image lives in a directory of its own.
fn container_ms() -> Result<f64, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    if !succeeds(inherited("podman").arg("--version")) || !succeeds(inherited("runc").arg("--version")) {
        return Err("podman or runc is missing".to_owned());
    }
    make_image(&directory).map_err(|error| error.to_string().chars().take(200).collect::<String>())?;
    let measured = (0..CONTAINER_ROUNDS).map(|_| {
        let mut command = podman(directory.path());
        command.args(["run", "--rm", "--network", "none", "--ulimit", "nofile=20000:20000"]);
        timed(command.args(["--ulimit", "nproc=20000:20000", IMAGE, "/true"]))
    });
    let measured = measured.collect::<anyhow::Result<Vec<_>>>();
    let removed = run(podman(directory.path()).args(["system", "reset", "--force"]));
    let measured = measured.and_then(|measured| removed.map(|_| measured));
    measured.map(|measured| median_ms(&measured)).map_err(|error| format!("{error:#}"))
}

/// An image of one static program that does nothing.
fn make_image(directory: &TempDir) -> anyhow::Result<()> {
    let source = directory.path().join("true.c");
    let archive = directory.path().join("image.tar");
    fs_err::write(&source, "int main(void) { return 0; }\n")?;
    run(inherited("cc").args(["-static", "-o", "true", "true.c"]).current_dir(directory.path()))?;
    run(inherited("tar").args(["-cf", "image.tar", "true"]).current_dir(directory.path()))?;
    run(podman(directory.path()).args(["import", "--quiet"]).arg(archive).arg(IMAGE)).map(|_| ())
}

fn podman(directory: &Path) -> Program {
    let mut program = inherited("podman");
    program.arg("--root").arg(directory.join("storage")).arg("--runroot").arg(directory.join("run"));
    program.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"]);
    program
}
