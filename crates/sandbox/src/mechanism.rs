//! What this machine can enforce, for people: [`Mechanism`].

use crate::{
    LandlockUse,
    cgroup::Cgroups,
    step::{
        CAPABILITIES, CGROUPS, HOST_NAMESPACES, LANDLOCK, MOUNT_NAMESPACE, NETWORK_DEVICE, PROCESS_NAMESPACE,
        RESOURCE_LIMITS, SECCOMP, Step, USER_NAMESPACE,
    },
};

/// One mechanism of the kernel that the sandbox uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    /// Its name.
    pub name: &'static str,
    /// What it enforces.
    pub enforces: &'static str,
    /// Whether it works here.
    pub state: State,
    /// Whether the sandbox refuses to start without it.
    pub required: bool,
}

/// Whether a mechanism works on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does; how.
    Enforced(String),
    /// It does not; why, and what that means.
    Missing(String),
}

/// How the start that was tried went.
#[derive(Debug, Clone)]
pub(crate) enum Trial {
    /// All of it works.
    Passed,
    /// It failed at a step, or before the first one.
    Failed { step: Option<Step>, why: String },
}

impl Trial {
    pub(crate) fn failed(step: Option<Step>, why: String) -> Self {
        Self::Failed { step, why }
    }

    /// The state of a mechanism whose last use is a step.
    fn state(&self, last: Step, detail: &str) -> State {
        match self {
            Self::Passed => State::Enforced(detail.into()),
            Self::Failed { step: Some(step), .. } if last < *step => State::Enforced(detail.into()),
            Self::Failed { step: Some(step), why } if step.mechanism() == last.mechanism() => {
                State::Missing(why.clone())
            }
            Self::Failed { step: Some(step), .. } => {
                State::Missing(format!("not reached, because this failed before: {}", step.mechanism()))
            }
            Self::Failed { step: None, why } => State::Missing(why.clone()),
        }
    }
}

/// All required mechanisms: name, what it enforces, the last step that uses it, how.
const REQUIRED: [(&str, &str, Step, &str); 7] = [
    (USER_NAMESPACE, "no rights over anything of the host", Step::MapUser, "one unprivileged user"),
    (
        MOUNT_NAMESPACE,
        "only allowed files are visible; what is not writable is read-only",
        Step::Pivot,
        "own root on tmpfs, mounts by descriptor",
    ),
    (
        HOST_NAMESPACES,
        "no network unless granted; no shared memory, no host name of the machine",
        Step::HostName,
        "own namespaces",
    ),
    (
        CAPABILITIES,
        "no privileged operation, also not by setuid programs",
        Step::Capabilities,
        "all dropped, bounding set empty, no_new_privs",
    ),
    (
        PROCESS_NAMESPACE,
        "other processes are invisible; the whole tree ends at once",
        Step::Streams,
        "own init, unreadable",
    ),
    (RESOURCE_LIMITS, "open files, file size, processor time, no core dumps", Step::Limits, "per process"),
    (SECCOMP, "no dangerous system calls", Step::Seccomp, "allow-list"),
];

/// Everything that is used, with its state on this machine.
pub(crate) fn report(
    trial: &Trial,
    cgroups: &Cgroups,
    landlock: Option<u32>,
    wanted: LandlockUse,
    device: &Result<(), String>,
) -> Vec<Mechanism> {
    let required = REQUIRED.iter().map(|(name, enforces, last, detail)| Mechanism {
        name,
        enforces,
        state: trial.state(*last, detail),
        required: true,
    });
    let landlock = Mechanism {
        name: LANDLOCK,
        enforces: "a second layer under files, TCP, signals and abstract sockets",
        state: match (landlock, wanted) {
            (Some(version), _) => trial.state(Step::Landlock, &format!("version {version}")),
            (None, LandlockUse::Off) => State::Missing("turned off".into()),
            (None, LandlockUse::IfPresent) => {
                State::Missing("this kernel has none; the first layer stands alone".into())
            }
        },
        required: false,
    };
    let cgroups = Mechanism {
        name: CGROUPS,
        enforces: "memory and number of processes of the whole tree",
        state: match cgroups {
            Cgroups::Unified(parent) => {
                trial.state(Step::JoinCgroup, &format!("version 2, below {}", parent.display()))
            }
            Cgroups::Separate { memory, processes } => trial
                .state(Step::JoinCgroup, &format!("version 1, below {} and {}", memory.display(), processes.display())),
            Cgroups::Unusable(why) => State::Missing(without_cgroups(why)),
        },
        required: false,
    };
    let device = Mechanism {
        name: NETWORK_DEVICE,
        enforces: "listed hosts only, also for programs that know no proxy; names are not asked for elsewhere",
        state: match device {
            Ok(()) => State::Enforced("own network behind a device of a broker".into()),
            Err(why) => State::Missing(format!("personas with a list of hosts cannot be started: {why}")),
        },
        required: false,
    };
    required.chain([landlock, cgroups, device]).collect()
}

fn without_cgroups(why: &str) -> String {
    let processes = if rustix::process::geteuid().is_root() {
        "the number of processes is not limited, because the kernel does not count root's"
    } else {
        "the number of processes is limited for the user namespace"
    };
    format!("{why}; so memory is limited per process, not per tree, and {processes}")
}

#[cfg(test)]
mod tests {
    use super::{State, Trial, report};
    use crate::{LandlockUse, cgroup::Cgroups, step::Step};

    #[test]
    fn what_failed_is_named_and_what_was_not_reached_is_not_claimed() {
        let trial = Trial::failed(Some(Step::Pivot), "pivot_root: EINVAL".into());
        let none = Cgroups::Unusable("read-only".into());
        let found = report(&trial, &none, None, LandlockUse::IfPresent, &Err("no /dev/net/tun".into()));
        let state = |name: &str| found.iter().find(|mechanism| mechanism.name == name).unwrap().state.clone();
        assert!(matches!(state("user namespace"), State::Enforced(_)));
        assert_eq!(state("mount namespace"), State::Missing("pivot_root: EINVAL".into()));
        assert!(matches!(state("seccomp"), State::Missing(why) if why.contains("not reached")));
        assert!(
            matches!(state("network device (/dev/net/tun)"), State::Missing(why) if why.ends_with("no /dev/net/tun"))
        );
        assert!(matches!(state("cgroups"), State::Missing(why) if why.starts_with("read-only; so memory")));
    }
}
