//! The package that carries a task from one persona to another, or from one installation to another.
//!
//! Owns: what a package holds, its form on the wire, its bounds, and the text that a called persona begins with. Leaves
//! out who may call whom, keys, and starting runs.

mod briefing;
mod history;
mod wire;

use std::collections::BTreeMap;

use masque_types::{child::Expected, digest::Digest, event::BlobRef, id::RunId, message::Message, time::Timestamp};
use serde::Serialize;

pub use history::recent;
pub use wire::{MAX_BYTES, MAX_DECODED_BYTES, Opened, PURPOSE, decode, encode};

/// A task on its way to another persona, with all that goes with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Handoff {
    /// What to do.
    pub task: String,
    /// Who hands the task on.
    pub source: Source,
    /// The name of the persona that is to do it.
    pub target: String,
    /// What of the source's conversation goes with it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Message>,
    /// Where the source worked.
    pub working_directory: String,
    /// Settings that the target may know; never secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Files that belong to the task, relative to the working directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// What the source wants back.
    pub expected: Expected,
    /// The call that waits for the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
    /// How long the result may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When it was packed.
    pub created_at: Timestamp,
}

/// Who hands a task on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The persona, or the person.
    pub name: String,
    /// The digest of what the persona was loaded from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The run that the task comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// A file that belongs to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Where it stands, relative to the working directory.
    pub path: String,
    /// What it held when the task was packed.
    #[serde(flatten)]
    pub content: BlobRef,
}

/// The call that waits for a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplyTo {
    /// The run.
    pub run: RunId,
    /// Its call.
    pub call_id: String,
}

/// Why a package cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else.
    #[error("it is no hand-off package: it does not begin with `MSQH`")]
    NotAPackage,
    /// Written by a newer Masque.
    #[error("the package has version {found}, this Masque reads up to {known}: install a newer Masque")]
    Newer {
        /// The version found.
        found: u8,
        /// The newest version that this build reads.
        known: u8,
    },
    /// It is larger than packages may be.
    #[error("the package is too large: {what}; put the material into files and name them as artifacts")]
    TooLarge {
        /// What is too large.
        what: String,
    },
    /// The signature is not that of the content.
    #[error("the package was changed after it was signed, or its end is missing: ask for it once more")]
    Signature,
    /// The content is signed and makes no sense.
    #[error("the package is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}
