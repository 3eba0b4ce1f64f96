//! Upkeep of the memory: forgetting, making vectors anew, export and import.

use std::io::{BufRead, Write};

use masque_memory::{Import, index::Progress};
use masque_store::{ForgetFilter, Forgotten, MemoryFilter};
use masque_types::{
    actor::{Caller, Reach},
    id::DocumentId,
};
use serde::Serialize;
use serde_json::json;

use super::permit;
use crate::{App, Error, audit};

/// What making vectors anew did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reindexed {
    /// The model; absent without one.
    pub model: Option<String>,
    /// Chunks that got a vector.
    pub embedded: u64,
}

impl App {
    /// Forgets documents with everything that was made of them, summaries among it.
    ///
    /// # Errors
    /// When the caller may not, the filter says nothing, or the store cannot be written.
    pub async fn forget_memory(&self, caller: &Caller, filter: ForgetFilter) -> Result<Forgotten, Error> {
        local(caller)?;
        permit(caller, &filter.namespaces)?;
        let forgotten = self.store.forget(filter).await?;
        let sources: Vec<_> = forgotten.documents.iter().take(100).map(|document| &document.source).collect();
        let detail = json!({ "documents": forgotten.documents.len(), "chunks": forgotten.chunks, "sources": sources });
        let entry = audit::entry(self.clock.now(), &caller.actor, "memory.forget", None, "memory", detail);
        self.store.audit(entry).await?;
        Ok(forgotten)
    }

    /// Ids of documents from the beginnings of ids.
    ///
    /// # Errors
    /// When one names none or several.
    pub async fn memory_ids(&self, beginnings: &[String]) -> Result<Vec<DocumentId>, Error> {
        let mut ids = Vec::with_capacity(beginnings.len());
        for beginning in beginnings {
            ids.push(self.memory_id(beginning).await?);
        }
        Ok(ids)
    }

    /// Gives every chunk a vector of the configured model; those of other models answer until it is done, and are
    /// dropped then.
    ///
    /// # Errors
    /// When the model fails or the store cannot be written; what was embedded before is kept.
    pub async fn reindex_memory(
        &self,
        caller: &Caller,
        progress: &(dyn Fn(&Progress) + Sync),
    ) -> Result<Reindexed, Error> {
        local(caller)?;
        let model = self.embedder().await?.map(|embedder| embedder.model().name.clone());
        let embedded = self.memory_index().await?.embed_missing(progress).await?;
        let detail = json!({ "model": model, "embedded": embedded });
        let entry = audit::entry(self.clock.now(), &caller.actor, "memory.reindex", None, "memory", detail);
        self.store.audit(entry).await?;
        Ok(Reindexed { model, embedded })
    }

    /// Writes documents as lines of JSON; returns how many.
    ///
    /// # Errors
    /// When the caller may not read there, or reading or writing fails.
    pub async fn export_memory(
        &self,
        caller: &Caller,
        filter: &MemoryFilter,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, Error> {
        local(caller)?;
        let documents = self.memory_index().await?.export(filter, out).await?;
        let detail = json!({ "documents": documents, "namespaces": filter.namespaces });
        let entry = audit::entry(self.clock.now(), &caller.actor, "memory.export", None, "memory", detail);
        self.store.audit(entry).await?;
        Ok(documents)
    }

    /// Reads what an export wrote; returns how many documents.
    ///
    /// # Errors
    /// When the caller may not, or a line is not what it should be; what came before it is kept.
    pub async fn import_memory(
        &self,
        caller: &Caller,
        input: &mut (dyn BufRead + Send),
        import: &Import,
    ) -> Result<u64, Error> {
        local(caller)?;
        let index = self.memory_index().await?;
        let documents = index.import(input, import, self.clock.now()).await?;
        if let Some(note) = self.embed(&index).await {
            tracing::warn!("{note}");
        }
        let detail = json!({ "documents": documents, "trust": import.trust.name() });
        let entry = audit::entry(self.clock.now(), &caller.actor, "memory.import", None, "memory", detail);
        self.store.audit(entry).await?;
        Ok(documents)
    }
}

/// Refuses callers from other machines.
pub(super) fn local(caller: &Caller) -> Result<(), Error> {
    match caller.reach {
        Reach::Local => Ok(()),
        Reach::Remote => Err(Error::refused("this is done on the machine of the memory only")),
    }
}
