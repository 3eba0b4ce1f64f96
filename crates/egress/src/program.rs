//! A program's connection as who serves it sees it, and how the stack is called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use tokio::{io::DuplexStream, sync::mpsc::UnboundedSender};
use tokio_util::sync::CancellationToken;

/// Tells connections apart for as long as the broker lives.
pub(crate) type FlowId = u64;

/// What the stack is told about connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// The connection may be opened.
    Accept(FlowId),
    /// There are bytes for the program, or room for bytes from it.
    Touched(FlowId),
}

/// The program's end of a connection that waits or is open.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) id: FlowId,
    /// The bytes. Shutting it down ends the direction to the program.
    pub(crate) stream: DuplexStream,
    /// Cancelled when the program broke the connection.
    pub(crate) gone: CancellationToken,
    pub(crate) stack: UnboundedSender<Message>,
}

impl Program {
    /// Opens the connection. Without it the program sees that nothing listens.
    pub(crate) fn accept(&self) {
        let _stack_is_gone = self.stack.send(Message::Accept(self.id));
    }
}

/// Calls the stack when a pipe that it waits for has moved: one message at a time, so that there are never more messages
/// than connections.
#[derive(Debug)]
pub(crate) struct FlowWaker {
    pub(crate) id: FlowId,
    pub(crate) stack: UnboundedSender<Message>,
    pub(crate) called: AtomicBool,
}

impl Wake for FlowWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.called.swap(true, Ordering::AcqRel) {
            let _stack_is_gone = self.stack.send(Message::Touched(self.id));
        }
    }
}
