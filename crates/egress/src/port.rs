//! Where packets come from and go to: the device of a sandbox, or whatever else carries IP packets. Leaves out what is in
//! them.

use std::{
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use tokio::io::unix::AsyncFd;

/// Carries IP packets between programs and a broker.
pub trait PacketPort: Send + 'static {
    /// Takes the next packet from the programs into the buffer and returns its length. An error ends the broker.
    fn poll_receive(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Hands a packet to the programs. One that cannot be taken is lost, as on every wire.
    fn send(&mut self, packet: &[u8]);
}

/// The device in a sandbox's network namespace, by its file descriptor.
#[derive(Debug)]
pub(crate) struct TunPort(AsyncFd<OwnedFd>);

impl TunPort {
    /// Must be called inside of a runtime.
    pub(crate) fn new(device: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&device, true)?;
        #[expect(
            deprecated,
            reason = "an `OwnedFd` is always the same open descriptor; what replaces the function is unsafe code"
        )]
        let device = AsyncFd::new(device)?;
        Ok(Self(device))
    }
}

impl PacketPort for TunPort {
    fn poll_receive(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            match ready.try_io(|device| Ok(rustix::io::read(device.get_ref(), &mut *buffer)?)) {
                Ok(result) => return Poll::Ready(result),
                Err(_not_ready) => {}
            }
        }
    }

    fn send(&mut self, packet: &[u8]) {
        // The device has no queue in this direction: it takes a packet, or it is gone, which the next read tells.
        let _taken = rustix::io::write(self.0.get_ref(), packet);
    }
}
