//! [`ServiceCommand`]: a program and all of its surroundings, ready to be started.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::{
    Account, Mark, ServiceGroup, ServiceProcess,
    clone::{Memory, Shared},
    inside::{self, Report, Step},
    prepare::{self, Prepared},
    reaper,
};
use crate::{
    Error,
    sys::{self, SignalSet},
};

/// Where what a program prints goes, standard output and standard error alike.
#[derive(Debug)]
pub enum Output {
    /// Nowhere.
    Null,
    /// To a file, which is made where it is missing and appended to, or to a named pipe, which the program opens for
    /// reading too: it never breaks, whoever reads it comes and goes.
    Path(PathBuf),
    /// To this descriptor.
    Descriptor(OwnedFd),
}

/// A program that runs without confinement, and exactly what it gets.
#[derive(Debug)]
pub struct ServiceCommand {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of `environment`.
    pub words: Vec<OsString>,
    /// Where it starts.
    pub directory: PathBuf,
    /// Its whole environment, but for `mark`.
    pub environment: BTreeMap<OsString, OsString>,
    /// As whom; as the caller when absent.
    pub account: Option<Account>,
    /// Mask of new files' permissions.
    pub umask: u32,
    /// How many files it may have open, as soft and as hard limit; those of the caller when absent,
    /// before it [raised](super::raise_open_files) them.
    pub open_files: Option<u64>,
    /// Where what it prints goes. Its standard input is empty.
    pub output: Output,
    /// Further descriptors, with their number in the program, from 3 on. It inherits no others.
    pub descriptors: Vec<(OwnedFd, u32)>,
    /// The control group that it is born into.
    pub group: Option<Arc<ServiceGroup>>,
    /// A variable by which everything that it starts is found, wherever it hides.
    pub mark: Option<Mark>,
}

impl ServiceCommand {
    /// A program with an empty environment, as the caller's user, whose output goes nowhere.
    pub fn new(words: impl IntoIterator<Item = impl Into<OsString>>, directory: impl Into<PathBuf>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            directory: directory.into(),
            environment: BTreeMap::new(),
            account: None,
            umask: 0o022,
            open_files: None,
            output: Output::Null,
            descriptors: Vec::new(),
            group: None,
            mark: None,
        }
    }

    /// Starts it, in a session of its own. Returns when it is being executed, after less than a millisecond. It
    /// outlives the caller, and the returned value. Must be called within a runtime.
    ///
    /// # Errors
    /// When it cannot be started exactly so; then nothing runs. The error names what is missing.
    pub fn start(&self) -> Result<ServiceProcess, Error> {
        let prepared = prepare::prepare(self)?;
        let failed = |doing, source: rustix::io::Errno| self.failed(doing, source);
        let report = Shared::new(Report::default()).map_err(|errno| failed("giving it memory", errno))?;
        // The one who buries orphans must not see it before it is known as ours.
        let mut children = reaper::children();
        let (id, process) = self.clone(&prepared, &report).map_err(|errno| failed("making a process", errno))?;
        let report = report.get();
        if report.step != Step::Executed {
            // It is ours, and it ended.
            let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
            return Err(self.refused(report));
        }
        children.insert(id);
        drop(children);
        let started = ServiceProcess::started(id, process, self.mark.clone(), self.group.clone());
        if started.is_err() {
            self.abandon(id);
        }
        started
    }

    /// Ends and buries what was started and cannot be watched. It is ours, so its number is its own until then.
    fn abandon(&self, id: i32) {
        if let Some(group) = &self.group {
            group.kill();
        }
        if let Some(process) = Pid::from_raw(id) {
            // Where it ended already, there is nothing to kill, and to bury all the same.
            let _ = rustix::process::kill_process_group(process, Signal::KILL);
            let _ = waitid(WaitId::Pid(process), WaitIdOptions::EXITED);
        }
        reaper::children().remove(&id);
    }

    fn clone(&self, prepared: &Prepared, report: &Shared<Report>) -> rustix::io::Result<(i32, OwnedFd)> {
        let memory = if prepared.identity.is_some() { Memory::Copied } else { Memory::Shared };
        let cgroup = self.group.as_ref().and_then(|group| group.directory());
        // No handler of this process may run in the new one.
        let before = sys::set_blocked_signals(SignalSet::All);
        let result = inside::launch(prepared, report, memory, cgroup);
        sys::set_blocked_signals(SignalSet::These(before));
        result
    }

    fn program(&self) -> String {
        self.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn failed(&self, doing: &'static str, source: rustix::io::Errno) -> Error {
        Error::Surroundings { program: self.program(), doing, source: source.into() }
    }

    /// What a process that could not become the program reported.
    fn refused(&self, report: Report) -> Error {
        let errno = rustix::io::Errno::from_raw_os_error(report.errno);
        match report.step {
            Step::Directory => Error::Directory { directory: self.directory.clone(), source: errno.into() },
            Step::Execute if errno == rustix::io::Errno::NOENT => self.not_found(),
            Step::Execute => Error::NotExecutable { program: self.program(), source: errno.into() },
            step => self.failed(step.doing(), errno),
        }
    }

    fn not_found(&self) -> Error {
        let program = self.program();
        let path = self.environment.get(std::ffi::OsStr::new("PATH"));
        let searched = match path {
            _ if program.contains('/') => {
                "that place; of a script, the program of its first line may be missing".into()
            }
            Some(path) => format!("PATH, {}", path.to_string_lossy()),
            None => "PATH, which is not set".to_owned(),
        };
        Error::NotFound { program, searched }
    }
}
