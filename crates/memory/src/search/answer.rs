//! Answering a question: asking both legs, joining them, explaining. Leaves out which embedding model serves.

use std::collections::HashMap;

use masque_store::{Hit as LegHit, MemoryFilter, StoredChunk, TextQuery, VectorQuery};
use masque_types::digest::Digest;

use super::{
    Diversity, Explanation, Extent, Found, Hit, Leg, Mode, Note, SearchQuery,
    confidence::{Evidence, confidence},
    fuse::{self, Candidate},
    rank::{self, Likeness},
    section,
};
use crate::{
    Error, Index,
    index::{Serving, Vectors},
    notes::{CONTRADICTED_BY, SUPERSEDED_BY},
    terms,
};

/// How many candidates are looked at for each result that is wanted: thinning out needs some to spare.
const SPARE: usize = 5;

/// The factor of a note that a later one contradicts: both are shown, the later one first.
const CONTRADICTED: f32 = 0.8;

/// What a leg gave.
struct LegHits {
    hits: Vec<LegHit>,
    leg: Leg,
    notes: Vec<Note>,
}

/// A question with what was found out about it.
struct Asked<'a> {
    query: &'a SearchQuery,
    terms: &'a [String],
    /// The smallest cosine that the vector leg gave.
    farthest: Option<f32>,
}

impl LegHits {
    const fn empty(leg: Leg) -> Self {
        Self { hits: Vec::new(), leg, notes: Vec::new() }
    }
}

pub(crate) async fn answer(index: &Index, query: &SearchQuery) -> Result<Found, Error> {
    let query_terms = terms::of_query(&query.text);
    let serving = index.serving(query.now).await?;
    let (text, vector) = tokio::try_join!(text_leg(index, query, &query_terms), vector_leg(index, query, &serving))?;
    let weights = fuse::weights(query.mode, terms::names_a_thing(&query.text), index.tuning());
    let candidates = fuse::fuse(&text.hits, &vector.hits, weights, index.tuning().rank_constant);
    // What the vector leg did not name is further away than everything that it named.
    let farthest = vector.hits.last().map(|hit| hit.score as f32);
    let asked = Asked { query, terms: &query_terms, farthest };
    let hits = explained(index, &asked, candidates).await?;
    let mut found =
        Found { hits, text: text.leg, vector: vector.leg, notes: text.notes.into_iter().chain(vector.notes).collect() };
    abstain(query, &mut found);
    found.hits = diverse(index, query, &serving, found.hits).await?;
    add_sections(index, query, &mut found.hits).await?;
    Ok(found)
}

fn filter(query: &SearchQuery) -> MemoryFilter {
    MemoryFilter {
        namespaces: query.namespaces.clone(),
        kinds: query.kinds.clone(),
        origin: query.filters.origin,
        tags: query.filters.tags.clone(),
        since: query.filters.since,
        until: None,
        source_prefix: query.filters.source.clone(),
    }
}

async fn text_leg(index: &Index, query: &SearchQuery, terms: &[String]) -> Result<LegHits, Error> {
    if query.mode == Mode::Vector {
        return Ok(LegHits::empty(Leg::NotAsked));
    }
    let tuning = index.tuning();
    let asked = TextQuery {
        heading_weight: tuning.heading_weight,
        k1: tuning.k1,
        b: tuning.b,
        ..TextQuery::new(filter(query), terms.iter().cloned(), tuning.candidates.max(query.limit))
    };
    let hits = if terms.is_empty() { Vec::new() } else { index.store().text_hits(&asked).await? };
    let leg = Leg::Answered { candidates: hits.len(), model: None };
    Ok(LegHits { hits, leg, notes: Vec::new() })
}

async fn vector_leg(index: &Index, query: &SearchQuery, serving: &Serving) -> Result<LegHits, Error> {
    if query.mode == Mode::Text {
        return Ok(LegHits::empty(Leg::NotAsked));
    }
    let Vectors::Of(embedder) = &serving.vectors else {
        let notes = vec![Note::NoModel];
        return Ok(LegHits { notes, ..LegHits::empty(Leg::Absent) });
    };
    let vector = match index.query_vector(embedder.as_ref(), &query.text).await {
        Ok(vector) => vector,
        Err(error) if query.mode == Mode::Vector => return Err(error),
        Err(error) => {
            let notes = vec![Note::ModelFailed { reason: error.to_string() }];
            return Ok(LegHits { notes, ..LegHits::empty(Leg::Absent) });
        }
    };
    let model = embedder.model().clone();
    let limit = index.tuning().candidates.max(query.limit);
    let asked = VectorQuery { filter: filter(query), model: model.clone(), vector: vector.as_ref().clone(), limit };
    let hits = index.store().vector_hits(&asked).await?;
    let leg = Leg::Answered { candidates: hits.len(), model: Some(model.name) };
    Ok(LegHits { hits, leg, notes: serving.notes.clone() })
}

/// The candidates with their chunks, newer ones raised, best first.
async fn explained(index: &Index, asked: &Asked<'_>, mut candidates: Vec<Candidate>) -> Result<Vec<Hit>, Error> {
    let query = asked.query;
    candidates.truncate(query.limit.saturating_mul(SPARE).max(SPARE * SPARE));
    let keys: Vec<_> = candidates.iter().map(|candidate| candidate.key).collect();
    let stored = index.store().stored_chunks(&keys).await?;
    let mut by_key: HashMap<_, _> = stored.into_iter().map(|chunk| (chunk.key, chunk)).collect();
    let mut hits: Vec<Hit> = candidates
        .into_iter()
        .filter_map(|candidate| Some(hit(asked, by_key.remove(&candidate.key)?, candidate)))
        .filter(|hit| query.filters.superseded || !hit.document.metadata.contains_key(SUPERSEDED_BY))
        .collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(hits)
}

fn hit(asked: &Asked<'_>, stored: StoredChunk, candidate: Candidate) -> Hit {
    let Asked { query, terms, farthest } = asked;
    let recency = rank::recency_factor(query.recency.as_ref(), stored.document.changed_at, query.now);
    let evidence = Evidence {
        coverage: candidate.matched.len() as f32 / terms.len().max(1) as f32,
        cosine: candidate.vector.map(|place| place.score).or(*farthest),
    };
    let matched = candidate.matched.iter().filter_map(|place| terms.get(*place).cloned()).collect();
    let contradicted = stored.document.metadata.contains_key(CONTRADICTED_BY);
    let standing = if contradicted { CONTRADICTED } else { 1.0 };
    Hit {
        document: stored.document,
        chunk: stored.chunk,
        section: None,
        score: candidate.fused * recency * standing,
        explanation: Explanation {
            text: candidate.text,
            vector: candidate.vector,
            fused: candidate.fused,
            recency,
            contradicted,
            confidence: confidence(&evidence),
            matched,
        },
    }
}

/// Leaves nothing when the best is not good enough.
fn abstain(query: &SearchQuery, found: &mut Found) {
    let Some(least) = query.least_confidence else { return };
    let sure = found.hits.iter().map(|hit| hit.explanation.confidence).fold(0.0, f32::max);
    if sure < least {
        found.hits.clear();
        found.notes.push(Note::NothingSure);
    }
}

async fn diverse(index: &Index, query: &SearchQuery, serving: &Serving, hits: Vec<Hit>) -> Result<Vec<Hit>, Error> {
    let mut hits = match query.diversity {
        Diversity::None => hits,
        Diversity::PerSection(most) => rank::cap_sections(hits, most),
        Diversity::Marginal { relevance } => {
            let digests: Vec<Digest> = hits.iter().map(|hit| hit.chunk.digest).collect();
            let vectors = match &serving.vectors {
                Vectors::Of(embedder) => index.store().vectors(embedder.model(), &digests).await?,
                Vectors::None => HashMap::new(),
            };
            let likeness = Likeness::new(vectors, &hits);
            rank::marginal(hits, query.limit, relevance.clamp(0.0, 1.0), &likeness)
        }
    };
    hits.truncate(query.limit);
    Ok(hits)
}

async fn add_sections(index: &Index, query: &SearchQuery, hits: &mut [Hit]) -> Result<(), Error> {
    let Extent::Section { tokens } = query.extent else { return Ok(()) };
    for hit in hits {
        let chunks = index.store().chunks(hit.document.id).await?;
        hit.section = section::around(&chunks, hit.chunk.ordinal, tokens);
    }
    Ok(())
}
