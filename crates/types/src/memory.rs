//! What is remembered: namespaces, documents, chunks, and the seam to embedding models.
//!
//! Leaves out extracting, chunking, storing and searching: those are the work of other crates.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::{BoxFuture, digest::Digest, time::Timestamp};

/// Who may read a memory. Prints as `private:architect`, `project:9f2c61d0`, `room:incident-7`.
///
/// Nothing crosses a namespace: whoever searches names the namespaces that it may read, and the filter is applied
/// before anything is ranked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// One persona's own.
    Private(String),
    /// Everybody who works in a project: the short digest of its path.
    Project(String),
    /// Everybody whose file names the room.
    Room(String),
}

/// A text that names no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no namespace: expected `private:<persona>`, `project:<id>` or `room:<name>`")]
pub struct ParseNamespaceError(pub String);

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(name) => write!(f, "private:{name}"),
            Self::Project(name) => write!(f, "project:{name}"),
            Self::Room(name) => write!(f, "room:{name}"),
        }
    }
}

impl FromStr for Namespace {
    type Err = ParseNamespaceError;

    fn from_str(text: &str) -> Result<Self, ParseNamespaceError> {
        let wrong = || ParseNamespaceError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(wrong());
        }
        match kind {
            "private" => Ok(Self::Private(name.to_owned())),
            "project" => Ok(Self::Project(name.to_owned())),
            "room" => Ok(Self::Room(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Whether a text may be taken at its word. It is a label: it authorises nothing, and untrusted text stays untrusted
/// whatever is made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Written or approved by a person of this machine.
    Trusted,
    /// From a document, a page, a mail, a tool, or a model: data, never instructions.
    #[default]
    Untrusted,
}

impl Origin {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Trusted, Self::Untrusted].into_iter().find(|origin| origin.name() == name)
    }
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// Material that was added: a file, a page, a mail.
    Document,
    /// An approved standard of a project.
    Standard,
    /// A fact that a persona or a person noted.
    Note,
    /// What the curator wrote about other documents; it names them as its sources and is forgotten with them.
    Summary,
}

impl DocumentKind {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Standard => "standard",
            Self::Note => "note",
            Self::Summary => "summary",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Document, Self::Standard, Self::Note, Self::Summary].into_iter().find(|kind| kind.name() == name)
    }
}

/// A document as it is remembered, without its chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Its id, derived from namespace and source.
    pub id: crate::id::DocumentId,
    /// Who may read it.
    pub namespace: Namespace,
    /// Where it came from: a path relative to the project, a URL, `note:<id>`. One document per namespace and source.
    pub source: String,
    /// What it is.
    pub kind: DocumentKind,
    /// Its title, one line.
    pub title: String,
    /// Media type of what it was extracted from: `text/markdown`.
    pub media_type: String,
    /// Whether it may be taken at its word.
    pub origin: Origin,
    /// Digest of the bytes that it was extracted from: the same bytes are not indexed again.
    pub digest: Digest,
    /// When its content was last changed, as far as known.
    pub changed_at: Timestamp,
    /// When it was indexed.
    pub indexed_at: Timestamp,
    /// Whatever else is known: `tags`, `sources`, `supersedes`, `contradicts`, `run`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// A part of a document that is found as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its place in the document, from 0.
    pub ordinal: u32,
    /// The headings above it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// Its text, without the headings.
    pub text: String,
    /// First and last line in the extracted text, from 1.
    pub lines: (u32, u32),
    /// Estimated tokens.
    pub tokens: u32,
    /// Digest of headings and text: an unchanged chunk is not embedded again, wherever it moves.
    pub digest: Digest,
}

/// An embedding model as vectors name it: vectors of different models are never compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EmbeddingModel {
    /// Its name with everything that changes its vectors: `all-MiniLM-L6-v2@c9745ed1`, `ollama/nomic-embed-text`.
    pub name: String,
    /// Numbers per vector.
    pub dimension: usize,
}

/// What a text is embedded for: some models treat the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmbedPurpose {
    /// A question.
    Query,
    /// A text that is to be found.
    Document,
}

/// Turns texts into vectors.
///
/// Implementers return one vector of unit length and of the model's dimension for each text, in order; a text longer
/// than the model takes is cut. The error is a sentence that says what failed and what to do.
pub trait Embedder: Send + Sync {
    /// Whose vectors they are.
    fn model(&self) -> &EmbeddingModel;

    /// Embeds texts. Implementers bound the time of a call and stop when the future is dropped, at the latest after the
    /// batch that is being computed.
    fn embed<'a>(&'a self, texts: &'a [String], purpose: EmbedPurpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_print_and_parse_back() {
        for text in ["private:architect", "project:9f2c61d0", "room:incident-7"] {
            assert_eq!(text.parse::<Namespace>().unwrap().to_string(), text);
        }
        for text in ["", "private", "private:", "room:a b", "room:../x", "team:x"] {
            assert!(text.parse::<Namespace>().is_err(), "{text}");
        }
    }
}
