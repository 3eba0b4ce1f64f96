//! Tools that run inside Masque because they need the network under a guard, or the store: the trait, one file each.

pub mod agent;
pub mod ask;
pub mod discovery;
pub mod fetch;
pub mod memory;
mod page;
pub mod result;
pub mod skill;
pub mod standard;
mod target;

use masque_types::{
    BoxFuture,
    tool::{Invocation, ToolOutput, ToolSpec},
};

/// A tool that runs inside Masque.
///
/// Implementers bound the time of a call, never panic on arguments (they may not fit the schema), answer failures as
/// an error output that says what to do next, and stop their work when the future is dropped.
pub trait HostTool: Send + Sync {
    /// What the tool declares; the same on every call.
    fn spec(&self) -> ToolSpec;

    /// Performs a call.
    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput>;
}
