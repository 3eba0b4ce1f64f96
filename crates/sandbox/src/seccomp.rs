//! The system call filter: an allow-list.
//!
//! What ordinary programs, language runtimes, compilers and git use is allowed; everything else is refused with
//! `EPERM`, which includes io_uring, ptrace, bpf, keyrings, modules, mounts, namespaces, handles, foreign memory and
//! clocks. Calls newer than this list, and `clone3`, whose flags a filter cannot read, answer `ENOSYS`: programs then
//! use the older call. Local sockets exist only as connected pairs, internet sockets only with network.

use std::collections::BTreeMap;

use crate::filter::{Condition, Program, Verdict, compile};

/// Which sockets programs may make, beside connected pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// None.
    Pairs,
    /// TCP and UDP.
    Internet,
}

/// Calls allowed whatever their arguments.
const ALLOWED: &[i64] = &[
    // Files.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_renameat2,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_sync,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_getcwd,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_vmsplice,
    libc::SYS_copy_file_range,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_memfd_create,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_mlockall,
    libc::SYS_munlockall,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_get_mempolicy,
    libc::SYS_memfd_secret,
    // Processes and threads.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_setpgid,
    libc::SYS_getsid,
    libc::SYS_setsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    libc::SYS_prlimit64,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_ioprio_get,
    libc::SYS_ioprio_set,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_getattr,
    libc::SYS_sched_setattr,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    // Signals and time.
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_restart_syscall,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_getrandom,
    // Sockets that exist.
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    // System V memory and semaphores, private to the IPC namespace.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmdt,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semctl,
    libc::SYS_semtimedop,
];

/// The older names of calls above, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_unlink,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_inotify_init,
    libc::SYS_arch_prctl,
    libc::SYS_vfork,
    libc::SYS_fork,
    libc::SYS_getpgrp,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_time,
    libc::SYS_signalfd,
    libc::SYS_eventfd,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_select,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

/// Namespaces that `clone` may not make.
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Terminal requests that type into a terminal.
const TYPING: [u32; 2] = [libc::TIOCSTI as u32, 0x541c];

/// Calls from this number on are newer than the list.
const FIRST_NEWER: i64 = 453;
/// Beyond this no kernel has calls yet.
const LAST_NEWER: i64 = 560;

/// The filter of a sandbox.
pub(crate) fn filter(sockets: Sockets) -> Program {
    compile(&table(sockets))
}

fn table(sockets: Sockets) -> BTreeMap<u32, Verdict> {
    let newer =
        (FIRST_NEWER..=LAST_NEWER).chain([libc::SYS_clone3]).map(|call| (call, Verdict::Refuse(libc::ENOSYS as u16)));
    let always = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Verdict::Allow));
    // The kernel reads 32 bits of these arguments, so 32 bits are compared.
    let no_namespaces = Condition { argument: 0, mask: NAMESPACE_FLAGS, value: 0, equal: true };
    let not_typing = TYPING.map(|request| Condition { equal: false, ..equal(1, request) });
    let mut checked = vec![
        (libc::SYS_clone, vec![vec![no_namespaces]]),
        (libc::SYS_ioctl, vec![not_typing.into()]),
        (libc::SYS_personality, vec![vec![equal(0, u32::MAX)], vec![equal(0, 0)]]),
        (libc::SYS_socketpair, connected_pairs()),
    ];
    if sockets == Sockets::Internet {
        checked.push((libc::SYS_socket, internet_sockets()));
    }
    let checked = checked.into_iter().map(|(call, alternatives)| (call, Verdict::AllowIf(alternatives)));
    newer.chain(always).chain(checked).map(|(call, verdict)| (call as u32, verdict)).collect()
}

/// Pairs of stream kind: a datagram pair could be connected to another address afterwards.
fn connected_pairs() -> Vec<Vec<Condition>> {
    let kinds = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET];
    kinds.into_iter().map(|kind| vec![equal(0, libc::AF_UNIX as u32), of_kind(kind)]).collect()
}

/// TCP and UDP over IPv4 and IPv6; nothing raw, and none of the other protocols, such as ICMP, that have the same kinds.
fn internet_sockets() -> Vec<Vec<Condition>> {
    let mut allowed = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (kind, protocol) in [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)] {
            for protocol in [0, protocol] {
                allowed.push(vec![equal(0, family as u32), of_kind(kind), equal(2, protocol as u32)]);
            }
        }
    }
    allowed
}

/// The kind of a socket, without its flags.
fn of_kind(kind: libc::c_int) -> Condition {
    Condition { mask: 0xf, ..equal(1, kind as u32) }
}

fn equal(argument: u8, value: u32) -> Condition {
    Condition { argument, mask: u32::MAX, value, equal: true }
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, ALLOWED_HERE, FIRST_NEWER, Sockets, filter};
    use crate::filter::tests::interpret;

    #[test]
    fn filters_fit_into_the_kernel_and_answer_soon() {
        for sockets in [Sockets::Pairs, Sockets::Internet] {
            let program = filter(sockets);
            assert!(program.len() < 4096, "{} instructions", program.len());
            let steps = |number| interpret(&program, 0xc000_003e, number, [0; 6]).1;
            let longest = (0..600).map(steps).max();
            assert!(longest < Some(60), "{longest:?} steps");
        }
    }

    #[test]
    fn dangerous_calls_are_not_in_the_list() {
        let dangerous = [
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_delete_module,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_fsopen,
            libc::SYS_open_tree,
            libc::SYS_move_mount,
            libc::SYS_mount_setattr,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_name_to_handle_at,
            libc::SYS_open_by_handle_at,
            libc::SYS_pidfd_getfd,
            libc::SYS_quotactl,
            libc::SYS_swapon,
            libc::SYS_reboot,
            libc::SYS_clock_settime,
            libc::SYS_settimeofday,
            libc::SYS_fanotify_init,
            libc::SYS_process_madvise,
            libc::SYS_kcmp,
            libc::SYS_acct,
            libc::SYS_syslog,
            libc::SYS_setdomainname,
        ];
        for call in dangerous {
            assert!(!ALLOWED.contains(&call) && !ALLOWED_HERE.contains(&call), "call {call}");
        }
        assert!(ALLOWED.iter().all(|call| *call < FIRST_NEWER), "an allowed call would answer ENOSYS");
    }
}
