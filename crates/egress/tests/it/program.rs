//! A program's network: a second stack on the other end of an in-memory wire.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use masque_egress::{DEVICE, PacketPort};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp::{Socket, SocketBuffer, State},
    wire::{HardwareAddress, IpCidr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr},
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf, duplex},
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

/// The broker's end of the wire.
pub(crate) struct WireEnd {
    from_program: mpsc::UnboundedReceiver<Vec<u8>>,
    to_program: mpsc::UnboundedSender<Vec<u8>>,
}

impl PacketPort for WireEnd {
    fn poll_receive(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.from_program.poll_recv(context).map(|packet| {
            let packet = packet.ok_or(io::ErrorKind::BrokenPipe)?;
            buffer[..packet.len()].copy_from_slice(&packet);
            Ok(packet.len())
        })
    }

    fn send(&mut self, packet: &[u8]) {
        let _program_is_gone = self.to_program.send(packet.to_vec());
    }
}

enum Command {
    Connect(SocketAddrV4, oneshot::Sender<Result<DuplexStream, &'static str>>),
    Send(Vec<u8>),
    Break,
}

/// What a program can do with the network.
pub(crate) struct Network {
    commands: mpsc::UnboundedSender<Command>,
    datagrams: mpsc::UnboundedReceiver<Vec<u8>>,
    next_port: u16,
    _task: JoinSet<()>,
}

impl Network {
    pub(crate) fn new() -> (Self, WireEnd) {
        let (to_broker, from_program) = mpsc::unbounded_channel();
        let (to_program, from_broker) = mpsc::unbounded_channel();
        let (commands, commanded) = mpsc::unbounded_channel();
        let (datagram_sender, datagrams) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        task.spawn(Stack::new(to_broker).run(commanded, from_broker, datagram_sender));
        (Self { commands, datagrams, next_port: 20_000, _task: task }, WireEnd { from_program, to_program })
    }

    /// Connects like `connect(2)`.
    pub(crate) async fn connect(&self, address: Ipv4Addr, port: u16) -> Result<DuplexStream, &'static str> {
        let (reply, replied) = oneshot::channel();
        self.commands.send(Command::Connect(SocketAddrV4::new(address, port), reply)).ok().unwrap();
        replied.await.unwrap_or(Err("the network is gone"))
    }

    /// Breaks all connections, as the kernel does for a program that dies with unread bytes.
    pub(crate) fn break_connections(&self) {
        self.commands.send(Command::Break).ok().unwrap();
    }

    /// Sends bytes as an IP packet's payload.
    pub(crate) fn send(&self, protocol: IpProtocol, to: Ipv4Addr, payload: &[u8]) {
        let ip = Ipv4Repr {
            src_addr: DEVICE.address,
            dst_addr: to,
            next_header: protocol,
            payload_len: payload.len(),
            hop_limit: 64,
        };
        let mut bytes = vec![0; ip.buffer_len() + payload.len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.emit(&mut packet, &ChecksumCapabilities::default());
        packet.payload_mut().copy_from_slice(payload);
        self.commands.send(Command::Send(bytes)).ok().unwrap();
    }

    pub(crate) fn send_datagram(&self, from: u16, to: SocketAddrV4, payload: &[u8]) {
        let udp = UdpRepr { src_port: from, dst_port: to.port() };
        let mut bytes = vec![0; udp.header_len() + payload.len()];
        let fill = |place: &mut [u8]| place.copy_from_slice(payload);
        let (source, target) = (DEVICE.address.into(), (*to.ip()).into());
        let mut packet = UdpPacket::new_unchecked(&mut bytes[..]);
        udp.emit(&mut packet, &source, &target, payload.len(), fill, &ChecksumCapabilities::default());
        self.send(IpProtocol::Udp, *to.ip(), &bytes);
    }

    /// Asks the broker's name server; gives the whole answer.
    pub(crate) async fn ask(&mut self, query: &[u8]) -> Vec<u8> {
        self.next_port += 1;
        self.send_datagram(self.next_port, SocketAddrV4::new(DEVICE.gateway, 53), query);
        let bytes = self.datagrams.recv().await.unwrap();
        let ip = Ipv4Packet::new_checked(&bytes[..]).unwrap();
        let udp = UdpPacket::new_checked(ip.payload()).unwrap();
        assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
        assert_eq!((ip.src_addr(), udp.src_port(), udp.dst_port()), (DEVICE.gateway, 53, self.next_port));
        udp.payload().to_vec()
    }

    /// The address of a name, or the code of the refusal.
    pub(crate) async fn lookup(&mut self, name: &str) -> Result<Ipv4Addr, u8> {
        let answer = self.ask(&query(name.split('.').map(str::as_bytes), 1)).await;
        address_in(&answer)
    }
}

/// A DNS query for a name of these labels.
pub(crate) fn query<'a>(labels: impl Iterator<Item = &'a [u8]>, kind: u16) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label);
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The address in an answer, or its code; the code 0 means that there is no address.
pub(crate) fn address_in(answer: &[u8]) -> Result<Ipv4Addr, u8> {
    assert_eq!(&answer[..2], [0xab, 0xcd]);
    match (answer[3] & 15, answer[7]) {
        (0, 1) => Ok(Ipv4Addr::from(<[u8; 4]>::try_from(&answer[answer.len() - 4..]).unwrap())),
        (code, _) => Err(code),
    }
}

struct Connection {
    handle: SocketHandle,
    pipe: DuplexStream,
    /// Until the connection is open: the program's end, and whom to give it.
    waiting: Option<(DuplexStream, oneshot::Sender<Result<DuplexStream, &'static str>>)>,
    finished: bool,
    told_end: bool,
    heard_end: bool,
}

struct Call(Notify);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

struct Stack {
    device: Queue,
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    call: Arc<Call>,
    began: Instant,
    next_port: u16,
}

struct Queue {
    received: VecDeque<Vec<u8>>,
    to_broker: mpsc::UnboundedSender<Vec<u8>>,
}

impl Stack {
    fn new(to_broker: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        let mut device = Queue { received: VecDeque::new(), to_broker };
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|list| list.push(IpCidr::new(DEVICE.address.into(), DEVICE.prefix_length)).unwrap());
        interface.routes_mut().add_default_ipv4_route(DEVICE.gateway).unwrap();
        let call = Arc::new(Call(Notify::new()));
        let sockets = SocketSet::new(Vec::new());
        Self { device, interface, sockets, connections: Vec::new(), call, began: Instant::now(), next_port: 40_000 }
    }

    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut packets: mpsc::UnboundedReceiver<Vec<u8>>,
        datagrams: mpsc::UnboundedSender<Vec<u8>>,
    ) {
        loop {
            let now = self.now();
            let wait = self.interface.poll_delay(now, &self.sockets).map_or(Duration::from_secs(60), Into::into);
            let call = Arc::clone(&self.call);
            tokio::select! {
                Some(packet) = packets.recv() => {
                    if Ipv4Packet::new_checked(&packet[..]).unwrap().next_header() == IpProtocol::Udp {
                        datagrams.send(packet).unwrap();
                    } else {
                        self.device.received.push_back(packet);
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Connect(to, reply)) => self.connect(to, reply),
                    Some(Command::Send(packet)) => self.device.to_broker.send(packet).unwrap_or(()),
                    Some(Command::Break) => self.break_connections(),
                    None => return,
                },
                () = call.0.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            self.poll();
        }
    }

    fn now(&self) -> smoltcp::time::Instant {
        smoltcp::time::Instant::from_micros(i64::try_from(self.began.elapsed().as_micros()).unwrap())
    }

    fn connect(&mut self, to: SocketAddrV4, reply: oneshot::Sender<Result<DuplexStream, &'static str>>) {
        let buffer = || SocketBuffer::new(vec![0; 1 << 20]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        self.next_port += 1;
        socket.connect(self.interface.context(), (*to.ip(), to.port()), self.next_port).unwrap();
        let (pipe, program) = duplex(64 << 10);
        let handle = self.sockets.add(socket);
        let waiting = Some((program, reply));
        self.connections.push(Connection { handle, pipe, waiting, finished: false, told_end: false, heard_end: false });
    }

    fn break_connections(&mut self) {
        for connection in &self.connections {
            self.sockets.get_mut::<Socket<'_>>(connection.handle).abort();
        }
    }

    fn poll(&mut self) {
        let now = self.now();
        self.interface.poll(now, &mut self.device, &mut self.sockets);
        let waker = Waker::from(Arc::clone(&self.call));
        let mut context = Context::from_waker(&waker);
        let sockets = &mut self.sockets;
        self.connections.retain_mut(|connection| {
            let socket = sockets.get_mut::<Socket<'_>>(connection.handle);
            let keep = connection.pump(socket, &mut context);
            if !keep {
                sockets.remove(connection.handle);
            }
            keep
        });
        let now = self.now();
        self.interface.poll(now, &mut self.device, &mut self.sockets);
    }
}

impl Connection {
    /// Moves bytes; whether the connection goes on.
    fn pump(&mut self, socket: &mut Socket<'_>, context: &mut Context<'_>) -> bool {
        match socket.state() {
            State::SynSent => return true,
            State::Closed if self.waiting.is_some() => {
                let (_, reply) = self.waiting.take().unwrap();
                let _gone = reply.send(Err("refused"));
                return false;
            }
            _ => {}
        }
        if let Some((program, reply)) = self.waiting.take() {
            let _gone = reply.send(Ok(program));
        }
        self.finished |= matches!(socket.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        while socket.can_recv() {
            let pipe = &mut self.pipe;
            let moved = socket.recv(|bytes| match Pin::new(pipe).poll_write(context, bytes) {
                Poll::Ready(Ok(length)) => (length, Some(true)),
                Poll::Ready(Err(_)) => (0, Some(false)),
                Poll::Pending => (0, None),
            });
            match moved.unwrap() {
                Some(true) => {}
                Some(false) => {
                    socket.abort();
                    return true;
                }
                None => return true,
            }
        }
        if self.finished && !self.told_end {
            self.told_end = true;
            let _closed = Pin::new(&mut self.pipe).poll_shutdown(context);
        }
        while !self.heard_end && socket.can_send() {
            let pipe = &mut self.pipe;
            let moved = socket.send(|room| {
                let mut buffer = ReadBuf::new(room);
                match Pin::new(pipe).poll_read(context, &mut buffer) {
                    Poll::Ready(_) => (buffer.filled().len(), Some(!buffer.filled().is_empty())),
                    Poll::Pending => (0, None),
                }
            });
            match moved.unwrap() {
                Some(true) => {}
                Some(false) => {
                    self.heard_end = true;
                    socket.close();
                }
                None => break,
            }
        }
        // A broken connection closes the pipe, which the program sees as an end; tests look at what came before it.
        !matches!(socket.state(), State::Closed | State::TimeWait)
    }
}

impl Device for Queue {
    type RxToken<'a> = Received;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Received, Transmit<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Transmit(&self.to_broker)))
    }

    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Transmit<'_>> {
        Some(Transmit(&self.to_broker))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::try_from(DEVICE.mtu).unwrap();
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

struct Transmit<'a>(&'a mpsc::UnboundedSender<Vec<u8>>);

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        let _broker_is_gone = self.0.send(packet);
        result
    }
}
