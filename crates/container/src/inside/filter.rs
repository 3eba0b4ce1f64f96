//! The system call filter that is laid upon the engine's own.
//!
//! Engines differ in what they let through: some allow new user namespaces, io_uring or the memory of other processes.
//! Whatever the engine does, the calls listed here are refused with `EPERM`, and `clone3`, whose flags a filter cannot
//! read, with `ENOSYS`, after which programs use the older call. Calls of another processor architecture end the
//! program.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::Error;

/// Calls refused whatever their arguments.
const REFUSED: &[i64] = &[
    // Namespaces, mounts and roots.
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    // Other processes' memory and files.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Large parts of the kernel that programs do not need.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
];
/// Namespaces that `clone` and `unshare` may not make, one flag each; the last one is that of time.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    0x80,
];
/// In `clone` the flag of time is part of the number of a signal.
const OF_TIME: i32 = 0x80;
/// Terminal requests that type into a terminal.
const TYPING: [u64; 2] = [0x5412, 0x541c];
/// Families of sockets that stay in the container's network. Others lead past it, to the machine's host for instance.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Marks the second numbering of calls on this processor, and the numbers that only it has.
#[cfg(target_arch = "x86_64")]
const SECOND_NUMBERING: (i64, std::ops::RangeInclusive<i64>) = (0x4000_0000, 512..=547);

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Confines this process and everything that it starts. Without `local_sockets` they can make no socket by which the
/// machine's own programs are reached.
pub(super) fn apply(local_sockets: bool) -> Result<(), Error> {
    let failed = |problem: String| Error::Value { what: "the filter of system calls", problem };
    let unsupported = compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS);
    let refused = rules(local_sockets).and_then(|rules| compile(rules, libc::EPERM));
    for filter in [unsupported, refused] {
        let filter = filter.map_err(|error| failed(error.to_string()))?;
        seccompiler::apply_filter(&filter).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

fn compile(rules: Rules, error: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(second_numbering(rules), SeccompAction::Allow, refuse, architecture)?.try_into()
}

fn rules(local_sockets: bool) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let flag = |flag: i32| {
        let flag = u64::from(flag.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(0, Width::Dword, Is::MaskedEq(flag), flag)?])
    };
    let flags = |flags: &[i32]| flags.iter().map(|one| flag(*one)).collect::<Result<Vec<_>, _>>();
    let without_time: Vec<_> = NAMESPACES.into_iter().filter(|flag| *flag != OF_TIME).collect();
    rules.insert(libc::SYS_unshare, flags(&NAMESPACES)?);
    rules.insert(libc::SYS_clone, flags(&without_time)?);
    let typing = TYPING.map(|request| SeccompRule::new(vec![SeccompCondition::new(1, Width::Dword, Is::Eq, request)?]));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    let allowed = FAMILIES.iter().filter(|family| local_sockets || **family != libc::AF_UNIX);
    let other = |family: &i32| SeccompCondition::new(0, Width::Dword, Is::Ne, u64::from(family.unsigned_abs()));
    let others = SeccompRule::new(allowed.map(other).collect::<Result<_, _>>()?)?;
    rules.insert(libc::SYS_socket, vec![others]);
    Ok(rules)
}

/// The same for the second numbering of calls, where there is one; calls that only it has are refused.
#[cfg(target_arch = "x86_64")]
fn second_numbering(mut rules: Rules) -> Rules {
    let (mark, own) = SECOND_NUMBERING;
    let again: Vec<_> = rules.iter().map(|(call, rules)| (call | mark, rules.clone())).collect();
    rules.extend(again);
    rules.extend(own.map(|call| (call | mark, Vec::new())));
    rules
}

#[cfg(not(target_arch = "x86_64"))]
fn second_numbering(rules: Rules) -> Rules {
    rules
}
