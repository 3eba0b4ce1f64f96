//! The launcher: finds out once what the machine can do, and starts programs.

use std::{io, path::Path, sync::Arc};

use rustix::process::{Resource, WaitIdOptions};

use crate::{
    Child, Command, DeviceSettings, Error, Isolation, Limits, Mechanism, Network, NetworkSpace, Profile,
    assemble::{Root, resolve},
    cgroup::{Cgroups, Group},
    child::Started,
    filter::Instruction,
    landlock::Rules,
    mailbox::{self, Mailbox},
    mechanism::{self, Trial},
    plan::{Invocation, Names, Plan, c_string},
    program::program,
    protect::Placeholder,
    seccomp::{self, Sockets},
    start::{Refusal, above_standard, start, start_plain, start_waiting},
    step::{Failure, Step},
    sys,
    system::System,
    warm::{Made, Warm},
};

/// The user inside, mapped to the caller.
const USER_INSIDE: u32 = 1000;
/// Room for the root's own files, which are few and small.
const ROOT_BYTES: u64 = 4 << 20;
/// A program cannot start with fewer open files.
const FEWEST_OPEN_FILES: u64 = 16;

/// Whether Landlock is used as the second layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LandlockUse {
    /// Where the kernel has it.
    IfPresent,
    /// Never: the first layer alone, for tests.
    Off,
}

/// Starts programs in sandboxes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Launcher {
    machine: Arc<Machine>,
}

/// What was found out about this machine.
#[derive(Debug)]
struct Machine {
    system: System,
    landlock: Option<u32>,
    landlock_wanted: LandlockUse,
    cgroups: Cgroups,
    offline: Arc<[Instruction]>,
    online: Arc<[Instruction]>,
    trial: Trial,
}

impl Launcher {
    /// Finds out what this machine can enforce, by starting a program. Takes some milliseconds: keep the result.
    #[must_use]
    pub fn detect(landlock: LandlockUse) -> Self {
        let version = match landlock {
            LandlockUse::IfPresent => sys::landlock_version().ok().filter(|version| *version > 0),
            LandlockUse::Off => None,
        };
        let mut machine = Machine {
            system: System::detect(),
            landlock: version,
            landlock_wanted: landlock,
            cgroups: Cgroups::detect(),
            offline: seccomp::filter(Sockets::Pairs).into(),
            online: seccomp::filter(Sockets::Internet).into(),
            trial: Trial::Passed,
        };
        machine.trial = machine.try_out();
        Self { machine: Arc::new(machine) }
    }

    /// What this machine can enforce.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let machine = &self.machine;
        let device = NetworkSpace::try_out();
        mechanism::report(&machine.trial, &machine.cgroups, machine.landlock, machine.landlock_wanted, &device)
    }

    /// Makes a network with a device, which the sandboxes of one persona share by [`Network::Space`]. Blocks for about a
    /// millisecond.
    ///
    /// # Errors
    /// When the settings are wrong, or the machine has no such devices: `/dev/net/tun` is missing or closed to this
    /// user.
    pub fn network(&self, settings: &DeviceSettings) -> Result<NetworkSpace, Error> {
        NetworkSpace::make(settings)
    }

    /// Starts a program. Must be called on a Tokio runtime with I/O enabled; blocks for some milliseconds, longer when
    /// the workspace is large, because hidden paths are looked for.
    ///
    /// # Errors
    /// When something in the profile cannot be enforced here, names something that does not exist, or when the program
    /// cannot be executed.
    pub fn spawn(&self, profile: &Profile, command: &Command) -> Result<Child, Error> {
        on_runtime()?;
        let workspace = resolve(Path::new("/"), &profile.workspace)?;
        let directory = resolve(&workspace, &command.directory)?;
        let started = match profile.isolation {
            Isolation::None => start_plain(command, &directory)?,
            Isolation::Process => self.machine.start(profile, &workspace, command, &directory)?,
        };
        Child::new(started)
    }

    /// Starts a sandbox that waits for its command.
    pub(crate) fn warm(&self, profile: &Profile) -> Result<Warm, Error> {
        let workspace = resolve(Path::new("/"), &profile.workspace)?;
        self.machine.warm(profile, &workspace)
    }

    /// Gives a waiting sandbox its command. None if it is not what would be started now, or is gone: then it is ended.
    pub(crate) fn hand_out(&self, warm: Warm, profile: &Profile, command: &Command) -> Result<Option<Child>, Error> {
        on_runtime()?;
        let workspace = resolve(Path::new("/"), &profile.workspace)?;
        let directory = resolve(&workspace, &command.directory)?;
        let root = Root::assemble(profile, &workspace, &self.machine.system, self.machine.rules(&profile.network))?;
        let message = mailbox::encode(&program(command, &directory)?);
        let Some(message) = message.filter(|_| warm.is_current(root)) else { return Ok(None) };
        let Warm { waiting, device, .. } = warm;
        match waiting.command(&message) {
            None => Ok(None),
            Some(Err(refusal)) => Err(explain(refusal, &Names::default(), command, &directory)),
            Some(Ok(mut started)) => {
                started.device = device;
                Child::new(started).map(Some)
            }
        }
    }
}

fn on_runtime() -> Result<(), Error> {
    let no_runtime = |error: tokio::runtime::TryCurrentError| Error::Process {
        doing: "start a program outside of a Tokio runtime",
        source: io::Error::other(error),
    };
    tokio::runtime::Handle::try_current().map(drop).map_err(no_runtime)
}

/// All that is made for one start before the clone.
struct Prepared {
    plan: Plan,
    group: Group,
    placeholders: Vec<Arc<Placeholder>>,
    /// The network that nobody else has.
    own: Option<NetworkSpace>,
}

impl Machine {
    fn start(
        &self,
        profile: &Profile,
        workspace: &Path,
        command: &Command,
        directory: &Path,
    ) -> Result<Started, Error> {
        let invocation = Invocation::Given(program(command, directory)?);
        let root = self.assemble(profile, workspace)?;
        let Prepared { mut plan, group, placeholders, own } = self.prepare(profile, root, invocation)?;
        let mut started = start(&mut plan, group, placeholders)
            .map_err(|refusal| explain(refusal, &plan.names(), command, directory))?;
        started.device = own.and_then(|network| network.take_device());
        Ok(started)
    }

    fn warm(&self, profile: &Profile, workspace: &Path) -> Result<Warm, Error> {
        let (mail, end) = std::os::unix::net::UnixStream::pair()
            .map_err(|source| Error::Process { doing: "make a pair of sockets", source })?;
        let end = above_standard(end.into()).map_err(|source| Error::Process { doing: "copy a socket", source })?;
        let root = self.assemble(profile, workspace)?;
        let stamps = Made::stamps(&root);
        let invocation = Invocation::Awaited(Mailbox::new(end));
        let Prepared { mut plan, group, placeholders, own } = self.prepare(profile, root, invocation)?;
        let waiting = start_waiting(&mut plan, group, placeholders, mail.into())
            .map_err(|refusal| explain(refusal, &plan.names(), &Command::new(""), workspace))?;
        Ok(Warm::new(waiting, own.and_then(|network| network.take_device()), plan, stamps))
    }

    fn assemble(&self, profile: &Profile, workspace: &Path) -> Result<Root, Error> {
        Root::assemble(profile, workspace, &self.system, self.rules(&profile.network))
    }

    fn prepare(&self, profile: &Profile, mut root: Root, invocation: Invocation) -> Result<Prepared, Error> {
        let own = match &profile.network {
            Network::Broker(settings) => Some(NetworkSpace::make(settings)?),
            _ => None,
        };
        let network = own.clone().map_or_else(|| profile.network.clone(), Network::Space);
        let placeholders = std::mem::take(&mut root.placeholders);
        let plan = self.plan(root, &network, &profile.limits, invocation)?;
        let group = self.cgroups.create(&profile.limits).map_err(|source| Error::Mechanism {
            mechanism: crate::step::CGROUPS,
            doing: "making the cgroup of the sandbox".into(),
            source,
        })?;
        Ok(Prepared { plan, group, placeholders, own })
    }

    fn rules(&self, network: &Network) -> Option<Rules> {
        self.landlock.map(|version| Rules::new(version, network))
    }

    /// Starts a program in a sandbox without workspace.
    fn try_out(&self) -> Trial {
        let limits = Limits::default();
        let command = Command::new("true");
        let tried = Root::system_only(&Network::None, limits.tmp_bytes, &self.system, self.rules(&Network::None))
            .and_then(|root| {
                let invocation = Invocation::Given(program(&command, Path::new("/"))?);
                self.plan(root, &Network::None, &limits, invocation)
            });
        let (mut plan, group) = match (tried, self.cgroups.create(&limits)) {
            (Ok(plan), Ok(group)) => (plan, group),
            (Err(error), _) => return Trial::failed(None, error.to_string()),
            (_, Err(error)) => return Trial::failed(Some(Step::JoinCgroup), error.to_string()),
        };
        match start(&mut plan, group, Vec::new()) {
            Ok(mut started) => match started.reap(WaitIdOptions::empty()) {
                Ok(_) => Trial::Passed,
                Err(error) => Trial::failed(None, error.to_string()),
            },
            // A system without this program can still confine others.
            Err(Refusal::Inside(Failure { step: Step::Execute, .. })) => Trial::Passed,
            Err(Refusal::Inside(failure)) => Trial::failed(
                Some(failure.step),
                explain(Refusal::Inside(failure), &plan.names(), &command, Path::new("/")).to_string(),
            ),
            Err(refusal) => Trial::failed(
                Some(Step::MapUser),
                explain(refusal, &plan.names(), &command, Path::new("/")).to_string(),
            ),
        }
    }

    fn plan(&self, root: Root, network: &Network, limits: &Limits, invocation: Invocation) -> Result<Plan, Error> {
        let filter = if network.has_sockets() { &self.online } else { &self.offline };
        Ok(Plan {
            namespaces: namespaces(network),
            network: match network {
                Network::Space(space) => Some(space.clone()),
                _ => None,
            },
            root_size: c_string((ROOT_BYTES + 2 * root.own_bytes).to_string(), "a size")?,
            user_map: format!("{USER_INSIDE} {} 1", rustix::process::geteuid().as_raw()).into_bytes(),
            group_map: format!("{USER_INSIDE} {} 1", rustix::process::getegid().as_raw()).into_bytes(),
            cgroups: Vec::new(),
            trees: root.sources.iter().map(|_| None).collect(),
            sources: root.sources,
            operations: root.operations,
            limits: resource_limits(limits, &self.cgroups),
            landlock: root.landlock,
            filter: filter.clone(),
            invocation,
            kept_by_init: Vec::new(),
        })
    }
}

fn namespaces(network: &Network) -> u64 {
    let always = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let network = match network {
        Network::None => libc::CLONE_NEWNET,
        // That of a device exists already.
        Network::Host | Network::Broker(_) | Network::Space(_) => 0,
    };
    (always | network) as u64
}

/// Limits of single processes; those of the tree too where there is no cgroup.
fn resource_limits(limits: &Limits, cgroups: &Cgroups) -> Vec<(Resource, u64)> {
    let mut wanted = vec![(Resource::Core, 0), (Resource::Nofile, limits.open_files.max(FEWEST_OPEN_FILES))];
    wanted.extend(limits.file_bytes.map(|bytes| (Resource::Fsize, bytes)));
    wanted.extend(limits.cpu_seconds.map(|seconds| (Resource::Cpu, seconds)));
    if let Cgroups::Unusable(_) = cgroups {
        wanted.push((Resource::Data, limits.memory_bytes));
        // Counted per user namespace, so for this sandbox alone.
        wanted.push((Resource::Nproc, limits.pids.into()));
    }
    // What the caller may not exceed it cannot grant.
    let possible = |resource| rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    wanted.into_iter().map(|(resource, limit)| (resource, limit.min(possible(resource)))).collect()
}

/// The error of a refused start.
fn explain(refusal: Refusal, names: &Names<'_>, command: &Command, directory: &Path) -> Error {
    let failure = match refusal {
        Refusal::Launch { mechanism, doing, source } => {
            return Error::Mechanism { mechanism, doing: doing.into(), source };
        }
        Refusal::Inside(failure) => failure,
    };
    let source = io::Error::from(failure.errno);
    let index = failure.index as usize;
    let path = match failure.step {
        Step::Execute => {
            return Error::Program { program: command.program.to_string_lossy().into_owned(), source };
        }
        Step::Directory => {
            let problem = format!("cannot be the current directory in the sandbox: {source}");
            return Error::Path { path: directory.to_path_buf(), problem };
        }
        Step::OpenSource | Step::CloneSource => names.sources.get(index).map(|source| &source.path),
        Step::Assemble => names.operations.get(index).map(crate::plan::Operation::path),
        Step::Landlock => names.rules.get(index).map(|rule| &rule.path),
        _ => None,
    };
    let path = path.map(|path| format!(" {}", path.to_string_lossy())).unwrap_or_default();
    Error::Mechanism { mechanism: failure.step.mechanism(), doing: format!("{}{path}", failure.step.doing()), source }
}
