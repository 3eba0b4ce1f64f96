//! Instructions of a project for whoever works in it: what stands in its `AGENTS.md` files.
//!
//! Leaves out finding them, which is the persona crate's work, and putting them into a context, which is the
//! application's.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The text of one file of instructions, as a run keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The file, from the project on: `AGENTS.md`, `crates/store/AGENTS.md`.
    pub source: String,
    /// Its text; shortened when it was larger than a context bears.
    pub text: String,
    /// The digest of the text.
    pub digest: Digest,
}

impl Instruction {
    /// An instruction with the digest of its text.
    pub fn new(source: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { source: source.into(), digest: Digest::of(&text), text }
    }
}
