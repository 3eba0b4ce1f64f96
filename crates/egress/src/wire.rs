//! A port as the network stack wants it: one packet in, packets out, without queues.

use std::{
    io,
    task::{Context, Poll, ready},
};

use smoltcp::{
    phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use crate::{DEVICE, PacketPort};

const BUFFER_LENGTH: usize = 1 << 16;

/// A port with room for one packet in each direction.
pub(crate) struct Wire<P> {
    port: P,
    inbound: Vec<u8>,
    /// Length of the packet in `inbound`; nothing is there when it is 0.
    length: usize,
    outbound: Vec<u8>,
}

impl<P: PacketPort> Wire<P> {
    pub(crate) fn new(port: P) -> Self {
        Self { port, inbound: vec![0; BUFFER_LENGTH], length: 0, outbound: vec![0; BUFFER_LENGTH] }
    }

    /// Takes the next packet from the port, in place of the one that is there.
    pub(crate) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.length = 0;
        self.length = ready!(self.port.poll_receive(context, &mut self.inbound))?;
        Poll::Ready(Ok(()))
    }

    /// Puts a packet in place of the one that is there.
    pub(crate) fn load(&mut self, packet: &[u8]) {
        self.length = packet.len().min(BUFFER_LENGTH);
        for (place, byte) in self.inbound.iter_mut().zip(packet) {
            *place = *byte;
        }
    }

    /// The packet that is there.
    pub(crate) fn packet(&self) -> &[u8] {
        self.inbound.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn send(&mut self, packet: &[u8]) {
        self.port.send(packet);
    }
}

impl<P: PacketPort> Device for Wire<P> {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmit<'a, P>;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let length = std::mem::take(&mut self.length);
        let packet = self.inbound.get(..length).filter(|packet| !packet.is_empty())?;
        Some((Received(packet), Transmit { port: &mut self.port, buffer: &mut self.outbound }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        Some(Transmit { port: &mut self.port, buffer: &mut self.outbound })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // Whoever sends wrong checksums harms only its own connections.
        let mut checksum = ChecksumCapabilities::default();
        checksum.ipv4 = Checksum::Tx;
        checksum.tcp = Checksum::Tx;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::try_from(DEVICE.mtu).unwrap_or(BUFFER_LENGTH);
        capabilities.checksum = checksum;
        capabilities
    }
}

/// A packet on its way into the stack.
pub(crate) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// A packet on its way out of the stack.
pub(crate) struct Transmit<'a, P> {
    port: &'a mut P,
    buffer: &'a mut Vec<u8>,
}

impl<P: PacketPort> TxToken for Transmit<'_, P> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let (packet, _) = self.buffer.split_at_mut(length);
        let result = fill(packet);
        self.port.send(packet);
        result
    }
}
