//! What the cloned child does: it executes the plan, starts the program and becomes the init of its namespace.
//!
//! The launching process may have other threads, so everything here works on prepared memory with system calls only:
//! no allocation, no locks, no panics. Descriptors that stay open on the way are closed before the program starts.

#![expect(unsafe_code, reason = "a second clone, and the execution of the program")]

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    },
    process::{DumpableBehavior, Rlimit, WaitOptions},
    thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, LinkNameSpaceType},
};

use crate::{
    forget::forget_launcher,
    landlock::Rules,
    plan::{Cover, Invocation, Operation, Plan},
    step::{Failure, Step},
    sys::{self, Cloned, Depth, Range, SignalSet},
};

type Outcome<T> = Result<T, Failure>;

/// Exit code of a child that reported a failure; nobody reads it.
const FAILED: i32 = 125;
/// Files and directories in `/tmp`.
const TEMPORARY_INODES: &CStr = c"200000";
/// Where the new root is attached until it becomes the root. Exists everywhere; nothing below it is needed any more.
const STAGE: &CStr = c"/usr";
const HOST_NAME: &[u8] = b"sandbox";
/// All securebits but keep-caps, and their locks.
const SECURE_BITS: u32 = 0b1110_1111;

/// The child's ends of the pipes.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// Closed by the execution of the program, or written to when something failed before.
    pub(crate) report: OwnedFd,
    /// Held by init only: how the program ended is written to it, and the launcher's death is seen on it.
    pub(crate) status: OwnedFd,
}

impl Ends {
    /// All of them.
    pub(crate) fn all(&self) -> [BorrowedFd<'_>; 5] {
        [self.stdin.as_fd(), self.stdout.as_fd(), self.stderr.as_fd(), self.report.as_fd(), self.status.as_fd()]
    }
}

/// Runs in the cloned child and never returns. `keep` are the descriptors that it needs, in ascending order.
pub(crate) fn run(plan: &mut Plan, ends: &Ends, keep: &[u32]) -> ! {
    match prepare(plan, keep).and_then(|()| start(plan, ends)) {
        Ok((program, children)) => {
            forget_launcher();
            reap(program, &children, &ends.status)
        }
        Err(failure) => fail(ends, failure),
    }
}

/// Runs in a clone that lives for a moment only: it enters a network, and makes the real child as its sibling, whose
/// process id it tells. Never returns.
pub(crate) fn run_in_network(
    plan: &mut Plan,
    ends: &Ends,
    keep: &[u32],
    cgroup: Option<BorrowedFd<'_>>,
    told: &OwnedFd,
) -> ! {
    let entered = plan.network.as_ref().map_or(Ok(()), |space| {
        let (user, network) = space.namespaces();
        rustix::thread::move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
        rustix::thread::move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
    });
    if let Err(errno) = entered {
        fail(ends, Failure::at(Step::EnterNetwork)(errno));
    }
    // SAFETY: the sibling goes on in `run`, which never returns and follows the rules.
    match unsafe { sys::clone_process(plan.namespaces | sys::SIBLING, cgroup) } {
        Ok(Cloned::Child) => run(plan, ends, keep),
        Ok(Cloned::Parent { id, .. }) => {
            // Without the id the launcher cannot go on, and its end of all pipes ends the sibling.
            let _ = rustix::io::write(told, &id.to_le_bytes());
            sys::exit(0)
        }
        Err(errno) => fail(ends, Failure::at(Step::Fork)(errno)),
    }
}

fn fail(ends: &Ends, failure: Failure) -> ! {
    // Nobody listens any more if this fails.
    let _ = rustix::io::write(&ends.report, &failure.encode());
    sys::exit(FAILED)
}

fn prepare(plan: &mut Plan, keep: &[u32]) -> Outcome<()> {
    close_except(keep).map_err(Failure::at(Step::Descriptors))?;
    for group in &plan.cgroups {
        rustix::io::write(group, b"0").map_err(Failure::at(Step::JoinCgroup))?;
    }
    sys::hide_cgroups().map_err(Failure::at(Step::HideCgroups))?;
    map_user(&plan.user_map, &plan.group_map).map_err(Failure::at(Step::MapUser))?;
    rustix::mount::mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(Failure::at(Step::PrivateMounts))?;
    open_sources(plan)?;
    let root = new_root(&plan.root_size).map_err(Failure::at(Step::NewRoot))?;
    for (index, operation) in plan.operations.iter().enumerate() {
        perform(operation, root.as_fd(), &plan.trees).map_err(Failure::at_index(Step::Assemble, index))?;
    }
    enter(root.as_fd()).map_err(Failure::at(Step::Pivot))?;
    rustix::system::sethostname(HOST_NAME).map_err(Failure::at(Step::HostName))?;
    // Programs inside must not read this process, which is a copy of the launcher.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Failure::at(Step::Undumpable))?;
    drop_privileges().map_err(Failure::at(Step::Capabilities))
}

/// Closes all descriptors but some, which are in ascending order.
pub(crate) fn close_except(keep: &[u32]) -> sys::Result<()> {
    let mut first = 0;
    for kept in keep {
        if let Some(last) = kept.checked_sub(1) {
            sys::close_range(first, last, Range::Close)?;
        }
        first = kept.saturating_add(1);
    }
    sys::close_range(first, u32::MAX, Range::Close)
}

/// Maps the user and group of a process that was born into a new user namespace.
pub(crate) fn map_user(user_map: &[u8], group_map: &[u8]) -> sys::Result<()> {
    // The files belong to the user only while the process is dumpable, which the launcher may not be.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    overwrite(c"/proc/self/setgroups", b"deny")?;
    overwrite(c"/proc/self/uid_map", user_map)?;
    overwrite(c"/proc/self/gid_map", group_map)
}

/// Writes a text into a file of the kernel.
pub(crate) fn overwrite(path: &CStr, text: &[u8]) -> sys::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, text)?;
    Ok(())
}

/// Opens and clones what will be shown. All before the new root is attached, since that hides a part of the old one.
fn open_sources(plan: &mut Plan) -> Outcome<()> {
    for (index, (source, tree)) in plan.sources.iter().zip(&mut plan.trees).enumerate() {
        let opened = open_plain(rustix::fs::CWD, &source.path, ResolveFlags::empty())
            .map_err(Failure::at_index(Step::OpenSource, index))?;
        if let Some(expected) = source.identity {
            let stat = rustix::fs::fstat(&opened).map_err(Failure::at_index(Step::OpenSource, index))?;
            if (stat.st_dev, stat.st_ino) != expected {
                return Err(Failure::at_index(Step::OpenSource, index)(Errno::STALE));
            }
        }
        let cloned = clone_tree(opened.as_fd(), source.attributes);
        *tree = Some(cloned.map_err(Failure::at_index(Step::CloneSource, index))?);
    }
    Ok(())
}

/// Opens a path that contains no link of any kind.
fn open_plain(at: BorrowedFd<'_>, path: &CStr, resolve: ResolveFlags) -> sys::Result<OwnedFd> {
    let resolve = resolve | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(at, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn clone_tree(of: BorrowedFd<'_>, attributes: u64) -> sys::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(of, c"", flags)?;
    sys::set_mount_attributes(tree.as_fd(), attributes, Depth::Tree)?;
    Ok(tree)
}

fn new_root(size: &CStr) -> sys::Result<OwnedFd> {
    let root = temporary(size, c"0755")?;
    rustix::mount::move_mount(&root, c"", rustix::fs::CWD, STAGE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(root)
}

fn temporary(size: &CStr, mode: &CStr) -> sys::Result<OwnedFd> {
    let system = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&system, c"size", size)?;
    rustix::mount::fsconfig_set_string(&system, c"nr_inodes", TEMPORARY_INODES)?;
    rustix::mount::fsconfig_set_string(&system, c"mode", mode)?;
    rustix::mount::fsconfig_create(&system)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    rustix::mount::fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn processes() -> sys::Result<OwnedFd> {
    let system = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Init is a copy of the launcher and still shows the launcher's arguments, which may hold a task or a password.
    rustix::mount::fsconfig_set_string(&system, c"hidepid", c"ptraceable")?;
    rustix::mount::fsconfig_create(&system)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn perform(operation: &Operation, root: BorrowedFd<'_>, trees: &[Option<OwnedFd>]) -> sys::Result<()> {
    match operation {
        Operation::Directory { path, mode } => {
            match rustix::fs::mkdirat(root, path.as_c_str(), Mode::from_raw_mode(*mode)) {
                Err(Errno::EXIST) => Ok(()),
                result => result,
            }
        }
        Operation::Link { path, target } => rustix::fs::symlinkat(target.as_c_str(), root, path.as_c_str()),
        Operation::File { path, contents, mode } => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(root, path.as_c_str(), flags, Mode::from_raw_mode(*mode))?;
            write_all(file.as_fd(), contents)
        }
        Operation::Temporary { path, size } => attach(temporary(size, c"1777")?.as_fd(), root, path),
        Operation::Processes { path } => attach(processes()?.as_fd(), root, path),
        Operation::Attach { path, source } => {
            let tree = trees.get(*source).and_then(Option::as_ref).ok_or(Errno::BADF)?;
            attach(tree.as_fd(), root, path)
        }
        Operation::Cover { path, cover } => {
            let opened = open_plain(root, cover.path(), ResolveFlags::BENEATH)?;
            let tree = clone_tree(opened.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into())?;
            match attach(tree.as_fd(), root, path) {
                // Nothing is left to hide; but a vanished placeholder would let the path be made.
                Err(Errno::NOENT) if *cover != Cover::Nothing => Ok(()),
                result => result,
            }
        }
    }
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> sys::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::write(file, bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Attaches a mount at a path of the new root. The workspace may be changed by others at this moment, so the target
/// is opened without following links; a link as the last name is covered itself.
fn attach(mount: BorrowedFd<'_>, root: BorrowedFd<'_>, path: &CStr) -> sys::Result<()> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", &target, c"", flags)
}

/// Makes the finished root the only one.
fn enter(root: BorrowedFd<'_>) -> sys::Result<()> {
    sys::set_mount_attributes(root, MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into(), Depth::One)?;
    rustix::process::fchdir(root)?;
    // Puts the old root on top of the new one, and takes it off.
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

fn drop_privileges() -> sys::Result<()> {
    rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::from_bits_retain(SECURE_BITS))?;
    sys::drop_bounding_set()?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    rustix::thread::set_no_new_privs(true)
}

/// Forks the program; returns its process id and a descriptor that tells when children end.
fn start(plan: &mut Plan, ends: &Ends) -> Outcome<(i32, OwnedFd)> {
    // SAFETY: the child goes on in this file and ends by exit or exec.
    match unsafe { sys::clone_process(0, None) }.map_err(Failure::at(Step::Fork))? {
        Cloned::Child => fail(ends, become_program(plan, ends)),
        Cloned::Parent { id, process } => {
            // Closed here: an owner must not outlive its descriptor, which the range below takes.
            drop(process);
            close_except(&plan.kept_by_init).map_err(Failure::at(Step::Descriptors))?;
            Ok((id, sys::child_signals().map_err(Failure::at(Step::Fork))?))
        }
    }
}

/// Executes the program; returns only on failure.
fn become_program(plan: &mut Plan, ends: &Ends) -> Failure {
    if let Err(failure) = confine(plan, ends) {
        return failure;
    }
    match &mut plan.invocation {
        Invocation::Given(program) => {
            let programs = program.programs.iter().map(CString::as_c_str);
            execute(programs, program.arguments.as_ptr(), program.environment.as_ptr())
        }
        Invocation::Awaited(mailbox) => {
            // Without a launcher no command comes.
            let _ = rustix::io::write(&ends.report, &Failure::READY);
            match mailbox.receive() {
                Err(errno) => Failure::at(Step::Receive)(errno),
                Ok(command) => match rustix::process::chdir(command.directory) {
                    Err(errno) => Failure::at(Step::Directory)(errno),
                    Ok(()) => execute(command.programs, command.arguments, command.environment),
                },
            }
        }
    }
}

/// Executes the first program that exists. Both lists end with a null pointer.
fn execute<'a>(
    programs: impl Iterator<Item = &'a CStr>,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> Failure {
    let mut refused = Errno::NOENT;
    for program in programs {
        // SAFETY: both lists were prepared with a null pointer at their end, and their owners live.
        let errno = unsafe { sys::execute(program, arguments, environment) };
        // As shells do: go on along the path, but tell of a file that was there.
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
            refused = errno;
        }
    }
    Failure::at(Step::Execute)(refused)
}

fn confine(plan: &Plan, ends: &Ends) -> Outcome<()> {
    rustix::process::setsid().map_err(Failure::at(Step::Session))?;
    connect(ends).map_err(Failure::at(Step::Streams))?;
    sys::reset_signal_actions();
    sys::set_blocked_signals(SignalSet::Empty);
    if let Invocation::Given(program) = &plan.invocation {
        rustix::process::chdir(program.directory.as_c_str()).map_err(Failure::at(Step::Directory))?;
    }
    if let Some(rules) = &plan.landlock {
        confine_with_landlock(rules)?;
    }
    // After the last descriptor was needed for the set-up.
    for (resource, limit) in &plan.limits {
        let limit = Rlimit { current: Some(*limit), maximum: Some(*limit) };
        rustix::process::setrlimit(*resource, limit).map_err(Failure::at(Step::Limits))?;
    }
    sys::install_filter(&plan.filter).map_err(Failure::at(Step::Seccomp))
}

fn connect(ends: &Ends) -> sys::Result<()> {
    rustix::stdio::dup2_stdin(&ends.stdin)?;
    rustix::stdio::dup2_stdout(&ends.stdout)?;
    rustix::stdio::dup2_stderr(&ends.stderr)?;
    sys::close_range(3, u32::MAX, Range::CloseOnExecute)
}

fn confine_with_landlock(rules: &Rules) -> Outcome<()> {
    let failed = Failure::at(Step::Landlock);
    let set = sys::landlock_rule_set(&rules.handled, rules.size).map_err(&failed)?;
    for (index, rule) in rules.rules.iter().enumerate() {
        let allowed = rustix::fs::open(rule.path.as_c_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .and_then(|beneath| sys::landlock_allow(set.as_fd(), beneath.as_fd(), rule.rights));
        allowed.map_err(Failure::at_index(Step::Landlock, index))?;
    }
    sys::landlock_confine(set.as_fd()).map_err(failed)
}

/// Init: reaps orphans until the program ends, tells how it ended, and ends with it, whereupon the kernel kills what
/// is left. When the launcher is gone, ends everything, and then itself.
fn reap(program: i32, children: &OwnedFd, status: &OwnedFd) -> ! {
    loop {
        let mut events = [PollFd::new(children, PollFlags::IN), PollFd::new(status, PollFlags::empty())];
        if rustix::event::poll(&mut events, None).is_err_and(|errno| errno != Errno::INTR) {
            sys::exit(FAILED);
        }
        let [_, launcher] = events;
        if launcher.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            sys::kill_all_others();
            while rustix::process::wait(WaitOptions::empty()).is_ok() {}
            sys::exit(FAILED);
        }
        let mut information = [0_u8; 128];
        // Only to make it unreadable until the next child ends.
        let _ = rustix::io::read(children, &mut information[..]);
        while let Ok(Some((id, ended))) = rustix::process::wait(WaitOptions::NOHANG) {
            if id.as_raw_nonzero().get() == program {
                let _ = rustix::io::write(status, &ended.as_raw().to_le_bytes());
                sys::exit(0);
            }
        }
    }
}
