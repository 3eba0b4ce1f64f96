//! The one task that owns the network stack: it listens to packets, to the connections that it serves, to time and to the
//! stop.
//!
//! Connections are served within this task, each by a future of its own, and not by tasks of the runtime: what a byte
//! costs most on its way through is to wake another thread. Leaves out how a connection is served.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use futures::stream::{FuturesUnordered, StreamExt as _};
use masque_types::BoxFuture;
use smoltcp::{
    iface::{Config, Interface, PollResult, SocketSet},
    socket::tcp::{Socket, SocketBuffer},
    time::Instant,
    wire::{HardwareAddress, IpCidr, IpListenEndpoint},
};
use tokio::{
    io::duplex,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_util::sync::CancellationToken;

use crate::{
    DEVICE, PacketPort, Quota, Refusal,
    context::Context,
    counters::add,
    flow::{Flow, Phase},
    packet::{self, DNS_PORT, Ends, Packet},
    program::{FlowId, Message, Program},
    rules::Host,
    serve::{self, Destination, Target},
    wire::Wire,
};

/// Bytes on their way between program and broker, for each connection and direction.
const SOCKET_BUFFER: usize = 1 << 20;

/// Bytes on their way between the stack and who serves a connection, for each connection and direction.
const PIPE_LENGTH: usize = 256 << 10;

/// So many packets are taken before what they brought is moved on.
const BATCH: usize = 32;

/// What the stack's task listens to.
enum Input {
    Packet(std::io::Result<()>),
    Message(Message),
    Ended(Ended),
    Time,
    Stop,
}

/// A connection is served to its end.
struct Ended {
    program: Program,
    clean: bool,
}

/// The network stack with all connections.
pub(crate) struct Stack<P> {
    context: Arc<Context>,
    wire: Wire<P>,
    interface: Interface,
    sockets: SocketSet<'static>,
    began: std::time::Instant,
    flows: HashMap<FlowId, Flow>,
    ids: HashMap<Ends, FlowId>,
    next_id: FlowId,
    /// Connections for which something may have changed.
    touched: Vec<FlowId>,
    served: FuturesUnordered<BoxFuture<'static, Ended>>,
    sender: UnboundedSender<Message>,
    messages: UnboundedReceiver<Message>,
}

impl<P: PacketPort> Stack<P> {
    pub(crate) fn new(port: P, context: Arc<Context>) -> Self {
        let mut wire = Wire::new(port);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = RandomState::new().hash_one(std::process::id());
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        // Every address is ours.
        interface.set_any_ip(true);
        interface.update_ip_addrs(|addresses| {
            let _has_room = addresses.push(IpCidr::new(DEVICE.gateway.into(), 32));
        });
        let _has_room = interface.routes_mut().add_default_ipv4_route(DEVICE.gateway);
        let (sender, messages) = unbounded_channel();
        Self {
            context,
            wire,
            interface,
            sockets: SocketSet::new(Vec::new()),
            began: std::time::Instant::now(),
            flows: HashMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            touched: Vec::new(),
            served: FuturesUnordered::new(),
            sender,
            messages,
        }
    }

    /// Works until the stop, or until the port is gone; then all connections are broken.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            match self.next(&stop).await {
                Input::Packet(Ok(())) => {
                    self.ingest();
                    if !self.ingest_more() {
                        break;
                    }
                }
                Input::Packet(Err(_)) | Input::Stop => break,
                Input::Message(message) => self.hear(message),
                Input::Ended(ended) => self.end(ended),
                Input::Time => {}
            }
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message);
            }
            self.settle();
        }
        self.close();
    }

    async fn next(&mut self, stop: &CancellationToken) -> Input {
        let deadline = self.interface.poll_at(self.now(), &self.sockets);
        let wait = deadline.map(|deadline| Duration::from(deadline - self.now().min(deadline)));
        tokio::select! {
            biased;
            () = stop.cancelled() => Input::Stop,
            Some(ended) = self.served.next() => Input::Ended(ended),
            Some(message) = self.messages.recv() => Input::Message(message),
            received = std::future::poll_fn(|context| self.wire.poll_receive(context)) => Input::Packet(received),
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => Input::Time,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Takes the packets that are there without waiting; whether the port still works.
    fn ingest_more(&mut self) -> bool {
        let mut nobody = TaskContext::from_waker(Waker::noop());
        for _ in 1..BATCH {
            match self.wire.poll_receive(&mut nobody) {
                Poll::Ready(Ok(())) => self.ingest(),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => break,
            }
        }
        true
    }

    fn ingest(&mut self) {
        match packet::classify(self.wire.packet()) {
            Packet::Segment { ends, opens, resets } => self.segment(ends, opens, resets),
            Packet::Query { ends, payload } => {
                if let Some(answer) = crate::dns::answer(&self.context, &payload) {
                    self.wire.send(&packet::answer(&ends, &answer));
                }
            }
            Packet::Noise => {}
            Packet::Other(what) => {
                add(&self.context.counting.dropped_packets, 1);
                self.context.observer.refuse(what, Refusal::Protocol);
            }
        }
    }

    fn segment(&mut self, ends: Ends, opens: bool, resets: bool) {
        if let Some(id) = self.ids.get(&ends).copied() {
            match self.flows.get(&id).map(|flow| &flow.phase) {
                // The program asks again, or does not want any more.
                Some(Phase::Waiting { .. }) if resets => self.give_up(id),
                Some(Phase::Waiting { .. }) => {}
                _ => {
                    self.feed();
                    self.touched.push(id);
                }
            }
        } else if let Some(target) = opens.then(|| self.admit(&ends)).flatten() {
            self.begin(ends, target);
        } else {
            // No socket takes it, so that the stack answers that nothing listens.
            self.feed();
        }
    }

    /// Lets the stack process the packet that is there.
    fn feed(&mut self) {
        let now = self.now();
        self.interface.poll_ingress_single(now, &mut self.wire, &mut self.sockets);
    }

    /// Whether a new connection may be tried, and to what it leads.
    fn admit(&self, ends: &Ends) -> Option<Target> {
        let (address, port) = (*ends.host.ip(), ends.host.port());
        let target = if address == DEVICE.gateway && port == DNS_PORT {
            Ok(Target::Dns)
        } else {
            let name = self.context.names().name_of(address).cloned();
            let host = name.map_or(Host::Address(address), Host::Name);
            let destination = Destination { host, port };
            if self.context.rules.allow(&destination.host, port) {
                Ok(Target::Host(destination))
            } else {
                Err((destination.text(), Refusal::NotListed))
            }
        };
        let refused = match target {
            Ok(target) if self.flows.len() < self.context.limits.connections => return Some(target),
            Ok(target) => (target.text(), Refusal::Quota(Quota::Connections)),
            Err(refused) => refused,
        };
        add(&self.context.counting.refused_connections, 1);
        self.context.observer.refuse(refused.0, refused.1);
        None
    }

    /// Begins to serve a new connection. The program waits until it is accepted.
    fn begin(&mut self, ends: Ends, target: Target) {
        let id = self.next_id;
        self.next_id += 1;
        let (pipe, stream) = duplex(PIPE_LENGTH);
        let program = Program { id, stream, gone: CancellationToken::new(), stack: self.sender.clone() };
        let opening = self.wire.packet().to_vec();
        let (gone, stack) = (program.gone.clone(), program.stack.clone());
        let context = Arc::clone(&self.context);
        self.served.push(Box::pin(async move {
            let mut program = program;
            let clean = serve::serve(&context, target, &mut program).await;
            Ended { program, clean }
        }));
        self.flows.insert(id, Flow::new(id, ends, opening, pipe, gone, stack));
        self.ids.insert(ends, id);
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Touched(id) => self.touched.push(id),
            Message::Accept(id) => self.accept(id),
        }
    }

    fn accept(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let Phase::Waiting { opening } = &flow.phase else { return };
        let buffer = || SocketBuffer::new(vec![0; SOCKET_BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        let place = IpListenEndpoint { addr: Some((*flow.ends.host.ip()).into()), port: flow.ends.host.port() };
        if socket.listen(place).is_err() {
            return;
        }
        self.wire.load(opening);
        flow.phase = Phase::Open(self.sockets.add(socket));
        add(&self.context.counting.connections, 1);
        self.feed();
        self.touched.push(id);
    }

    /// The program left before the connection was open.
    fn give_up(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.gone.cancel();
            flow.phase = Phase::Gone;
            self.ids.remove(&flow.ends);
        }
    }

    fn end(&mut self, ended: Ended) {
        let Ended { program, clean } = ended;
        let id = program.id;
        // What was said last is heard first.
        while let Ok(message) = self.messages.try_recv() {
            self.hear(message);
        }
        let Some(flow) = self.flows.get_mut(&id) else { return };
        flow.is_served = false;
        match &flow.phase {
            Phase::Waiting { opening } => {
                self.wire.load(opening);
                flow.phase = Phase::Gone;
                self.ids.remove(&flow.ends);
                add(&self.context.counting.refused_connections, 1);
                self.feed();
            }
            Phase::Open(handle) if !clean => self.sockets.get_mut::<Socket<'_>>(*handle).abort(),
            Phase::Open(_) | Phase::Gone => {}
        }
        self.touched.push(id);
        // Only now the pipe closes: an aborted connection must not look like an ended one.
        drop(program);
    }

    /// Moves bytes for the touched connections, sends what there is to send, and forgets what is over.
    fn settle(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in &touched {
            if let Some(flow) = self.flows.get_mut(id)
                && let Phase::Open(handle) = flow.phase
            {
                flow.pump(self.sockets.get_mut(handle));
            }
        }
        let now = self.now();
        while self.interface.poll_egress(now, &mut self.wire, &mut self.sockets) == PollResult::SocketStateChanged {}
        for id in touched.drain(..) {
            self.forget_if_over(id);
        }
        self.touched = touched;
    }

    fn forget_if_over(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        if let Phase::Open(handle) = flow.phase {
            let socket = self.sockets.get::<Socket<'_>>(handle);
            if flow.is_broken(socket) {
                flow.gone.cancel();
            }
            if flow.is_over(socket) {
                self.sockets.remove(handle);
                flow.phase = Phase::Gone;
                self.ids.remove(&flow.ends);
            }
        }
        if !flow.is_served && matches!(flow.phase, Phase::Gone) {
            self.flows.remove(&id);
        }
    }

    /// Breaks every connection; who serves them ends with the stack.
    fn close(mut self) {
        for flow in self.flows.values() {
            if let Phase::Open(handle) = flow.phase {
                self.sockets.get_mut::<Socket<'_>>(handle).abort();
            }
        }
        let now = self.now();
        while self.interface.poll_egress(now, &mut self.wire, &mut self.sockets) == PollResult::SocketStateChanged {}
    }
}
