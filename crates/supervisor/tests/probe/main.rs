//! Checks of services against real servers, and what services say themselves.

#![expect(clippy::disallowed_methods, reason = "tests look at what is there, and learn from the environment")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "all of it is test code")]

mod asked;
mod grpc;
mod http;
mod said;
mod stage;
mod surroundings;
mod zmq;
mod zmq_peers;
