//! The link between supervisors over real sockets: keys wrong in each way, a wire that is cut, strangers, and neighbours.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod keys;
mod neighbours;
mod support;
mod wire;
