//! How the health of a service is seen: checks that ask it, and ways in which it says so itself.
//!
//! Owns: each kind of check, its rhythm, and what must be there before the program starts so that it can say that it is
//! ready. Leaves out what follows from an answer: the machine counts and decides.

mod address;
mod ask;
mod command;
mod descriptor;
mod expectation;
mod file;
mod grpc;
mod hooks;
mod http;
mod listening;
mod notify;
mod prober;
mod rhythm;
mod tcp;
mod zmq;

pub use ask::ask;
pub use hooks::Hooks;
pub use notify::NotifySocket;
pub use prober::{Checked, Prober};
pub use rhythm::Begin;
