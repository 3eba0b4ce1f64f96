//! Files that people write, as a tree whose nodes know where they stand, and quantities as people write them.
//!
//! Owns the tree, and parsing YAML, JSON and TOML into it, with caps. Leaves out reading files, what the keys mean, and
//! how faults are told.

mod json;
mod node;
mod place;
mod toml;
pub mod units;
mod yaml;

pub use json::parse_json;
pub use node::{Content, Entry, Node};
pub use place::{ParseError, Place};
pub use toml::{Order, parse_toml};
pub use yaml::{Limits, parse_yaml};

/// How deep values may stand in each other: enough for any real file, and far from the end of the stack.
pub const MAX_DEPTH: usize = 32;
