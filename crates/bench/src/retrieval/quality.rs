//! How good answers are: one track, by words, by vectors and by both, beside an independent BM25.

use std::path::Path;

use masque_memory::search::Mode;
use serde_json::json;

use super::{
    library::{Library, Setup},
    metrics::{self, Score},
    peer,
    track::{Document, Question, Track},
};
use crate::figures::{Row, Unit};

/// A measure of a track and its goal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) measure: Measure,
    pub(crate) at_least: Option<f64>,
}

/// What of a score is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Ndcg,
    Recall3,
    Recall5,
    First,
}

impl Measure {
    const fn name(self) -> &'static str {
        match self {
            Self::Ndcg => "nDCG@10",
            Self::Recall3 => "recall@3",
            Self::Recall5 => "recall@5",
            Self::First => "hit@1",
        }
    }

    const fn of(self, score: &Score) -> f64 {
        match self {
            Self::Ndcg => score.ndcg,
            Self::Recall3 => score.recall_3,
            Self::Recall5 => score.recall_5,
            Self::First => score.first,
        }
    }
}

/// One system's results and scores, a question each.
struct System {
    results: Vec<Vec<usize>>,
    scores: Vec<Score>,
}

impl System {
    fn of(results: Vec<Vec<usize>>, questions: &[&Question]) -> Self {
        let scores = results.iter().zip(questions).map(|(results, question)| Score::of(results, &question.answers));
        let scores = scores.collect();
        Self { results, scores }
    }

    fn each(&self, measure: Measure) -> Vec<f64> {
        self.scores.iter().map(|score| measure.of(score)).collect()
    }

    fn mean(&self, measure: Measure) -> f64 {
        metrics::mean(&self.each(measure))
    }
}

/// The answers of all systems to the questions of one part of a track.
pub(crate) struct Answers<'a> {
    name: &'a str,
    documents: &'a [Document],
    questions: Vec<&'a Question>,
    words: System,
    vectors: Option<System>,
    fused: System,
    /// Our BM25 as everybody has it, and that of the peer.
    usual: System,
    peer: Result<(String, System), String>,
}

impl<'a> Answers<'a> {
    /// Asks each system each question that has an answer.
    pub(crate) async fn of(
        name: &'a str,
        track: &'a Track,
        split: super::track::Split,
        setup: &Setup<'_>,
    ) -> anyhow::Result<Self> {
        let mut questions = track.of(split);
        questions.retain(|question| !question.answers.is_empty());
        let has_model = setup.embedder.is_some();
        let library = Library::of(&track.documents, setup).await?;
        let ask = async |mode| {
            let mut results = Vec::new();
            for question in &questions {
                results.push(library.ranked(&question.text, mode).await?);
            }
            anyhow::Ok(System::of(results, &questions))
        };
        let words = ask(Mode::Text).await?;
        let vectors = if has_model { Some(ask(Mode::Vector).await?) } else { None };
        let fused = ask(Mode::Fused).await?;
        let mut usual = Vec::new();
        for question in &questions {
            usual.push(library.usual(&question.text).await?);
        }
        let usual = System::of(usual, &questions);
        let peer = peer::rank(&track.documents, &questions, setup.places);
        let peer = peer.map(|peer| (peer.version, System::of(peer.ranks, &questions)));
        Ok(Self { name, documents: &track.documents, questions, words, vectors, fused, usual, peer })
    }

    /// The figures of both together, with those of each leg and of the peer beside them.
    pub(crate) fn rows(&self, goals: &[Goal]) -> Vec<Row> {
        let mut rows: Vec<Row> = goals.iter().map(|goal| self.row(goal)).collect();
        rows.extend(self.against_better_leg());
        rows.extend(self.against_peer());
        rows
    }

    fn row(&self, goal: &Goal) -> Row {
        let Goal { measure, at_least } = *goal;
        let what = format!("{}: {} of {} questions", self.name, measure.name(), self.questions.len());
        let vectors = self.vectors.as_ref().map(|system| system.mean(measure)).ok_or_else(|| "no model".to_owned());
        let row = Row::new(what, Unit::Quality, self.fused.mean(measure))
            .beside("words", Ok(self.words.mean(measure)))
            .beside("vectors", vectors);
        let row = match &self.peer {
            Ok((version, system)) => row.beside(version, Ok(system.mean(measure))),
            Err(reason) => row.beside("bm25s", Err(reason.clone())),
        };
        match at_least {
            Some(goal) => row.at_least(goal),
            None => row,
        }
    }

    /// Both together against the better one of the two.
    fn against_better_leg(&self) -> Option<Row> {
        let vectors = self.vectors.as_ref()?;
        let (measure, name) = (Measure::Ndcg, self.name);
        let words_are_better = self.words.mean(measure) >= vectors.mean(measure);
        let (leg, better) = if words_are_better { ("words", &self.words) } else { ("vectors", vectors) };
        let difference = metrics::difference(&self.fused.each(measure), &better.each(measure));
        let what = format!("{name}: both above {leg} alone, nDCG@10 ({difference})");
        Some(Row::new(what, Unit::Quality, difference.mean).at_least(0.0))
    }

    /// The usual BM25 against the independent one, and both legs together against it.
    fn against_peer(&self) -> Option<Row> {
        let (version, peer) = self.peer.as_ref().ok()?;
        let (measure, name) = (Measure::Ndcg, self.name);
        let gain = metrics::difference(&self.fused.each(measure), &peer.each(measure));
        let apart = (self.usual.mean(measure) - peer.mean(measure)).abs();
        let what =
            format!("{name}: BM25 with the usual constants apart from {version}, nDCG@10 (both above it: {gain})");
        Some(Row::new(what, Unit::Quality, apart).at_most(0.01))
    }

    /// Appends the questions whose answer is not among the first five, as lines of JSON, for those who look for the reason.
    pub(crate) fn write_misses(&self, file: &Path) -> anyhow::Result<()> {
        use std::io::Write as _;
        let name = |place: &usize| self.documents.get(*place).map(|document| document.name.as_str());
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(file)?;
        for (place, question) in self.questions.iter().enumerate() {
            let rank = |system: &System| {
                let results = system.results.get(place)?;
                results.iter().position(|result| question.answers.contains(result)).map(|rank| rank + 1)
            };
            let fused = rank(&self.fused);
            if fused.is_some_and(|rank| rank <= 5) {
                continue;
            }
            let line = json!({
                "track": self.name,
                "question": question.text,
                "answers": question.answers.iter().filter_map(name).collect::<Vec<_>>(),
                "words": rank(&self.words),
                "vectors": self.vectors.as_ref().and_then(rank),
                "fused": fused,
                "instead": self.fused.results.get(place).map(|results| {
                    results.iter().take(3).filter_map(name).collect::<Vec<_>>()
                }),
            });
            writeln!(file, "{line}")?;
        }
        Ok(())
    }
}
