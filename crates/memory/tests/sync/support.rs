//! A directory, a store, and the comparison with a fresh rebuild.

use std::{path::Path, sync::Arc};

use masque_memory::{
    Index,
    sync::{InProcess, SyncSpec, Syncer},
};
use masque_store::{DocumentFilter, MemoryFilter, Store};
use masque_testkit::database::TestDatabase;
use masque_types::{
    memory::{Chunk, Document, DocumentKind, Namespace, Origin},
    time::Timestamp,
};

/// Everything that is remembered of a document, but for when it was indexed and when its file was touched.
pub(crate) type Remembered = Vec<(String, serde_json::Value, Vec<Chunk>)>;

/// A directory of a test.
pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) database: TestDatabase,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), database: TestDatabase::sqlite() }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("tree").join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    /// Saves as editors do: writes another file and renames it.
    pub(crate) fn save_by_rename(&self, name: &str, content: &str) {
        let path = self.path(name);
        let other = path.with_extension("tmp~");
        fs_err::write(&other, content).unwrap();
        fs_err::rename(other, path).unwrap();
    }

    pub(crate) fn spec(&self) -> SyncSpec {
        spec(&self.directory.path().join("tree"))
    }

    pub(crate) async fn syncer(&self) -> Syncer {
        syncer(self.database.open().await, self.spec())
    }

    /// What a sync of the directory into an empty store gives.
    pub(crate) async fn rebuilt(&self) -> Remembered {
        let fresh = TestDatabase::sqlite();
        let mut syncer = syncer(fresh.open().await, self.spec());
        syncer.scan().await.unwrap();
        let remembered = remembered(syncer.index().store()).await;
        syncer.index().store().clone().close().await.unwrap();
        remembered
    }
}

pub(crate) fn spec(root: &Path) -> SyncSpec {
    SyncSpec {
        root: root.to_owned(),
        prefix: "docs/".to_owned(),
        include: Vec::new(),
        exclude: vec!["*~".to_owned(), "secret".to_owned()],
        obey_ignore_files: true,
        namespace: Namespace::Project("1a2b".to_owned()),
        kind: DocumentKind::Document,
        origin: Origin::Untrusted,
    }
}

pub(crate) fn syncer(store: Store, spec: SyncSpec) -> Syncer {
    Syncer::new(Index::new(store, None), Arc::new(InProcess::default()), spec, Arc::new(now)).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the clock of the tests")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as i64)
}

/// All documents of a store.
async fn documents(store: &Store) -> Vec<Document> {
    let filter = MemoryFilter::of([Namespace::Project("1a2b".to_owned())]);
    store.documents(&DocumentFilter { filter, after: None, limit: 100_000 }).await.unwrap()
}

/// Whether a store has as much as was expected: asked before all of it is read and compared.
pub(crate) async fn has_as_much(store: &Store, expected: &Remembered) -> bool {
    let documents = documents(store).await;
    documents.len() == expected.len()
        && documents.iter().zip(expected).all(|(document, (source, known, _))| {
            document.source == *source && known["digest"] == document.digest.to_string()
        })
}

/// All documents of a store with their chunks.
pub(crate) async fn remembered(store: &Store) -> Remembered {
    let mut remembered = Vec::new();
    for document in documents(store).await {
        let chunks = store.chunks(document.id).await.unwrap();
        let mut known = serde_json::to_value(&document).unwrap();
        let fields = known.as_object_mut().unwrap();
        fields.remove("indexed_at");
        fields.remove("changed_at");
        remembered.push((document.source, known, chunks));
    }
    remembered
}
