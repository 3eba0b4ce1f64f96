//! Notes: facts that a persona or a person wants to keep, and the gate before them.
//!
//! Owns: what is refused (junk, what is known already, what retrieval itself returned), what takes the place of what, and
//! which notes contradict each other. Leaves out who may note, and documents.
//!
//! A memory is spoilt by what is written to it: remarks without a fact, the same fact again and again, and what was read from it
//! coming back as new. The gate is made of plain rules, so that it can say why it refused; it flags, and never changes what
//! was noted before.

mod gate;
mod junk;
mod relation;
mod shingles;
mod talk;

use masque_store::ForgetFilter;
use masque_types::{
    digest::Digest,
    id::{DocumentId, RunId},
    memory::{Document, DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Error, Index,
    index::{Source, document_id},
    search::{Diversity, Mode, SearchQuery},
};

use gate::Known;
pub use junk::Junk;

/// Notes that a new one is compared with.
const COMPARED: usize = 20;
/// The key under which a note names what took its place.
pub(crate) const SUPERSEDED_BY: &str = "superseded_by";
/// The key under which a note names later ones that say something else.
pub(crate) const CONTRADICTED_BY: &str = "contradicted_by";
const SUPERSEDES: &str = "supersedes";
const CONTRADICTS: &str = "contradicts";

/// A fact that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNote {
    /// Who may read it.
    pub namespace: Namespace,
    /// The fact, one or a few sentences.
    pub text: String,
    /// Searchable words.
    pub tags: Vec<String>,
    /// Whether it may be taken at its word: what a model notes may not.
    pub origin: Origin,
    /// The run that it came from.
    pub run: Option<RunId>,
    /// Notes whose place it takes. They are kept, and found no more.
    pub supersedes: Vec<DocumentId>,
    /// What searches returned in the same run: it is not noted again.
    pub retrieved: Vec<String>,
}

/// What became of a note.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Noted {
    /// It is kept.
    Kept {
        /// Its document.
        document: DocumentId,
        /// Notes that say something else about the same thing. They are kept too: a person decides.
        contradicts: Vec<DocumentId>,
    },
    /// It was refused.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Refusal {
    /// It states no fact that is worth keeping.
    Junk {
        /// What it is instead.
        junk: Junk,
    },
    /// It is known already.
    Duplicate {
        /// The note that says it.
        of: DocumentId,
        /// How alike they are, from 0 to 1.
        likeness: f32,
    },
    /// It was found by a search of the same run: noting it again would make it look confirmed.
    Recalled,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Junk { junk } => write!(f, "not noted: {junk}"),
            Self::Duplicate { of, .. } => write!(f, "not noted: {of} says the same"),
            Self::Recalled => f.write_str("not noted: it came from the memory itself in this run"),
        }
    }
}

impl Index {
    /// Keeps a note unless the gate refuses it, and flags the notes that it contradicts.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn note(&self, note: NewNote, at: Timestamp) -> Result<Noted, Error> {
        if let Some(junk) = junk::judge(&note.text) {
            return Ok(Noted::Refused { refusal: Refusal::Junk { junk } });
        }
        if gate::is_recalled(&note.text, &note.retrieved) {
            return Ok(Noted::Refused { refusal: Refusal::Recalled });
        }
        let mut known = self.known(&note, at).await?;
        known.retain(|known| !note.supersedes.contains(&known.document.id));
        let verdict = gate::judge(&note.text, &known);
        if let Some((of, likeness)) = verdict.duplicate {
            return Ok(Noted::Refused { refusal: Refusal::Duplicate { of, likeness } });
        }
        self.keep(note, verdict.contradicts, at).await
    }

    /// Forgets notes of a run.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_notes_of(&self, run: RunId, namespaces: Vec<Namespace>) -> Result<usize, Error> {
        let filter =
            ForgetFilter { namespaces, kinds: vec![DocumentKind::Note], run: Some(run), ..ForgetFilter::default() };
        Ok(self.store().forget(filter).await?.documents.len())
    }

    /// The notes that are nearest to a new one, with their texts.
    async fn known(&self, note: &NewNote, at: Timestamp) -> Result<Vec<Known>, Error> {
        let query = SearchQuery {
            kinds: vec![DocumentKind::Note],
            limit: COMPARED,
            mode: Mode::Fused,
            diversity: Diversity::PerSection(1),
            ..SearchQuery::new(note.text.as_str(), vec![note.namespace.clone()], at)
        };
        let found = self.search(&query).await?;
        Ok(found
            .hits
            .into_iter()
            .map(|hit| Known {
                cosine: hit.explanation.vector.map(|place| place.score),
                text: hit.chunk.text,
                document: hit.document,
            })
            .collect())
    }

    async fn keep(&self, note: NewNote, contradicts: Vec<DocumentId>, at: Timestamp) -> Result<Noted, Error> {
        let source = source(&note, &contradicts, at);
        let id = document_id(&source.namespace, &source.source);
        // The same words may be noted again after something else took their place: what was said of them then is over.
        self.add_again(vec![source], at).await?;
        self.flag(&note.namespace, &note.supersedes, SUPERSEDED_BY, id).await?;
        self.flag(&note.namespace, &contradicts, CONTRADICTED_BY, id).await?;
        Ok(Noted::Kept { document: id, contradicts })
    }

    /// Writes the id of a later note into the metadata of earlier ones of the same namespace.
    async fn flag(&self, namespace: &Namespace, notes: &[DocumentId], key: &str, by: DocumentId) -> Result<(), Error> {
        let mut flagged = Vec::new();
        for note in notes.iter().filter(|note| **note != by) {
            let Some(mut document) = self.store().document(*note).await? else { continue };
            if document.namespace != *namespace {
                continue;
            }
            add_id(&mut document, key, by);
            let chunks = self.store().chunks(*note).await?.into_iter().map(crate::index::new_chunk).collect();
            flagged.push(masque_store::NewDocument { document, chunks });
        }
        if !flagged.is_empty() {
            self.store().put_documents(flagged).await?;
        }
        Ok(())
    }
}

fn add_id(document: &mut Document, key: &str, id: DocumentId) {
    let ids = document.metadata.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let id = Value::String(id.to_string());
    if let Value::Array(ids) = ids
        && !ids.contains(&id)
    {
        ids.push(id);
    }
}

fn source(note: &NewNote, contradicts: &[DocumentId], at: Timestamp) -> Source {
    let text = note.text.trim();
    let digest = Digest::of(text);
    let ids = |ids: &[DocumentId]| Value::from(ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut metadata = Map::new();
    if !note.tags.is_empty() {
        metadata.insert("tags".to_owned(), Value::from(note.tags.clone()));
    }
    if let Some(run) = note.run {
        metadata.insert("run".to_owned(), Value::String(run.to_string()));
    }
    if !note.supersedes.is_empty() {
        metadata.insert(SUPERSEDES.to_owned(), ids(&note.supersedes));
    }
    if !contradicts.is_empty() {
        metadata.insert(CONTRADICTS.to_owned(), ids(contradicts));
    }
    Source {
        namespace: note.namespace.clone(),
        source: format!("note:{}", digest.short()),
        kind: DocumentKind::Note,
        title: String::new(),
        media_type: "text/plain".to_owned(),
        origin: note.origin,
        digest,
        text: text.to_owned(),
        changed_at: at,
        metadata,
    }
}
