//! Adding to the memory: a file, bytes from a pipe, a note. Directories are synced instead.

use std::path::{Path, PathBuf};

use masque_extract::Extracted;
use masque_memory::{
    index::{Added, Source},
    notes::{NewNote, Noted},
    sync::Extract as _,
};
use masque_types::{
    actor::Caller,
    digest::Digest,
    memory::{DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::permit;
use crate::{App, Error, audit};

/// What is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A document in a file.
    File(PathBuf),
    /// A document that was read already, with the name that it is known by.
    Bytes(String, Vec<u8>),
    /// A fact in a few sentences. It is refused when it is known already or says nothing.
    Note(String),
}

/// Something to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddMemory {
    /// What.
    pub material: Material,
    /// Who may read it.
    pub namespace: Namespace,
    /// Whether it may be taken at its word.
    pub origin: Origin,
    /// Searchable words.
    pub tags: Vec<String>,
    /// The project: files below it are named from there on.
    pub project: PathBuf,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddedMemory {
    /// Where it came from.
    pub source: String,
    /// Who may read it.
    pub namespace: Namespace,
    /// The document, when one was indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<Added>,
    /// The note, when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noted: Option<Noted>,
    /// What is missing from the text, or from the index.
    pub notes: Vec<String>,
}

impl App {
    /// Remembers a document or a note. It is found by its words at once, and by its meaning when this returns, unless
    /// the embedding model failed, which is told.
    ///
    /// # Errors
    /// When the caller may not write there, the document cannot be read, or the store cannot be written.
    pub async fn add_memory(&self, caller: &Caller, add: AddMemory) -> Result<AddedMemory, Error> {
        permit(caller, std::slice::from_ref(&add.namespace))?;
        let added = match &add.material {
            Material::Note(text) => self.add_note(&add, text).await?,
            Material::File(path) => {
                let extracted = self.extract_file(path).await?;
                let name = name(path, &add.project);
                self.add_document(&add, name, modified(path, self.clock.now()), extracted).await?
            }
            Material::Bytes(name, bytes) => {
                let extracted = self.extractor().extract(name, bytes.clone()).await;
                let extracted = extracted.map_err(|reason| Error::usage(format!("{name}: {reason}")))?;
                self.add_document(&add, name.clone(), self.clock.now(), extracted).await?
            }
        };
        let detail = json!({ "namespace": add.namespace, "origin": add.origin.name(), "result": added.added });
        let entry = audit::entry(self.clock.now(), &caller.actor, "memory.add", None, &added.source, detail);
        self.store.audit(entry).await?;
        Ok(added)
    }

    async fn add_note(&self, add: &AddMemory, text: &str) -> Result<AddedMemory, Error> {
        let note = NewNote {
            namespace: add.namespace.clone(),
            text: text.to_owned(),
            tags: add.tags.clone(),
            origin: add.origin,
            run: None,
            supersedes: Vec::new(),
            retrieved: Vec::new(),
        };
        let index = self.memory_index().await?;
        let noted = index.note(note, self.clock.now()).await?;
        let notes = self.embed(&index).await.into_iter().collect();
        let source = "note".to_owned();
        Ok(AddedMemory { source, namespace: add.namespace.clone(), added: None, noted: Some(noted), notes })
    }

    async fn add_document(
        &self,
        add: &AddMemory,
        source: String,
        changed_at: Timestamp,
        extracted: Extracted,
    ) -> Result<AddedMemory, Error> {
        let mut metadata = extracted.metadata;
        if !add.tags.is_empty() {
            metadata.insert("tags".to_owned(), Value::from(add.tags.clone()));
        }
        let mut notes = extracted.notes;
        let new = Source {
            namespace: add.namespace.clone(),
            source: source.clone(),
            kind: DocumentKind::Document,
            title: extracted.title,
            media_type: extracted.media_type,
            origin: add.origin,
            digest: Digest::of(&extracted.text),
            text: extracted.text,
            changed_at,
            metadata,
        };
        let index = self.memory_index().await?;
        let added = index.add(new, self.clock.now()).await?;
        notes.extend(self.embed(&index).await);
        Ok(AddedMemory { source, namespace: add.namespace.clone(), added: Some(added), noted: None, notes })
    }

    /// Embeds what has no vector yet; what kept it from that is for the reader, since words find it anyway.
    pub(super) async fn embed(&self, index: &masque_memory::Index) -> Option<String> {
        let failed = index.embed_missing(&|_| {}).await.err()?;
        Some(format!("{failed}; until `masque memory reindex` it is found by its words only"))
    }
}

/// A file below the project is named from there on, so that every checkout of it has the same names.
fn name(path: &Path, project: &Path) -> String {
    let whole = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let project = fs_err::canonicalize(project).unwrap_or_else(|_| project.to_owned());
    whole.strip_prefix(project).unwrap_or(&whole).display().to_string()
}

fn modified(path: &Path, now: Timestamp) -> Timestamp {
    let modified = fs_err::metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).map_or(now, Timestamp)
}
