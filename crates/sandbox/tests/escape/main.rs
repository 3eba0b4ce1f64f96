//! Attacks from inside the sandbox and on its set-up. Each must be refused, with Landlock and without, for root and for
//! an ordinary user.
//!
//! Programs that attack are shell scripts, or this executable itself: shown inside as `masque` and started with the
//! name of an attack, see `attack`.

#![expect(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "attacks are raw system calls; tests read and start things"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test code, and attacks tell by printing"
)]

mod attack;
mod files;
mod limits;
mod network;
mod processes;
mod start;
mod support;
mod user;
