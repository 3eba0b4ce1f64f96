//! What a search found, and why. Leaves out finding it.

use std::fmt;

use masque_types::memory::{Chunk, Document};
use serde::Serialize;

/// The answer to a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// The results, best first.
    pub hits: Vec<Hit>,
    /// What the text leg did.
    pub text: Leg,
    /// What the vector leg did.
    pub vector: Leg,
    /// What the reader of the results should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// The document.
    pub document: Document,
    /// The part of it that was found.
    pub chunk: Chunk,
    /// The section around it, if the search asked for it and it is larger than the chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<Section>,
    /// Orders the results of one search; says nothing across searches.
    pub score: f32,
    /// How the score came about.
    pub explanation: Explanation,
}

/// Neighbouring chunks of a document below the same headings, joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its text, without the headings.
    pub text: String,
    /// First and last line in the extracted text, from 1.
    pub lines: (u32, u32),
}

/// How a result's score came about.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Explanation {
    /// Its place in the text leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<LegRank>,
    /// Its place in the vector leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<LegRank>,
    /// The score after fusing both.
    pub fused: f32,
    /// The factor by which its age raised it; 1 without.
    pub recency: f32,
    /// Whether a later note contradicts it, which lowered its score.
    pub contradicted: bool,
    /// How sure it is that this answers the question at all, from 0 to 1.
    pub confidence: f32,
    /// The words of the question that it has, as they are indexed.
    pub matched: Vec<String>,
}

/// A place in one leg.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LegRank {
    /// From 1.
    pub rank: u32,
    /// The leg's own score: BM25, or the cosine of the angle.
    pub score: f32,
}

/// What a leg did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Leg {
    /// It answered.
    Answered {
        /// How many candidates it gave.
        candidates: usize,
        /// The embedding model, for the vector leg.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// It was not asked.
    NotAsked,
    /// It could not answer; a note says why.
    Absent,
}

/// What the reader of results should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// No embedding model is configured: only words were compared.
    NoModel,
    /// The embedding model failed for this question: only words were compared.
    ModelFailed {
        /// What it said.
        reason: String,
    },
    /// Some chunks have no vector yet.
    VectorsMissing {
        /// How many.
        chunks: u64,
    },
    /// The model has no vectors here yet.
    NoVectors,
    /// Vectors are being made anew; until then those of the model before answer.
    ModelChanging {
        /// The model that answers.
        serving: String,
        /// The model that will.
        next: String,
    },
    /// Nothing was sure enough to be an answer.
    NothingSure,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModel => f.write_str("no embedding model: only words were compared"),
            Self::ModelFailed { reason } => {
                write!(f, "only words were compared, because the embedding model failed: {reason}")
            }
            Self::VectorsMissing { chunks } => {
                write!(f, "{chunks} chunks have no vector yet and are found by their words only")
            }
            Self::NoVectors => f.write_str("the embedding model has made no vectors yet: only words were compared"),
            Self::ModelChanging { serving, next } => {
                write!(f, "vectors of {serving} answer until those of {next} are complete")
            }
            Self::NothingSure => f.write_str("nothing was close enough to the question to be an answer"),
        }
    }
}
