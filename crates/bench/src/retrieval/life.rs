//! T7: the scripted life of a persona: facts, newer values of them, contradictions, repetitions, talk, echoes of the memory
//! itself, and deletions. What to note comes from a script, so that no model's mood is measured.

use std::time::Duration;

use masque_memory::{
    Index,
    notes::{NewNote, Noted},
    search::{Hit, Mode, Recency, SearchQuery},
};
use masque_store::ForgetFilter;
use masque_types::{
    id::DocumentId,
    memory::{DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::Deserialize;

use super::{
    data,
    library::{NOW, Setup},
    metrics::{self, share},
};
use crate::{
    figures::{Row, Unit},
    statistics::real,
};

const DAY_MS: i64 = 86_400_000;
/// Days between two values of a fact.
const AGE: i64 = 30;
/// Results of which the current value must be one.
const LIMIT: usize = 3;

/// A fact and its values over time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fact {
    question: String,
    /// Oldest first.
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    text: String,
}

/// What was offered to the memory, and how much of it was kept.
#[derive(Debug, Default)]
struct Kept {
    facts: usize,
    repetitions: usize,
    talk: usize,
    echoes: usize,
}

struct Life {
    index: Index,
    namespace: Namespace,
    kept: Kept,
}

/// Lives the life and counts what the memory made of it.
pub(crate) async fn measure(setup: &Setup<'_>) -> anyhow::Result<Vec<Row>> {
    let (index, _directory) = setup.index().await?;
    let namespace = Namespace::Private("bench".to_owned());
    let mut life = Life { index, namespace, kept: Kept::default() };
    let (facts, talk) = (data::facts()?, data::talk());
    let notes = life.live(&facts, &talk).await?;
    let recall = life.recall(&facts).await?;
    let forgotten = life.forget_some(&facts, &notes).await?;
    let left = life.forget_all(&facts).await?;
    Ok(rows(&facts, setup.legs(), &life.kept, &recall, forgotten, left))
}

fn rows(facts: &[Fact], how: &str, kept: &Kept, recall: &Recall, forgotten: usize, left: usize) -> Vec<Row> {
    let all = kept.facts + kept.repetitions + kept.talk + kept.echoes;
    let row = |what: &str, value: f64| Row::new(format!("T7 life: {what}"), Unit::Quality, value);
    let count = |what: &str, value: usize| Row::new(format!("T7 life: {what}"), Unit::Count, real(value as u64));
    let questions = facts.len();
    vec![
        row(
            &format!("current value among the first {LIMIT}, {questions} facts ({how})"),
            metrics::mean(&recall.current),
        )
        .at_least(0.95),
        row("a former value above the current one", metrics::mean(&recall.stale)).at_most(0.02),
        row(&format!("talk, as a part of {all} kept notes"), share(kept.talk, all)).at_most(0.05),
        row("repetitions, as a part of them", share(kept.repetitions, all)).at_most(0.01),
        count("echoes of the memory that were kept", kept.echoes).at_most(0.0),
        count("deleted values that a search still finds", forgotten).at_most(0.0),
        count("rows, terms and vectors left after forgetting everything", left).at_most(0.0),
    ]
}

/// For each fact: whether its current value was found, and whether a former one stood above it.
#[derive(Debug, Default)]
struct Recall {
    current: Vec<f64>,
    stale: Vec<f64>,
}

impl Life {
    /// Notes all values of all facts, the older first, each with talk, repetitions and echoes. Returns what was kept of each
    /// fact.
    async fn live(&mut self, facts: &[Fact], talk: &[&str]) -> anyhow::Result<Vec<Vec<DocumentId>>> {
        let mut notes: Vec<Vec<DocumentId>> = vec![Vec::new(); facts.len()];
        let most = facts.iter().map(|fact| fact.versions.len()).max().unwrap_or_default();
        let mut talk = talk.iter().cycle();
        for round in 0..most {
            let at = Timestamp(NOW.0 - (most - 1 - round) as i64 * AGE * DAY_MS);
            for (place, fact) in facts.iter().enumerate() {
                let (Some(version), Some(before)) = (fact.versions.get(round), notes.get_mut(place)) else { continue };
                // Of every second fact it is known which note is out of date; the others contradict each other.
                let supersedes = if place % 2 == 0 { before.clone() } else { Vec::new() };
                if let Some(id) = self.note(&version.text, supersedes, Vec::new(), at).await? {
                    self.kept.facts += 1;
                    before.push(id);
                }
                for repeated in repetitions(&version.text) {
                    self.kept.repetitions += usize::from(self.plain_note(&repeated, at).await?);
                }
                if let Some(line) = talk.next() {
                    self.kept.talk += usize::from(self.plain_note(line, at).await?);
                }
                self.kept.echoes += self.echo(&fact.question, at).await?;
            }
        }
        self.index.embed_missing(&|_| {}).await?;
        Ok(notes)
    }

    async fn plain_note(&self, text: &str, at: Timestamp) -> anyhow::Result<bool> {
        Ok(self.note(text, Vec::new(), Vec::new(), at).await?.is_some())
    }

    async fn note(
        &self,
        text: &str,
        supersedes: Vec<DocumentId>,
        retrieved: Vec<String>,
        at: Timestamp,
    ) -> anyhow::Result<Option<DocumentId>> {
        let note = NewNote {
            namespace: self.namespace.clone(),
            text: text.to_owned(),
            tags: Vec::new(),
            origin: Origin::Untrusted,
            run: None,
            supersedes,
            retrieved,
        };
        let noted = self.index.note(note, at).await?;
        self.index.embed_missing(&|_| {}).await?;
        Ok(match noted {
            Noted::Kept { document, .. } => Some(document),
            Noted::Refused { .. } => None,
        })
    }

    /// Notes what a search returns, as a model does that mistakes its memory for news.
    async fn echo(&self, question: &str, at: Timestamp) -> anyhow::Result<usize> {
        let hits = self.search(question, Mode::Fused, at).await?;
        let retrieved: Vec<String> = hits.iter().map(|hit| hit.chunk.text.clone()).collect();
        let mut kept = 0;
        for text in &retrieved {
            let text = format!("As I know from before: {text}");
            kept += usize::from(self.note(&text, Vec::new(), retrieved.clone(), at).await?.is_some());
        }
        Ok(kept)
    }

    async fn search(&self, question: &str, mode: Mode, now: Timestamp) -> anyhow::Result<Vec<Hit>> {
        let query = SearchQuery {
            kinds: vec![DocumentKind::Note],
            limit: LIMIT,
            mode,
            recency: Some(Recency { half_life: Duration::from_secs(30 * 86_400), weight: 0.2 }),
            ..SearchQuery::new(question, vec![self.namespace.clone()], now)
        };
        Ok(self.index.search(&query).await?.hits)
    }

    async fn recall(&self, facts: &[Fact]) -> anyhow::Result<Recall> {
        let mut recall = Recall::default();
        for fact in facts {
            let Some((current, former)) = fact.versions.split_last() else { continue };
            let hits = self.search(&fact.question, Mode::Fused, NOW).await?;
            let place = |version: &Version| hits.iter().position(|hit| hit.chunk.text == version.text);
            let found = place(current);
            let above = |version: &Version| place(version).is_some_and(|old| found.is_none_or(|new| old < new));
            recall.current.push(f64::from(u8::from(found.is_some())));
            recall.stale.push(f64::from(u8::from(former.iter().any(above))));
        }
        Ok(recall)
    }

    /// Deletes every fourth fact and returns how many of its values are still found.
    async fn forget_some(&self, facts: &[Fact], notes: &[Vec<DocumentId>]) -> anyhow::Result<usize> {
        let mut found = 0;
        for (fact, ids) in facts.iter().zip(notes).step_by(4) {
            let filter =
                ForgetFilter { namespaces: vec![self.namespace.clone()], ids: ids.clone(), ..ForgetFilter::default() };
            self.index.store().forget(filter).await?;
            for version in &fact.versions {
                let hits = self.search(&version.text, Mode::Fused, NOW).await?;
                found += hits.iter().filter(|hit| hit.chunk.text.contains(&version.text)).count();
            }
        }
        Ok(found)
    }

    /// Forgets everything and counts what is left: documents, chunks, vectors, and what either leg still finds.
    async fn forget_all(&self, facts: &[Fact]) -> anyhow::Result<usize> {
        let store = self.index.store();
        let namespaces = vec![self.namespace.clone()];
        store.forget(ForgetFilter { namespaces, everything: true, ..ForgetFilter::default() }).await?;
        let stats = store.memory_stats(None).await?;
        let rows: usize = stats.namespaces.values().map(|one| one.documents + one.chunks).sum();
        let vectors: usize = stats.models.iter().map(|model| model.vectors).sum();
        let mut left = rows + vectors;
        for fact in facts {
            left += self.search(&fact.question, Mode::Fused, NOW).await?.len();
            left += self.search(&fact.question, Mode::Text, NOW).await?.len();
        }
        Ok(left)
    }
}

/// The same fact said again in other clothes.
fn repetitions(text: &str) -> [String; 3] {
    [text.to_owned(), text.to_uppercase(), format!("By the way: {}!", text.trim_end_matches('.'))]
}
