//! A network behind a device: [`NetworkSpace`], which several sandboxes share, and a device for the network of a
//! foreign process.
//!
//! Leaves out what is on the other end of the device, and what is set up inside ([`crate::device`]).
//!
//! A space is a network namespace and the user namespace that owns it, both held by descriptors only; no process
//! lives in it. A sandbox that joins it enters both and then makes a user namespace of its own below. So its programs
//! have no rights over the network's namespace, even if they should get every right in their own.

#![expect(unsafe_code, reason = "the clone")]

use std::{
    ffi::CString,
    io,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    net::{AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType},
    process::{WaitId, WaitIdOptions},
};

use crate::{
    Error,
    device::{self, Place, Task},
    step::{Failure, NETWORK_DEVICE, USER_NAMESPACE},
    sys::{self, Cloned, SignalSet},
};

/// Longest name of a network device.
const LONGEST_NAME: usize = 15;

/// How a network device is set up. All traffic but the loopback's leaves through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSettings {
    /// Its name, 1 to 15 letters, digits, `-` or `_`.
    pub name: String,
    /// Bytes in a packet at most: 68 to 65535.
    pub mtu: u32,
    /// The address of programs.
    pub address: Ipv4Addr,
    /// Length of the prefix of the device's network.
    pub prefix_length: u8,
    /// The only name server that programs are told of.
    pub name_server: Ipv4Addr,
}

impl DeviceSettings {
    fn check(&self) -> Result<(), Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let problem = if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.bytes().all(plain) {
            "the name must have 1 to 15 letters, digits, `-` or `_`"
        } else if !(68..=65_535).contains(&self.mtu) {
            "the packet size must be between 68 and 65535 bytes"
        } else if self.prefix_length > 32 {
            "the prefix length must be at most 32"
        } else {
            return Ok(());
        };
        Err(Error::Device { name: self.name.clone(), problem })
    }

    fn task(&self, place: Place) -> Result<Task, Error> {
        self.check()?;
        let file = |name: &str| CString::new(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"));
        let zero = |_| Error::ZeroByte { what: "the name of a network device" };
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_length)).unwrap_or(0);
        Ok(Task {
            place,
            name: CString::new(self.name.clone()).map_err(zero)?,
            mtu: self.mtu as libc::c_int,
            address: self.address,
            mask: Ipv4Addr::from_bits(mask),
            switch_of_version_6: file(&self.name).map_err(zero)?,
        })
    }
}

/// A network namespace with a device, which sandboxes join by [`crate::Network::Space`]. Cheap to clone; it exists
/// until the last clone and the last sandbox in it are gone.
///
/// Sandboxes of one space see each other's sockets on the loopback, and nothing else of each other. Use one space for
/// the programs of one persona, never for two personas.
#[derive(Debug, Clone)]
pub struct NetworkSpace {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    user: OwnedFd,
    network: OwnedFd,
    device: Mutex<Option<OwnedFd>>,
    settings: DeviceSettings,
}

impl PartialEq for NetworkSpace {
    /// Whether it is the same space, not an equal one.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for NetworkSpace {}

impl NetworkSpace {
    /// Makes a space: its namespaces, and the device in it.
    pub(crate) fn make(settings: &DeviceSettings) -> Result<Self, Error> {
        let maps = Place::New {
            user_map: same(rustix::process::geteuid().as_raw()),
            group_map: same(rustix::process::getegid().as_raw()),
        };
        let namespaces = (libc::CLONE_NEWUSER | libc::CLONE_NEWNET) as u64;
        let mut received = perform(&settings.task(maps)?, namespaces)?.into_iter();
        match (received.next(), received.next(), received.next()) {
            (Some(device), Some(user), Some(network)) => {
                let settings = settings.clone();
                Ok(Self { shared: Arc::new(Shared { user, network, device: Mutex::new(Some(device)), settings }) })
            }
            _ => Err(incomplete()),
        }
    }

    /// Whether this machine has such devices; why not.
    pub(crate) fn try_out() -> Result<(), String> {
        let settings = DeviceSettings {
            name: "trial".into(),
            mtu: 1500,
            address: Ipv4Addr::new(198, 18, 0, 2),
            prefix_length: 15,
            name_server: Ipv4Addr::new(198, 18, 0, 1),
        };
        Self::make(&settings).map(drop).map_err(|error| error.to_string())
    }

    /// The descriptor of the device, once: whole IP packets are read from it and written to it. It does not block. When
    /// it is closed, the device is gone, and programs in the space reach nothing.
    #[must_use]
    pub fn take_device(&self) -> Option<OwnedFd> {
        self.shared.device.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How its device is set up.
    #[must_use]
    pub fn settings(&self) -> &DeviceSettings {
        &self.shared.settings
    }

    /// The user namespace that owns it, and the network namespace.
    pub(crate) fn namespaces(&self) -> (&OwnedFd, &OwnedFd) {
        (&self.shared.user, &self.shared.network)
    }
}

/// Puts a device into the network namespace of a process, for example of a container's init, and returns its
/// descriptor, as [`NetworkSpace::take_device`] does. The caller must be allowed to enter the namespaces: be root, or
/// the user who made them.
///
/// # Errors
/// When the process is gone, its namespaces may not be entered, or the machine has no such devices.
pub fn place_network_device(process_id: u32, settings: &DeviceSettings) -> Result<OwnedFd, Error> {
    let id = i32::try_from(process_id).ok().and_then(rustix::process::Pid::from_raw);
    let namespace = CString::new(format!("/proc/{process_id}/ns/user"));
    let (Some(id), Ok(user_namespace)) = (id, namespace) else {
        return Err(failed("entering the network of a process", io::ErrorKind::InvalidInput.into()));
    };
    let task = settings.task(Place::Of { process: id, user_namespace })?;
    perform(&task, 0)?.into_iter().next().ok_or_else(incomplete)
}

/// A mapping of one number to itself.
fn same(number: u32) -> Vec<u8> {
    format!("{number} {number} 1").into_bytes()
}

fn incomplete() -> Error {
    failed("receiving the device", io::ErrorKind::InvalidData.into())
}

fn failed(doing: &str, source: io::Error) -> Error {
    Error::Mechanism { mechanism: NETWORK_DEVICE, doing: doing.into(), source }
}

/// Does a task in a clone of this process, and receives the descriptors that it sends.
fn perform(task: &Task, namespaces: u64) -> Result<Vec<OwnedFd>, Error> {
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(io::Error::from);
    let (own, theirs) = pair.map_err(|source| failed("making a pair of sockets", source))?;
    let before = sys::set_blocked_signals(SignalSet::All);
    // SAFETY: the child goes on in `device::run`, which never returns and follows the rules.
    let cloned = unsafe { sys::clone_process(namespaces, None) };
    if let Ok(Cloned::Child) = cloned {
        device::run(task, &theirs);
    }
    sys::set_blocked_signals(SignalSet::These(before));
    drop(theirs);
    let cloned = cloned.map_err(|errno| Error::Mechanism {
        mechanism: USER_NAMESPACE,
        doing: "cloning into new namespaces".into(),
        source: errno.into(),
    })?;
    let received = receive(&own);
    if let Cloned::Parent { process, .. } = cloned {
        let which = || WaitId::PidFd(process.as_fd());
        rustix::io::retry_on_intr(|| rustix::process::waitid(which(), WaitIdOptions::EXITED))
            .map_err(|errno| failed("waiting for a helper", errno.into()))?;
    }
    received
}

fn receive(socket: &OwnedFd) -> Result<Vec<OwnedFd>, Error> {
    let mut bytes = [0; Failure::LENGTH];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [io::IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    let received = received.map_err(|errno| failed("receiving the device", errno.into()))?;
    if received.bytes == Failure::LENGTH {
        let failure = Failure::decode(&bytes).ok_or_else(incomplete)?;
        return Err(Error::Mechanism {
            mechanism: failure.step.mechanism(),
            doing: failure.step.doing().into(),
            source: failure.errno.into(),
        });
    }
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(rights.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::DeviceSettings;
    use crate::Error;
    use std::net::Ipv4Addr;

    #[test]
    fn settings_that_no_device_can_have_are_refused() {
        let good = DeviceSettings {
            name: "masque0".into(),
            mtu: 65_520,
            address: Ipv4Addr::new(198, 18, 0, 2),
            prefix_length: 15,
            name_server: Ipv4Addr::new(198, 18, 0, 1),
        };
        assert!(good.check().is_ok());
        let named = |name: &str| DeviceSettings { name: name.into(), ..good.clone() };
        for bad in [
            named(""),
            named("a-name-too-long-x"),
            named("../conf"),
            named("a\0b"),
            DeviceSettings { mtu: 0, ..good.clone() },
            DeviceSettings { prefix_length: 33, ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(Error::Device { .. })), "{bad:?}");
        }
    }
}
