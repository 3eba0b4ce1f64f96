//! How soon a saved file can be searched, and how fast a directory is indexed.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use masque_memory::{
    Index,
    search::SearchQuery,
    sync::{InProcess, Report, SyncSpec, Syncer, Watching},
};
use masque_store::Store;
use masque_types::memory::{DocumentKind, Namespace, Origin};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    figures::{Row, Section, Unit},
    job,
    places::Places,
    statistics::{quantile_ms, real},
    world,
};

const FILES: u64 = 5_000;
const SAVES: u64 = 100;
/// How often it is asked whether the saved file is found.
const ASK: Duration = Duration::from_millis(5);
/// A file that is not found after this time is an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures freshness on the disk of this machine, and indexing.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let home = places.memory_disk()?;
    let runtime = job::runtime()?;
    let measured = runtime.block_on(all(home.path()))?;
    Ok(Section {
        title: "Freshness",
        command: "make bench ARGS=freshness",
        about: format!(
            "A directory of {FILES} small Markdown files is indexed, looked at again, and then watched. {SAVES} files are \
             saved one after the other, half of them by a rename as editors do; after each save the index is searched \
             every {} ms for a word that only this file has. Without an embedding model.",
            ASK.as_millis()
        ),
        rows: vec![
            Row::new("saved file to searchable, median", Unit::Milliseconds, quantile_ms(&measured.fresh, 0.5)),
            Row::new("saved file to searchable, p95", Unit::Milliseconds, quantile_ms(&measured.fresh, 0.95))
                .at_most(1_000.0),
            Row::new(
                format!("indexing {FILES} files, per file"),
                Unit::PerSecond,
                real(FILES) / measured.indexing.as_secs_f64(),
            ),
            Row::new(
                format!("looking at {FILES} unchanged files"),
                Unit::Milliseconds,
                measured.looking.as_secs_f64() * 1e3,
            ),
        ],
    })
}

struct Measured {
    fresh: Vec<Duration>,
    indexing: Duration,
    looking: Duration,
}

async fn all(home: &Path) -> anyhow::Result<Measured> {
    let root = home.join("tree");
    for number in 0..FILES {
        let directory = root.join(format!("{}", number % 50));
        fs_err::create_dir_all(&directory)?;
        fs_err::write(directory.join(format!("{number}.md")), text(number, "initial"))?;
    }
    let store = Store::open_sqlite(&home.join("masque.db")).await?;
    let index = Index::new(store.clone(), None);
    let mut syncer = syncer(index.clone(), &root)?;
    let begun = Instant::now();
    let changes = syncer.scan().await?;
    let indexing = begun.elapsed();
    anyhow::ensure!(changes.added.len() as u64 == FILES, "{} of {FILES} files were indexed", changes.added.len());
    let begun = Instant::now();
    syncer.scan().await?;
    let looking = begun.elapsed();

    let (sender, mut scans) = unbounded_channel();
    let watching = Watching::start(syncer, move |report| {
        if matches!(report, Report::Scanned(_)) {
            let _ = sender.send(());
        }
    });
    scans.recv().await.context("the watching ended")?;
    let mut fresh = Vec::new();
    for save in 0..SAVES {
        fresh.push(save_and_find(&index, &root, save).await?);
    }
    watching.close().await;
    drop(index);
    store.close().await?;
    Ok(Measured { fresh, indexing, looking })
}

fn syncer(index: Index, root: &Path) -> anyhow::Result<Syncer> {
    let spec = SyncSpec {
        root: root.to_owned(),
        prefix: String::new(),
        include: Vec::new(),
        exclude: Vec::new(),
        obey_ignore_files: true,
        namespace: namespace(),
        kind: DocumentKind::Document,
        origin: Origin::Untrusted,
    };
    Ok(Syncer::new(index, Arc::new(InProcess::default()), spec, Arc::new(world::now))?)
}

fn namespace() -> Namespace {
    Namespace::Project("bench".to_owned())
}

/// A document of about 200 words.
fn text(number: u64, word: &str) -> String {
    let words: String = (0..180).map(|place| format!("word{} ", (number * 31 + place * 17) % 4_001)).collect();
    format!("# Document {number}\n\nIt says {word}.\n\n{words}\n")
}

/// Saves a file and waits until a search finds it.
async fn save_and_find(index: &Index, root: &Path, save: u64) -> anyhow::Result<Duration> {
    let word = format!("canary{save}zebra");
    let path = root.join(format!("{}/{save}.md", save % 50));
    let begun = Instant::now();
    if save.is_multiple_of(2) {
        fs_err::write(&path, text(save, &word))?;
    } else {
        let beside = path.with_extension("new");
        fs_err::write(&beside, text(save, &word))?;
        fs_err::rename(beside, &path)?;
    }
    let query = SearchQuery::new(&word, vec![namespace()], world::now());
    while index.search(&query).await?.hits.is_empty() {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "a saved file was not found within {PATIENCE:?}");
        tokio::time::sleep(ASK).await;
    }
    Ok(begun.elapsed())
}
