//! Containers on an engine of the tests' own: what the profile promises, attacked from inside; programs and their ends;
//! the pool; and refusals.
//!
//! The image is made here from BusyBox. Attacks that no shell can make are this executable itself, see `attack`.

#![expect(unsafe_code, reason = "attacks are raw system calls")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code, and attacks tell by printing")]
#![expect(clippy::disallowed_methods, reason = "tests read the environment and look at files as anybody would")]

mod attack;
mod confinement;
mod ends;
mod limits;
mod pool;
mod refusals;
mod services;
mod sessions;
mod station;
