//! [`NotifySocket`]: where a service says what it is doing (`sd_notify(3)`).
//!
//! The socket's name is abstract and made from the start's cookie: it needs no file, so that services of every user reach
//! it, and a later supervisor listens at the same one. Who else sends there is not heard. `MAINPID=` is not followed: a
//! service is what was started.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{linux::net::SocketAddrExt as _, unix::fs::MetadataExt as _},
};

use masque_sandbox::service::ServiceProcess;
use masque_types::digest::Digest;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, UCred, recvmsg};
use tokio::{io::Interest, net::UnixDatagram};

use crate::machine::Notice;

/// Bytes of a message that are read, as systemd does.
const MESSAGE: usize = 4 << 10;
/// Characters of a status that are kept.
const STATUS: usize = 400;

/// The socket of one start.
#[derive(Debug)]
pub struct NotifySocket {
    name: String,
    socket: UnixDatagram,
    /// From a message that said several things.
    said: VecDeque<Notice>,
}

impl NotifySocket {
    /// Listens for the start with that cookie.
    pub(super) fn bind(cookie: &str) -> io::Result<Self> {
        let name = format!("masque-{:.32}", Digest::of(cookie).to_string());
        let failed = |error: io::Error| io::Error::other(format!("notify socket @{name}: {error}"));
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).map_err(failed)?;
        let socket = std::os::unix::net::UnixDatagram::bind_addr(&address).map_err(failed)?;
        socket.set_nonblocking(true)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, name, said: VecDeque::new() })
    }

    /// What `NOTIFY_SOCKET` says.
    pub(super) fn address(&self) -> String {
        format!("@{}", self.name)
    }

    /// The next thing that the service says. May be dropped and called again.
    ///
    /// # Errors
    /// When nothing can be received any more.
    pub async fn next(&mut self, process: &ServiceProcess) -> io::Result<Notice> {
        loop {
            if let Some(notice) = self.said.pop_front() {
                return Ok(notice);
            }
            let (text, sender) = self.socket.async_io(Interest::READABLE, || receive(&self.socket)).await?;
            if sender.is_some_and(|sender| may_speak(sender, process)) {
                self.said.extend(notices(&text));
            } else {
                tracing::warn!("somebody else spoke on the notify socket @{}", self.name);
            }
        }
    }
}

fn receive(socket: &UnixDatagram) -> io::Result<(Vec<u8>, Option<UCred>)> {
    let mut text = vec![0; MESSAGE];
    // Descriptors that are sent along are closed, which is what `BARRIER=1` waits for.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, flags)?;
    text.truncate(received.bytes);
    let sender = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => Some(sender),
        _ => None,
    });
    Ok((text, sender))
}

/// Whether a sender belongs to the service. One that has ended already, as a command that only tells something, must at
/// least be of the service's user.
fn may_speak(sender: UCred, process: &ServiceProcess) -> bool {
    let number = sender.pid.as_raw_nonzero().get().unsigned_abs();
    process.has_member(number).unwrap_or_else(|| {
        let user = fs_err::metadata(format!("/proc/{}", process.pid())).map(|status| status.uid()).ok();
        sender.uid.is_root() || Some(sender.uid.as_raw()) == user
    })
}

/// What a message says, in its order.
fn notices(text: &[u8]) -> Vec<Notice> {
    let text = String::from_utf8_lossy(text);
    let said = text.lines().filter_map(|line| match line.split_once('=')? {
        ("READY", "1") => Some(Notice::Ready),
        ("RELOADING", "1") => Some(Notice::Reloading),
        ("STOPPING", "1") => Some(Notice::Stopping),
        ("WATCHDOG", "1") => Some(Notice::Watchdog),
        ("STATUS", status) => Some(Notice::Status(status.chars().take(STATUS).collect())),
        _ => None,
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::notices;
    use crate::machine::Notice;

    #[test]
    fn a_message_may_say_several_things() {
        let text = b"STATUS=loading a=b\nMAINPID=7\nREADY=1\nREADY=2\n\xff\nWATCHDOG=1\nSTOPPING=1\nRELOADING=1\n";
        let status = Notice::Status("loading a=b".into());
        assert_eq!(notices(text), [status, Notice::Ready, Notice::Watchdog, Notice::Stopping, Notice::Reloading]);
        assert_eq!(notices(b""), []);
    }
}
