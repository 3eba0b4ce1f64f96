//! What there is to summarise: documents of the memory and conversations, and their texts. Leaves out which of it deserves
//! a summary.

use std::collections::HashMap;

use masque_memory::{
    chunk::estimated_tokens,
    curate::{Group, Limits, Listed, SourceText, conversation, conversation_source, summary_source, transcript, whole},
};
use masque_store::{MemoryFilter, RunFilter};
use masque_types::{
    actor::Caller,
    id::{DocumentId, RunId},
    memory::{Document, DocumentKind, Namespace},
    run::RunSummary,
};

use super::CurateMemory;
use crate::{
    App, Error,
    memory::{ListMemories, scope},
};

/// The newest conversations are looked at.
const CONVERSATIONS: usize = 200;
/// Journals with fewer events are not read: nobody said much in them.
const LEAST_EVENTS: u64 = 8;

/// Everything that could be summarised.
pub(super) struct Material {
    pub(super) listed: Vec<Listed>,
    conversations: HashMap<DocumentId, (RunId, SourceText)>,
}

impl Material {
    pub(super) async fn read(app: &App, caller: &Caller, asked: &CurateMemory) -> Result<Self, Error> {
        let namespaces = match asked.namespaces.is_empty() {
            true => app.memory_namespaces().await?,
            false => asked.namespaces.clone(),
        };
        let tokens = app.store.document_tokens(&namespaces).await?;
        let everything = ListMemories { filter: MemoryFilter::of(namespaces), limit: usize::MAX };
        let documents = app.memories(caller, &everything).await?;
        let listed = |document: Document| Listed { tokens: tokens.get(&document.id).copied().unwrap_or(0), document };
        let listed = documents.into_iter().map(listed).collect();
        let mut material = Self { listed, conversations: HashMap::new() };
        material.add_conversations(app, asked).await?;
        Ok(material)
    }

    async fn add_conversations(&mut self, app: &App, asked: &CurateMemory) -> Result<(), Error> {
        let filter = RunFilter { conversation: Some(true), limit: CONVERSATIONS, ..RunFilter::default() };
        for run in app.store.runs(&filter).await? {
            let Some(namespace) = scope::own(&run.persona) else { continue };
            let is_asked = asked.namespaces.is_empty() || asked.namespaces.contains(&namespace);
            let is_settled = app.now().since(run.updated_at) >= asked.limits.settled;
            if is_asked && is_settled && run.last_seq >= LEAST_EVENTS && !self.is_summarised(&namespace, &run) {
                self.add_conversation(app, namespace, &run, &asked.limits).await?;
            }
        }
        Ok(())
    }

    async fn add_conversation(
        &mut self,
        app: &App,
        namespace: Namespace,
        run: &RunSummary,
        limits: &Limits,
    ) -> Result<(), Error> {
        let text = transcript(&app.store.journal(run.id, 0).await?);
        let tokens = u64::try_from(estimated_tokens(&text)).unwrap_or(u64::MAX);
        if tokens < limits.long_tokens {
            return Ok(());
        }
        let source = conversation(namespace, run.id, &run.title, run.updated_at, text);
        self.listed.push(Listed { document: source.document.clone(), tokens });
        self.conversations.insert(source.document.id, (run.id, source));
        Ok(())
    }

    fn is_summarised(&self, namespace: &Namespace, run: &RunSummary) -> bool {
        let source = summary_source(&conversation_source(run.id));
        let mut documents = self.listed.iter().map(|listed| &listed.document);
        documents.any(|document| {
            document.kind == DocumentKind::Summary
                && document.namespace == *namespace
                && document.source == source
                && document.indexed_at >= run.updated_at
        })
    }

    /// The documents of a group with their texts; those that are gone are left out.
    pub(super) async fn texts(&self, app: &App, group: &Group) -> Result<Vec<SourceText>, Error> {
        let mut texts = Vec::with_capacity(group.documents.len());
        for id in &group.documents {
            if let Some((_, source)) = self.conversations.get(id) {
                texts.push(source.clone());
            } else if let Some(document) = app.store.document(*id).await? {
                texts.push(SourceText { text: whole(&app.store.chunks(*id).await?), document });
            }
        }
        Ok(texts)
    }

    /// The conversation that a group is.
    pub(super) fn conversation(&self, group: &Group) -> Option<RunId> {
        group.documents.iter().find_map(|id| self.conversations.get(id)).map(|(run, _)| *run)
    }

    /// Whether everything that a group was made of is still there.
    pub(super) async fn is_there(&self, app: &App, group: &Group) -> Result<bool, Error> {
        for id in &group.documents {
            let gone = match self.conversations.get(id) {
                Some((run, _)) => app.store.run(*run).await?.is_none(),
                None => app.store.document(*id).await?.is_none(),
            };
            if gone {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
