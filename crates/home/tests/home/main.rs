//! Homes and their versions: what is kept, what comes back, what a crash leaves, what damage is found.

#![expect(clippy::unwrap_used, reason = "tests fail by a panic")]

mod crashes;
mod homes;
mod support;
mod versions;
