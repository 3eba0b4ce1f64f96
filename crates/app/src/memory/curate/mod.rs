//! The curator: has a model summarise what belongs together in the memory, and keeps what holds up.
//!
//! Owns which runs are started for it and what becomes of their answers. Leaves out what deserves a summary and what is
//! accepted as one: those are functions of the memory crate.

mod curator;
mod material;
#[cfg(test)]
mod tests;

use masque_memory::curate::{Group, Limits, conversation_source, plan, summary_source};
use masque_store::ForgetFilter;
use masque_types::{
    actor::{Actor, Caller, Reach},
    id::{DocumentId, RunId},
    memory::{DocumentKind, Namespace},
    time::Timestamp,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{curator::Curator, material::Material};
use super::upkeep::local;
use crate::{App, Error};

const CHORE: &str = "memory.curate";

/// What is to be summarised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CurateMemory {
    /// Where; everywhere when empty.
    pub namespaces: Vec<Namespace>,
    /// Whether only to say what would be summarised.
    pub dry_run: bool,
    /// What deserves a summary.
    pub limits: Limits,
}

/// What a round of the curator did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Curated {
    /// What deserved a summary, and what became of it.
    pub groups: Vec<CuratedGroup>,
    /// What is missing: a round that was stopped, vectors.
    pub notes: Vec<String>,
}

/// A group of documents, or a conversation, that deserved a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CuratedGroup {
    /// What.
    #[serde(flatten)]
    pub group: Group,
    /// What became of it.
    #[serde(flatten)]
    pub result: CurateResult,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CurateResult {
    /// Nothing: it was only asked what would be summarised.
    Planned,
    /// It has a summary now.
    Summarised {
        /// The summary.
        document: DocumentId,
        /// The run that wrote it.
        run: RunId,
        /// Its title.
        title: String,
        /// How many statements it has.
        statements: usize,
        /// What its sources contradict each other in.
        contradictions: Vec<String>,
    },
    /// It has none, or the one that it had before.
    Refused {
        /// The run that was to write it, if one was started.
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// Why.
        reasons: Vec<String>,
    },
}

impl CurateResult {
    fn refused(run: Option<RunId>, reason: impl Into<String>) -> Self {
        Self::Refused { run, reasons: vec![reason.into()] }
    }
}

impl App {
    /// Has the persona `curator` summarise the groups of documents and the long conversations that deserve it, one run each,
    /// and remembers the summaries whose every statement names its sources. Nothing that was there is changed but older
    /// summaries of the same groups.
    ///
    /// # Errors
    /// When the caller may not, no model can be used, or the store fails. What was summarised before is kept.
    pub async fn curate_memory(
        &self,
        caller: &Caller,
        asked: &CurateMemory,
        stop: &CancellationToken,
    ) -> Result<Curated, Error> {
        local(caller)?;
        let at = self.now();
        let material = Material::read(self, caller, asked).await?;
        let groups = plan(&material.listed, &asked.limits, at);
        if asked.dry_run || groups.is_empty() {
            let planned = |group| CuratedGroup { group, result: CurateResult::Planned };
            return Ok(Curated { groups: groups.into_iter().map(planned).collect(), notes: Vec::new() });
        }
        let curator = Curator::new(self, caller, at, stop).await?;
        let mut curated = Curated::default();
        for group in groups {
            if stop.is_cancelled() {
                curated.notes.push("stopped before everything was summarised".to_owned());
                break;
            }
            let result = Box::pin(curator.summarise(&material, &group)).await?;
            curated.groups.push(CuratedGroup { group, result });
        }
        curated.notes.extend(self.embed(&curator.index).await);
        Ok(curated)
    }

    /// Does a round everywhere if the setting `memory.curate_every` says that one is due and no other process did it; `None`
    /// when not.
    ///
    /// # Errors
    /// Those of [`App::curate_memory`]. The round counts as done.
    pub async fn curate_when_due(&self, stop: &CancellationToken) -> Result<Option<Curated>, Error> {
        let Some(every) = self.settings.duration("memory.curate_every") else { return Ok(None) };
        let now = self.now();
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        if !self.store.take_chore(CHORE, now, Timestamp(now.0.saturating_sub(every))).await? {
            return Ok(None);
        }
        let system = Caller { actor: Actor::System, reach: Reach::Local };
        Box::pin(self.curate_memory(&system, &CurateMemory::default(), stop)).await.map(Some)
    }

    /// Forgets the summaries of conversations that are deleted.
    pub(crate) async fn forget_conversations(&self, runs: &[RunId]) -> Result<(), Error> {
        let filter = ForgetFilter {
            namespaces: self.memory_namespaces().await?,
            sources: runs.iter().map(|run| summary_source(&conversation_source(*run))).collect(),
            kinds: vec![DocumentKind::Summary],
            ..ForgetFilter::default()
        };
        self.store.forget(filter).await?;
        Ok(())
    }
}
