//! An independent BM25 (bm25s from PyPI) over the same terms, in the same run.

use masque_memory::{
    chunk::{self, ChunkSpec, Text},
    terms,
};
use serde::{Deserialize, Serialize};

use super::track::{Document, Question};
use crate::{places::Places, process};

const SCRIPT: &str = include_str!("bm25s_ranks.py");
/// The usual constants of BM25.
pub(crate) const K1: f64 = 1.2;
pub(crate) const B: f64 = 0.75;
/// Units that are asked for: several may be parts of one document.
const LIMIT: usize = 40;

#[derive(Debug, Serialize)]
struct Given {
    units: Vec<Vec<String>>,
    queries: Vec<Vec<String>>,
    k1: f64,
    b: f64,
    limit: usize,
}

/// What bm25s found.
#[derive(Debug, Deserialize)]
pub(crate) struct Ranked {
    pub(crate) version: String,
    /// For each question the documents, best first, each once.
    pub(crate) ranks: Vec<Vec<usize>>,
}

/// Ranks documents for questions; or why that is impossible here.
pub(crate) fn rank(documents: &[Document], questions: &[&Question], places: &Places) -> Result<Ranked, String> {
    let python = places.bm25s()?;
    let (owners, units): (Vec<usize>, Vec<Vec<String>>) = units(documents).into_iter().unzip();
    let queries = questions.iter().map(|question| terms::of_query(&question.text)).collect();
    let given = Given { units, queries, k1: K1, b: B, limit: LIMIT };
    let ranked = ask(&python, &given).map_err(|error| error.to_string())?;
    let documents = |units: Vec<usize>| {
        let mut documents = Vec::new();
        for owner in units.iter().filter_map(|unit| owners.get(*unit)) {
            if !documents.contains(owner) {
                documents.push(*owner);
            }
        }
        documents
    };
    Ok(Ranked { version: ranked.version, ranks: ranked.ranks.into_iter().map(documents).collect() })
}

fn ask(python: &std::path::Path, given: &Given) -> anyhow::Result<Ranked> {
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(file.as_file(), given)?;
    let output = process::run(process::inherited(python).arg("-c").arg(SCRIPT).arg(file.path()))?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The terms of each chunk as the index makes them, with the place of the chunk's document.
fn units(documents: &[Document]) -> Vec<(usize, Vec<String>)> {
    let of = |(place, document): (usize, &Document)| {
        let text = Text { title: &document.title, media_type: "text/markdown", text: &document.text };
        let chunks = chunk::chunks(&text, &ChunkSpec::of_kind(document.kind));
        chunks.into_iter().map(move |chunk| {
            let mut all = terms::of_text(&chunk.headings.join("\n"));
            all.extend(terms::of_text(&chunk.text));
            (place, all)
        })
    };
    documents.iter().enumerate().flat_map(of).collect()
}
