//! Embedding texts by all-MiniLM-L6-v2, beside Sentence Transformers with the same files and the same texts.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use masque_embed::MiniLm;
use serde::Deserialize;

use crate::{
    figures::{Row, Section, Unit},
    places::Places,
    process,
    retrieval::passages,
    statistics::median_ms,
};

const PEER: &str = include_str!("sentence_transformers_speed.py");
/// Texts of each round.
const TEXTS: usize = 400;
/// Rounds of each, in turn.
const ROUNDS: usize = 3;
/// Questions that are embedded one by one.
const QUESTIONS: usize = 50;
/// Letters of a question.
const QUESTION: usize = 60;

/// What the peer printed.
#[derive(Debug, Deserialize)]
struct Took {
    version: String,
    seconds: Vec<f64>,
    query_seconds: f64,
}

/// Measures rounds of both in turn.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let directory = places.minilm().map_err(anyhow::Error::msg)?;
    let texts = passages(TEXTS).map_err(anyhow::Error::msg)?;
    let model = MiniLm::load(&directory)?;
    let never = AtomicBool::new(false);
    let embed = |texts: &[String]| model.embed_now(texts, &never);
    embed(texts.get(..32).unwrap_or(&texts))?;
    let (mut ours, mut theirs, mut version) = (Vec::new(), Vec::new(), Ok(String::new()));
    let mut their_question = Err(String::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        embed(&texts)?;
        ours.push(begun.elapsed());
        match peer(places, &directory, &texts) {
            Ok(took) => {
                theirs.extend(took.seconds.iter().copied().map(Duration::from_secs_f64));
                their_question = Ok(took.query_seconds * 1000.0);
                version = Ok(took.version);
            }
            Err(reason) => (their_question, version) = (Err(reason.clone()), Err(reason)),
        }
    }
    let question = |text: &String| -> anyhow::Result<Duration> {
        let begun = Instant::now();
        embed(&[text.chars().take(QUESTION).collect()])?;
        Ok(begun.elapsed())
    };
    let questions = texts.iter().take(QUESTIONS).map(question).collect::<anyhow::Result<Vec<_>>>()?;
    let per_second = |took: &[Duration]| TEXTS as f64 * 1000.0 / median_ms(took);
    let name = version.clone().unwrap_or_else(|_| "Sentence Transformers".to_owned());
    let beside = version.map(|_| per_second(&theirs));
    Ok(Section {
        title: "Embeddings",
        command: "make bench ARGS=embedding",
        about: format!(
            "all-MiniLM-L6-v2 over {TEXTS} sections of the Rust documentation on all cores, {ROUNDS} rounds in turn with \
             Sentence Transformers, which has the same files and makes batches of 32; and questions one by one."
        ),
        rows: vec![
            Row::new("texts embedded", Unit::PerSecond, per_second(&ours)).beside(&name, beside),
            Row::new("a question, median", Unit::Milliseconds, median_ms(&questions)).beside(name, their_question),
        ],
    })
}

fn peer(places: &Places, directory: &std::path::Path, texts: &[String]) -> Result<Took, String> {
    let python = places.sentence_transformers()?;
    let run = || -> anyhow::Result<Took> {
        let file = tempfile::NamedTempFile::new()?;
        serde_json::to_writer(file.as_file(), texts)?;
        let mut command = process::inherited(python);
        let output = process::run(command.arg("-c").arg(PEER).arg(directory).arg(file.path()).arg("1"))?;
        let line = String::from_utf8(output.stdout)?;
        serde_json::from_str(line.lines().last().unwrap_or_default()).context("the peer prints JSON")
    };
    run().map_err(|error| error.to_string())
}
