//! A scan: what the directory has, what the store has, and what makes them equal. Leaves out when to scan.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use masque_store::ForgetFilter;
use masque_types::time::Timestamp;
use serde::Serialize;

use super::{
    extract::Extract,
    read::{Content, read},
    scope::Scope,
    spec::{Patterns, SyncSpec},
    stored::{BYTES, SYNCED, Stored, modified_at, stored},
    walk::{Entry, Stamp, Walked, walk},
};
use crate::{
    Error,
    index::{Change, Index, Source},
};

/// Files that are read and parsed at the same time.
const AT_ONCE: usize = 8;
/// Documents that are stored in one transaction, at most.
const BATCH: usize = 200;
/// Bytes of text that are stored in one transaction, about.
const BATCH_BYTES: usize = 4 << 20;
/// Documents that are forgotten in one transaction.
const FORGET: usize = 500;

/// More than a tick of any file system's clock.
const TICK_MS: i64 = 1000;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Told of each directory before its entries are read.
pub(super) type Enter = Arc<dyn Fn(&Path, &str) + Send + Sync>;

/// What a scan changed, by source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Documents that are new.
    pub added: Vec<String>,
    /// Documents that say something else now.
    pub changed: Vec<String>,
    /// Documents that are gone.
    pub removed: Vec<String>,
    /// Files that were indexed already.
    pub unchanged: usize,
    /// What belongs to the sync and could not be indexed.
    pub left_out: Vec<LeftOut>,
}

impl Changes {
    /// Whether the memory is another one now.
    #[must_use]
    pub fn changed_something(&self) -> bool {
        !(self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty())
    }
}

/// A file or directory that could not be indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its source.
    pub source: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Makes a namespace say what a directory says.
pub struct Syncer {
    index: Index,
    extract: Arc<dyn Extract>,
    spec: Arc<SyncSpec>,
    patterns: Arc<Patterns>,
    clock: Clock,
    /// Files that were seen to be what is stored.
    known: HashMap<String, Stamp>,
    /// Files that cannot be indexed, until they change.
    refused: HashMap<String, (Stamp, String)>,
}

/// What became of one file.
enum Outcome {
    Index(Box<Source>, Stamp),
    Same(Stamp),
    Gone,
    Refused(String, Option<Stamp>),
}

impl Syncer {
    /// A syncer of a directory.
    ///
    /// # Errors
    /// [`Error::Pattern`] when a pattern is none.
    pub fn new(index: Index, extract: Arc<dyn Extract>, spec: SyncSpec, clock: Clock) -> Result<Self, Error> {
        let patterns = Arc::new(Patterns::of(&spec)?);
        let (known, refused) = (HashMap::new(), HashMap::new());
        Ok(Self { index, extract, spec: Arc::new(spec), patterns, clock, known, refused })
    }

    /// What is synced.
    #[must_use]
    pub fn spec(&self) -> &SyncSpec {
        &self.spec
    }

    /// Where it goes.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// Looks at all files, and makes the namespace equal to them. What fails for one file is told in the result.
    ///
    /// # Errors
    /// Those of the store; what was stored before is kept, and the next scan goes on.
    pub async fn scan(&mut self) -> Result<Changes, Error> {
        let (changes, _) = self.scan_part(Arc::new(Scope::All), Arc::new(|_, _| {})).await?;
        Ok(changes)
    }

    /// The same for a part of the directory. Also gives the directories that were walked.
    pub(super) async fn scan_part(&mut self, scope: Arc<Scope>, enter: Enter) -> Result<(Changes, Vec<String>), Error> {
        let (spec, patterns, of_walk) = (Arc::clone(&self.spec), Arc::clone(&self.patterns), Arc::clone(&scope));
        let walked = tokio::task::spawn_blocking(move || walk(&spec, &patterns, &of_walk, &*enter));
        let walked = walked.await.map_err(|error| Error::Walk { reason: error.to_string() })?;
        let stored = stored(self.index.store(), &self.spec, &scope).await?;
        let present: HashSet<&str> = walked.files.iter().map(|entry| entry.name.as_str()).collect();
        self.known.retain(|name, _| !scope.contains(name) || present.contains(name.as_str()));
        self.refused.retain(|name, _| !scope.contains(name) || present.contains(name.as_str()));

        let mut changes = Changes { left_out: walked.left_out.clone(), ..Changes::default() };
        let mut gone: Vec<String> = self.missing(&walked, &stored, &present);
        let unread = self.unread(&walked.files, &stored, &mut changes, &mut gone);
        self.index_files(unread, &stored, &mut changes, &mut gone).await?;
        self.forget(gone, &mut changes).await?;
        Ok((changes, walked.directories))
    }

    /// Stored documents whose files are not there. Of a directory that cannot be read, nothing is known.
    fn missing(&self, walked: &Walked, stored: &HashMap<String, Stored>, present: &HashSet<&str>) -> Vec<String> {
        let unknown = Scope::below(walked.unknown.iter().cloned());
        let is_missing = |(name, stored): &(&String, &Stored)| {
            stored.is_ours() && !present.contains(name.as_str()) && !unknown.contains(name)
        };
        stored.iter().filter(is_missing).map(|(name, _)| name.clone()).collect()
    }

    /// The files that have to be read to know what they are.
    fn unread(
        &mut self,
        files: &[Entry],
        stored: &HashMap<String, Stored>,
        changes: &mut Changes,
        gone: &mut Vec<String>,
    ) -> Vec<Entry> {
        let mut unread = Vec::new();
        for entry in files {
            let before = stored.get(&entry.name);
            if let Some((_, reason)) = self.refused.get(&entry.name).filter(|(stamp, _)| *stamp == entry.stamp) {
                changes.left_out.push(LeftOut { source: self.source(&entry.name), reason: reason.clone() });
                gone.extend(before.filter(|before| before.is_ours()).map(|_| entry.name.clone()));
            } else if before.is_some_and(|before| {
                before.is_surely(&entry.stamp)
                    || (before.is_ours() && self.known.get(&entry.name) == Some(&entry.stamp))
            }) {
                changes.unchanged += 1;
            } else {
                unread.push(entry.clone());
            }
        }
        unread
    }

    /// Reads, parses and stores files, batch by batch.
    async fn index_files(
        &mut self,
        files: Vec<Entry>,
        stored: &HashMap<String, Stored>,
        changes: &mut Changes,
        gone: &mut Vec<String>,
    ) -> Result<(), Error> {
        let (extract, spec) = (Arc::clone(&self.extract), Arc::clone(&self.spec));
        let mut outcomes = stream::iter(files)
            .map(|entry| {
                let before = stored.get(&entry.name).cloned();
                let (extract, spec) = (Arc::clone(&extract), Arc::clone(&spec));
                async move { (entry.name.clone(), outcome(&extract, &spec, &entry, before).await) }
            })
            .buffered(AT_ONCE);
        let (mut batch, mut size) = (Vec::new(), 0);
        while let Some((name, outcome)) = outcomes.next().await {
            self.refused.remove(&name);
            match outcome {
                Outcome::Index(source, stamp) => {
                    size += source.text.len();
                    batch.push((name, *source, stamp));
                }
                Outcome::Same(stamp) => {
                    changes.unchanged += 1;
                    self.remember(name, stamp);
                }
                Outcome::Gone => gone.extend(is_ours(stored, &name).then_some(name)),
                Outcome::Refused(reason, stamp) => {
                    changes.left_out.push(LeftOut { source: self.source(&name), reason: reason.clone() });
                    // What could not even be opened may be readable at the next look.
                    let is_passing = stamp.is_none();
                    if let Some(stamp) = stamp.filter(|stamp| self.has_settled(stamp)) {
                        self.refused.insert(name.clone(), (stamp, reason));
                    }
                    gone.extend((!is_passing && is_ours(stored, &name)).then_some(name));
                }
            }
            if batch.len() >= BATCH || size >= BATCH_BYTES {
                self.store(std::mem::take(&mut batch), changes).await?;
                size = 0;
            }
        }
        self.store(batch, changes).await
    }

    async fn store(&mut self, batch: Vec<(String, Source, Stamp)>, changes: &mut Changes) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let (mut names, mut sources) = (Vec::new(), Vec::new());
        for (name, source, stamp) in batch {
            names.push((name, source.source.clone(), stamp));
            sources.push(source);
        }
        let added = self.index.add_all(sources, (self.clock)()).await?;
        for ((name, source, stamp), added) in names.into_iter().zip(added) {
            self.remember(name, stamp);
            match added.change {
                Change::None => changes.unchanged += 1,
                Change::New => changes.added.push(source),
                Change::Replaced => changes.changed.push(source),
            }
        }
        Ok(())
    }

    async fn forget(&mut self, names: Vec<String>, changes: &mut Changes) -> Result<(), Error> {
        for names in names.chunks(FORGET) {
            let sources = names.iter().map(|name| self.source(name)).collect();
            let filter = ForgetFilter {
                namespaces: vec![self.spec.namespace.clone()],
                sources,
                kinds: vec![self.spec.kind],
                ..ForgetFilter::default()
            };
            let forgotten = self.index.store().forget(filter).await?;
            changes.removed.extend(forgotten.documents.into_iter().map(|document| document.source));
            for name in names {
                self.known.remove(name);
            }
        }
        Ok(())
    }

    fn remember(&mut self, name: String, stamp: Stamp) {
        if self.has_settled(&stamp) {
            self.known.insert(name, stamp);
        }
    }

    /// Whether a further change would make another stamp: within a tick of the file system's clock it would not.
    fn has_settled(&self, stamp: &Stamp) -> bool {
        i128::from((self.clock)().0 - TICK_MS) * 1_000_000 > stamp.changed
    }

    fn source(&self, name: &str) -> String {
        format!("{}{name}", self.spec.prefix)
    }
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncer").field("spec", &self.spec).finish_non_exhaustive()
    }
}

fn is_ours(stored: &HashMap<String, Stored>, name: &str) -> bool {
    stored.get(name).is_some_and(Stored::is_ours)
}

/// Reads a file, and parses it if it is not what is stored.
async fn outcome(extract: &Arc<dyn Extract>, spec: &SyncSpec, entry: &Entry, before: Option<Stored>) -> Outcome {
    let (path, limits) = (entry.path.clone(), extract.limits().clone());
    let content = tokio::task::spawn_blocking(move || read(&path, &limits)).await;
    let (bytes, digest, stamp) = match content {
        Ok(Content::Bytes { bytes, digest, stamp }) => (bytes, digest, stamp),
        Ok(Content::Gone) => return Outcome::Gone,
        Ok(Content::Refused { reason, stamp }) => return Outcome::Refused(reason, stamp),
        Err(error) => return Outcome::Refused(error.to_string(), None),
    };
    if before.is_some_and(|before| before.says(&digest)) {
        return Outcome::Same(stamp);
    }
    let extracted = match extract.extract(&entry.name, bytes).await {
        Ok(extracted) => extracted,
        Err(reason) => return Outcome::Refused(reason, Some(stamp)),
    };
    let mut metadata = extracted.metadata;
    metadata.insert(SYNCED.to_owned(), spec.prefix.clone().into());
    metadata.insert(BYTES.to_owned(), stamp.bytes.into());
    if !extracted.notes.is_empty() {
        metadata.insert("notes".to_owned(), extracted.notes.into());
    }
    let source = Source {
        namespace: spec.namespace.clone(),
        source: format!("{}{}", spec.prefix, entry.name),
        kind: spec.kind,
        title: extracted.title,
        media_type: extracted.media_type,
        origin: spec.origin,
        digest,
        text: extracted.text,
        changed_at: modified_at(&stamp),
        metadata,
    };
    Outcome::Index(Box::new(source), stamp)
}
