//! One connection inside of the stack: bytes between its TCP socket and the pipe to who serves it.

use std::{
    pin::Pin,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{Socket, State},
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf},
    sync::mpsc::UnboundedSender,
};
use tokio_util::sync::CancellationToken;

use crate::{
    packet::Ends,
    program::{FlowId, FlowWaker, Message},
};

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The program's first packet waits until it is accepted.
    Waiting { opening: Vec<u8> },
    /// There is a socket.
    Open(SocketHandle),
    /// The socket is gone; it may still be served.
    Gone,
}

/// A connection of a program.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) ends: Ends,
    pub(crate) phase: Phase,
    /// Somebody serves it; false when that has ended.
    pub(crate) is_served: bool,
    pub(crate) gone: CancellationToken,
    pipe: DuplexStream,
    waker: Arc<FlowWaker>,
    /// The program sends no more.
    finished: bool,
    /// Who serves it was told so, after all bytes.
    told_end: bool,
    /// Who serves it sends no more.
    heard_end: bool,
}

impl Flow {
    pub(crate) fn new(
        id: FlowId,
        ends: Ends,
        opening: Vec<u8>,
        pipe: DuplexStream,
        gone: CancellationToken,
        stack: UnboundedSender<Message>,
    ) -> Self {
        let waker = FlowWaker { id, stack, called: AtomicBool::new(false) };
        Self {
            ends,
            phase: Phase::Waiting { opening },
            is_served: true,
            gone,
            pipe,
            waker: Arc::new(waker),
            finished: false,
            told_end: false,
            heard_end: false,
        }
    }

    /// Moves what can be moved in both directions.
    pub(crate) fn pump(&mut self, socket: &mut Socket<'_>) {
        self.waker.called.store(false, Ordering::Release);
        self.finished |= has_finished(socket.state());
        let waker = Waker::from(Arc::clone(&self.waker));
        let mut context = Context::from_waker(&waker);
        self.take_from_program(socket, &mut context);
        self.give_to_program(socket, &mut context);
    }

    /// Whether the connection ended before both sides had said that they send no more.
    pub(crate) fn is_broken(&self, socket: &Socket<'_>) -> bool {
        socket.state() == State::Closed && !(self.finished && self.heard_end)
    }

    /// Whether the socket has nothing left to do: it is closed, or waits only for packets that come late, which this wire
    /// does not have.
    pub(crate) fn is_over(&self, socket: &Socket<'_>) -> bool {
        let closed = matches!(socket.state(), State::Closed | State::TimeWait);
        closed && (self.told_end || self.is_broken(socket))
    }

    fn take_from_program(&mut self, socket: &mut Socket<'_>, context: &mut Context<'_>) {
        while socket.can_recv() {
            let pipe = &mut self.pipe;
            let moved = socket.recv(|bytes| match Pin::new(pipe).poll_write(context, bytes) {
                Poll::Ready(Ok(length)) => (length, Moved::Some),
                Poll::Ready(Err(_)) => (0, Moved::Closed),
                Poll::Pending => (0, Moved::Full),
            });
            match moved {
                Ok(Moved::Some) => {}
                // Nobody reads what the program still sends.
                Ok(Moved::Closed) => return socket.abort(),
                Ok(Moved::Full) | Err(_) => return,
            }
        }
        if self.finished && !self.told_end {
            self.told_end = true;
            // Closing a pipe never waits.
            let _closed = Pin::new(&mut self.pipe).poll_shutdown(context);
        }
    }

    fn give_to_program(&mut self, socket: &mut Socket<'_>, context: &mut Context<'_>) {
        while !self.heard_end && socket.can_send() {
            let pipe = &mut self.pipe;
            let moved = socket.send(|room| {
                let mut buffer = ReadBuf::new(room);
                match Pin::new(pipe).poll_read(context, &mut buffer) {
                    Poll::Ready(_) if buffer.filled().is_empty() => (0, Moved::Closed),
                    Poll::Ready(_) => (buffer.filled().len(), Moved::Some),
                    Poll::Pending => (0, Moved::Full),
                }
            });
            match moved {
                Ok(Moved::Some) => {}
                Ok(Moved::Closed) => {
                    self.heard_end = true;
                    socket.close();
                }
                Ok(Moved::Full) | Err(_) => return,
            }
        }
    }
}

enum Moved {
    Some,
    /// Nothing can be moved now; the pipe calls when that changes.
    Full,
    Closed,
}

/// Whether the program has said that it sends no more.
fn has_finished(state: State) -> bool {
    matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait)
}
