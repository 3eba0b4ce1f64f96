//! What the store has of a sync. Leaves out what the directory has.

use std::collections::HashMap;

use masque_store::{DocumentFilter, MemoryFilter, Store};
use masque_types::{digest::Digest, memory::Document, time::Timestamp};

use super::{scope::Scope, spec::SyncSpec, walk::Stamp};
use crate::Error;

/// Documents of one page.
const PAGE: usize = 1000;
/// Scopes of more paths are asked for as a whole.
const FEW: usize = 32;
/// How long after a file's last change it must have been indexed for its stamp to be believed: clocks of file systems are
/// coarse.
const SETTLED_MS: i64 = 2000;
/// The key in a document's metadata that names the sync which it belongs to, by its prefix.
pub(super) const SYNCED: &str = "synced";
/// The key for the size of the file, in bytes.
pub(super) const BYTES: &str = "bytes";

/// A stored document of a sync.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    /// Whether it is what the sync would store again.
    is_ours: bool,
    bytes: Option<u64>,
    changed_at: Timestamp,
    indexed_at: Timestamp,
}

impl Stored {
    fn of(document: &Document, spec: &SyncSpec) -> Self {
        let is_ours = document.kind == spec.kind
            && document.origin == spec.origin
            && document.metadata.get(SYNCED).and_then(|prefix| prefix.as_str()) == Some(&spec.prefix);
        Self {
            digest: document.digest,
            is_ours,
            bytes: document.metadata.get(BYTES).and_then(serde_json::Value::as_u64),
            changed_at: document.changed_at,
            indexed_at: document.indexed_at,
        }
    }

    /// Whether the file is surely the one that was indexed, without reading it.
    pub(super) fn is_surely(&self, stamp: &Stamp) -> bool {
        let settled = i128::from(self.indexed_at.0 - SETTLED_MS) * 1_000_000;
        self.is_ours
            && self.bytes == Some(stamp.bytes)
            && self.changed_at == modified_at(stamp)
            && stamp.changed < settled
    }

    /// Whether indexing a file with this digest would change nothing.
    pub(super) fn says(&self, digest: &Digest) -> bool {
        self.is_ours && self.digest == *digest
    }

    /// Whether it goes when its file goes.
    pub(super) const fn is_ours(&self) -> bool {
        self.is_ours
    }
}

/// When a file was changed last.
pub(super) fn modified_at(stamp: &Stamp) -> Timestamp {
    Timestamp(i64::try_from(stamp.modified.div_euclid(1_000_000)).unwrap_or_default())
}

/// The documents of a sync within a scope, by their path from the root on.
pub(super) async fn stored(store: &Store, spec: &SyncSpec, scope: &Scope) -> Result<HashMap<String, Stored>, Error> {
    let mut found = HashMap::new();
    match scope {
        Scope::Below { paths, .. } if paths.len() <= FEW => {
            for path in paths {
                add(store, spec, scope, path, &mut found).await?;
            }
        }
        _ => add(store, spec, scope, "", &mut found).await?,
    }
    Ok(found)
}

async fn add(
    store: &Store,
    spec: &SyncSpec,
    scope: &Scope,
    path: &str,
    found: &mut HashMap<String, Stored>,
) -> Result<(), Error> {
    let filter = MemoryFilter {
        source_prefix: Some(format!("{}{path}", spec.prefix)),
        ..MemoryFilter::of([spec.namespace.clone()])
    };
    let mut page = DocumentFilter { filter, after: None, limit: PAGE };
    loop {
        let documents = store.documents(&page).await?;
        page.after = documents.last().map(|last| (last.namespace.clone(), last.source.clone()));
        let is_last = documents.len() < PAGE;
        for document in documents {
            let Some(name) = document.source.strip_prefix(&spec.prefix) else { continue };
            if scope.contains(name) {
                found.insert(name.to_owned(), Stored::of(&document, spec));
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
