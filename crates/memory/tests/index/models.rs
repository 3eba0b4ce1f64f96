//! A change of the embedding model: the one before answers until the new one is ready, and nothing is lost half-way.

use std::sync::{Arc, Mutex, atomic::Ordering};

use masque_memory::{
    Error, Index,
    search::{Leg, Note},
};
use masque_types::{memory::Embedder, time::Timestamp};

use crate::support::{NOW, WordCounter, index, query, source};

fn model_of(leg: &Leg) -> Option<&str> {
    match leg {
        Leg::Answered { model, .. } => model.as_deref(),
        Leg::NotAsked | Leg::Absent => None,
    }
}

#[tokio::test]
async fn the_model_before_serves_until_the_new_one_covers_everything() {
    let first = index(Some(WordCounter::new("old"))).await;
    let sources = (0..100).map(|n| source(&format!("{n}.md"), &format!("Text number {n} about dough.")));
    first.add_all(sources.collect(), NOW).await.unwrap();
    first.embed_missing(&|_| {}).await.unwrap();

    let new = WordCounter::new("new");
    new.fails_after.store(70, Ordering::SeqCst);
    let previous = WordCounter::new("old") as Arc<dyn Embedder>;
    let second = Index::new(first.store().clone(), Some(new.clone() as Arc<dyn Embedder>)).with_previous(previous);
    assert!(matches!(second.embed_missing(&|_| {}).await, Err(Error::Embedding { .. })));
    let answer = second.search(&query("dough 7")).await.unwrap();
    assert_eq!(model_of(&answer.vector), Some("old"));
    assert_eq!(answer.notes, [Note::ModelChanging { serving: "old".to_owned(), next: "new".to_owned() }]);

    new.fails_after.store(usize::MAX, Ordering::SeqCst);
    let seen = Mutex::new(Vec::new());
    let embedded = second.embed_missing(&|progress| seen.lock().unwrap().push(progress.missing)).await.unwrap();
    assert!((1..100).contains(&embedded), "it goes on where it failed: {embedded}");
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted_by(|a, b| a > b) && seen.last() == Some(&0), "{seen:?}");
    let mut later = query("dough 7");
    later.now = Timestamp(NOW.0 + 60_000);
    let answer = second.search(&later).await.unwrap();
    assert_eq!((model_of(&answer.vector), answer.notes.len()), (Some("new"), 0));
    let models = second.store().vector_models().await.unwrap();
    assert_eq!(models.iter().map(|stored| stored.model.name.as_str()).collect::<Vec<_>>(), ["new"]);
}
