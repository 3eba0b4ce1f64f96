//! The launcher: finds out once what the machine can do, and starts programs.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::{Resource, WaitIdOptions};

use crate::{
    Child, Command, DeviceSettings, Error, Isolation, Limits, Mechanism, Network, NetworkSpace, Profile,
    assemble::{Root, resolve},
    cgroup::Cgroups,
    child::Started,
    landlock::Rules,
    mechanism::{self, Trial},
    plan::{Plan, Strings, c_string},
    seccomp::{self, Sockets},
    start::{Refusal, start, start_plain},
    step::{Failure, SECCOMP, Step},
    sys,
    system::System,
};

/// The user inside, mapped to the caller.
const USER_INSIDE: u32 = 1000;
/// Where programs are looked up when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// What a confined program finds in its environment unless the command says otherwise.
const DEFAULT_ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/tmp/home"), ("PATH", DEFAULT_PATH), ("TMPDIR", "/tmp")];
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
    offline: Result<Arc<[seccomp::Program]>, String>,
    online: Result<Arc<[seccomp::Program]>, String>,
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
        let filters = |sockets| seccomp::filters(sockets).map(Arc::from).map_err(|error| error.to_string());
        let mut machine = Machine {
            system: System::detect(),
            landlock: version,
            landlock_wanted: landlock,
            cgroups: Cgroups::detect(),
            offline: filters(Sockets::Pairs),
            online: filters(Sockets::Internet),
            trial: Trial::Passed,
        };
        machine.trial = machine.try_out();
        Self { machine: Arc::new(machine) }
    }

    /// What this machine can enforce.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let machine = &self.machine;
        mechanism::report(&machine.trial, &machine.cgroups, machine.landlock, machine.landlock_wanted)
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
        let no_runtime = |error: tokio::runtime::TryCurrentError| Error::Process {
            doing: "start a program outside of a Tokio runtime",
            source: io::Error::other(error),
        };
        tokio::runtime::Handle::try_current().map_err(no_runtime)?;
        let workspace = resolve(Path::new("/"), &profile.workspace)?;
        let directory = resolve(&workspace, &command.directory)?;
        let started = match profile.isolation {
            Isolation::None => start_plain(command, &directory)?,
            Isolation::Process => self.machine.start(profile, &workspace, command, &directory)?,
        };
        Child::new(started)
    }
}

impl Machine {
    fn start(
        &self,
        profile: &Profile,
        workspace: &Path,
        command: &Command,
        directory: &Path,
    ) -> Result<Started, Error> {
        let network = match &profile.network {
            Network::Broker(settings) => Network::Space(NetworkSpace::make(settings)?),
            other => other.clone(),
        };
        let mut root = Root::assemble(profile, workspace, &self.system, self.rules(&network))?;
        let placeholders = std::mem::take(&mut root.placeholders);
        let mut plan = self.plan(root, &network, &profile.limits, command, directory)?;
        let group = self.cgroups.create(&profile.limits).map_err(|source| Error::Mechanism {
            mechanism: crate::step::CGROUPS,
            doing: "making the cgroup of the sandbox".into(),
            source,
        })?;
        let mut started = start(&mut plan, group, placeholders).map_err(|refusal| explain(refusal, &plan, command))?;
        if let (Network::Broker(_), Network::Space(own)) = (&profile.network, &network) {
            started.device = own.take_device();
        }
        Ok(started)
    }

    fn rules(&self, network: &Network) -> Option<Rules> {
        self.landlock.map(|version| Rules::new(version, network))
    }

    /// Starts a program in a sandbox without workspace.
    fn try_out(&self) -> Trial {
        let limits = Limits::default();
        let command = Command::new("true");
        let tried = Root::system_only(&Network::None, limits.tmp_bytes, &self.system, self.rules(&Network::None))
            .and_then(|root| self.plan(root, &Network::None, &limits, &command, Path::new("/")));
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
            Err(Refusal::Inside(failure)) => {
                Trial::failed(Some(failure.step), explain(Refusal::Inside(failure), &plan, &command).to_string())
            }
            Err(refusal) => Trial::failed(Some(Step::MapUser), explain(refusal, &plan, &command).to_string()),
        }
    }

    fn plan(
        &self,
        root: Root,
        network: &Network,
        limits: &Limits,
        command: &Command,
        directory: &Path,
    ) -> Result<Plan, Error> {
        let filters = if network.has_sockets() { &self.online } else { &self.offline };
        let filters = filters.as_ref().map_err(|problem| Error::Mechanism {
            mechanism: SECCOMP,
            doing: "compiling the system call filter".into(),
            source: io::Error::other(problem.clone()),
        })?;
        let mut environment = command.env.clone();
        for (name, value) in DEFAULT_ENVIRONMENT {
            environment.entry(name.into()).or_insert_with(|| value.into());
        }
        let path = environment.get(&OsString::from("PATH")).cloned().unwrap_or_default();
        let variables = environment.into_iter().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            c_string(name, "the environment")
        });
        let arguments =
            std::iter::once(&command.program).chain(&command.args).map(|text| c_string(text, "an argument"));
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
            filters: filters.clone(),
            directory: c_string(directory, "the directory")?,
            programs: candidates(&command.program, &path)?,
            arguments: Strings::new(arguments.collect::<Result<_, _>>()?),
            environment: Strings::new(variables.collect::<Result<_, _>>()?),
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

/// The files that a program name may mean.
fn candidates(program: &OsString, path: &OsString) -> Result<Vec<std::ffi::CString>, Error> {
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(program, "the program")?]);
    }
    let directories = path.as_bytes().split(|byte| *byte == b':').filter(|directory| directory.starts_with(b"/"));
    let files = directories.map(|directory| PathBuf::from(OsString::from_vec(directory.to_vec())).join(program));
    files.map(|file| c_string(file, "the program")).collect()
}

/// The error of a refused start.
fn explain(refusal: Refusal, plan: &Plan, command: &Command) -> Error {
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
        Step::OpenSource | Step::CloneSource => plan.sources.get(index).map(|source| &source.path),
        Step::Assemble => plan.operations.get(index).map(crate::plan::Operation::path),
        Step::Landlock => plan.landlock.as_ref().and_then(|rules| rules.rules.get(index)).map(|rule| &rule.path),
        Step::Directory => {
            let path = PathBuf::from(OsString::from_vec(plan.directory.as_bytes().to_vec()));
            return Error::Path { path, problem: format!("cannot be the current directory in the sandbox: {source}") };
        }
        _ => None,
    };
    let path = path.map(|path| format!(" {}", path.to_string_lossy())).unwrap_or_default();
    Error::Mechanism { mechanism: failure.step.mechanism(), doing: format!("{}{path}", failure.step.doing()), source }
}
