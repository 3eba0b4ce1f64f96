//! The keeper: a process of this launcher that removes its placeholders when it is killed.
//!
//! A launcher removes its placeholders itself. If it dies without doing so, its keeper, which is told of each, waits
//! until all sandboxes of the launcher are gone, and removes what nobody else uses. It is started with the first
//! placeholder, and ends with the launcher. The init of a sandbox could not do it: what is mounted in its view of the
//! files cannot be removed there.
//!
//! The keeper is a copy of the launcher: system calls on its stack only, as in [`crate::inside`].

#![expect(unsafe_code, reason = "the clone, and descriptors that are kept as numbers")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{AtFlags, FlockOperation},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketFlags, SocketType,
    },
    pipe::{PipeFlags, pipe_with},
};

use crate::{
    forget::forget_launcher,
    inside::close_except,
    sys::{self, Cloned, SignalSet},
};

/// Placeholders that are kept in mind; those of a launcher with more are left to the next one.
const MOST_ENTRIES: usize = 256;
/// Longest name of a file, with a zero byte.
const NAME_ROOM: usize = 256;
/// Bytes of a placeholder's number in a message; its name follows, or nothing when it is gone.
const NUMBER: usize = 8;

static KEEPER: Mutex<State> = Mutex::new(State { keeper: None, next: 0 });

#[derive(Debug)]
struct State {
    keeper: Option<Keeper>,
    next: u64,
}

#[derive(Debug)]
struct Keeper {
    socket: OwnedFd,
    /// Its copies in the inits tell the keeper which sandboxes live. Never closed, so that its number can be passed on.
    alive: RawFd,
}

/// Tells the keeper of a placeholder; gives the number under which it is known. Best effort: without a keeper
/// placeholders are left only if the launcher is killed, and the next one removes them.
pub(crate) fn hold(parent: BorrowedFd<'_>, lock: BorrowedFd<'_>, name: &[u8]) -> Option<u64> {
    let mut state = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if state.keeper.is_none() {
        state.keeper = Keeper::start().ok();
    }
    state.next += 1;
    let number = state.next;
    let message = [&number.to_le_bytes(), name].concat();
    let sent = state.keeper.as_ref()?.send(&message, &[parent, lock]);
    if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        // Somebody ended it; the next placeholder gets a new one.
        state.keeper = None;
    }
    sent.ok().map(|()| number)
}

/// Tells the keeper that a placeholder is not ours any more.
pub(crate) fn release(number: u64) {
    let state = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(keeper) = &state.keeper {
        // A keeper that is gone keeps nothing in mind.
        let _ = keeper.send(&number.to_le_bytes(), &[]);
    }
}

/// The descriptor that inits keep open as long as they live.
pub(crate) fn sign_of_life() -> Option<RawFd> {
    KEEPER.lock().unwrap_or_else(PoisonError::into_inner).keeper.as_ref().map(|keeper| keeper.alive)
}

impl Keeper {
    fn start() -> io::Result<Self> {
        let (socket, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let (lives, alive) = pipe_with(PipeFlags::CLOEXEC)?;
        let before = sys::set_blocked_signals(SignalSet::All);
        // SAFETY: the child goes on in `keep`, which never returns and follows the rules.
        let cloned = unsafe { sys::clone_process(0, None) };
        if let Ok(Cloned::Child) = cloned {
            keep(&theirs, &lives);
        }
        sys::set_blocked_signals(SignalSet::These(before));
        cloned?;
        Ok(Self { socket, alive: alive.into_raw_fd() })
    }

    fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        // A keeper that was stopped must not stop its launcher.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.socket, &[io::IoSlice::new(message)], &mut control, flags)?;
        Ok(())
    }
}

/// A placeholder as the keeper knows it.
#[derive(Clone, Copy)]
struct Entry {
    number: u64,
    parent: RawFd,
    lock: RawFd,
    name: [u8; NAME_ROOM],
}

/// The keeper's life.
fn keep(socket: &OwnedFd, lives: &OwnedFd) -> ! {
    let (first, second) = (socket.as_raw_fd().unsigned_abs(), lives.as_raw_fd().unsigned_abs());
    if close_except(&[first.min(second), first.max(second)]).is_err() {
        sys::exit(1);
    }
    // What is typed at the launcher's terminal is not meant for it.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir(c"/");
    forget_launcher();
    let mut entries: [Option<Entry>; MOST_ENTRIES] = [None; MOST_ENTRIES];
    while receive(socket, &mut entries) {}
    // Each init closes its copy after it ended all others of its sandbox.
    let mut byte = [0_u8];
    while matches!(rustix::io::read(lives, &mut byte[..]), Ok(1..) | Err(rustix::io::Errno::INTR)) {}
    entries.iter().flatten().for_each(Entry::remove);
    sys::exit(0)
}

/// Takes one message; false when the launcher is gone.
fn receive(socket: &OwnedFd, entries: &mut [Option<Entry>]) -> bool {
    let mut bytes = [0; NUMBER + NAME_ROOM];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [io::IoSliceMut::new(&mut bytes)];
    let length = match rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
        Ok(received) => received.bytes,
        Err(rustix::io::Errno::INTR) => return true,
        Err(_) => return false,
    };
    let Some((number, name)) = bytes.get(..length).and_then(|bytes| bytes.split_first_chunk::<NUMBER>()) else {
        return false;
    };
    let number = u64::from_le_bytes(*number);
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let pair = descriptors.next().and_then(|mut both| both.next().zip(both.next()));
    match pair {
        Some((parent, lock)) => {
            let mut entry =
                Entry { number, parent: parent.into_raw_fd(), lock: lock.into_raw_fd(), name: [0; NAME_ROOM] };
            for (place, byte) in entry.name.iter_mut().take(NAME_ROOM - 1).zip(name) {
                *place = *byte;
            }
            match entries.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(entry),
                None => entry.close(),
            }
        }
        None => {
            let known = entries.iter_mut().find(|place| place.is_some_and(|entry| entry.number == number));
            if let Some(entry) = known.and_then(Option::take) {
                entry.close();
            }
        }
    }
    true
}

impl Entry {
    fn close(&self) {
        // SAFETY: both were received and are used by this entry alone, which is dropped.
        unsafe {
            rustix::io::close(self.parent);
            rustix::io::close(self.lock);
        }
    }

    /// Removes it unless others use it. The lock was shared with the launcher, and now has no other holder.
    fn remove(&self) {
        let Ok(name) = std::ffi::CStr::from_bytes_until_nul(&self.name) else { return };
        // SAFETY: they stay open until the keeper's end.
        let (parent, lock) = unsafe { (BorrowedFd::borrow_raw(self.parent), BorrowedFd::borrow_raw(self.lock)) };
        let last = rustix::fs::flock(lock.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok();
        let (here, locked) = (rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), rustix::fs::fstat(lock));
        if let (true, Ok(here), Ok(locked)) = (last, here, locked)
            && (here.st_dev, here.st_ino) == (locked.st_dev, locked.st_ino)
        {
            // Not empty means that somebody outside filled it: then it is theirs.
            let _ = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR);
        }
    }
}
