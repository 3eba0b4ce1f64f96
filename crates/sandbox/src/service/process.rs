//! [`ServiceProcess`]: a started or found program: its end, its signals, and the kill of all that it started.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus},
};
use tokio::{io::unix::AsyncFd, time::Instant};

use super::{Mark, ProcessTable, ServiceEnd, ServiceGroup, reaper, table};
use crate::{Error, child::watch, sys};

/// How long what was killed may take until the kernel has ended it.
const KILLED_WITHIN: Duration = Duration::from_secs(30);
/// How long one round of killing waits for those that it killed before it looks again.
const ROUND: Duration = Duration::from_secs(1);
/// How long a round that could kill nothing waits: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long the parent of an adopted program may take to bury it.
const BURIED_LATEST: Duration = Duration::from_secs(1);
/// Time between two looks whether it has.
const BURIAL_LOOK: Duration = Duration::from_millis(1);
/// How many parents of a process are looked at.
const ANCESTORS: usize = 64;
/// How long a thread may be kept until a killed process can be buried.
const BURIED_WITHIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A program that runs without confinement, and everything that it started.
///
/// Dropping it changes nothing: the program runs on.
#[derive(Debug)]
pub struct ServiceProcess {
    id: Pid,
    start_time: u64,
    /// Readable when it ended.
    descriptor: AsyncFd<OwnedFd>,
    origin: Origin,
    end: OnceLock<ServiceEnd>,
    /// When an adopted one was first seen to have ended: how, is told once its parent has buried it.
    ended_at: OnceLock<Instant>,
    /// Held while its end is asked for, and while its number is used.
    asking: Mutex<()>,
    mark: Option<Mark>,
    group: Option<Arc<ServiceGroup>>,
}

/// Whose child it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Ours,
    Adopted,
}

/// A program that an earlier supervisor started.
#[derive(Debug)]
pub struct Adoption {
    /// Its process.
    pub process: u32,
    /// When that was started, in the kernel's ticks since the machine was: another process may have got its number.
    pub start_time: u64,
    /// Its mark.
    pub mark: Option<Mark>,
    /// Its group.
    pub group: Option<Arc<ServiceGroup>>,
}

impl ServiceProcess {
    /// A process that this one has just started.
    pub(super) fn started(
        id: i32,
        descriptor: OwnedFd,
        mark: Option<Mark>,
        group: Option<Arc<ServiceGroup>>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Process { doing: "watch the started program", source };
        let number = id.unsigned_abs();
        let pid = Pid::from_raw(id).ok_or(Error::Gone { process: number })?;
        // Not buried yet, so it is there even when it has ended.
        let entry = table::look(number).map_err(failed)?.ok_or(Error::Gone { process: number })?;
        let start_time = entry.start_time;
        Self::new(pid, start_time, descriptor, Origin::Ours, mark, group).map_err(failed)
    }

    fn new(
        id: Pid,
        start_time: u64,
        descriptor: OwnedFd,
        origin: Origin,
        mark: Option<Mark>,
        group: Option<Arc<ServiceGroup>>,
    ) -> io::Result<Self> {
        let descriptor = watch(descriptor)?;
        let (end, ended_at, asking) = (OnceLock::new(), OnceLock::new(), Mutex::new(()));
        Ok(Self { id, start_time, descriptor, origin, end, ended_at, asking, mark, group })
    }

    /// Takes over a program that an earlier supervisor started. Must be called within a runtime.
    ///
    /// # Errors
    /// [`Error::Gone`] when it is not there any more; with any other one it may be.
    pub fn adopt(adoption: Adoption) -> Result<Self, Error> {
        let gone = || Error::Gone { process: adoption.process };
        let id = i32::try_from(adoption.process).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let failed = |source| Error::Process { doing: "watch the program", source };
        let descriptor = rustix::process::pidfd_open(id, PidfdFlags::empty()).map_err(|errno| match errno {
            rustix::io::Errno::SRCH => gone(),
            errno => failed(errno.into()),
        })?;
        // The descriptor holds on to whoever has the number now; only then is it told who that is.
        let entry = table::look(adoption.process).map_err(failed)?.ok_or_else(gone)?;
        if entry.is_dead || entry.start_time != adoption.start_time {
            return Err(gone());
        }
        let (mark, group) = (adoption.mark, adoption.group);
        Self::new(id, entry.start_time, descriptor, Origin::Adopted, mark, group).map_err(failed)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.id.as_raw_nonzero().get().unsigned_abs()
    }

    /// When it was started, in the kernel's ticks since the machine was.
    #[must_use]
    pub const fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Waits for the end of the program itself; what it started may still run. May be called again, by several, and
    /// dropped.
    ///
    /// # Errors
    /// When it cannot be awaited.
    pub async fn wait(&self) -> io::Result<ServiceEnd> {
        loop {
            if let Some(end) = self.end()? {
                return Ok(end);
            }
            if self.ended_at.get().is_some() {
                tokio::time::sleep(BURIAL_LOOK).await;
                continue;
            }
            let mut ready = self.descriptor.readable().await?;
            if self.end()?.is_none() {
                ready.clear_ready();
            }
        }
    }

    /// How it ended; none as long as it runs.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub fn end(&self) -> io::Result<Option<ServiceEnd>> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.ask()
    }

    fn ask(&self) -> io::Result<Option<ServiceEnd>> {
        if let Some(end) = self.end.get() {
            return Ok(Some(*end));
        }
        let end = match self.origin {
            Origin::Adopted => self.ask_adopted()?,
            Origin::Ours => {
                let which = WaitId::PidFd(self.descriptor.get_ref().as_fd());
                match rustix::process::waitid(which, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                    Ok(status) => status.as_ref().map(end_of),
                    // Somebody else has buried it.
                    Err(rustix::io::Errno::CHILD) => Some(ServiceEnd::Unknown),
                    Err(errno) => return Err(errno.into()),
                }
            }
        };
        if let Some(end) = end {
            reaper::children().remove(&self.id.as_raw_nonzero().get());
            // Asked for under the lock, so nobody else has set it.
            let _ = self.end.set(end);
        }
        Ok(end)
    }

    /// How one ended that is not ours: the kernel says it once the parent, which is another process, has buried it.
    fn ask_adopted(&self) -> io::Result<Option<ServiceEnd>> {
        if !has_ended(self.descriptor.get_ref())? {
            return Ok(None);
        }
        let is_late = self.ended_at.get_or_init(Instant::now).elapsed() > BURIED_LATEST;
        match sys::buried_status(self.descriptor.get_ref().as_fd()) {
            Ok(Some(status)) => Ok(Some(end_of_status(status))),
            Ok(None) if !is_late => Ok(None),
            // Its parent does not care, or this kernel does not say it.
            Ok(None) | Err(_) => Ok(Some(ServiceEnd::Unknown)),
        }
    }

    /// Sends a signal to the program and to what it started in its process group. Does nothing when it has ended.
    ///
    /// # Errors
    /// When there is no signal of that number, or it must not be sent.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // As long as its end was not asked for, its number is not given to another one; one that is not ours keeps its
        // number as long as it runs.
        if self.ask()?.is_some() || self.ended_at.get().is_some() {
            return Ok(());
        }
        match rustix::process::kill_process_group(self.id, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Whether the program has a handler for a signal; without one, most signals kill.
    #[must_use]
    pub fn catches(&self, signal: i32) -> bool {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
        let bit = u32::try_from(signal - 1).ok().and_then(|bit| 1_u64.checked_shl(bit));
        caught.zip(bit).is_some_and(|(caught, bit)| caught & bit != 0)
    }

    /// Kills the program and everything that it started, wherever that hides, until nothing is left, and removes its
    /// control group.
    ///
    /// # Errors
    /// When something does not end although it was killed.
    pub async fn kill_tree(&self) -> Result<(), Error> {
        let failed = |source| Error::Process { doing: "find the processes of a service", source };
        let deadline = Instant::now() + KILLED_WITHIN;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(group) = &self.group {
                group.kill();
            }
            let members = self.find_all().map_err(failed)?;
            if members.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Error::Unkillable { processes: members.into_iter().map(|entry| entry.process).collect() });
            }
            let killed: Vec<OwnedFd> = members.iter().filter_map(kill).collect();
            if killed.is_empty() {
                // They are just ending, or must not be killed by this user.
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
                continue;
            }
            let ended = futures_of(killed).map_err(failed)?;
            // Whoever does not end is found again.
            let _ = tokio::time::timeout(ROUND, ended).await;
        }
        // It is dead, and nobody else may be waiting for it.
        self.end().map_err(failed)?;
        if let Some(group) = &self.group {
            group.remove().await;
        }
        Ok(())
    }

    /// The same process, known without its group.
    pub(super) fn without_group(mut self) -> Self {
        self.group = None;
        self
    }

    /// Waits for its end and leaves it unburied, so that its number stays its own.
    pub(super) async fn has_ended(&self) -> io::Result<()> {
        self.descriptor.readable().await.map(drop)
    }

    /// Kills its process group unless its end was asked for.
    pub(super) fn kill_group(&self) {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.end.get().is_none() {
            // Fails when nothing is left of it.
            let _ = rustix::process::kill_process_group(self.id, Signal::KILL);
        }
    }

    /// Kills its process group and waits for a moment until it can be buried. Does nothing when its end is known.
    pub(super) fn kill_and_bury(&self) {
        if self.end.get().is_some() {
            return;
        }
        self.kill_group();
        let mut entries = [PollFd::new(self.descriptor.get_ref(), PollFlags::IN)];
        // One that the kernel cannot end now is buried by the reaper.
        let _ = poll(&mut entries, Some(&BURIED_WITHIN));
        if !matches!(self.end(), Ok(Some(_))) {
            reaper::children().remove(&self.id.as_raw_nonzero().get());
        }
    }

    /// Everything of it that runs.
    fn find_all(&self) -> io::Result<Vec<table::Entry>> {
        if let Some(group) = self.group.as_ref().filter(|group| group.tracks()) {
            let mut processes: BTreeSet<u32> = group.processes().into_iter().collect();
            processes.extend(self.end()?.is_none().then(|| self.pid()));
            let entries = processes.into_iter().filter_map(table::entry);
            return Ok(entries.filter(|entry| !entry.is_dead).collect());
        }
        let table = ProcessTable::read()?;
        let family = self.family(&table);
        let is_new = |entry: &&table::Entry| !family.contains(entry);
        let is_marked = |entry: &&table::Entry| self.mark.as_ref().is_some_and(|mark| mark.is_on(entry.process));
        let hidden: Vec<table::Entry> = table.running().filter(is_new).filter(is_marked).copied().collect();
        Ok(family.into_iter().chain(hidden).collect())
    }

    /// Its session and its descendants; none when its number is another one's by now.
    fn family(&self, table: &ProcessTable) -> Vec<table::Entry> {
        let family = table.family(self.pid());
        let is_another = |entry: &table::Entry| entry.process == self.pid() && entry.start_time != self.start_time;
        if family.iter().any(is_another) { Vec::new() } else { family }
    }

    /// The numbers of its running processes: those of its control group, otherwise of its session and their descendants.
    #[must_use]
    pub fn members(&self, table: &ProcessTable) -> Vec<u32> {
        match self.group.as_ref().filter(|group| group.tracks()) {
            Some(group) => group.processes(),
            None => self.family(table).iter().map(|entry| entry.process).collect(),
        }
    }

    /// Whether a process belongs to it; none when that has ended, so that nobody knows.
    #[must_use]
    pub fn has_member(&self, process: u32) -> Option<bool> {
        let mut entry = table::entry(process).filter(|entry| !entry.is_dead)?;
        if let Some(group) = self.group.as_ref().filter(|group| group.tracks()) {
            return Some(group.processes().contains(&process));
        }
        for _ in 0..ANCESTORS {
            if [entry.process, entry.session, entry.process_group].contains(&self.pid()) {
                return Some(true);
            }
            match table::entry(entry.parent) {
                Some(parent) => entry = parent,
                None => break,
            }
        }
        Some(self.mark.as_ref().is_some_and(|mark| mark.is_on(process)))
    }

    /// Memory of all its processes in bytes. What they share counts for each of them.
    #[must_use]
    pub fn memory_bytes(&self, table: &ProcessTable) -> u64 {
        table.resident_bytes(&self.members(table))
    }
}

/// Kills exactly that process, and gives what becomes readable when it has ended.
fn kill(entry: &table::Entry) -> Option<OwnedFd> {
    let id = i32::try_from(entry.process).ok().and_then(Pid::from_raw)?;
    let descriptor = rustix::process::pidfd_open(id, PidfdFlags::empty()).ok()?;
    // The number may have gone to another process between the look and the grip.
    if table::entry(entry.process)?.start_time != entry.start_time {
        return None;
    }
    rustix::process::pidfd_send_signal(&descriptor, Signal::KILL).ok()?;
    Some(descriptor)
}

/// Waits until all of them are readable.
fn futures_of(descriptors: Vec<OwnedFd>) -> io::Result<impl Future<Output = io::Result<()>>> {
    let watched = descriptors.into_iter().map(watch).collect::<io::Result<Vec<_>>>()?;
    Ok(async move {
        for descriptor in watched {
            drop(descriptor.readable().await?);
        }
        Ok(())
    })
}

fn has_ended(descriptor: &OwnedFd) -> io::Result<bool> {
    let mut entries = [PollFd::new(descriptor, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut entries, Some(&Timespec::default())))? > 0)
}

/// The end that a status as of `wait(2)` tells.
const fn end_of_status(status: i32) -> ServiceEnd {
    match status & 0x7f {
        0 => ServiceEnd::Code((status >> 8) & 0xff),
        signal => ServiceEnd::Signal(signal),
    }
}

fn end_of(status: &WaitIdStatus) -> ServiceEnd {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ServiceEnd::Code(code),
        (None, Some(signal)) => ServiceEnd::Signal(signal),
        (None, None) => ServiceEnd::Unknown,
    }
}
