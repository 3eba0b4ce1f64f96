//! A clone that suspends its maker until it executes a program or ends, as `vfork`, on a stack of its own.

#![expect(unsafe_code, reason = "the clone, and memory that both processes see")]

use std::{
    arch::asm,
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use rustix::io::Errno;

/// Bytes of the new process's stack. Pages that it does not touch cost nothing.
const STACK: usize = 256 << 10;
/// The flag of `clone3` that libc declares as a 32-bit number.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the new process runs; it ends by executing a program or by exiting.
pub(super) type Run = extern "C" fn(*mut libc::c_void) -> !;

/// Whose memory the new process has until it executes a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// That of its maker.
    Shared,
    /// A copy.
    Copied,
}

/// A value in memory that stays shared between a process and its clones.
#[derive(Debug)]
pub(super) struct Shared<T: Copy> {
    place: *mut T,
}

impl<T: Copy> Shared<T> {
    /// Puts a value there.
    pub(super) fn new(value: T) -> rustix::io::Result<Self> {
        let place = map(size_of::<T>(), libc::MAP_SHARED)?.cast::<T>();
        // SAFETY: the mapping is new, writable, large enough and, beginning at a page, aligned.
        unsafe { place.write(value) };
        Ok(Self { place })
    }

    pub(super) fn set(&self, value: T) {
        // SAFETY: the place is mapped as long as `self` lives. The reader is suspended while the clone writes.
        unsafe { self.place.write_volatile(value) };
    }

    pub(super) fn get(&self) -> T {
        // SAFETY: as above; it always holds a value.
        unsafe { self.place.read_volatile() }
    }
}

impl<T: Copy> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this length; nobody uses it any more.
        unsafe { libc::munmap(self.place.cast(), size_of::<T>()) };
    }
}

fn map(length: usize, flags: libc::c_int) -> rustix::io::Result<*mut libc::c_void> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new anonymous mapping wherever the kernel likes.
    let place = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags | libc::MAP_ANONYMOUS, -1, 0) };
    if place == libc::MAP_FAILED {
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENOMEM);
        return Err(Errno::from_raw_os_error(code));
    }
    Ok(place)
}

/// The stack of a clone.
struct Stack(*mut libc::c_void);

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: made by `map` with this length; the clone left it before its maker went on.
        unsafe { libc::munmap(self.0, STACK) };
    }
}

/// The kernel's `struct clone_args`, version 2.
#[repr(C)]
#[derive(Default)]
struct Arguments {
    flags: u64,
    process: u64,
    child_thread: u64,
    parent_thread: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    thread_storage: u64,
    set_thread: u64,
    set_thread_size: u64,
    cgroup: u64,
}

/// Makes a new process that runs a function; returns when that executed a program or ended. All signals must be blocked.
///
/// # Safety
/// `run` must not return and, as other threads may hold locks, must neither lock nor allocate. What `argument` points
/// to must be valid for it.
pub(super) unsafe fn clone_suspended(
    memory: Memory,
    cgroup: Option<BorrowedFd<'_>>,
    run: Run,
    argument: *mut libc::c_void,
) -> rustix::io::Result<(i32, OwnedFd)> {
    let stack = Stack(map(STACK, libc::MAP_PRIVATE | libc::MAP_STACK | libc::MAP_NORESERVE)?);
    let mut process: RawFd = -1;
    let mut arguments = Arguments {
        flags: (libc::CLONE_PIDFD | libc::CLONE_VFORK) as u64,
        process: ptr::from_mut(&mut process) as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.0 as u64,
        stack_size: STACK as u64,
        ..Arguments::default()
    };
    if memory == Memory::Shared {
        arguments.flags |= libc::CLONE_VM as u64;
    }
    if let Some(cgroup) = cgroup {
        arguments.flags |= INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: the arguments are valid; the rest is the caller's promise.
    let id = unsafe { clone3(&mut arguments, run, argument) };
    if id < 0 {
        return Err(Errno::from_raw_os_error(i32::try_from(-id).unwrap_or(libc::EINVAL)));
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    Ok((i32::try_from(id).unwrap_or(0), unsafe { OwnedFd::from_raw_fd(process) }))
}

/// The system call. The new process wakes up on its own stack, so it must not return into this function.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(arguments: &mut Arguments, run: Run, argument: *mut libc::c_void) -> i64 {
    let result: i64;
    // SAFETY: registers are declared as the kernel and the calling convention use them; the new process has its stack
    // pointer at the top of its stack, a multiple of 16, as a call needs it.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") ptr::from_mut(arguments),
            in("rsi") size_of::<Arguments>(),
            in("r12") run,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The system call. The new process wakes up on its own stack, so it must not return into this function.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(arguments: &mut Arguments, run: Run, argument: *mut libc::c_void) -> i64 {
    let result: i64;
    // SAFETY: as above, with the registers of this processor.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            inlateout("x0") ptr::from_mut(arguments) => result,
            in("x1") size_of::<Arguments>(),
            in("x8") libc::SYS_clone3,
            in("x20") run,
            in("x21") argument,
        );
    }
    result
}
