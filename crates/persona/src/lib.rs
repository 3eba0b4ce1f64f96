//! Personas from files: reading, checking and finding them.
//!
//! Owns: the search order, the front matter, `mcp.json`, skills, `AGENTS.md`, the dialects of other programs, the bundled
//! personas. A
//! file that is wrong is shown, not thrown: loading gives values and diagnostics and has no error of its own. Leaves
//! out deciding what a persona may do (`masque_types::policy`), enforcing it, and starting its MCP servers.

mod aliases;
mod bundled;
mod catalog;
mod delegate_keys;
pub mod dialect;
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
mod notes;
mod repair;
mod sandbox_keys;
mod schema;
mod secret_keys;
mod section;
mod sibling;
mod skills;
mod tool_names;
mod units;

pub use catalog::{
    Broken, Catalog, Loaded, Origin, Sources, check_bundled, check_text, load, read_file, validate_file,
};
pub use instructions::instructions;
pub use schema::schema;

/// The files of a bundled persona, by their paths from a directory of personas on.
#[must_use]
pub fn bundled_files(name: &str) -> Option<Vec<(String, &'static str)>> {
    bundled::files(name)
}

/// Whether this can be the name of a persona: 1 to 64 lower-case letters, digits and `-`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    front_matter::is_name(name)
}
