//! What changes when sources are added.

use masque_memory::index::Change;
use masque_store::ForgetFilter;

use crate::support::{NOW, WordCounter, found, index, project, query, source};

#[tokio::test]
async fn only_what_changed_is_stored_and_embedded() {
    let model = WordCounter::new("words");
    let index = index(Some(model.clone())).await;
    let text = "# Guide\n\n## Bread\n\nKnead the dough.\n\n## Soup\n\nBoil the water.\n";
    let added = index.add(source("guide.md", text), NOW).await.unwrap();
    assert_eq!((added.change, added.chunks, added.new_chunks), (Change::New, 2, 2));
    assert_eq!(found(&index, &query("kneading")).await, ["guide.md"], "found by words before there are vectors");
    assert_eq!(index.embed_missing(&|_| {}).await.unwrap(), 2);

    assert_eq!(index.add(source("guide.md", text), NOW).await.unwrap().change, Change::None);
    let changed = text.replace("Boil the water", "Boil the broth");
    let added = index.add(source("guide.md", &changed), NOW).await.unwrap();
    assert_eq!((added.change, added.chunks, added.new_chunks), (Change::Replaced, 2, 1));
    let before = model.count();
    assert_eq!(index.embed_missing(&|_| {}).await.unwrap(), 1);
    assert_eq!(model.count() - before, 1);
    assert!(found(&index, &query("broth")).await.contains(&"guide.md".to_owned()));

    let filter =
        ForgetFilter { namespaces: vec![project()], sources: vec!["guide.md".to_owned()], ..ForgetFilter::default() };
    index.store().forget(filter).await.unwrap();
    assert!(found(&index, &query("broth")).await.is_empty());
}

#[tokio::test]
async fn the_last_of_the_same_source_stays() {
    let index = index(None).await;
    let added = index
        .add_all(vec![source("a", "first words"), source("b", "other"), source("a", "second words")], NOW)
        .await
        .unwrap();
    let changes: Vec<Change> = added.iter().map(|added| added.change).collect();
    assert_eq!(changes, [Change::None, Change::New, Change::New]);
    assert!(found(&index, &query("first")).await.is_empty());
    assert_eq!(found(&index, &query("second")).await, ["a"]);
}
