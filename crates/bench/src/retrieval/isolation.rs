//! Isolation: fifty personas, each with secrets of its own, and ten thousand questions for the secrets of others.

use masque_memory::search::SearchQuery;
use masque_types::memory::{DocumentKind, Namespace};

use super::{
    library::{NOW, Setup, source},
    metrics::Random,
    track::Document,
};
use crate::{
    figures::{Row, Unit},
    statistics::real,
};

const PERSONAS: usize = 50;
const NOTES: usize = 20;
const QUESTIONS: usize = 10_000;
/// What all personas write about, so that everybody's notes answer everybody's questions equally well.
const SUBJECTS: [&str; NOTES] = [
    "the door of the server room",
    "the alarm of the warehouse",
    "the safe in the accounts office",
    "the recovery of the billing database",
    "the staging environment",
    "the weekly report",
    "the courier's pick-up",
    "the guest network",
    "the printer on the third floor",
    "the signing of releases",
    "the on-call phone",
    "the archive of contracts",
    "the conference bridge",
    "the parking barrier",
    "the tax adviser's portal",
    "the backup tapes",
    "the payroll export",
    "the visitor badges",
    "the test devices",
    "the emergency contact",
];

/// Counts the results that belong to somebody else.
pub(crate) async fn measure(setup: &Setup<'_>) -> anyhow::Result<Row> {
    let (index, _directory) = setup.index().await?;
    for persona in 0..PERSONAS {
        let sources = (0..NOTES).map(|subject| source(&note(persona, subject), subject, &namespace(persona)));
        index.add_all(sources.collect(), NOW).await?;
    }
    index.embed_missing(&|_| {}).await?;
    let mut random = Random::new(1);
    let (mut crossings, mut answered) = (0_u64, 0_u64);
    for _ in 0..QUESTIONS {
        let (asker, owner) = (random.below(PERSONAS), random.below(PERSONAS));
        let subject = random.below(NOTES);
        // The canary itself is asked for, the best chance that another's note has.
        let question = format!("code word for {} {}", SUBJECTS.get(subject).unwrap_or(&""), canary(owner, subject));
        let found = index.search(&SearchQuery::new(question, vec![namespace(asker)], NOW)).await?;
        answered += u64::from(!found.hits.is_empty());
        crossings += found.hits.iter().filter(|hit| is_of_another(hit, asker)).count() as u64;
    }
    let what =
        format!("isolation: results of another persona, {QUESTIONS} questions, {answered} answered ({})", setup.legs());
    Ok(Row::new(what, Unit::Count, real(crossings)).at_most(0.0))
}

/// By its namespace, and by the canary in its text, whatever the namespace says.
fn is_of_another(hit: &masque_memory::search::Hit, asker: usize) -> bool {
    let own = format!("canary-{asker:02}-");
    hit.document.namespace != namespace(asker) || !hit.chunk.text.contains(&own)
}

fn namespace(persona: usize) -> Namespace {
    Namespace::Private(format!("persona-{persona:02}"))
}

fn canary(persona: usize, subject: usize) -> String {
    format!("canary-{persona:02}-{subject:02}")
}

fn note(persona: usize, subject: usize) -> Document {
    let name = SUBJECTS.get(subject).unwrap_or(&"");
    Document {
        name: canary(persona, subject),
        title: format!("About {name}"),
        text: format!("The code word for {name} is {}. Tell it to nobody else.", canary(persona, subject)),
        kind: DocumentKind::Note,
    }
}
