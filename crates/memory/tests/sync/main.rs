//! A directory and its namespace: equal after every change, every crash, and however many processes look.

#![expect(clippy::unwrap_used, reason = "tests fail by a panic")]

mod crash;
mod scanning;
mod support;
mod watching;
