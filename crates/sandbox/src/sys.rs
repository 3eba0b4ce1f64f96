//! The system calls for which `rustix` has no safe function.
//!
//! Everything here is usable in a cloned child: no allocation, no locks, errors as plain numbers.

#![expect(unsafe_code, reason = "raw system calls; each states why it is sound")]

use std::{
    ffi::CStr,
    mem::size_of,
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use rustix::io::Errno;

use crate::filter::Instruction;

/// Result of a raw system call.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// Signals are changed from 1 to this one.
const LAST_SIGNAL: i32 = 64;

fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value == -1 {
        // Reads the thread's error number; allocates nothing.
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        return Err(Errno::from_raw_os_error(code));
    }
    Ok(value)
}

/// The kernel's `struct clone_args`.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What a clone returned.
pub(crate) enum Cloned {
    /// In the caller: the new process.
    Parent {
        /// Its process id.
        id: i32,
        /// The descriptor of the process.
        process: OwnedFd,
    },
    /// In the new process.
    Child,
}

/// Beside the namespaces for [`clone_process`]: the new process is not a child but a sibling of the calling one.
pub(crate) const SIBLING: u64 = libc::CLONE_PARENT as u64;

/// Clones the calling process, with one thread, into new namespaces and optionally a cgroup.
///
/// # Safety
/// The caller may have other threads, so the child may hold copies of locked locks: it must use async-signal-safe
/// functions only, must not allocate, and must end by exit or exec.
pub(crate) unsafe fn clone_process(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    let mut process: RawFd = -1;
    let mut arguments = CloneArguments {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: ptr::from_mut(&mut process) as u64,
        // A sibling takes over the signal of its maker.
        exit_signal: if namespaces & SIBLING == 0 { libc::SIGCHLD as u64 } else { 0 },
        ..CloneArguments::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP, which libc declares as a 32-bit number.
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: the arguments are a valid struct of the given size, without stack: the child goes on on a copy of this
    // one. The rest is the caller's promise.
    let id =
        check(unsafe { libc::syscall(libc::SYS_clone3, ptr::from_mut(&mut arguments), size_of::<CloneArguments>()) })?;
    if id == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    Ok(Cloned::Parent { id: id as i32, process: unsafe { OwnedFd::from_raw_fd(process) } })
}

/// Ends the process at once, without running anything.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: has no preconditions.
    unsafe { libc::_exit(code) }
}

/// All signals blocked or none, for the calling thread; returns what was before.
pub(crate) fn set_blocked_signals(set: SignalSet) -> libc::sigset_t {
    // SAFETY: both sets are owned and initialised before they are read.
    unsafe {
        let mut new: libc::sigset_t = std::mem::zeroed();
        let mut old: libc::sigset_t = std::mem::zeroed();
        match set {
            SignalSet::All => _ = libc::sigfillset(&raw mut new),
            SignalSet::Empty => _ = libc::sigemptyset(&raw mut new),
            SignalSet::These(these) => new = these,
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const new, &raw mut old);
        old
    }
}

/// A set of signals.
pub(crate) enum SignalSet {
    /// Every one.
    All,
    /// None.
    Empty,
    /// An earlier result.
    These(libc::sigset_t),
}

/// Gives every signal its default action, ignored ones included.
pub(crate) fn reset_signal_actions() {
    // The kernel's `struct sigaction`, at most: an address, flags, another address, and a mask.
    let default = [0_u64; 4];
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: a zeroed action is the default one; signals that cannot be changed are refused by the kernel. The
        // C library would also refuse those that it uses itself, which may be inherited as ignored.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u64>(), size_of::<u64>())
        };
    }
}

/// A descriptor that becomes readable when a child ended. The signal must be blocked.
pub(crate) fn child_signals() -> Result<OwnedFd> {
    // SAFETY: the set is owned and initialised; the new descriptor is owned by nobody else.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(descriptor.into())?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// What happens to a range of descriptors.
pub(crate) enum Range {
    /// They are closed.
    Close,
    /// They are closed when another program is executed.
    CloseOnExecute,
}

/// Makes it impossible to ever gain a capability again, by any program.
pub(crate) fn drop_bounding_set() -> Result<()> {
    for capability in 0..64_u64 {
        // SAFETY: takes numbers only.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into()) {
            Ok(_) => {}
            // Beyond the last capability of this kernel.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Moves the calling thread into a new cgroup namespace, so that it does not see where its group stands.
pub(crate) fn hide_cgroups() -> Result<()> {
    // SAFETY: takes a flag that changes no memory and no descriptor.
    check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }.into())?;
    Ok(())
}

/// Closes the descriptors `first..=last`.
pub(crate) fn close_range(first: u32, last: u32, range: Range) -> Result<()> {
    if first > last {
        return Ok(());
    }
    let flags: libc::c_uint = match range {
        Range::Close => 0,
        Range::CloseOnExecute => 4, // CLOSE_RANGE_CLOEXEC
    };
    // SAFETY: called in a cloned child only, whose copies of the descriptors no live object uses afterwards.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })?;
    Ok(())
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes on a mount; on everything below it as well with [`Depth::Tree`], which is also made private.
pub(crate) fn set_mount_attributes(mount: BorrowedFd<'_>, set: u64, depth: Depth) -> Result<()> {
    let (flags, propagation) = match depth {
        Depth::One => (libc::AT_EMPTY_PATH, 0),
        Depth::Tree => (libc::AT_EMPTY_PATH | libc::AT_RECURSIVE, libc::MS_PRIVATE),
    };
    let attributes = MountAttributes { set, clear: 0, propagation, user_namespace: 0 };
    // SAFETY: the path is an empty C string and the attributes are a valid struct of the given size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            ptr::from_ref(&attributes),
            size_of::<MountAttributes>(),
        )
    })?;
    Ok(())
}

/// How far mount attributes reach.
#[derive(Clone, Copy)]
pub(crate) enum Depth {
    /// One mount.
    One,
    /// The mount and all below it.
    Tree,
}

/// The version of Landlock in this kernel; an error where there is none.
pub(crate) fn landlock_version() -> Result<u32> {
    // SAFETY: the documented query: no attributes, flag 1.
    let version =
        check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0_usize, 1_u32) })?;
    Ok(u32::try_from(version).unwrap_or(0))
}

/// The kernel's `struct landlock_ruleset_attr`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct LandlockRights {
    /// Rights over files.
    pub(crate) files: u64,
    /// Rights over TCP ports, from version 4 on.
    pub(crate) network: u64,
    /// Scopes, from version 6 on.
    pub(crate) scopes: u64,
}

/// A new rule set; `size` is how much of the rights this kernel knows.
pub(crate) fn landlock_rule_set(rights: &LandlockRights, size: usize) -> Result<OwnedFd> {
    let size = size.min(size_of::<LandlockRights>());
    // SAFETY: the attributes are valid for `size` bytes; the new descriptor is owned by nobody else.
    unsafe {
        let descriptor = check(libc::syscall(libc::SYS_landlock_create_ruleset, ptr::from_ref(rights), size, 0_u32))?;
        Ok(OwnedFd::from_raw_fd(descriptor as RawFd))
    }
}

/// Allows rights beneath a file or directory.
pub(crate) fn landlock_allow(rules: BorrowedFd<'_>, beneath: BorrowedFd<'_>, rights: u64) -> Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        rights: u64,
        parent: RawFd,
    }
    let rule = PathBeneath { rights, parent: beneath.as_raw_fd() };
    // SAFETY: rule type 1 takes exactly this packed struct.
    check(unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), 1_u32, (&raw const rule).cast::<u8>(), 0_u32)
    })?;
    Ok(())
}

/// Confines the calling thread to a rule set. Needs no_new_privs.
pub(crate) fn landlock_confine(rules: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes a descriptor and no memory.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0_u32) })?;
    Ok(())
}

/// Installs a filter of system calls. Needs no_new_privs.
pub(crate) fn install_filter(program: &[Instruction]) -> Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const Instruction,
    }
    let length = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = Program { length, filter: program.as_ptr() };
    // SAFETY: operation 1 (set filter) reads a valid program of the given length.
    check(unsafe { libc::syscall(libc::SYS_seccomp, 1_u32, 0_u32, ptr::from_ref(&program)) })?;
    Ok(())
}

/// Executes a program; returns only on failure.
///
/// # Safety
/// Both lists must end with a null pointer and consist of valid C strings otherwise.
pub(crate) unsafe fn execute(
    program: &CStr,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> Errno {
    // SAFETY: the program is a C string; the lists are the caller's promise.
    let result = unsafe { libc::execve(program.as_ptr(), arguments, environment) };
    check(result.into()).err().unwrap_or(Errno::INVAL)
}

/// A request about an interface with this name, otherwise zero.
fn interface_request(name: &CStr) -> Result<libc::ifreq> {
    // SAFETY: all of it may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = name.to_bytes_with_nul();
    if name.len() > request.ifr_name.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name) {
        *place = *byte as libc::c_char;
    }
    Ok(request)
}

/// Sends a request about an interface.
fn interface_control(on: BorrowedFd<'_>, request: libc::Ioctl, argument: &libc::ifreq) -> Result<()> {
    // SAFETY: the requests used in this file read such a struct, which is valid, and some write into it; it is not
    // used afterwards.
    let mut argument = *argument;
    check(unsafe { libc::ioctl(on.as_raw_fd(), request, ptr::from_mut(&mut argument)) }.into())?;
    Ok(())
}

/// An internet address as the kernel's requests want it.
fn internet_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: all of both structs may be zero, and they have the same size, which the compiler checks.
    unsafe {
        let mut plain: libc::sockaddr_in = std::mem::zeroed();
        plain.sin_family = libc::AF_INET as libc::sa_family_t;
        plain.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
        std::mem::transmute(plain)
    }
}

/// How a process ended, as `wait(2)` would tell its parent; none as long as the parent has not buried it. Since Linux 6.15.
pub(crate) fn buried_status(process: BorrowedFd<'_>) -> Result<Option<i32>> {
    // SAFETY: all of it may be zero.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    let wanted = u64::from(libc::PIDFD_INFO_EXIT);
    info.mask = wanted;
    // SAFETY: the request reads such a struct and writes into it; it is valid, and its size is part of the request.
    check(unsafe { libc::ioctl(process.as_raw_fd(), libc::PIDFD_GET_INFO, ptr::from_mut(&mut info)) }.into())?;
    Ok((info.mask & wanted != 0).then_some(info.exit_code))
}

/// Makes an opened `/dev/net/tun` a device for IP packets with this name in the network of the calling thread.
pub(crate) fn make_tunnel(file: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    interface_control(file, libc::TUNSETIFF, &request)
}

/// A socket for requests about interfaces.
pub(crate) fn interface_socket() -> Result<OwnedFd> {
    rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
}

/// Gives an interface its address and network.
pub(crate) fn set_interface_address(
    socket: BorrowedFd<'_>,
    name: &CStr,
    address: Ipv4Addr,
    mask: Ipv4Addr,
) -> Result<()> {
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_addr = internet_address(address);
    interface_control(socket, libc::SIOCSIFADDR, &request)?;
    request.ifr_ifru.ifru_netmask = internet_address(mask);
    interface_control(socket, libc::SIOCSIFNETMASK, &request)
}

/// Sets the size of an interface's packets.
pub(crate) fn set_interface_mtu(socket: BorrowedFd<'_>, name: &CStr, mtu: libc::c_int) -> Result<()> {
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_mtu = mtu;
    interface_control(socket, libc::SIOCSIFMTU, &request)
}

/// Switches an interface on.
pub(crate) fn set_interface_up(socket: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    interface_control(socket, libc::SIOCSIFFLAGS, &request)
}

/// Sends everything without a better way to an interface.
pub(crate) fn add_default_route(socket: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: all of it may be zero.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = internet_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = internet_address(Ipv4Addr::UNSPECIFIED);
    route.rt_flags = libc::RTF_UP;
    route.rt_dev = name.as_ptr().cast_mut();
    // SAFETY: the request reads this struct and the name in it, both valid.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, ptr::from_ref(&route)) }.into())?;
    Ok(())
}

/// An address in the memory of this thread's local variables.
pub(crate) fn thread_local_address() -> usize {
    // SAFETY: has no preconditions.
    unsafe { libc::__errno_location() }.addr()
}

/// Empties a part of the memory of this process: it reads as zeros afterwards.
pub(crate) fn empty_memory(from: usize, length: usize) {
    // SAFETY: called in init only, which afterwards uses its stack, its thread's local variables and nothing else.
    unsafe { libc::madvise(ptr::without_provenance_mut(from), length, libc::MADV_DONTNEED) };
}

/// Kills every other process of the namespace whose init this is.
pub(crate) fn kill_all_others() {
    // SAFETY: takes numbers only.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}
