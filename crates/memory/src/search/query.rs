//! What is asked of a search. Leaves out answering it.

use std::time::Duration;

use masque_types::{
    memory::{DocumentKind, Namespace, Origin},
    time::Timestamp,
};

/// One question to the memory.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchQuery {
    /// What is looked for: words, a sentence, a question, an identifier.
    pub text: String,
    /// Where to look. Nothing outside of them is even ranked.
    pub namespaces: Vec<Namespace>,
    /// Which kinds of document; empty for all.
    pub kinds: Vec<DocumentKind>,
    /// How many results at most.
    pub limit: usize,
    /// Which legs answer.
    pub mode: Mode,
    /// Further conditions.
    pub filters: Filters,
    /// Whether newer documents are preferred.
    pub recency: Option<Recency>,
    /// Whether results that say the same are thinned out.
    pub diversity: Diversity,
    /// How much of the document a result brings along.
    pub extent: Extent,
    /// Whether a search without a good answer returns nothing: results are dropped when the best one's confidence
    /// (0 to 1, see [`Explanation::confidence`](super::Explanation::confidence)) is below this.
    pub least_confidence: Option<f32>,
    /// The time of asking.
    pub now: Timestamp,
}

impl SearchQuery {
    /// A search through all kinds of documents: ten results, both legs, no recency, two chunks of a section at most, no
    /// abstention.
    #[must_use]
    pub fn new(text: impl Into<String>, namespaces: Vec<Namespace>, now: Timestamp) -> Self {
        Self {
            text: text.into(),
            namespaces,
            kinds: Vec::new(),
            limit: 10,
            mode: Mode::Fused,
            filters: Filters::default(),
            recency: None,
            diversity: Diversity::PerSection(2),
            extent: Extent::Chunk,
            least_confidence: None,
            now,
        }
    }

    /// A search through a project's standards: five results, one for each section, and nothing when nothing fits.
    #[must_use]
    pub fn standards(text: impl Into<String>, project: Namespace, now: Timestamp) -> Self {
        Self {
            kinds: vec![DocumentKind::Standard],
            limit: 5,
            diversity: Diversity::PerSection(1),
            least_confidence: Some(Tuning::default().confident),
            ..Self::new(text, vec![project], now)
        }
    }
}

/// Which legs answer a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// Words and meaning; words alone where there are no vectors.
    #[default]
    Fused,
    /// Words only.
    Text,
    /// Meaning only.
    Vector,
}

/// Conditions that a document must meet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Tags that it must all have.
    pub tags: Vec<String>,
    /// The earliest change of its content.
    pub since: Option<Timestamp>,
    /// How its source begins.
    pub source: Option<String>,
    /// Its origin.
    pub origin: Option<Origin>,
    /// Whether notes are found too whose place another one took.
    pub superseded: bool,
}

/// How newer documents are preferred: a score is multiplied by `1 + weight * 0.5^(age / half_life)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recency {
    /// After which age the preference is half as large.
    pub half_life: Duration,
    /// The preference for what was changed just now: 0.2 is 20 %.
    pub weight: f32,
}

/// How results that say the same are thinned out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Diversity {
    /// Not at all.
    None,
    /// At most so many chunks of one section, which is a document with a heading path.
    PerSection(usize),
    /// Maximal marginal relevance (Carbonell and Goldstein 1998): 1 ranks by relevance alone, 0 by novelty alone.
    Marginal {
        /// The weight of relevance.
        relevance: f32,
    },
}

/// How much of its document a result brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// The chunk.
    Chunk,
    /// The section around the chunk, as long as it is not larger than this.
    Section {
        /// Estimated tokens.
        tokens: u32,
    },
}

/// How legs are weighed against each other. The defaults were tuned on the tuning split of the retrieval tracks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// The constant of reciprocal rank fusion: the larger, the less the first ranks stand out (Cormack et al. 2009 use 60).
    pub rank_constant: f32,
    /// The weight of the text leg.
    pub text_weight: f32,
    /// The weight of the vector leg.
    pub vector_weight: f32,
    /// The weight of the vector leg for a query that looks like an identifier or a quotation.
    pub identifier_vector_weight: f32,
    /// How many occurrences in the text one in the title or the headings counts for.
    pub heading_weight: f64,
    /// How soon repetitions of a word stop to count (BM25).
    pub k1: f64,
    /// How much long chunks pay for their length, from 0 to 1 (BM25).
    pub b: f64,
    /// How many candidates each leg gives.
    pub candidates: usize,
    /// The confidence from which an answer is an answer.
    pub confident: f32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            rank_constant: 60.0,
            text_weight: 1.0,
            vector_weight: 1.0,
            identifier_vector_weight: 0.3,
            heading_weight: 1.5,
            k1: 1.5,
            b: 0.75,
            candidates: 100,
            confident: 0.5,
        }
    }
}
