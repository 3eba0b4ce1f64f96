//! Personas from files: reading, checking and finding them.
//!
//! Owns: the search order, the front matter, `mcp.json`, the tool names of other programs, the bundled personas. A
//! file that is wrong is shown, not thrown: loading gives values and diagnostics and has no error of its own. Leaves
//! out deciding what a persona may do (`masque_types::policy`), enforcing it, and starting its MCP servers.

mod aliases;
mod bundled;
mod catalog;
mod delegate_keys;
mod display_keys;
mod file;
mod foreign_keys;
mod front_matter;
pub mod handoff;
mod hooks;
mod host;
mod instructions;
mod masque_keys;
mod mcp;
mod node;
mod notes;
mod repair;
mod sandbox_keys;
mod secret_keys;
mod section;
mod sibling;
mod skills;
mod tool_names;
mod units;

pub use catalog::{Broken, Catalog, Loaded, Origin, Sources, load, read_file, validate_file};
pub use instructions::instructions;
