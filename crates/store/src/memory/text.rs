//! Finding chunks by their terms: BM25 over posting lists, the same on both databases. Leaves out how each database
//! reads its posting lists.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{
    lexemes,
    record::{ChunkKey, Hit, TextQuery},
    sql::Statement,
};
use crate::{Error, store::Reader};

const COLLECTIONS: &str = "SELECT n.namespace_key, n.chunks, n.terms FROM memory_namespaces n WHERE ";
const ALLOWED: &str =
    "SELECT d.document_key FROM documents d JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE ";

/// The searched namespaces as one collection.
#[derive(Debug, Default)]
pub(super) struct Collection {
    pub(super) namespace_keys: Vec<i64>,
    chunks: f64,
    terms: f64,
}

/// How often a chunk has a term: occurrences in the text and in the headings, each up to the highest level.
#[derive(Debug, Clone, Copy, Default)]
struct Occurrences {
    text: u8,
    headings: u8,
}

/// Where a chunk stands, and how long it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) terms: i64,
    pub(super) document_key: i64,
}

/// What the posting lists said.
#[derive(Debug)]
pub(super) struct Postings {
    by_term: Vec<HashMap<i64, Occurrences>>,
    places: HashMap<i64, Place>,
}

/// One list of postings to read.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) lexeme: String,
    term: usize,
    headings: bool,
    level: u8,
}

impl Postings {
    pub(super) fn new(terms: usize) -> Self {
        Self { by_term: vec![HashMap::new(); terms], places: HashMap::new() }
    }

    /// Notes that a list names a chunk.
    pub(super) fn note(&mut self, list: &List, chunk_key: i64, place: Place) {
        let Some(term) = self.by_term.get_mut(list.term) else { return };
        let occurrences = term.entry(chunk_key).or_default();
        let count = if list.headings { &mut occurrences.headings } else { &mut occurrences.text };
        *count = (*count).max(list.level);
        self.places.entry(chunk_key).or_insert(place);
    }
}

/// The lists of a query, in runs that rise by level: where a list is empty, the rest of its run is empty too.
pub(super) fn lists(query: &TextQuery, collection: &Collection) -> Vec<Vec<List>> {
    let mut runs = Vec::new();
    for namespace_key in &collection.namespace_keys {
        for (term, (text, _)) in query.terms.iter().enumerate().filter(|(_, (text, _))| lexemes::usable(text)) {
            let list = |lexeme: String, headings: bool, level: u8| List { lexeme, term, headings, level };
            let in_text = |level| list(lexemes::in_text(*namespace_key, text, level), false, level);
            let in_headings = |level| list(lexemes::in_headings(*namespace_key, text, level), true, level);
            runs.push((1..=lexemes::TEXT_LEVELS).map(in_text).collect());
            runs.push((1..=lexemes::HEADING_LEVELS).map(in_headings).collect());
        }
    }
    runs
}

pub(super) async fn hits(reader: &Reader, query: &TextQuery) -> Result<Vec<Hit>, Error> {
    let collection = collection(reader, query).await?;
    if collection.namespace_keys.is_empty() || query.terms.is_empty() {
        return Ok(Vec::new());
    }
    let runs = lists(query, &collection);
    let postings = match reader {
        Reader::Postgres { pool, server } => {
            let session = server.take(pool).await?;
            super::postgres::postings(&session, &runs, query.terms.len()).await?
        }
        Reader::Sqlite(_) | Reader::Writer(_) => {
            let terms = query.terms.len();
            reader.visit(move |session| super::sqlite::postings(session, &runs, terms)).await?
        }
    };
    let allowed = if query.filter.narrows() { Some(allowed(reader, query).await?) } else { None };
    Ok(rank(query, &collection, &postings, allowed.as_ref()))
}

async fn collection(reader: &Reader, query: &TextQuery) -> Result<Collection, Error> {
    let mut statement = Statement::new(COLLECTIONS);
    statement.any_of("n.name", query.filter.namespaces.iter().map(ToString::to_string));
    let mut collection = Collection::default();
    for mut row in reader.query(statement.sql, statement.params).await? {
        collection.namespace_keys.push(row.int()?);
        collection.chunks += row.int()? as f64;
        collection.terms += row.int()? as f64;
    }
    Ok(collection)
}

async fn allowed(reader: &Reader, query: &TextQuery) -> Result<HashSet<i64>, Error> {
    let mut statement = Statement::new(ALLOWED);
    statement.filter(&query.filter);
    reader.query(statement.sql, statement.params).await?.into_iter().map(|mut row| row.int()).collect()
}

/// A chunk on its way to becoming a hit.
#[derive(Debug, Default)]
struct Scored {
    score: f64,
    matched: Vec<usize>,
}

fn rank(query: &TextQuery, collection: &Collection, postings: &Postings, allowed: Option<&HashSet<i64>>) -> Vec<Hit> {
    let average = (collection.terms / collection.chunks.max(1.0)).max(1.0);
    let mut scored: HashMap<i64, Scored> = HashMap::new();
    for (number, ((_, weight), chunks)) in query.terms.iter().zip(&postings.by_term).enumerate() {
        // The filter does not change what is rare in the collection.
        let having = chunks.len() as f64;
        let idf = ((collection.chunks - having + 0.5).max(0.5) / (having + 0.5)).ln_1p();
        for (chunk_key, occurrences) in chunks {
            let Some(place) = postings.places.get(chunk_key) else { continue };
            if allowed.is_some_and(|allowed| !allowed.contains(&place.document_key)) {
                continue;
            }
            let count = f64::from(occurrences.text) + query.heading_weight * f64::from(occurrences.headings);
            let long = 1.0 - query.b + query.b * place.terms as f64 / average;
            let scored = scored.entry(*chunk_key).or_default();
            scored.score += weight * idf * count * (query.k1 + 1.0) / (count + query.k1 * long);
            scored.matched.push(number);
        }
    }
    best(scored, query.limit)
}

fn best(scored: HashMap<i64, Scored>, limit: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> = scored
        .into_iter()
        .map(|(key, scored)| Hit { chunk: ChunkKey(key), score: scored.score, matched: scored.matched })
        .collect();
    hits.sort_unstable_by(better);
    hits.truncate(limit);
    hits
}

/// The higher score first; of equals the one that was stored earlier.
pub(super) fn better(one: &Hit, other: &Hit) -> Ordering {
    other.score.total_cmp(&one.score).then_with(|| one.chunk.cmp(&other.chunk))
}
