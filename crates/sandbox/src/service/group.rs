//! Control groups of services: limits, and the list of all that a service started. On version 2, on version 1, or both
//! beside each other, found by trying.
//!
//! A group has the name that its owner gives it, so that a later supervisor finds it again. It is removed once it is
//! empty. Version 2 serves even without controllers: what is born into a group stays in it and is killed at once.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use super::clone::{Memory, clone_suspended};
use crate::{
    Error,
    cgroup::{open_tasks, own_directory, set, set_if_present},
    sys::{self, SignalSet},
};

/// Microseconds in which a quota of processor time is counted.
const PERIOD: u64 = 100_000;
/// Smallest quota that the kernel takes, in microseconds.
const SMALLEST_QUOTA: u64 = 1_000;
/// How often removing a group is tried, a millisecond apart: its last process may still be on its way out.
const REMOVE_TRIES: u32 = 200;

/// What all processes of a service may use together. Absent: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a processor.
    pub milli_cpus: Option<u32>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

/// A limit that this machine cannot enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unenforced {
    /// What was to be limited.
    pub limit: &'static str,
    /// Why it is not.
    pub why: String,
}

impl std::fmt::Display for Unenforced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not limited: {}", self.limit, self.why)
    }
}

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Cpu,
    Processes,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Processes];

    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Processes => "pids",
        }
    }

    const fn limit(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "processor time",
            Self::Processes => "the number of processes",
        }
    }

    /// Whether limits ask for it.
    fn is_wanted(self, limits: &GroupLimits) -> bool {
        match self {
            Self::Memory => limits.memory_bytes.is_some(),
            Self::Cpu => limits.milli_cpus.is_some(),
            Self::Processes => limits.processes.is_some(),
        }
    }
}

/// The control groups that this process can make.
#[derive(Debug, Clone, Default)]
pub struct ServiceGroups {
    /// Version 2: where groups are made, and what can be limited there.
    unified: Option<(PathBuf, Vec<Controller>)>,
    /// Version 1: where groups are made for what.
    separate: Vec<(Controller, PathBuf)>,
}

impl ServiceGroups {
    /// Finds the control groups of this process and tries them. Takes a few milliseconds.
    #[must_use]
    pub fn detect() -> Self {
        let (Ok(own), Ok(mounts)) =
            (fs_err::read_to_string("/proc/self/cgroup"), fs_err::read_to_string("/proc/self/mountinfo"))
        else {
            return Self::default();
        };
        let directory = |controller| own_directory(&own, &mounts, controller);
        let separate = Controller::ALL.into_iter().filter_map(|controller| {
            let directory = directory(Some(controller.name()))?;
            let tried = try_in(&directory, |group| open_tasks(group).map(drop));
            tried.is_ok().then_some((controller, directory))
        });
        Self { separate: separate.collect(), unified: directory(None).and_then(|own| find_unified(&own)) }
    }

    /// Makes a group with these limits, and tells which of them this machine cannot enforce. A group of that name that
    /// is already there is used. Without any usable control groups the result is one that does nothing.
    ///
    /// # Errors
    /// When a group or a limit that this machine can have in general is refused.
    pub fn create(&self, name: &str, limits: &GroupLimits) -> Result<(ServiceGroup, Vec<Unenforced>), Error> {
        let name = file_name(name);
        let mut group = ServiceGroup::default();
        let mut unenforced = Vec::new();
        if let Some((parent, _)) = &self.unified {
            group.add_unified(make(&parent.join(&name))?)?;
        }
        for controller in Controller::ALL.into_iter().filter(|controller| controller.is_wanted(limits)) {
            let separate = self.separate.iter().find(|(of, _)| *of == controller);
            let unified = self.unified.as_ref().filter(|(_, controllers)| controllers.contains(&controller));
            match (unified, separate) {
                (Some((parent, _)), _) => limit_unified(&parent.join(&name), controller, limits)?,
                (None, Some((_, parent))) => {
                    let directory = make(&parent.join(&name))?;
                    group.add_separate(directory.clone());
                    limit_separate(&directory, controller, limits)?;
                }
                (None, None) => {
                    let why = format!("no control group with `{}` is given to this process", controller.name());
                    unenforced.push(Unenforced { limit: controller.limit(), why });
                }
            }
        }
        Ok((group, unenforced))
    }

    /// The group that an earlier supervisor made by that name; none when there is none.
    #[must_use]
    pub fn open(&self, name: &str) -> Option<ServiceGroup> {
        let name = file_name(name);
        let mut group = ServiceGroup::default();
        let unified = self.unified.as_ref().map(|(parent, _)| parent.join(&name)).filter(|path| path.is_dir());
        if let Some(directory) = unified {
            group.add_unified(directory).ok()?;
        }
        let separate = self.separate.iter().map(|(_, parent)| parent.join(&name));
        separate.filter(|path| path.is_dir()).for_each(|path| group.add_separate(path));
        group.tracks().then_some(group)
    }

    /// The processes in the group that an earlier supervisor made by that name; some may have ended.
    #[must_use]
    pub fn processes(&self, name: &str) -> Vec<u32> {
        let name = file_name(name);
        let parents = self.unified.iter().map(|(parent, _)| parent);
        let parents = parents.chain(self.separate.iter().map(|(_, parent)| parent));
        parents.flat_map(|parent| processes_in(&parent.join(&name))).collect()
    }

    /// Removes the groups without processes whose names begin so. They are those of services that ended while nobody
    /// looked.
    pub fn sweep(&self, prefix: &str) {
        let prefix = file_name(prefix);
        let unified = self.unified.iter().map(|(parent, _)| parent);
        for parent in unified.chain(self.separate.iter().map(|(_, parent)| parent)) {
            let Ok(entries) = fs_err::read_dir(parent) else { continue };
            let is_ours = |entry: &fs_err::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
            for entry in entries.flatten().filter(is_ours) {
                // One with processes is refused by the kernel.
                let _ = fs_err::remove_dir(entry.path());
            }
        }
    }
}

/// A name that is one component of a path.
fn file_name(name: &str) -> String {
    let plain =
        |character: char| if character.is_ascii_alphanumeric() || "-_".contains(character) { character } else { '.' };
    format!("masque-service-{}", name.chars().map(plain).collect::<String>())
}

fn failed(group: &Path, source: io::Error) -> Error {
    Error::Group { group: group.to_path_buf(), source }
}

/// The processes in a group; none when it is not there.
fn processes_in(directory: &Path) -> Vec<u32> {
    let list = fs_err::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Makes the directory of a group unless it is there.
fn make(directory: &Path) -> Result<PathBuf, Error> {
    match fs_err::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(directory, error)),
        _ => Ok(directory.to_path_buf()),
    }
}

/// Whether a group can be made there and something be done with it.
fn try_in(parent: &Path, with: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let directory = parent.join(format!("masque-try-{}-{:?}", std::process::id(), std::thread::current().id()));
    fs_err::create_dir(&directory)?;
    let result = with(&directory);
    let mut tries = 0;
    while fs_err::remove_dir(&directory).is_err() && tries < REMOVE_TRIES {
        tries += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    result
}

/// A group with processes cannot pass controllers on, so ours stand beside our own one where that has controllers, and
/// otherwise where they can.
fn find_unified(own: &Path) -> Option<(PathBuf, Vec<Controller>)> {
    let candidates = [own.parent(), Some(own)].into_iter().flatten();
    let mut usable: Vec<(PathBuf, Vec<Controller>)> = candidates
        .filter(|directory| directory.join("cgroup.procs").exists() && try_in(directory, is_born_into).is_ok())
        .map(|directory| (directory.to_path_buf(), controllers(directory)))
        .collect();
    // The later of equal ones: what is nearer is more surely ours.
    usable.sort_by_key(|(_, controllers)| controllers.len());
    usable.pop()
}

fn controllers(directory: &Path) -> Vec<Controller> {
    let on = fs_err::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    let is_on = |controller: &Controller| on.split_whitespace().any(|name| name == controller.name());
    Controller::ALL.into_iter().filter(is_on).collect()
}

/// Lets a process be born into a group and end.
#[expect(unsafe_code, reason = "the clone")]
fn is_born_into(group: &Path) -> io::Result<()> {
    extern "C" fn end(_: *mut libc::c_void) -> ! {
        sys::exit(0)
    }
    if !group.join("cgroup.kill").exists() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let directory: OwnedFd = fs_err::File::open(group)?.into_parts().0.into();
    let before = sys::set_blocked_signals(SignalSet::All);
    // SAFETY: the new process only ends; the argument is not used.
    let born = unsafe { clone_suspended(Memory::Shared, Some(directory.as_fd()), end, std::ptr::null_mut()) };
    sys::set_blocked_signals(SignalSet::These(before));
    let (_, process) = born?;
    let which = rustix::process::WaitId::PidFd(process.as_fd());
    rustix::process::waitid(which, rustix::process::WaitIdOptions::EXITED)?;
    Ok(())
}

fn limit_unified(directory: &Path, controller: Controller, limits: &GroupLimits) -> Result<(), Error> {
    let result = match controller {
        Controller::Memory => limits.memory_bytes.map_or(Ok(()), |bytes| {
            set(directory, "memory.max", &bytes.to_string())?;
            // Absent without swap.
            set_if_present(directory, "memory.swap.max", "0")?;
            set_if_present(directory, "memory.oom.group", "1")
        }),
        Controller::Cpu => {
            limits.milli_cpus.map_or(Ok(()), |milli| set(directory, "cpu.max", &format!("{} {PERIOD}", quota(milli))))
        }
        Controller::Processes => limits.processes.map_or(Ok(()), |most| set(directory, "pids.max", &most.to_string())),
    };
    result.map_err(|source| failed(directory, source))
}

fn limit_separate(directory: &Path, controller: Controller, limits: &GroupLimits) -> Result<(), Error> {
    let result = match controller {
        Controller::Memory => limits.memory_bytes.map_or(Ok(()), |bytes| {
            set(directory, "memory.limit_in_bytes", &bytes.to_string())?;
            // Absent without swap accounting.
            set_if_present(directory, "memory.memsw.limit_in_bytes", &bytes.to_string())
        }),
        Controller::Cpu => limits.milli_cpus.map_or(Ok(()), |milli| {
            set(directory, "cpu.cfs_period_us", &PERIOD.to_string())?;
            set(directory, "cpu.cfs_quota_us", &quota(milli).to_string())
        }),
        Controller::Processes => limits.processes.map_or(Ok(()), |most| set(directory, "pids.max", &most.to_string())),
    };
    result.map_err(|source| failed(directory, source))
}

/// Microseconds of each period that are this many thousandths of a processor.
fn quota(milli_cpus: u32) -> u64 {
    (u64::from(milli_cpus) * PERIOD / 1_000).max(SMALLEST_QUOTA)
}

/// The control group of one start. Dropping it removes it when it is empty.
#[derive(Debug, Default)]
pub struct ServiceGroup {
    /// On version 2, to be born into.
    unified: Option<(PathBuf, OwnedFd)>,
    /// On version 1, to be joined.
    separate: Vec<PathBuf>,
}

impl ServiceGroup {
    fn add_unified(&mut self, directory: PathBuf) -> Result<(), Error> {
        let opened = fs_err::File::open(&directory).map_err(|source| failed(&directory, source))?;
        self.unified = Some((directory, opened.into_parts().0.into()));
        Ok(())
    }

    fn add_separate(&mut self, directory: PathBuf) {
        self.separate.push(directory);
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.unified.iter().map(|(path, _)| path).chain(&self.separate)
    }

    /// Whether it knows its processes.
    #[must_use]
    pub fn tracks(&self) -> bool {
        self.paths().next().is_some()
    }

    /// To be born into.
    pub(super) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|(_, directory)| directory.as_fd())
    }

    /// Files through which a new process joins.
    pub(super) fn doors(&self) -> Result<Vec<OwnedFd>, Error> {
        let open = |path: &PathBuf| open_tasks(path).map_err(|source| failed(path, source));
        self.separate.iter().map(open).collect()
    }

    /// The processes in it; some may have ended.
    pub(super) fn processes(&self) -> Vec<u32> {
        self.paths().next().map(|path| processes_in(path)).unwrap_or_default()
    }

    /// Kills all its processes where the kernel can do so at once.
    pub(super) fn kill(&self) {
        if let Some((path, _)) = &self.unified {
            // What is listed is killed one by one in any case.
            let _ = set(path, "cgroup.kill", "1");
        }
    }

    /// Removes it, once the last of its processes, which were killed, has left.
    pub(super) async fn remove(&self) {
        for path in self.paths() {
            for _ in 0..REMOVE_TRIES {
                match fs_err::remove_dir(path) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    _ => break,
                }
            }
        }
    }
}

impl Drop for ServiceGroup {
    fn drop(&mut self) {
        for path in self.paths() {
            // One with processes is refused by the kernel: the next supervisor finds it.
            let _ = fs_err::remove_dir(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{file_name, quota};

    #[test]
    fn names_are_single_components_and_quotas_are_what_the_kernel_takes() {
        assert_eq!(file_name("fleet/pc2/agent/7-ab"), "masque-service-fleet.pc2.agent.7-ab");
        assert_eq!(file_name("../ä"), "masque-service-....");
        assert_eq!((quota(1), quota(500), quota(2_500)), (1_000, 50_000, 250_000));
    }
}
