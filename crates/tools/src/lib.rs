//! Tools: what a persona can call, and the environment that they run in.
//!
//! Owns the built-in tools with the tool server that runs them inside the sandbox, the tools that run inside Masque,
//! the MCP client, and [`environment::Environment`], the one [`masque_types::tool::Toolbox`] of a run. Leaves out
//! whether a call may be made (the engine asks the policy), how a sandbox is enforced, and where results are stored.

mod builtin;
pub mod environment;
mod error;
mod failure;
mod hooks;
pub mod host;
mod lines;
mod mcp;
mod profile;
mod program;
pub mod remote;
pub mod server;
mod stop;
mod workspace;

use masque_types::tool::ToolSpec;

pub use error::Error;
pub use profile::profile;

/// When a persona's hooks run, by the keys of its file.
#[must_use]
pub fn hook_times(hooks: &masque_types::persona::Hooks) -> Vec<&'static str> {
    hooks::When::all(hooks).map(|(when, _)| when.name()).collect()
}

/// The tools that Masque brings along, sorted by name. Starts nothing.
#[must_use]
pub fn builtin_specs() -> Vec<ToolSpec> {
    let mut specs: Vec<ToolSpec> = builtin::ALL.iter().map(builtin::Builtin::spec).collect();
    specs.extend([host::ask::spec(), host::fetch::spec(), host::result::spec(), host::skill::spec()]);
    specs.extend(host::agent::specs());
    specs.extend(host::standard::specs());
    specs.extend(host::memory::specs());
    specs.sort_by(|one, two| one.name.cmp(&two.name));
    specs
}
