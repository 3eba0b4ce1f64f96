//! [`Surroundings`]: what the program of one start, and the commands that check it, get.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use masque_fleet::model::{Host, Limits, Service};
use masque_sandbox::service::{
    Account, GroupLimits, Mark, Output, ServiceCommand, ServiceGroup, ServiceGroups, ServiceProcess,
};

use super::{Instance, environment::environment};
use crate::{Error, logs::Capture};

/// The variable that tells the processes of one check.
const CHECK_VARIABLE: &str = "MASQUE_CHECK";
/// Mask of new files' permissions when nobody says.
const UMASK: u32 = 0o022;

/// What one start gets.
#[derive(Debug)]
pub struct Surroundings {
    words: Vec<OsString>,
    directory: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    account: Option<Account>,
    umask: u32,
    open_files: Option<u64>,
    group: Arc<ServiceGroup>,
    instance: Instance,
    unenforced: Vec<String>,
    checks: AtomicU64,
}

/// What a start gets besides: from the ways in which it can say that it is ready.
#[derive(Debug, Default)]
pub struct Additions {
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Descriptors, with their numbers in the program.
    pub descriptors: Vec<(OwnedFd, u32)>,
}

impl Surroundings {
    /// Those of a start: `dependencies` are the variables that tell of the service's dependencies, `own` is the
    /// environment of the supervisor.
    ///
    /// # Errors
    /// When limits cannot be enforced and must be.
    pub fn of(
        service: &Service,
        host: &Host,
        instance: &Instance,
        dependencies: &BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
        groups: &ServiceGroups,
    ) -> Result<Self, Error> {
        let (group, unenforced) = limited(&service.limits, instance, groups)?;
        let surroundings = Self::within(group, service, host, instance, dependencies, own);
        Ok(Self { unenforced, ..surroundings })
    }

    /// Those of a program that runs already. Its limits are left as they are: one that cannot be enforced any more, or is
    /// new, is no reason to end it.
    #[must_use]
    pub fn of_running(
        service: &Service,
        host: &Host,
        instance: &Instance,
        dependencies: &BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
        groups: &ServiceGroups,
    ) -> Self {
        let group = groups.open(instance.cookie()).unwrap_or_default();
        Self::within(group, service, host, instance, dependencies, own)
    }

    fn within(
        group: ServiceGroup,
        service: &Service,
        host: &Host,
        instance: &Instance,
        dependencies: &BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
    ) -> Self {
        let program = &service.program;
        let environment = environment(service, host, instance, dependencies, own);
        let account = program.account.as_ref();
        Self {
            words: program.command.words().into_iter().map(OsString::from).collect(),
            directory: program.directory.clone(),
            environment: environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            account: account.map(|account| Account { user: account.user.clone(), group: account.group.clone() }),
            umask: program.umask.unwrap_or(UMASK),
            open_files: service.limits.open_files,
            group: Arc::new(group),
            instance: instance.clone(),
            unenforced: Vec::new(),
            checks: AtomicU64::new(0),
        }
    }

    /// The limits that this machine does not enforce, each as a sentence.
    #[must_use]
    pub fn unenforced(&self) -> &[String] {
        &self.unenforced
    }

    /// Where relative paths of the service begin.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts the service's program; what it prints goes to `capture`. Blocks for a millisecond. Must be called within
    /// a runtime.
    ///
    /// # Errors
    /// When it cannot be started; the error names what is missing.
    pub fn start(&self, additions: Additions, capture: &Capture) -> Result<ServiceProcess, Error> {
        let mut command = self.command(self.words.clone(), self.instance.mark());
        let added = additions.environment.into_iter().map(|(name, value)| (name.into(), value.into()));
        command.environment.extend(added);
        command.descriptors = additions.descriptors;
        command.output = Output::Descriptor(capture.output()?);
        Ok(command.start()?)
    }

    /// A command that checks the service: in its directory, as its user, in its group, with its environment.
    #[must_use]
    pub fn check(&self, words: Vec<String>) -> ServiceCommand {
        let number = self.checks.fetch_add(1, Ordering::Relaxed);
        let value = format!("{}/{number}", self.instance.cookie());
        let mark = Mark { name: CHECK_VARIABLE.into(), value: value.into() };
        self.command(words.into_iter().map(OsString::from).collect(), mark)
    }

    fn command(&self, words: Vec<OsString>, mark: Mark) -> ServiceCommand {
        let mut command = ServiceCommand::new(words, &self.directory);
        command.environment.clone_from(&self.environment);
        command.account.clone_from(&self.account);
        command.umask = self.umask;
        command.open_files = self.open_files;
        command.group = Some(Arc::clone(&self.group));
        command.mark = Some(mark);
        command
    }
}

/// The control group of a start, and the limits that it does not enforce.
fn limited(limits: &Limits, instance: &Instance, groups: &ServiceGroups) -> Result<(ServiceGroup, Vec<String>), Error> {
    let wanted =
        GroupLimits { memory_bytes: limits.memory_bytes, milli_cpus: limits.milli_cpus, processes: limits.processes };
    let (group, unenforced) = match groups.create(instance.cookie(), &wanted) {
        Ok((group, unenforced)) => (group, unenforced.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Err(error) if limits.enforce => return Err(error.into()),
        Err(error) => (ServiceGroup::default(), vec![format!("its limits are not enforced: {error}")]),
    };
    if limits.enforce && !unenforced.is_empty() {
        return Err(Error::Refused(format!("its limits must be enforced, but {}", unenforced.join("; "))));
    }
    Ok((group, unenforced))
}
