//! Other programs: run and timed, their memory watched, their flushes counted.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{job::Job, places::Places};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Often enough to see the peak that the kernel recorded shortly before the end.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A program with the environment of this one.
#[expect(clippy::disallowed_methods, reason = "a benchmark starts peers and measures starting")]
pub(crate) fn inherited(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A program whose environment holds only a path and a home directory of its own.
pub(crate) fn alone(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = inherited(program);
    command.env_clear().env("PATH", PATH).env("HOME", home).env("MASQUE_HOME", home);
    command.current_dir(home);
    command
}

/// Whether a program is there and ends well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}

/// From the start of a program to its end, its output thrown away.
pub(crate) fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("{command:?}"))?;
    let elapsed = begun.elapsed();
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(elapsed)
}

/// Runs one of this program's own jobs as a process of its own.
pub(crate) fn job<T: DeserializeOwned>(places: &Places, job: &Job) -> anyhow::Result<T> {
    let output = run(&mut job_command(places, job)?)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The process of a job.
pub(crate) fn job_command(places: &Places, job: &Job) -> anyhow::Result<Command> {
    let mut command = inherited(&places.bench);
    command.arg("--job").arg(serde_json::to_string(job)?);
    Ok(command)
}

/// How many flushes to disk a program and its children ask for; or why they cannot be counted.
pub(crate) fn flushes(command: &Command) -> Result<u64, String> {
    let summary = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let mut strace = inherited("strace");
    strace.args(["-f", "-qq", "--seccomp-bpf", "-c", "-e", "trace=fsync,fdatasync", "-o"]).arg(summary.path());
    strace.arg(command.get_program()).args(command.get_args());
    if !succeeds(&mut strace) {
        return Err("strace is missing or may not trace".to_owned());
    }
    let text = fs_err::read_to_string(summary.path()).map_err(|error| error.to_string())?;
    // Time share, seconds, microseconds per call, calls.
    let total = text.lines().find(|line| line.ends_with("total"));
    total
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .ok_or_else(|| "strace wrote no total".to_owned())
}

/// The memory that a program took at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    /// Of its own process.
    pub(crate) own_bytes: u64,
    /// Of it and its descendants together, shared pages counted in each.
    pub(crate) tree_bytes: u64,
}

/// Runs a program and watches its memory. The kernel keeps the peak of each process.
pub(crate) fn watched(command: &mut Command) -> anyhow::Result<Peak> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut peak = Peak { own_bytes: 0, tree_bytes: 0 };
    let status = loop {
        let own = high_water_bytes(&child.id().to_string()).unwrap_or(0);
        peak.own_bytes = peak.own_bytes.max(own);
        peak.tree_bytes = peak.tree_bytes.max(tree_bytes(child.id()));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(peak)
}

fn tree_bytes(id: u32) -> u64 {
    let children = fs_err::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let threads = fs_err::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let of_threads = threads.filter_map(|thread| fs_err::read_to_string(thread.path().join("children")).ok());
    let mut ids: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    ids.extend(
        of_threads.flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse::<u32>().ok()).collect::<Vec<_>>()),
    );
    ids.sort_unstable();
    ids.dedup();
    let own = status_bytes(&id.to_string(), "VmRSS:").unwrap_or(0);
    own + ids.into_iter().map(tree_bytes).sum::<u64>()
}

/// The most memory that a living process ever had: `self`, or a number.
pub(crate) fn high_water_bytes(process: &str) -> Option<u64> {
    status_bytes(process, "VmHWM:")
}

/// The memory that a living process has now; 0 when it is gone.
pub(crate) fn resident_bytes(id: u32) -> u64 {
    status_bytes(&id.to_string(), "VmRSS:").unwrap_or(0)
}

fn status_bytes(process: &str, field: &str) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The sizes of all files of a directory together.
pub(crate) fn directory_bytes(directory: &Path) -> anyhow::Result<u64> {
    let entries = fs_err::read_dir(directory)?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// What a peer's script prints.
#[derive(Debug, Deserialize)]
pub(crate) struct PeerSteps {
    pub(crate) seconds: f64,
    pub(crate) stored_bytes: u64,
    pub(crate) version: String,
}
