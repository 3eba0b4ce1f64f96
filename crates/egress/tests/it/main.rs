//! The broker from outside: programs on one side, hosts on the other.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests fail by a panic, and a skipped test says so"
)]

mod attacks;
mod names;
mod program;
mod real;
mod secrets;
mod site;
mod transfer;
