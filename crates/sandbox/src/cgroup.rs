//! Limits of a whole tree: one cgroup per sandbox, on version 2 or version 1, found by trying.
//!
//! Leaves out the limits of single processes. On version 1 two groups are needed, one for memory and one for
//! processes. A group is removed when its sandbox is gone; those of a killed Masque are removed by the next one.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::profile::Limits;

/// Number of the next group of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Start of the names of our groups; the process id and a number follow.
const PREFIX: &str = "masque-";
/// How often removing a group is tried, a millisecond apart: its last process may still be on its way out.
const REMOVE_TRIES: u32 = 200;

/// Which cgroups this process can use.
#[derive(Debug, Clone)]
pub(crate) enum Cgroups {
    /// Version 2: groups are made in this directory, whose controllers are on.
    Unified(Arc<Path>),
    /// Version 1: the directories for memory and for processes.
    Separate { memory: Arc<Path>, processes: Arc<Path> },
    /// None; why.
    Unusable(Arc<str>),
}

impl Cgroups {
    /// Finds the cgroups of this process and tries them.
    pub(crate) fn detect() -> Self {
        match Self::find() {
            Ok(found) => found,
            Err(why) => Self::Unusable(why.into()),
        }
    }

    fn find() -> Result<Self, String> {
        let own = fs_err::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let mut reasons = Vec::new();
        let separate = own_directory(&own, &mounts, Some("memory")).zip(own_directory(&own, &mounts, Some("pids")));
        let separate =
            separate.map(|(memory, processes)| Self::Separate { memory: memory.into(), processes: processes.into() });
        let unified = own_directory(&own, &mounts, None).into_iter();
        // A group with processes cannot pass controllers on, so our groups usually stand beside our own one.
        let unified = unified.flat_map(|own| [own.parent().map(Path::to_path_buf), Some(own)]).flatten();
        let unified = unified.filter(|directory| has_controllers(directory)).map(|own| Self::Unified(own.into()));
        for candidate in separate.into_iter().chain(unified) {
            candidate.sweep();
            match candidate.create(&Limits::default()) {
                Ok(_) => return Ok(candidate),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if reasons.is_empty() {
            reasons.push("no cgroup with memory and process limits is mounted and delegated to this process".into());
        }
        Err(reasons.join("; "))
    }

    fn parents(&self) -> Vec<&Path> {
        match self {
            Self::Unified(parent) => vec![parent],
            Self::Separate { memory, processes } => vec![memory, processes],
            Self::Unusable(_) => Vec::new(),
        }
    }

    /// Removes groups of processes that are gone. A group in use cannot be removed, so trying is safe.
    fn sweep(&self) {
        for parent in self.parents() {
            let Ok(entries) = fs_err::read_dir(parent) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let owner =
                    name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|rest| rest.split('-').next());
                if let Some(owner) = owner.filter(|owner| owner.bytes().all(|byte| byte.is_ascii_digit()))
                    && !Path::new("/proc").join(owner).exists()
                {
                    // Not empty yet, or removed by another one: the next sweep sees.
                    let _ = fs_err::remove_dir(entry.path());
                }
            }
        }
    }

    /// Makes the group of one sandbox, or an empty one where cgroups are unusable.
    pub(crate) fn create(&self, limits: &Limits) -> io::Result<Group> {
        let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut group = Group::default();
        let memory = limits.memory_bytes.to_string();
        let processes = limits.pids.to_string();
        match self {
            Self::Unified(parent) => {
                let directory = group.add(parent.join(name))?;
                set(&directory, "memory.max", &memory)?;
                set(&directory, "pids.max", &processes)?;
                // Absent without swap.
                set_if_present(&directory, "memory.swap.max", "0")?;
                set_if_present(&directory, "memory.oom.group", "1")?;
                group.directory = Some(fs_err::File::open(&directory)?.into_parts().0.into());
                group.kill = Some(directory.join("cgroup.kill")).filter(|file| file.exists());
            }
            Self::Separate { memory: memory_parent, processes: processes_parent } => {
                let directory = group.add(memory_parent.join(&name))?;
                set(&directory, "memory.limit_in_bytes", &memory)?;
                // Absent without swap accounting.
                set_if_present(&directory, "memory.memsw.limit_in_bytes", &memory)?;
                group.join.push(open_tasks(&directory)?);
                let directory = group.add(processes_parent.join(&name))?;
                set(&directory, "pids.max", &processes)?;
                group.join.push(open_tasks(&directory)?);
            }
            Self::Unusable(_) => {}
        }
        Ok(group)
    }
}

/// The group of one sandbox; removed when dropped, which must come after the end of its processes.
#[derive(Debug, Default)]
pub(crate) struct Group {
    made: Vec<PathBuf>,
    /// To clone into, on version 2.
    pub(crate) directory: Option<OwnedFd>,
    /// To be joined by writing, on version 1.
    pub(crate) join: Vec<OwnedFd>,
    kill: Option<PathBuf>,
}

impl Group {
    fn add(&mut self, directory: PathBuf) -> io::Result<PathBuf> {
        fs_err::create_dir(&directory)?;
        self.made.push(directory.clone());
        Ok(directory)
    }

    /// Kills all its processes where the kernel can do so at once.
    pub(crate) fn kill(&self) {
        if let Some(kill) = &self.kill {
            // The kill of the namespace's init follows in any case and takes the same processes.
            let _ = fs_err::write(kill, "1");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in self.made.drain(..) {
            for _ in 0..REMOVE_TRIES {
                match fs_err::remove_dir(&directory) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    _ => break,
                }
            }
        }
    }
}

/// The file through which a thread joins a group of version 1 by writing `0`. Unlike `cgroup.procs` it takes no lock
/// over all forks of the machine, which costs some milliseconds of waiting; the child has one thread, so it is the same.
pub(crate) fn open_tasks(directory: &Path) -> io::Result<OwnedFd> {
    let file = fs_err::OpenOptions::new().write(true).open(directory.join("tasks"))?;
    Ok(file.into_parts().0.into())
}

pub(crate) fn set(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    fs_err::write(directory.join(file), value)
}

pub(crate) fn set_if_present(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    match set(directory, file, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether groups made in a directory get limits for memory and processes.
pub(crate) fn has_controllers(directory: &Path) -> bool {
    let Ok(on) = fs_err::read_to_string(directory.join("cgroup.subtree_control")) else { return false };
    ["memory", "pids"].iter().all(|needed| on.split_whitespace().any(|controller| controller == *needed))
}

/// Where the group of this process stands, for a controller of version 1 or, without one, on version 2.
pub(crate) fn own_directory(own: &str, mounts: &str, controller: Option<&str>) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let matches = match controller {
            Some(controller) => controllers.split(',').any(|one| one == controller),
            None => controllers.is_empty(),
        };
        matches.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, mount) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        let matches = match controller {
            Some(controller) => kind == "cgroup" && options.split(',').any(|one| one == controller),
            None => kind == "cgroup2",
        };
        let below = Path::new(path).strip_prefix(root).ok()?;
        matches.then(|| Path::new(mount).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::own_directory;
    use std::path::PathBuf;

    #[test]
    fn own_groups_are_found_in_hybrid_and_delegated_hierarchies() {
        let own = "8:pids:/\n4:cpu,memory:/outer/inner\n0::/user.slice/a\n";
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory,cpu\n\
                      40 31 0:37 /other /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      41 31 0:38 /user.slice /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = |controller| own_directory(own, mounts, controller);
        assert_eq!(found(Some("memory")), Some(PathBuf::from("/sys/fs/cgroup/memory/outer/inner")));
        assert_eq!(found(Some("pids")), None, "our group is not below what is mounted");
        assert_eq!(found(None), Some(PathBuf::from("/sys/fs/cgroup/unified/a")));
        assert_eq!(found(Some("cpuset")), None);
    }
}
