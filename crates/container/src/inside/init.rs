//! The first process of a container: it reports what it finds, starts supervisors, and ends what they leave.
//!
//! A supervisor adopts what descends from its program. When a program kills its own supervisor, its descendants become
//! children of this process, which nobody inside can kill: every child that is not a supervisor is such a stray and is
//! ended.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt as _, net::UnixStream},
    },
    process::{Child, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::StatVfsMountFlags,
    process::{Pid, Signal, WaitOptions},
};

use super::{become_private, filter, processes};
use crate::{
    Error, inside,
    protocol::{self, Answer, Report, Welcome},
};

pub(super) fn run() -> Result<(), Error> {
    let own = own_command()?;
    become_private()?;
    let control = UnixStream::connect(inside::CONTROL).map_err(Error::system("reach the container's owner"))?;
    let failed = Error::system("talk to the container's owner");
    let (welcome, _) = protocol::receive::<Welcome>(&control).map_err(&failed)?;
    let report = report(&welcome)?;
    filter::apply(welcome.local_sockets)?;
    protocol::send(&control, &report).map_err(&failed)?;
    let mut supervisors: Vec<Supervisor> = Vec::new();
    loop {
        match wait_for_event(&control, &supervisors)? {
            Event::Ended(index) => {
                supervisors.swap_remove(index).reap();
                end_strays(&supervisors);
            }
            Event::Program => match protocol::receive_program(&control).map_err(&failed)? {
                Some(socket) => supervisors.extend(Supervisor::start(&own, socket)),
                None => return Ok(()),
            },
        }
    }
}

/// How this process was started, loader included: supervisors are started in the same way.
fn own_command() -> Result<Vec<OsString>, Error> {
    let text = fs_err::read("/proc/self/cmdline").map_err(Error::system("read the own command line"))?;
    let mut words: Vec<OsString> = text.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.into())).collect();
    // Each word ends with a zero byte.
    words.pop();
    Ok(words)
}

fn report(welcome: &Welcome) -> Result<Report, Error> {
    let status = fs_err::read_to_string("/proc/self/status").map_err(Error::system("read the own state"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let capabilities = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].into_iter();
    let set = |name| field(name).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(u64::MAX);
    let root = rustix::fs::statvfs("/").map_err(|errno| Error::system("look at the root")(errno.into()))?;
    Ok(Report {
        capabilities: capabilities.map(set).fold(0, |all, one| all | one),
        no_new_privileges: field("NoNewPrivs") == Some("1"),
        filtered: field("Seccomp") == Some("2"),
        root_read_only: root.f_flag.contains(StatVfsMountFlags::RDONLY),
        routes: routes(),
        unmet: welcome.expectations.iter().filter_map(crate::expectation::Expectation::unmet).collect(),
    })
}

/// Interfaces with routes: the first word of each line but the heading, and for the newer protocol the last word.
fn routes() -> BTreeSet<String> {
    let read = |file| fs_err::read_to_string(file).unwrap_or_default();
    let (older, newer) = (read("/proc/net/route"), read("/proc/net/ipv6_route"));
    let older = older.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().next());
    let newer = newer.lines().filter_map(|line| line.split_ascii_whitespace().next_back());
    older.chain(newer).filter(|name| *name != "lo").map(str::to_owned).collect()
}

enum Event {
    Program,
    Ended(usize),
}

fn wait_for_event(control: &UnixStream, supervisors: &[Supervisor]) -> Result<Event, Error> {
    loop {
        let ends = supervisors.iter().map(|supervisor| PollFd::new(&supervisor.alive, PollFlags::IN));
        let mut sources: Vec<_> = ends.chain([PollFd::new(control, PollFlags::IN)]).collect();
        match rustix::event::poll(&mut sources, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result.map_err(|errno| Error::system("wait for programs")(errno.into()))?,
        };
        match sources.iter().position(|source| !source.revents().is_empty()) {
            Some(index) if index < supervisors.len() => return Ok(Event::Ended(index)),
            Some(_) => return Ok(Event::Program),
            None => {}
        }
    }
}

struct Supervisor {
    process: Child,
    /// Reads its end when the supervisor is gone, which holds the only other end.
    alive: OwnedFd,
}

impl Supervisor {
    /// Starts one on the socket of a program. A failure is told there.
    fn start(own: &[OsString], socket: OwnedFd) -> Option<Self> {
        let told = socket.try_clone().map(UnixStream::from);
        match Self::try_start(own, socket) {
            Ok(supervisor) => Some(supervisor),
            Err(error) => {
                if let Ok(told) = told {
                    let reason = format!("no process of Masque can be started for it: {error}");
                    // Whoever asked may be gone.
                    let _ = protocol::send(&told, &Answer::Failed(reason));
                }
                None
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the inside of a container has no sandbox to start programs in")]
    fn try_start(own: &[OsString], socket: OwnedFd) -> std::io::Result<Self> {
        let (program, args) = own.split_first().ok_or(std::io::ErrorKind::NotFound)?;
        let (alive, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let mut command = Command::new(program);
        command.args(args).env_clear().stdin(socket).stdout(held).stderr(Stdio::null());
        Ok(Self { process: command.spawn()?, alive })
    }

    fn reap(mut self) {
        // Its pipe is closed, so it has ended or is about to.
        let _ = self.process.wait();
    }
}

fn end_strays(supervisors: &[Supervisor]) {
    let known = |process: &Pid| supervisors.iter().any(|known| Pid::from_child(&known.process) == *process);
    loop {
        let strays: Vec<_> = processes::children().into_iter().filter(|process| !known(process)).collect();
        if strays.is_empty() {
            return;
        }
        for stray in strays {
            let _ = rustix::process::kill_process(stray, Signal::KILL);
            let _ = rustix::process::waitpid(Some(stray), WaitOptions::empty());
        }
    }
}
