//! What the clone does that makes a network device: it enters or completes the namespaces, makes the device, sets it
//! up, and sends its descriptor to the launcher.
//!
//! System calls on prepared memory only, as in [`crate::inside`].

use std::{
    ffi::{CStr, CString},
    io::IoSlice,
    net::Ipv4Addr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
    process::{Pid, PidfdFlags},
    thread::ThreadNameSpaceType,
};

use crate::{
    inside::{map_user, overwrite},
    step::{Failure, Step},
    sys,
};

const DEVICE_FILE: &CStr = c"/dev/net/tun";

/// Whose network gets the device.
#[derive(Debug)]
pub(crate) enum Place {
    /// The new namespaces into which the clone was born, whose users are mapped first. They are sent as well.
    New { user_map: Vec<u8>, group_map: Vec<u8> },
    /// That of a process; where its user namespace is found.
    Of { process: Pid, user_namespace: CString },
}

/// One device to make.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) place: Place,
    pub(crate) name: CString,
    pub(crate) mtu: libc::c_int,
    pub(crate) address: Ipv4Addr,
    pub(crate) mask: Ipv4Addr,
    /// The file that turns IPv6 off for the device.
    pub(crate) switch_of_version_6: CString,
}

/// Runs in the clone and never returns.
pub(crate) fn run(task: &Task, socket: &OwnedFd) -> ! {
    if let Err(failure) = make(task).and_then(|device| send(task, socket, &device)) {
        // Nobody listens any more if this fails.
        let _ = rustix::io::write(socket, &failure.encode());
    }
    sys::exit(0)
}

fn make(task: &Task) -> Result<OwnedFd, Failure> {
    match &task.place {
        Place::New { user_map, group_map } => map_user(user_map, group_map).map_err(Failure::at(Step::MapUser))?,
        Place::Of { process, user_namespace } => {
            enter(*process, user_namespace).map_err(Failure::at(Step::EnterNetwork))?;
        }
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open(DEVICE_FILE, flags, Mode::empty()).map_err(Failure::at(Step::OpenDevice))?;
    sys::make_tunnel(device.as_fd(), &task.name).map_err(Failure::at(Step::MakeDevice))?;
    set_up(task).map_err(Failure::at(Step::SetUpDevice))?;
    Ok(device)
}

/// Enters the network namespace of a process, and its user namespace where that is another one than this process'.
fn enter(process: Pid, user_namespace: &CStr) -> sys::Result<()> {
    let descriptor = rustix::process::pidfd_open(process, PidfdFlags::empty())?;
    let (own, theirs) = (rustix::fs::stat(c"/proc/self/ns/user")?, rustix::fs::stat(user_namespace)?);
    let mut namespaces = ThreadNameSpaceType::NETWORK;
    if (own.st_dev, own.st_ino) != (theirs.st_dev, theirs.st_ino) {
        namespaces |= ThreadNameSpaceType::USER;
    }
    rustix::thread::move_into_thread_name_spaces(descriptor.as_fd(), namespaces)
}

fn set_up(task: &Task) -> sys::Result<()> {
    // A machine without IPv6 has no such file. If it stays on, its packets end at the other end of the device.
    let _ = overwrite(&task.switch_of_version_6, b"1");
    let socket = sys::interface_socket()?;
    let socket = socket.as_fd();
    sys::set_interface_up(socket, c"lo")?;
    sys::set_interface_address(socket, &task.name, task.address, task.mask)?;
    sys::set_interface_mtu(socket, &task.name, task.mtu)?;
    sys::set_interface_up(socket, &task.name)?;
    sys::add_default_route(socket, &task.name)
}

fn send(task: &Task, socket: &OwnedFd, device: &OwnedFd) -> Result<(), Failure> {
    let failed = |errno| Failure::at(Step::SendDevice)(errno);
    let open = |path: &CStr| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed);
    match &task.place {
        Place::Of { .. } => send_all(socket, &[device.as_fd()]).map_err(failed),
        Place::New { .. } => {
            let (user, network) = (open(c"/proc/self/ns/user")?, open(c"/proc/self/ns/net")?);
            send_all(socket, &[device.as_fd(), user.as_fd(), network.as_fd()]).map_err(failed)
        }
    }
}

fn send_all(socket: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> sys::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(descriptors));
    rustix::net::sendmsg(socket, &[IoSlice::new(b"d")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
