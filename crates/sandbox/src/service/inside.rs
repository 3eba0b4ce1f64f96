//! The new process, from the clone until it is the program. It only uses what was prepared.

#![expect(unsafe_code, reason = "the clone, the execution, and numbers for descriptors")]

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr,
};

use rustix::io::Errno;

use super::{
    clone::{Memory, Shared, clone_suspended},
    prepare::Prepared,
};
use crate::{
    inside::overwrite,
    sys::{self, Range, SignalSet},
};

/// How far the new process came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Step {
    /// It is the program.
    #[default]
    Executed,
    Session,
    Group,
    OpenFiles,
    Descriptors,
    Account,
    Directory,
    Execute,
}

impl Step {
    /// What failed, for messages.
    pub(super) const fn doing(self) -> &'static str {
        match self {
            Self::Executed | Self::Execute => "executing it",
            Self::Session => "giving it a session",
            Self::Group => "putting it into its control group",
            Self::OpenFiles => "limiting its open files",
            Self::Descriptors => "giving it its descriptors",
            Self::Account => "giving it its user and groups",
            Self::Directory => "entering its directory",
        }
    }
}

/// What the new process tells its maker.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Report {
    /// Where it failed.
    pub(super) step: Step,
    /// Why.
    pub(super) errno: i32,
}

/// What the new process is given.
struct Work<'a> {
    prepared: &'a Prepared,
    report: &'a Shared<Report>,
}

/// Makes the new process; returns when it executed the program, or failed and reported.
pub(super) fn launch(
    prepared: &Prepared,
    report: &Shared<Report>,
    memory: Memory,
    cgroup: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<(i32, OwnedFd)> {
    let mut work = Work { prepared, report };
    // SAFETY: `run` follows the rules; the work lives until it is done, because this thread is suspended meanwhile.
    unsafe { clone_suspended(memory, cgroup, run, ptr::from_mut(&mut work).cast()) }
}

extern "C" fn run(argument: *mut libc::c_void) -> ! {
    // SAFETY: made by `launch` of a live value that nobody changes.
    let work = unsafe { &*argument.cast::<Work<'_>>() };
    let (step, errno) = become_program(work.prepared);
    work.report.set(Report { step, errno: errno.raw_os_error() });
    sys::exit(127)
}

/// Returns only on failure.
fn become_program(prepared: &Prepared) -> (Step, Errno) {
    match surround(prepared) {
        Ok(()) => (Step::Execute, execute(prepared)),
        Err(failure) => failure,
    }
}

fn surround(prepared: &Prepared) -> Result<(), (Step, Errno)> {
    let at = |step| move |errno| (step, errno);
    rustix::process::setsid().map_err(at(Step::Session))?;
    for door in &prepared.joined {
        rustix::io::write(door, b"0").map_err(at(Step::Group))?;
    }
    // A supervisor that the kernel spares must not make its services be spared. Raising needs no right; where lowering
    // does, the value of the supervisor is right too.
    let _ = overwrite(c"/proc/self/oom_score_adj", b"0");
    if let Some(limit) = &prepared.open_files {
        rustix::process::setrlimit(rustix::process::Resource::Nofile, *limit).map_err(at(Step::OpenFiles))?;
    }
    connect(prepared).map_err(at(Step::Descriptors))?;
    if let Some(identity) = &prepared.identity {
        // The kernel's own calls, of this thread only: those of the C library would involve the maker's threads.
        rustix::thread::set_thread_groups(&identity.groups).map_err(at(Step::Account))?;
        rustix::thread::set_thread_res_gid(identity.group, identity.group, identity.group)
            .map_err(at(Step::Account))?;
        rustix::thread::set_thread_res_uid(identity.user, identity.user, identity.user).map_err(at(Step::Account))?;
    }
    rustix::process::umask(prepared.umask);
    rustix::process::chdir(prepared.directory.as_c_str()).map_err(at(Step::Directory))?;
    sys::reset_signal_actions();
    sys::set_blocked_signals(SignalSet::Empty);
    Ok(())
}

fn connect(prepared: &Prepared) -> sys::Result<()> {
    rustix::stdio::dup2_stdin(&prepared.input)?;
    rustix::stdio::dup2_stdout(&prepared.output)?;
    rustix::stdio::dup2_stderr(&prepared.output)?;
    // Each is above all wanted numbers, so none is overwritten before it was copied.
    for (descriptor, number) in &prepared.descriptors {
        copy_to(descriptor.as_fd(), *number)?;
    }
    let mut first = 3;
    for (_, number) in &prepared.descriptors {
        let number = number.unsigned_abs();
        sys::close_range(first, number.saturating_sub(1), Range::CloseOnExecute)?;
        first = number.saturating_add(1);
    }
    sys::close_range(first, u32::MAX, Range::CloseOnExecute)
}

/// Copies a descriptor to a number, kept when a program is executed.
fn copy_to(descriptor: BorrowedFd<'_>, number: RawFd) -> sys::Result<()> {
    // SAFETY: replaces a descriptor of this process only, which no live object of it uses.
    if unsafe { libc::dup2(descriptor.as_raw_fd(), number) } == -1 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::BADF));
    }
    Ok(())
}

/// Executes the first program that exists; returns only on failure.
fn execute(prepared: &Prepared) -> Errno {
    let mut refused = Errno::NOENT;
    for program in &prepared.programs {
        // SAFETY: both lists were prepared with a null pointer at their end, and their owner lives.
        let errno = unsafe { sys::execute(program, prepared.arguments.as_ptr(), prepared.environment.as_ptr()) };
        // As shells do: go on along the path, but tell of a file that was there.
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
            refused = errno;
        }
    }
    refused
}
