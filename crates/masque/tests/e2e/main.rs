//! Masque end to end: the executable, driven as a user drives it, against fake providers, hostile and broken MCP
//! servers, in real sandboxes. Leaves out what a command prints: those are the tests beside these.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by a panic")]

mod chat;
mod escape;
mod fleet_screen;
mod processes;
mod protocol;
mod results;
mod secrets;
mod servers;
mod support;
mod terminal;
mod trust;
