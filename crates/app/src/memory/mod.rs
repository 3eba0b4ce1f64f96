//! Use cases over the memory: adding, searching, listing, forgetting, upkeep.
//!
//! Owns who may read and write which namespace. Leaves out chunking, ranking and SQL, and the standards of a project.

mod add;
mod curate;
pub(crate) mod desk;
pub(crate) mod inject;
mod look;
mod scope;
pub mod sync;
#[cfg(test)]
mod tests;
mod upkeep;

use std::path::Path;

pub use add::{AddMemory, AddedMemory, Material};
pub use curate::{CurateMemory, CurateResult, Curated, CuratedGroup};
pub use look::{ListMemories, MemoryView, SearchMemory};
pub use masque_memory::{
    Import,
    curate::{Group, Limits, Why},
    index::{Added, Change, Progress},
    notes::{Noted, Refusal},
    search::{Explanation, Found, Hit, Leg, LegRank, Mode, Note},
};
pub use masque_store::{ForgetFilter, Forgotten, MemoryFilter, MemoryStats, NamespaceStats, StoredModel};
pub use masque_types::memory::{Document, DocumentKind, Namespace, Origin};
pub use scope::readable;
pub use upkeep::Reindexed;

use masque_memory::{Index, chunk::ChunkSpec};
use masque_types::actor::{Caller, Reach};

use crate::{App, Error, standards::project_id};

impl App {
    /// The namespace of everybody who works in a project.
    ///
    /// # Errors
    /// When the directory is none.
    pub fn project_namespace(&self, project: &Path) -> Result<Namespace, Error> {
        Ok(Namespace::Project(project_id(&fs_err::canonicalize(project)?)))
    }

    /// The index over everything that is remembered. Without a usable embedding model it finds by words.
    ///
    /// # Errors
    /// When the size of chunks or the embedding model is configured wrongly.
    pub async fn memory_index(&self) -> Result<Index, Error> {
        let embedder = self.embedder().await?;
        let tokens = self.settings.count("memory.chunk_tokens").unwrap_or(512);
        let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
        let spec = ChunkSpec::new(tokens, tokens / 8)?;
        Ok(Index::new(self.store.clone(), embedder).with_chunks(spec))
    }
}

/// Refuses callers from other machines what is not the project's.
fn permit(caller: &Caller, namespaces: &[Namespace]) -> Result<(), Error> {
    let foreign = namespaces.iter().find(|namespace| !matches!(namespace, Namespace::Project(_)));
    match (caller.reach, foreign) {
        (Reach::Remote, Some(namespace)) => {
            Err(Error::refused(format!("{namespace} is not for callers from other machines"))
                .hint("ask for what belongs to the project"))
        }
        _ => Ok(()),
    }
}
