//! The index of a project's standards: kept equal to the files, and searched.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Mutex, PoisonError},
};

use masque_memory::{
    Index,
    index::Source,
    search::{Hit, Note, SearchQuery},
};
use masque_store::{DocumentFilter, ForgetFilter, MemoryFilter};
use masque_types::{
    actor::Caller,
    memory::{Document, DocumentKind, Origin},
    standard::StandardKey,
};

use super::{
    project::{Loaded, Loading, Project, off_thread},
    view::{FoundStandards, StandardHit, StandardQuery},
};
use crate::{App, Error};

/// Parts of standards that one answer holds at most.
const MOST_HITS: usize = 20;
/// The longest question in bytes.
const LONGEST_QUESTION: usize = 4 << 10;
/// An answer holds at most this share of all standards' tokens.
const SHARE: u64 = 10;
/// Tokens that an answer may always hold, however small the standards are.
const ALWAYS: u64 = 512;
/// Documents of the index that are read at once.
const PAGE: usize = 500;

/// The files of a project as they were when they were indexed: path and stamp of each.
type Stamps = BTreeMap<String, (u64, i64, i64)>;

/// Which files this process has seen in the index, by the id of their project.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<String, (Stamps, Loading)>>);

impl Seen {
    fn get(&self, project: &str, stamps: &Stamps) -> Option<Loading> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(project).filter(|(known, _)| known == stamps).map(|(_, loading)| loading.clone())
    }

    fn put(&self, project: &str, stamps: Stamps, loading: Loading) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(project.to_owned(), (stamps, loading));
    }

    fn forget(&self, project: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(project);
    }
}

impl App {
    /// Searches the standards of a project and counts the query. Gives nothing when nothing fits.
    ///
    /// # Errors
    /// When the question is empty, or the standards or the store cannot be read.
    pub async fn search_standards(
        &self,
        caller: &Caller,
        project: &Path,
        query: &StandardQuery,
    ) -> Result<FoundStandards, Error> {
        if query.text.trim().is_empty() || query.text.len() > LONGEST_QUESTION {
            return Err(Error::usage(format!("a question has 1 to {LONGEST_QUESTION} bytes")));
        }
        let project = self.standards_project(project)?;
        self.finish_approvals(&project).await?;
        let loading = self.index_standards(&project).await?;
        if loading.standards.is_empty() {
            let note = format!("this project has no standards in {}", project.directory.below());
            return Ok(FoundStandards { hits: Vec::new(), context_tokens: 0, source_tokens: 0, notes: vec![note] });
        }
        let limit = query.limit.clamp(1, MOST_HITS);
        let now = self.clock.now();
        let asked = SearchQuery {
            limit: if query.domains.is_empty() { limit } else { MOST_HITS.max(limit * 4) },
            ..SearchQuery::standards(query.text.trim(), project.namespace(), now)
        };
        let found = self.standards_index().await?.search(&asked).await?;
        let hits = found.hits.into_iter().filter_map(|hit| part(&loading, hit));
        let hits = hits.filter(|hit| query.domains.is_empty() || query.domains.contains(&hit.standard.domain));
        let source_tokens = loading.tokens();
        let hits = within(hits.take(limit), (source_tokens / SHARE).max(ALWAYS));
        let keys: Vec<StandardKey> = hits.iter().map(|hit| hit.standard.clone()).collect();
        self.store.count_standard_uses(&project.id, &keys, now).await?;
        tracing::debug!(caller = %caller.actor, hits = hits.len(), "standards were searched");
        let mut notes: Vec<String> = found.notes.iter().map(Note::to_string).collect();
        if hits.is_empty() && notes.is_empty() {
            notes.push("no standard fits".to_owned());
        }
        Ok(FoundStandards {
            context_tokens: hits.iter().map(|hit| u64::from(hit.tokens)).sum(),
            hits,
            source_tokens,
            notes,
        })
    }

    async fn standards_index(&self) -> Result<Index, Error> {
        Ok(Index::new(self.store.clone(), self.embedder().await?))
    }

    /// Makes the index equal to the files of a project's standards. Cheap when nothing changed: the files' times and
    /// sizes are compared. Whoever watches the directory calls this when something changed.
    ///
    /// # Errors
    /// When the standards or the store cannot be read.
    pub async fn sync_standards(&self, project: &Path) -> Result<(), Error> {
        let project = self.standards_project(project)?;
        self.finish_approvals(&project).await?;
        self.index_standards(&project).await.map(|_loading| ())
    }

    pub(super) async fn index_standards(&self, project: &Project) -> Result<Loading, Error> {
        let directory = project.directory.clone();
        let listing = off_thread(move || Ok(directory.list()?)).await?;
        let stamps: Stamps = listing.files.into_iter().map(|found| (found.file, found.stamp)).collect();
        if let Some(loading) = self.standards.get(&project.id, &stamps) {
            return Ok(loading);
        }
        let loading = self.load(project).await?;
        let known = self.indexed(project).await?;
        let fresh: Vec<Source> =
            loading.standards.iter().filter_map(|loaded| source(project, loaded, &known)).collect();
        let there: BTreeSet<&str> = loading.standards.iter().map(|loaded| loaded.found.file.as_str()).collect();
        let gone: Vec<String> = known.into_keys().filter(|source| !there.contains(source.as_str())).collect();
        let index = self.standards_index().await?;
        if !fresh.is_empty() {
            index.add_all(fresh, self.clock.now()).await?;
        }
        if !gone.is_empty() {
            let namespaces = vec![project.namespace()];
            let kinds = vec![DocumentKind::Standard];
            self.store.forget(ForgetFilter { namespaces, kinds, sources: gone, ..ForgetFilter::default() }).await?;
        }
        if let Err(error) = index.embed_missing(&|_| {}).await {
            tracing::warn!(%error, "standards are found by their words only");
        }
        self.standards.put(&project.id, stamps, loading.clone());
        Ok(loading)
    }

    /// The standards of a project that are in the index, by their files.
    async fn indexed(&self, project: &Project) -> Result<BTreeMap<String, Document>, Error> {
        let filter = MemoryFilter { kinds: vec![DocumentKind::Standard], ..MemoryFilter::of([project.namespace()]) };
        let mut page = DocumentFilter { filter, after: None, limit: PAGE };
        let mut known = BTreeMap::new();
        loop {
            let documents = self.store.documents(&page).await?;
            let is_last = documents.len() < PAGE;
            page.after = documents.last().map(|last| (last.namespace.clone(), last.source.clone()));
            known.extend(documents.into_iter().map(|document| (document.source.clone(), document)));
            if is_last {
                return Ok(known);
            }
        }
    }

    /// Forgets what this process knows of the files, so that the next search looks at each of them.
    pub(super) fn forget_seen_standards(&self, project: &Project) {
        self.standards.forget(&project.id);
    }
}

/// What the index gets of a standard, unless it has exactly that.
fn source(project: &Project, loaded: &Loaded, known: &BTreeMap<String, Document>) -> Option<Source> {
    let origin = if loaded.approved { Origin::Trusted } else { Origin::Untrusted };
    let is_known = |document: &Document| document.digest == loaded.digest && document.origin == origin;
    if known.get(&loaded.found.file).is_some_and(is_known) {
        return None;
    }
    let metadata = serde_json::json!({ "tags": loaded.file.tags });
    Some(Source {
        namespace: project.namespace(),
        source: loaded.found.file.clone(),
        kind: DocumentKind::Standard,
        title: loaded.file.title.clone(),
        media_type: "text/markdown".to_owned(),
        origin,
        digest: loaded.digest,
        text: loaded.file.content.clone(),
        changed_at: loaded.changed_at(),
        metadata: metadata.as_object().cloned().unwrap_or_default(),
    })
}

/// A result as whoever asked sees it. One whose file is not there any more is none.
fn part(loading: &Loading, hit: Hit) -> Option<StandardHit> {
    let loaded = loading.standards.iter().find(|loaded| loaded.found.file == hit.document.source)?;
    let summary = loaded.summary();
    let above = loaded.file.content_line.saturating_sub(1);
    let (first, last) = hit.chunk.lines;
    let headings: Vec<&str> =
        hit.chunk.headings.iter().map(String::as_str).filter(|heading| *heading != summary.title).collect();
    Some(StandardHit {
        standard: summary.standard,
        citation: summary.citation,
        title: summary.title,
        file: summary.file,
        section: headings.join(" › "),
        lines: (first.saturating_add(above), last.saturating_add(above)),
        text: hit.chunk.text,
        relevance: (f64::from(hit.explanation.confidence).clamp(0.0, 1.0) * 100.0).round() / 100.0,
        approved: loaded.approved && loaded.digest == hit.document.digest,
        tokens: hit.chunk.tokens,
    })
}

/// The best parts that fit into so many tokens; the first one always.
fn within(hits: impl Iterator<Item = StandardHit>, budget: u64) -> Vec<StandardHit> {
    let mut used = 0;
    let mut kept = Vec::new();
    for hit in hits {
        let tokens = u64::from(hit.tokens);
        if kept.is_empty() || used + tokens <= budget {
            used += tokens;
            kept.push(hit);
        }
    }
    kept
}
