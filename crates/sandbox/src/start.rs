//! Starts a plan: makes the pipes, clones, and reads whether the child succeeded. And starts unconfined programs.

#![expect(unsafe_code, reason = "the clone")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    process::Stdio,
    sync::Arc,
};

use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions},
};

use crate::{
    Command, Error,
    cgroup::Group,
    child::{Started, Streams, Tree},
    inside::{self, Ends},
    keeper, mailbox,
    plan::{Invocation, Plan},
    protect::Placeholder,
    step::{Failure, USER_NAMESPACE},
    sys::{self, Cloned, SignalSet},
};

/// Why a start failed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Before the child ran.
    Launch { mechanism: &'static str, doing: &'static str, source: io::Error },
    /// In the child.
    Inside(Failure),
}

/// Starts a confined program. Returns when it is being executed.
pub(crate) fn start(plan: &mut Plan, group: Group, placeholders: Vec<Arc<Placeholder>>) -> Result<Started, Refusal> {
    let (started, report) = launch(plan, group, placeholders)?;
    confirm(started, &report)
}

/// A started sandbox whose program is not known yet.
///
/// Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Waiting {
    started: Option<Started>,
    report: OwnedFd,
    mail: OwnedFd,
}

/// Starts a sandbox that awaits its command. Returns when it waits.
pub(crate) fn start_waiting(
    plan: &mut Plan,
    group: Group,
    placeholders: Vec<Arc<Placeholder>>,
    mail: OwnedFd,
) -> Result<Waiting, Refusal> {
    let (started, report) = launch(plan, group, placeholders)?;
    let mut bytes = [0; Failure::LENGTH];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(&report, &mut bytes[..]));
    if matches!(read, Ok(Failure::LENGTH)) && bytes == Failure::READY {
        return Ok(Waiting { started: Some(started), report, mail });
    }
    Err(refused(started, &bytes))
}

impl Waiting {
    /// Gives it its command and returns when that is being executed. None if the sandbox is gone meanwhile: another one
    /// can be started.
    pub(crate) fn command(mut self, message: &[u8]) -> Option<Result<Started, Refusal>> {
        mailbox::send(&self.mail, message).ok()?;
        match confirm(self.started.take()?, &self.report) {
            Err(Refusal::Launch { .. }) => None,
            result => Some(result),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(started) = &mut self.started {
            started.end();
        }
    }
}

fn launch(
    plan: &mut Plan,
    mut group: Group,
    placeholders: Vec<Arc<Placeholder>>,
) -> Result<(Started, OwnedFd), Refusal> {
    let pipes = |source| Refusal::Launch { mechanism: "pipes", doing: "making pipes", source };
    let (ends, streams, report, status) = make_pipes().map_err(pipes)?;
    plan.cgroups = std::mem::take(&mut group.join);
    let number = |number: RawFd| number.unsigned_abs();
    plan.kept_by_init = keeper::sign_of_life().into_iter().chain([ends.status.as_raw_fd()]).map(number).collect();
    plan.kept_by_init.sort_unstable();
    let mut keep = plan.kept_by_init.clone();
    keep.extend(ends.all().iter().map(|end| number(end.as_raw_fd())));
    keep.extend(plan.cgroups.iter().map(|file| number(file.as_raw_fd())));
    if let Invocation::Awaited(mailbox) = &plan.invocation {
        keep.push(number(mailbox.end.as_raw_fd()));
    }
    keep.sort_unstable();
    keep.dedup();

    // No handler of this process may run in the child.
    let before = sys::set_blocked_signals(SignalSet::All);
    let cloned = match &plan.network {
        None => clone(plan, &ends, &keep, &group),
        Some(_) => clone_in_network(plan, &ends, &keep, &group),
    };
    sys::set_blocked_signals(SignalSet::These(before));
    drop(ends);
    plan.cgroups.clear();
    group.directory = None;
    let born = cloned.and_then(|clone| clone.born());
    match born {
        Ok((id, process)) => {
            let tree = Tree::Namespace { status, group, placeholders };
            Ok((Started { id, process, streams: Some(streams), device: None, tree }, report))
        }
        Err(errno) => Err(reported(&report).unwrap_or(Refusal::Launch {
            mechanism: USER_NAMESPACE,
            doing: "cloning into new namespaces",
            source: errno.into(),
        })),
    }
}

/// A clone as the launcher sees it.
enum Clone {
    /// The child itself.
    Child { id: i32, process: OwnedFd },
    /// One that makes the child as its sibling and tells its id.
    Helper { process: OwnedFd, told: OwnedFd },
}

impl Clone {
    /// The id and descriptor of the child.
    fn born(self) -> rustix::io::Result<(i32, OwnedFd)> {
        match self {
            Self::Child { id, process } => Ok((id, process)),
            Self::Helper { process, told } => {
                let mut bytes = [0; 4];
                let read = rustix::io::retry_on_intr(|| rustix::io::read(&told, &mut bytes[..]));
                let which = || WaitId::PidFd(process.as_fd());
                rustix::io::retry_on_intr(|| rustix::process::waitid(which(), WaitIdOptions::EXITED))?;
                let id = if read? == bytes.len() { i32::from_le_bytes(bytes) } else { 0 };
                let named = Pid::from_raw(id).ok_or(rustix::io::Errno::CHILD)?;
                // It is a child of this process and not reaped, so the id is its own.
                Ok((id, rustix::process::pidfd_open(named, PidfdFlags::empty())?))
            }
        }
    }
}

fn clone(plan: &mut Plan, ends: &Ends, keep: &[u32], group: &Group) -> rustix::io::Result<Clone> {
    // SAFETY: the child goes on in `inside::run`, which never returns and follows the rules.
    match unsafe { sys::clone_process(plan.namespaces, group.directory.as_ref().map(AsFd::as_fd)) }? {
        Cloned::Child => inside::run(plan, ends, keep),
        Cloned::Parent { id, process } => Ok(Clone::Child { id, process }),
    }
}

fn clone_in_network(plan: &mut Plan, ends: &Ends, keep: &[u32], group: &Group) -> rustix::io::Result<Clone> {
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: the child goes on in `inside::run_in_network`, which never returns and follows the rules.
    match unsafe { sys::clone_process(0, None) }? {
        Cloned::Child => inside::run_in_network(plan, ends, keep, group.directory.as_ref().map(AsFd::as_fd), &tell),
        Cloned::Parent { process, .. } => Ok(Clone::Helper { process, told }),
    }
}

/// What a child that did not come to life reported.
fn reported(report: &OwnedFd) -> Option<Refusal> {
    let mut bytes = [0; Failure::LENGTH];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(report, &mut bytes[..]));
    if read.is_err() { None } else { Failure::decode(&bytes).map(Refusal::Inside) }
}

fn make_pipes() -> io::Result<(Ends, Streams, OwnedFd, OwnedFd)> {
    let (stdin, own_stdin) = pipe_with(PipeFlags::CLOEXEC)?;
    let (own_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (own_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let (own_report, report) = pipe_with(PipeFlags::CLOEXEC)?;
    let (own_status, status) = pipe_with(PipeFlags::CLOEXEC)?;
    // Reading after the end of a killed init must not wait.
    rustix::io::ioctl_fionbio(&own_status, true)?;
    let ends = Ends {
        stdin: above_standard(stdin)?,
        stdout: above_standard(stdout)?,
        stderr: above_standard(stderr)?,
        report: above_standard(report)?,
        status: above_standard(status)?,
    };
    Ok((ends, Streams { stdin: own_stdin, stdout: own_stdout, stderr: own_stderr }, own_report, own_status))
}

/// The same pipe under a number that the standard streams will not take.
pub(crate) fn above_standard(end: OwnedFd) -> io::Result<OwnedFd> {
    if end.as_raw_fd() > 2 { Ok(end) } else { Ok(rustix::io::fcntl_dupfd_cloexec(end, 3)?) }
}

/// Waits until the program is executed, or reaps the child and tells what failed.
fn confirm(started: Started, report: &OwnedFd) -> Result<Started, Refusal> {
    let mut bytes = [0; Failure::LENGTH];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(report, &mut bytes[..]));
    if matches!(read, Ok(0)) {
        return Ok(started);
    }
    Err(refused(started, &bytes))
}

/// What a child that reported a failure said. It is on its way out.
fn refused(mut started: Started, report: &[u8]) -> Refusal {
    let reaped = started.reap(WaitIdOptions::empty());
    match (Failure::decode(report), reaped) {
        (Some(failure), Ok(_)) => Refusal::Inside(failure),
        (_, result) => Refusal::Launch {
            mechanism: "processes",
            doing: "reading the report of the child",
            source: result.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into()),
        },
    }
}

/// Starts a program without a sandbox, in its own process group.
pub(crate) fn start_plain(command: &Command, directory: &std::path::Path) -> Result<Started, Error> {
    let failed = |source| Error::Process { doing: "start a program without a sandbox", source };
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
    let mut process = std::process::Command::new(&command.program);
    process.args(&command.args).env_clear().envs(&command.env).current_dir(directory).process_group(0);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process
        .spawn()
        .map_err(|source| Error::Program { program: command.program.to_string_lossy().into_owned(), source })?;
    let id = i32::try_from(child.id()).unwrap_or_default();
    let descriptor = Pid::from_raw(id).ok_or(rustix::io::Errno::SRCH);
    let descriptor = descriptor.and_then(|id| rustix::process::pidfd_open(id, PidfdFlags::empty()));
    let streams = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
    match (descriptor, streams) {
        (Ok(process), Some(((stdin, stdout), stderr))) => {
            let streams = Streams { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
            Ok(Started { id, process, streams: Some(streams), device: None, tree: Tree::ProcessGroup })
        }
        (descriptor, _) => {
            let killed = child.kill().and_then(|()| child.wait());
            let source = descriptor.err().map(io::Error::from).or(killed.err());
            Err(failed(source.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())))
        }
    }
}
