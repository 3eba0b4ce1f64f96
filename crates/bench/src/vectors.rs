//! Vector search alone, at 100,000 and a million vectors, beside LanceDB with the index that its defaults make.
//!
//! The vectors are clustered, as embeddings of documents are; questions lie near vectors of the set. Recall is the share
//! of the exact ten nearest among the ten that were found.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use masque_store::{MemoryFilter, NewChunk, NewDocument, Store, VectorQuery};
use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Chunk, Document, DocumentKind, EmbeddingModel, Namespace, Origin},
    time::Timestamp,
};
use serde::Deserialize;

use crate::{
    figures::{Row, Section, Unit},
    job::runtime,
    places::Places,
    process,
    statistics::{quantile_ms, real},
};

const DIMENSION: usize = 384;
const SIZES: [usize; 2] = [100_000, 1_000_000];
const QUESTIONS: usize = 200;
const WANTED: usize = 10;
/// Vectors of one cluster, about.
const CLUSTER: usize = 500;
/// How far from the middle of its cluster a vector lies.
const SPREAD: f32 = 0.9;
/// Chunks of one document, and vectors of one transaction.
const BATCH: usize = 1_000;
const SCRIPT: &str = include_str!("lancedb_search.py");

/// What LanceDB found and how long it took.
#[derive(Debug, Deserialize)]
struct Peer {
    version: String,
    ids: Vec<Vec<usize>>,
    milliseconds: Vec<f64>,
}

/// What one of the two found.
struct Answers {
    ids: Vec<Vec<usize>>,
    times: Vec<Duration>,
}

pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    for size in SIZES {
        rows.extend(one_size(places, size)?);
    }
    let about = format!(
        "The {WANTED} nearest of clustered vectors of {DIMENSION} numbers, in one namespace on SQLite: {QUESTIONS} \
         questions one after the other, by the same files as LanceDB with the index and the search that its defaults make."
    );
    Ok(Section { title: "Vector search", command: "masque-bench vectors", about, rows })
}

fn one_size(places: &Places, size: usize) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::Builder::new().prefix("masque-bench-vectors-").tempdir()?;
    let mut source = Source::new(size);
    let vectors: Vec<Vec<f32>> = (0..size).map(|_| source.vector()).collect();
    let questions: Vec<Vec<f32>> = (0..QUESTIONS).map(|_| source.vector()).collect();
    let exact: Vec<Vec<usize>> = questions.iter().map(|question| exact(&vectors, question)).collect();
    let peer = places
        .lancedb()
        .and_then(|python| beside(&python, directory.path(), &vectors, &questions).map_err(|error| error.to_string()));
    let own = runtime()?.block_on(own(directory.path(), vectors, &questions))?;
    let millis = |part: f64| quantile_ms(&own.times, part);
    let who = peer.as_ref().map_or_else(|_| "LanceDB".to_owned(), |peer| format!("LanceDB {}", peer.version));
    let theirs = |part: f64| peer.as_ref().map(|peer| of_theirs(&peer.milliseconds, part)).map_err(Clone::clone);
    let recalled = peer.as_ref().map(|peer| recall(&exact, &peer.ids)).map_err(Clone::clone);
    let row = |what: &str, unit, value| Row::new(format!("{size} vectors: {what}"), unit, value);
    Ok(vec![
        row("median", Unit::Milliseconds, millis(0.5)).beside(who.clone(), theirs(0.5)),
        row("99 of 100 within", Unit::Milliseconds, millis(0.99)).beside(who.clone(), theirs(0.99)),
        row("recall@10", Unit::Quality, recall(&exact, &own.ids)).beside(who, recalled),
    ])
}

fn of_theirs(milliseconds: &[f64], part: f64) -> f64 {
    let durations: Vec<Duration> = milliseconds.iter().map(|ms| Duration::from_secs_f64(ms / 1e3)).collect();
    quantile_ms(&durations, part)
}

/// The share of what had to be found.
fn recall(exact: &[Vec<usize>], found: &[Vec<usize>]) -> f64 {
    let hits = exact.iter().zip(found).map(|(exact, found)| exact.iter().filter(|id| found.contains(id)).count());
    let wanted = exact.iter().map(Vec::len).sum::<usize>();
    real(hits.sum::<usize>() as u64) / real(wanted.max(1) as u64)
}

/// Makes vectors of unit length in clusters, the same ones each time.
struct Source {
    state: u64,
    middles: Vec<Vec<f32>>,
}

impl Source {
    fn new(size: usize) -> Self {
        let mut source = Self { state: 0x9e37_79b9_7f4a_7c15, middles: Vec::new() };
        source.middles = (0..(size / CLUSTER).max(1)).map(|_| source.direction()).collect();
        source
    }

    /// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A random direction: sums of numbers of equal chance are nearly normal.
    fn direction(&mut self) -> Vec<f32> {
        let numbers = (0..DIMENSION).map(|_| {
            let bits = self.number();
            (0..4).map(|part| f32::from((bits >> (16 * part)) as u16) - 32_767.5).sum::<f32>()
        });
        unit(numbers.collect())
    }

    fn vector(&mut self) -> Vec<f32> {
        let place = usize::try_from(self.number()).unwrap_or(usize::MAX) % self.middles.len().max(1);
        let noise = self.direction();
        let middle = self.middles.get(place).cloned().unwrap_or_default();
        unit(middle.iter().zip(&noise).map(|(middle, noise)| middle + SPREAD * noise).collect())
    }
}

fn unit(numbers: Vec<f32>) -> Vec<f32> {
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

fn exact(vectors: &[Vec<f32>], question: &[f32]) -> Vec<usize> {
    let score = |vector: &[f32]| vector.iter().zip(question).map(|(one, other)| one * other).sum::<f32>();
    let mut scored: Vec<(f32, usize)> = vectors.iter().enumerate().map(|(id, vector)| (score(vector), id)).collect();
    let place = WANTED.min(scored.len().saturating_sub(1));
    scored.select_nth_unstable_by(place, |one, other| other.0.total_cmp(&one.0));
    scored.into_iter().take(WANTED).map(|(_, id)| id).collect()
}

fn beside(python: &Path, place: &Path, vectors: &[Vec<f32>], questions: &[Vec<f32>]) -> anyhow::Result<Peer> {
    write(&place.join("vectors.f32"), vectors)?;
    write(&place.join("questions.f32"), questions)?;
    let output = process::run(
        process::inherited(python).arg("-c").arg(SCRIPT).arg(place).arg(DIMENSION.to_string()).arg(WANTED.to_string()),
    )?;
    fs_err::remove_dir_all(place.join("lance"))?;
    fs_err::remove_file(place.join("vectors.f32"))?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn write(file: &Path, vectors: &[Vec<f32>]) -> std::io::Result<()> {
    let mut out = BufWriter::new(fs_err::File::create(file)?);
    for number in vectors.iter().flatten() {
        out.write_all(&number.to_le_bytes())?;
    }
    out.flush()
}

async fn own(place: &Path, vectors: Vec<Vec<f32>>, questions: &[Vec<f32>]) -> anyhow::Result<Answers> {
    let store = Store::open_sqlite(&place.join("masque.db")).await?;
    let namespace: Namespace = "room:bench".parse()?;
    let model = EmbeddingModel { name: "bench".to_owned(), dimension: DIMENSION };
    let mut vectors = vectors.into_iter().enumerate().peekable();
    while vectors.peek().is_some() {
        let batch: Vec<_> = vectors.by_ref().take(BATCH).collect();
        store.put_document(document(&namespace, &batch)).await?;
        let batch = batch.into_iter().map(|(id, vector)| (Digest::of(id.to_string()), vector)).collect();
        store.put_vectors(&model, batch).await?;
    }
    let mut answers = Answers { ids: Vec::new(), times: Vec::new() };
    for question in questions {
        let filter = MemoryFilter::of([namespace.clone()]);
        let query = VectorQuery { filter, model: model.clone(), vector: question.clone(), limit: WANTED };
        let begun = Instant::now();
        let hits = store.vector_hits(&query).await?;
        answers.times.push(begun.elapsed());
        let keys: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
        let chunks = store.stored_chunks(&keys).await?;
        answers.ids.push(chunks.iter().filter_map(|found| found.chunk.text.parse().ok()).collect());
    }
    store.close().await?;
    Ok(answers)
}

fn document(namespace: &Namespace, batch: &[(usize, Vec<f32>)]) -> NewDocument {
    let source = batch.first().map_or_else(String::new, |(id, _)| id.to_string());
    let chunk = |(ordinal, (id, _)): (u32, &(usize, Vec<f32>))| NewChunk {
        chunk: Chunk {
            ordinal,
            headings: Vec::new(),
            text: id.to_string(),
            lines: (1, 1),
            tokens: 1,
            digest: Digest::of(id.to_string()),
        },
        heading_terms: Vec::new(),
        body_terms: Vec::new(),
    };
    NewDocument {
        document: Document {
            id: DocumentId::derive(&Digest::of(&source)),
            namespace: namespace.clone(),
            digest: Digest::of(&source),
            title: source.clone(),
            source,
            kind: DocumentKind::Document,
            media_type: "text/plain".to_owned(),
            origin: Origin::Untrusted,
            changed_at: Timestamp(0),
            indexed_at: Timestamp(0),
            metadata: serde_json::Map::new(),
        },
        chunks: (0..).zip(batch).map(chunk).collect(),
    }
}
