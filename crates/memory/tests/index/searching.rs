//! Legs, filters, order, sections, abstention.

use std::time::Duration;

use masque_memory::{
    Error,
    search::{Diversity, Extent, Filters, Leg, Mode, Note, Recency, SearchQuery},
};
use masque_types::{
    memory::{DocumentKind, Origin},
    time::Timestamp,
};

use crate::support::{NOW, WordCounter, found, index, query, source};

#[tokio::test]
async fn both_legs_answer_and_explain_themselves() {
    let index = index(Some(WordCounter::new("words"))).await;
    index
        .add_all(vec![source("bread.md", "Knead the dough well."), source("soup.md", "Boil the water.")], NOW)
        .await
        .unwrap();
    index.embed_missing(&|_| {}).await.unwrap();
    let answer = index.search(&query("how is dough kneaded?")).await.unwrap();
    let best = &answer.hits[0];
    assert_eq!(best.document.source, "bread.md");
    assert_eq!(best.explanation.matched, ["dough", "knead"]);
    assert_eq!(best.explanation.text.unwrap().rank, 1);
    assert_eq!(best.explanation.vector.unwrap().rank, 1);
    assert_eq!(answer.vector, Leg::Answered { candidates: 2, model: Some("words".to_owned()) });
    assert!(answer.notes.is_empty());
    assert_eq!(index.search(&query("how is dough kneaded?")).await.unwrap(), answer);
}

#[tokio::test]
async fn without_a_model_words_answer_and_the_answer_says_so() {
    let index = index(None).await;
    index.add(source("bread.md", "Knead the dough."), NOW).await.unwrap();
    let answer = index.search(&query("dough")).await.unwrap();
    assert_eq!((answer.hits.len(), answer.vector, answer.notes), (1, Leg::Absent, vec![Note::NoModel]));
    let nowhere = SearchQuery::new("dough", Vec::new(), NOW);
    assert!(matches!(index.search(&nowhere).await, Err(Error::Query(_))));
    assert!(matches!(index.search(&query(" ")).await, Err(Error::Query(_))));
}

#[tokio::test]
async fn a_failing_model_is_a_note_unless_only_vectors_were_wanted() {
    let model = WordCounter::new("words");
    let index = index(Some(model.clone())).await;
    index.add(source("bread.md", "Knead the dough."), NOW).await.unwrap();
    index.embed_missing(&|_| {}).await.unwrap();
    model.fails_after.store(0, std::sync::atomic::Ordering::SeqCst);
    let answer = index.search(&query("dough")).await.unwrap();
    assert!(matches!(answer.notes.as_slice(), [Note::ModelFailed { reason }] if reason.contains("out of order")));
    assert_eq!(answer.hits.len(), 1);
    let vectors_only = SearchQuery { mode: Mode::Vector, ..query("dough") };
    assert!(matches!(index.search(&vectors_only).await, Err(Error::Embedding { .. })));
}

#[tokio::test]
async fn filters_and_recency_decide() {
    let index = index(None).await;
    let day = Duration::from_secs(86_400);
    let mut old = source("old.md", "The dough rests for one hour, in a cool and dark place.");
    old.changed_at = Timestamp(NOW.0 - 90 * i64::try_from(day.as_millis()).unwrap());
    let mut new = source("new.md", "The dough rests for two hours, in a cool and dark place, they say.");
    new.metadata.insert("tags".to_owned(), vec!["bread"].into());
    new.origin = Origin::Trusted;
    index.add_all(vec![old, new], NOW).await.unwrap();
    assert_eq!(found(&index, &query("dough rests")).await, ["old.md", "new.md"], "the shorter one first");
    let recent = SearchQuery { recency: Some(Recency { half_life: 30 * day, weight: 0.5 }), ..query("dough rests") };
    assert_eq!(found(&index, &recent).await, ["new.md", "old.md"]);
    let only = [
        Filters { tags: vec!["bread".to_owned()], ..Filters::default() },
        Filters { since: Some(Timestamp(NOW.0 - 1)), ..Filters::default() },
        Filters { source: Some("ne".to_owned()), ..Filters::default() },
        Filters { origin: Some(Origin::Trusted), ..Filters::default() },
    ];
    for filters in only {
        assert_eq!(found(&index, &SearchQuery { filters, ..query("dough rests") }).await, ["new.md"]);
    }
    let standards = SearchQuery { kinds: vec![DocumentKind::Standard], ..query("dough rests") };
    assert!(found(&index, &standards).await.is_empty());
}

#[tokio::test]
async fn results_are_thinned_out_and_bring_their_section() {
    let index = index(None).await;
    let long = "The dough rests. It rises slowly in the bowl and grows until the evening comes. ".repeat(120);
    index.add_all(vec![source("long.md", &long), source("short.md", "Dough is made of flour.")], NOW).await.unwrap();
    let all = SearchQuery { diversity: Diversity::None, ..query("dough") };
    assert!(found(&index, &all).await.len() > 3);
    let one = SearchQuery { diversity: Diversity::PerSection(1), ..query("dough") };
    assert_eq!(found(&index, &one).await.len(), 2);
    let marginal = SearchQuery { diversity: Diversity::Marginal { relevance: 0.3 }, limit: 2, ..query("dough") };
    let mut sources = found(&index, &marginal).await;
    sources.sort();
    assert_eq!(sources, ["long.md", "short.md"]);

    let section = SearchQuery { extent: Extent::Section { tokens: 1_200 }, ..one };
    let answer = index.search(&section).await.unwrap();
    let hit = answer.hits.iter().find(|hit| hit.document.source == "long.md").unwrap();
    let section = hit.section.as_ref().unwrap();
    assert!(section.text.contains(&hit.chunk.text) && section.text.len() > hit.chunk.text.len());
}

#[tokio::test]
async fn nothing_is_better_than_a_bad_answer_where_that_was_asked_for() {
    let index = index(None).await;
    index.add(source("bread.md", "Knead the dough for ten minutes."), NOW).await.unwrap();
    let sure = |text: &str| SearchQuery { least_confidence: Some(0.5), ..query(text) };
    assert_eq!(found(&index, &sure("how long to knead dough")).await.len(), 1);
    let answer = index.search(&sure("which minutes does the parliament of Iceland publish")).await.unwrap();
    assert_eq!((answer.hits.len(), answer.notes.last()), (0, Some(&Note::NothingSure)));
}
