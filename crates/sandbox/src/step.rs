//! The steps of a start inside the cloned child, and how a failing one is told to the launcher.

use rustix::io::Errno;

/// One step. The order is the order of execution; those about networks happen before a sandbox is made.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    EnterNetwork,
    OpenDevice,
    MakeDevice,
    SetUpDevice,
    SendDevice,
    Descriptors,
    JoinCgroup,
    HideCgroups,
    MapUser,
    PrivateMounts,
    OpenSource,
    CloneSource,
    NewRoot,
    Assemble,
    Pivot,
    HostName,
    Undumpable,
    Capabilities,
    Fork,
    Session,
    Streams,
    Directory,
    Landlock,
    Limits,
    Seccomp,
    Receive,
    Execute,
}

impl Step {
    const ALL: [Self; 27] = [
        Self::EnterNetwork,
        Self::OpenDevice,
        Self::MakeDevice,
        Self::SetUpDevice,
        Self::SendDevice,
        Self::Descriptors,
        Self::JoinCgroup,
        Self::HideCgroups,
        Self::MapUser,
        Self::PrivateMounts,
        Self::OpenSource,
        Self::CloneSource,
        Self::NewRoot,
        Self::Assemble,
        Self::Pivot,
        Self::HostName,
        Self::Undumpable,
        Self::Capabilities,
        Self::Fork,
        Self::Session,
        Self::Streams,
        Self::Directory,
        Self::Landlock,
        Self::Limits,
        Self::Seccomp,
        Self::Receive,
        Self::Execute,
    ];

    /// The mechanism of the kernel that the step uses.
    pub(crate) const fn mechanism(self) -> &'static str {
        match self {
            Self::EnterNetwork => HOST_NAMESPACES,
            Self::OpenDevice | Self::MakeDevice | Self::SetUpDevice | Self::SendDevice => NETWORK_DEVICE,
            Self::JoinCgroup | Self::HideCgroups => CGROUPS,
            Self::MapUser => USER_NAMESPACE,
            Self::PrivateMounts
            | Self::OpenSource
            | Self::CloneSource
            | Self::NewRoot
            | Self::Assemble
            | Self::Pivot
            | Self::Directory => MOUNT_NAMESPACE,
            Self::HostName => HOST_NAMESPACES,
            Self::Descriptors
            | Self::Undumpable
            | Self::Fork
            | Self::Session
            | Self::Streams
            | Self::Receive
            | Self::Execute => PROCESS_NAMESPACE,
            Self::Capabilities => CAPABILITIES,
            Self::Limits => RESOURCE_LIMITS,
            Self::Landlock => LANDLOCK,
            Self::Seccomp => SECCOMP,
        }
    }

    /// What it does, after "while".
    pub(crate) const fn doing(self) -> &'static str {
        match self {
            Self::EnterNetwork => "entering a network",
            Self::OpenDevice => "opening /dev/net/tun",
            Self::MakeDevice => "making a device with /dev/net/tun",
            Self::SetUpDevice => "giving the device its address and routes",
            Self::SendDevice => "sending the device to the launcher",
            Self::Descriptors => "closing inherited descriptors",
            Self::JoinCgroup => "joining its cgroup",
            Self::HideCgroups => "hiding the host's cgroups",
            Self::MapUser => "mapping the user",
            Self::PrivateMounts => "detaching mounts from the host",
            Self::OpenSource => "opening",
            Self::CloneSource => "cloning the mount of",
            Self::NewRoot => "mounting the new root",
            Self::Assemble => "placing",
            Self::Pivot => "changing to the new root",
            Self::HostName => "setting the host name",
            Self::Undumpable => "protecting the memory of its init",
            Self::Capabilities => "dropping capabilities",
            Self::Fork => "forking",
            Self::Session => "starting a session",
            Self::Streams => "connecting the standard streams",
            Self::Limits => "setting resource limits",
            Self::Directory => "entering",
            Self::Landlock => "confining with Landlock",
            Self::Seccomp => "installing the system call filter",
            Self::Receive => "receiving its command",
            Self::Execute => "executing",
        }
    }
}

pub(crate) const USER_NAMESPACE: &str = "user namespace";
pub(crate) const MOUNT_NAMESPACE: &str = "mount namespace";
pub(crate) const PROCESS_NAMESPACE: &str = "process namespace";
pub(crate) const HOST_NAMESPACES: &str = "host name, IPC and network namespaces";
pub(crate) const CAPABILITIES: &str = "capabilities";
pub(crate) const SECCOMP: &str = "seccomp";
pub(crate) const LANDLOCK: &str = "landlock";
pub(crate) const RESOURCE_LIMITS: &str = "resource limits";
pub(crate) const CGROUPS: &str = "cgroups";
pub(crate) const NETWORK_DEVICE: &str = "network device (/dev/net/tun)";

/// A failed step, small enough for one atomic write into a pipe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    /// Which of several things: a source, an operation.
    pub(crate) index: u32,
    pub(crate) errno: Errno,
}

impl Failure {
    /// Length of the written form.
    pub(crate) const LENGTH: usize = 12;
    /// What is written instead when a sandbox waits for its command. No step has this number.
    pub(crate) const READY: [u8; Self::LENGTH] = [255; Self::LENGTH];

    /// For `map_err`: the failure of a step.
    pub(crate) fn at(step: Step) -> impl Fn(Errno) -> Self {
        move |errno| Self { step, index: 0, errno }
    }

    /// For `map_err`: the failure of a step at one of its things.
    pub(crate) fn at_index(step: Step, index: usize) -> impl Fn(Errno) -> Self {
        move |errno| Self { step, index: index as u32, errno }
    }

    /// The written form.
    pub(crate) fn encode(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let words = [self.step as u32, self.index, self.errno.raw_os_error() as u32];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads the written form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(4).filter_map(|chunk| Some(u32::from_le_bytes(chunk.try_into().ok()?)));
        let step = words.next()?;
        let index = words.next()?;
        let errno = Errno::from_raw_os_error(i32::try_from(words.next()?).ok()?);
        let step = Step::ALL.into_iter().find(|known| *known as u32 == step)?;
        Some(Self { step, index, errno })
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Step};
    use rustix::io::Errno;

    #[test]
    fn every_step_survives_the_pipe() {
        for (position, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, position, "the list of all steps is complete and in order");
            let failure = Failure::at_index(step, 7)(Errno::PERM);
            let read = Failure::decode(&failure.encode()).unwrap();
            assert_eq!((read.step, read.index, read.errno), (step, 7, Errno::PERM));
        }
        assert!(Failure::decode(&Failure::READY).is_none());
        assert!(Failure::decode(&[0; 3]).is_none());
    }
}
