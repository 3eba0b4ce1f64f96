//! The gateway's tests against fake providers and scripts: one binary.

#![expect(clippy::unwrap_used, reason = "these are tests: what they stand on must be there")]

mod dialects;
mod history;
mod recording;
mod routes;
mod scripts;
mod support;
