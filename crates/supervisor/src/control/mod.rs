//! The control socket: how the command line, other surfaces and tests speak with a running supervisor.
//!
//! `control.sock` in the state directory, a JSON request on a line, JSON answers on lines, the last of which says that it
//! is the last. Only the supervisor's own user and root are answered. Leaves out what is done, which is the runner's.

mod client;
mod feed;
mod message;
mod server;

pub use client::Client;
pub(crate) use feed::Feed;
pub use message::{Answer, Explanation, LogLine, Request, Rolled, Target, Wait};
pub(crate) use server::{Asked, Reply, Server, Then};

/// The socket's name in the state directory.
const SOCKET: &str = "control.sock";
