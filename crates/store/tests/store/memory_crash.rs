//! A program that is killed while it writes to the memory: rows, terms and vectors tell the same story.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use masque_store::{DocumentFilter, MemoryFilter, Store, TextQuery, VectorQuery};
use masque_testkit::database::TestDatabase;
use masque_types::digest::Digest;

use crate::memory::{document, model, namespace, vector};

const DIMENSION: usize = 64;
const SOURCES: usize = 12;

fn words(source: usize, round: usize) -> String {
    (0..4).map(|part| format!("word{source}x{round}x{part} common")).collect::<Vec<_>>().join("\n\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_terms_and_vectors_survive_a_kill_together() {
    let database = TestDatabase::sqlite();
    let path = database.file().unwrap();
    for lines in [1, 40, 90] {
        let path = path.clone();
        tokio::task::spawn_blocking(move || kill_after(lines, &path)).await.unwrap();
        let store = database.open().await;
        check(&store).await;
        store.close().await.unwrap();
    }
}

/// Every chunk is found by its own word and by its vector, and nothing else is.
async fn check(store: &Store) {
    let filter = MemoryFilter::of([namespace("project:a")]);
    let all = DocumentFilter { filter: filter.clone(), after: None, limit: 1_000 };
    let mut expected = 0;
    for stored in store.documents(&all).await.unwrap() {
        for chunk in store.chunks(stored.id).await.unwrap() {
            expected += 1;
            let own = chunk.text.split(' ').next().unwrap().to_owned();
            let query = TextQuery::new(filter.clone(), [own], 10);
            let found = store.text_hits(&query).await.unwrap();
            assert_eq!(found.len(), 1);
            let found = store.stored_chunks(&[found[0].chunk]).await.unwrap();
            assert_eq!(found[0].chunk, chunk);
        }
    }
    let common = TextQuery::new(filter.clone(), ["common".to_owned()], 1_000);
    assert_eq!(store.text_hits(&common).await.unwrap().len(), expected);
    let model = model("m", DIMENSION);
    let lacking = store.missing_vectors(&model, None, 1_000).await.unwrap().len();
    let query = VectorQuery { filter, model, vector: vector("anything", DIMENSION), limit: 100 };
    assert_eq!(store.vector_hits(&query).await.unwrap().len(), (expected - lacking).min(100));
    let stats = store.memory_stats(None).await.unwrap();
    assert_eq!(stats.namespaces.values().map(|sizes| sizes.chunks).sum::<usize>(), expected);
}

#[expect(clippy::disallowed_methods, reason = "what is tested is the death of a process")]
fn kill_after(lines: usize, path: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory_crash::writer", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", path.display()).unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines();
    let stored = output.map_while(Result::ok).filter(|line| line.starts_with("stored")).take(lines).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stored, lines, "the writer stored something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by rows_terms_and_vectors_survive_a_kill_together, with the path of a database on its input"]
async fn writer() {
    let mut path = String::new();
    std::io::stdin().read_line(&mut path).unwrap();
    if path.trim().is_empty() {
        return;
    }
    let store = Store::open_sqlite(Path::new(path.trim())).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for source in 0..SOURCES {
        writers.spawn(write_for_ever(store.clone(), source));
    }
    while writers.join_next().await.is_some() {}
}

async fn write_for_ever(store: Store, source: usize) {
    for round in 0.. {
        let text = words(source, round);
        store.put_document(document("project:a", &format!("source{source}"), &text)).await.unwrap();
        let vectors = text.split("\n\n").map(|text| (Digest::of(text), vector(text, DIMENSION))).collect();
        store.put_vectors(&model("m", DIMENSION), vectors).await.unwrap();
        let mut output = std::io::stdout().lock();
        if output.write_all(b"stored\n").and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}
