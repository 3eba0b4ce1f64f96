//! The memory's tables on both databases: storing, replacing, searching, forgetting.

use std::collections::BTreeMap;

use masque_store::{
    DocumentFilter, Error, ForgetFilter, Hit, MemoryFilter, NewChunk, NewDocument, Put, Store, TextQuery, VectorQuery,
    VectorSupport,
};
use masque_testkit::{on_both_databases, sample::run_id};
use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Chunk, Document, DocumentKind, EmbeddingModel, Namespace, Origin},
    time::Timestamp,
};
use serde_json::json;

pub(crate) fn namespace(name: &str) -> Namespace {
    name.parse().unwrap()
}

/// A document whose paragraphs are its chunks and whose words are its terms.
pub(crate) fn document(namespace_name: &str, source: &str, text: &str) -> NewDocument {
    let terms = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    let chunk = |(ordinal, text): (usize, &str)| NewChunk {
        chunk: Chunk {
            ordinal: u32::try_from(ordinal).unwrap(),
            headings: vec![source.to_owned()],
            text: text.to_owned(),
            lines: (1, 1),
            tokens: 10,
            digest: Digest::of(text),
        },
        heading_terms: terms(source),
        body_terms: terms(text),
    };
    NewDocument {
        document: Document {
            id: DocumentId::derive(&Digest::of(format!("{namespace_name}\n{source}"))),
            namespace: namespace(namespace_name),
            source: source.to_owned(),
            kind: DocumentKind::Document,
            title: source.to_owned(),
            media_type: "text/plain".to_owned(),
            origin: Origin::Untrusted,
            digest: Digest::of(text),
            changed_at: Timestamp(1_000),
            indexed_at: Timestamp(2_000),
            metadata: serde_json::Map::new(),
        },
        chunks: text.split("\n\n").filter(|text| !text.is_empty()).enumerate().map(chunk).collect(),
    }
}

fn of(names: &[&str]) -> MemoryFilter {
    MemoryFilter::of(names.iter().map(|name| namespace(name)))
}

async fn search(store: &Store, filter: MemoryFilter, words: &str) -> Vec<Hit> {
    let terms = words.split_whitespace().map(ToOwned::to_owned);
    store.text_hits(&TextQuery::new(filter, terms, 50)).await.unwrap()
}

/// The texts that words find, best first.
pub(crate) async fn texts(store: &Store, filter: MemoryFilter, words: &str) -> Vec<String> {
    let hits = search(store, filter, words).await;
    let keys: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    store.stored_chunks(&keys).await.unwrap().into_iter().map(|found| found.chunk.text).collect()
}

on_both_databases! {
    async fn what_is_stored_is_found_and_what_is_replaced_is_not(database: &TestDatabase) {
        let store = database.open().await;
        let first = store.put_document(document("project:a", "guide", "red apples\n\ngreen pears")).await.unwrap();
        assert_eq!(first, Put { added: 2, removed: 0, kept: 0 });
        store.put_document(document("private:b", "guide", "red cherries")).await.unwrap();
        assert_eq!(texts(&store, of(&["project:a"]), "red").await, ["red apples"]);
        assert_eq!(texts(&store, of(&["project:a", "private:b"]), "red").await.len(), 2);
        assert!(texts(&store, of(&[]), "red").await.is_empty());
        assert!(texts(&store, of(&["room:c"]), "red").await.is_empty());

        let generation = store.memory_generation().await.unwrap();
        let again = document("project:a", "guide", "blue plums\n\ngreen pears");
        assert_eq!(store.put_document(again.clone()).await.unwrap(), Put { added: 1, removed: 1, kept: 1 });
        assert_eq!(store.put_document(again).await.unwrap(), Put { added: 0, removed: 0, kept: 2 });
        assert!(store.memory_generation().await.unwrap() > generation);
        assert!(texts(&store, of(&["project:a"]), "red apples").await.is_empty());
        assert_eq!(texts(&store, of(&["project:a"]), "plums").await, ["blue plums"]);
        let id = DocumentId::derive(&Digest::of("project:a\nguide"));
        let chunks = store.chunks(id).await.unwrap();
        assert_eq!(chunks.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), ["blue plums", "green pears"]);
        assert_eq!(store.document(id).await.unwrap().unwrap().source, "guide");
        assert_eq!(store.find_documents(&id.to_string()[4..12]).await.unwrap(), [id]);
    }

    async fn a_new_title_is_found_though_no_chunk_changed(database: &TestDatabase) {
        let store = database.open().await;
        let mut new = document("project:a", "guide", "red apples");
        store.put_document(new.clone()).await.unwrap();
        new.chunks[0].heading_terms = vec!["orchard".to_owned()];
        assert_eq!(store.put_document(new).await.unwrap().kept, 1);
        assert_eq!(texts(&store, of(&["project:a"]), "orchard").await, ["red apples"]);
        assert!(texts(&store, of(&["project:a"]), "guide").await.is_empty());
    }

    async fn a_key_that_is_used_again_brings_nothing_back(database: &TestDatabase) {
        let store = database.open().await;
        for round in 0..20 {
            let word = format!("word{round}");
            store.put_document(document("project:a", "note", &word)).await.unwrap();
            let all = (0..=round).map(|round| format!("word{round}")).collect::<Vec<_>>().join(" ");
            assert_eq!(texts(&store, of(&["project:a"]), &all).await, [word]);
            let everything = ForgetFilter { namespaces: vec![namespace("project:a")], everything: true, ..ForgetFilter::default() };
            assert_eq!(store.forget(everything).await.unwrap().chunks, 1);
        }
        assert!(store.memory_stats(None).await.unwrap().namespaces.is_empty());
    }

    async fn filters_hold(database: &TestDatabase) {
        let store = database.open().await;
        let mut one = document("project:a", "docs/one", "shared words");
        one.document.kind = DocumentKind::Standard;
        one.document.origin = Origin::Trusted;
        one.document.metadata = json!({"tags": ["api", "rest"]}).as_object().unwrap().clone();
        let mut two = document("project:a", "src/two", "shared words too");
        two.document.changed_at = Timestamp(5_000);
        store.put_documents(vec![one, two]).await.unwrap();
        let base = of(&["project:a"]);
        let narrow = [
            (MemoryFilter { kinds: vec![DocumentKind::Standard], ..base.clone() }, "shared words"),
            (MemoryFilter { origin: Some(Origin::Untrusted), ..base.clone() }, "shared words too"),
            (MemoryFilter { tags: vec!["rest".to_owned(), "api".to_owned()], ..base.clone() }, "shared words"),
            (MemoryFilter { since: Some(Timestamp(5_000)), ..base.clone() }, "shared words too"),
            (MemoryFilter { until: Some(Timestamp(5_000)), ..base.clone() }, "shared words"),
            (MemoryFilter { source_prefix: Some("docs/".to_owned()), ..base.clone() }, "shared words"),
        ];
        for (filter, expected) in narrow {
            assert_eq!(texts(&store, filter.clone(), "shared").await, [expected], "{filter:?}");
            let listed = store.documents(&DocumentFilter { filter, after: None, limit: 9 }).await.unwrap();
            assert_eq!(listed.len(), 1);
        }
        let page = |after| DocumentFilter { filter: of(&["project:a"]), after, limit: 1 };
        let first = store.documents(&page(None)).await.unwrap().remove(0);
        let second = store.documents(&page(Some((first.namespace, first.source)))).await.unwrap().remove(0);
        assert_eq!(second.source, "src/two");
        assert!(store.documents(&page(Some((second.namespace, second.source)))).await.unwrap().is_empty());
    }

    async fn the_order_is_that_of_bm25(database: &TestDatabase) {
        let store = database.open().await;
        let corpus = sample_corpus();
        for (number, text) in corpus.iter().enumerate() {
            store.put_document(document("project:a", &format!("d{number}"), text)).await.unwrap();
            // What stands elsewhere changes nothing.
            store.put_document(document("project:b", &format!("d{number}"), "alpha alpha beta")).await.unwrap();
        }
        for query in ["alpha", "alpha beta", "gamma delta alpha", "epsilon", "beta delta epsilon gamma"] {
            let found = search(&store, of(&["project:a"]), query).await;
            let expected = bm25(&corpus, query);
            assert_eq!(found.len(), expected.len().min(50), "{query}");
            for (hit, (text, score)) in found.iter().zip(&expected) {
                assert!((hit.score - score).abs() < 1e-9, "{query}: {} is not {score} of `{text}`", hit.score);
            }
        }
    }

    async fn forgetting_takes_everything_along(database: &TestDatabase) {
        let store = database.open().await;
        let ids = |names: &[&str]| -> Vec<DocumentId> {
            names.iter().map(|name| DocumentId::derive(&Digest::of(format!("project:a\n{name}")))).collect()
        };
        let mut documents: BTreeMap<&str, NewDocument> =
            ["mail/1", "mail/2", "note", "trusted", "old", "summary", "summary of summary"].into_iter()
            .map(|name| (name, document("project:a", name, &format!("common {}", name.replace(['/', ' '], ""))))).collect();
        let metadata = |value: serde_json::Value| value.as_object().unwrap().clone();
        documents.get_mut("note").unwrap().document.metadata = metadata(json!({"run": run_id(7).to_string()}));
        documents.get_mut("trusted").unwrap().document.origin = Origin::Trusted;
        documents.get_mut("old").unwrap().document.changed_at = Timestamp(1);
        for (name, source) in [("summary", "mail/2"), ("summary of summary", "summary")] {
            let new = &mut documents.get_mut(name).unwrap().document;
            new.kind = DocumentKind::Summary;
            new.metadata = metadata(json!({"sources": [ids(&[source])[0].to_string()]}));
        }
        store.put_documents(documents.into_values().collect()).await.unwrap();
        let here = || ForgetFilter { namespaces: vec![namespace("project:a")], ..ForgetFilter::default() };
        assert!(store.forget(here()).await.unwrap().documents.is_empty(), "a filter that says nothing");
        let elsewhere = ForgetFilter { namespaces: vec![namespace("project:b")], everything: true, ..here() };
        assert!(store.forget(elsewhere).await.unwrap().documents.is_empty());
        let steps = [
            (ForgetFilter { before: Some(Timestamp(2)), ..here() }, vec!["old"]),
            (ForgetFilter { run: Some(run_id(7)), ..here() }, vec!["note"]),
            (ForgetFilter { sources: vec!["mail/1".to_owned(), "none".to_owned()], ..here() }, vec!["mail/1"]),
            (ForgetFilter { source_prefix: Some("mail/".to_owned()), ..here() }, vec!["mail/2", "summary", "summary of summary"]),
            (ForgetFilter { origin: Some(Origin::Trusted), ids: ids(&["trusted", "old"]), ..here() }, vec!["trusted"]),
        ];
        for (filter, expected) in steps {
            let forgotten = store.forget(filter).await.unwrap();
            let mut gone: Vec<_> = forgotten.documents.iter().map(|document| document.source.as_str()).collect();
            gone.sort_unstable();
            assert_eq!(gone, expected);
            assert_eq!(forgotten.chunks, expected.len());
        }
        assert!(texts(&store, of(&["project:a"]), "common").await.is_empty());
        assert!(store.memory_stats(None).await.unwrap().namespaces.is_empty());
    }

    async fn vectors_serve_every_chunk_with_their_text(database: &TestDatabase) {
        let store = database.open().await;
        if !vectors_work(&store).await {
            return;
        }
        let model = model("m", 70);
        store.put_document(document("project:a", "one", "first\n\nsecond")).await.unwrap();
        store.put_document(document("private:b", "two", "second\n\nthird")).await.unwrap();
        let missing = store.missing_vectors(&model, None, 10).await.unwrap();
        assert_eq!(missing.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["first", "second", "third"]);
        let limited = store.missing_vectors(&model, Some(&[namespace("private:b")]), 1).await.unwrap();
        assert_eq!(limited[0].text, "second");
        let vectors = ["first", "second", "third", "gone"].map(|text| (Digest::of(text), vector(text, 70)));
        store.put_vectors(&model, vectors.to_vec()).await.unwrap();
        assert!(store.missing_vectors(&model, None, 10).await.unwrap().is_empty());
        assert_eq!(nearest(&store, of(&["project:a"]), &model, "second", 1).await, ["second"]);
        assert_eq!(nearest(&store, of(&["private:b"]), &model, "first", 9).await.len(), 2);
        assert_eq!(nearest(&store, of(&["private:b", "project:a"]), &model, "second", 2).await, ["second", "second"]);

        // A text that comes back finds its vector; one that is nowhere has none.
        store.put_document(document("room:c", "three", "third")).await.unwrap();
        assert_eq!(nearest(&store, of(&["room:c"]), &model, "third", 9).await, ["third"]);
        store.put_document(document("project:a", "one", "first")).await.unwrap();
        assert_eq!(nearest(&store, of(&["project:a"]), &model, "second", 9).await, ["first"]);
        let everything = ForgetFilter { namespaces: vec![namespace("private:b")], everything: true, ..ForgetFilter::default() };
        store.forget(everything).await.unwrap();
        let kept = store.vectors(&model, &["first", "second", "third"].map(Digest::of)).await.unwrap();
        assert_eq!(kept.len(), 2, "nobody has the second text any more");
        assert_eq!(kept[&Digest::of("first")], vector("first", 70));
        let models = store.vector_models().await.unwrap();
        assert_eq!((models[0].vectors, models[0].missing), (2, 0));
    }

    async fn models_do_not_mix(database: &TestDatabase) {
        let store = database.open().await;
        if !vectors_work(&store).await {
            return;
        }
        store.put_document(document("project:a", "one", "first\n\nsecond")).await.unwrap();
        let (old, new, longer) = (model("old", 64), model("new", 64), model("new", 128));
        let here = || of(&["project:a"]);
        store.put_vectors(&old, vec![(Digest::of("first"), vector("first", 64)), (Digest::of("second"), vector("second", 64))])
            .await.unwrap();
        store.put_vectors(&new, vec![(Digest::of("second"), vector("second", 64))]).await.unwrap();
        store.put_vectors(&longer, vec![(Digest::of("first"), vector("first", 128))]).await.unwrap();
        assert_eq!(nearest(&store, here(), &new, "first", 9).await, ["second"]);
        assert_eq!(nearest(&store, here(), &old, "first", 9).await, ["first", "second"]);
        assert_eq!(nearest(&store, here(), &longer, "second", 9).await, ["first"]);
        assert_eq!(store.drop_vectors(&old).await.unwrap(), 2);
        assert_eq!(store.drop_vectors(&old).await.unwrap(), 0);
        assert!(nearest(&store, here(), &old, "first", 9).await.is_empty());
        assert_eq!(nearest(&store, here(), &new, "first", 9).await, ["second"]);
        let wrong = store.put_vectors(&new, vec![(Digest::of("first"), vector("first", 128))]).await;
        assert!(matches!(wrong, Err(Error::Unstorable { .. })), "{wrong:?}");
    }

    async fn filters_cost_no_near_vector(database: &TestDatabase) {
        let store = database.open().await;
        if !vectors_work(&store).await {
            return;
        }
        let model = model("m", 64);
        let text: Vec<String> = (0..600).map(|number| format!("text{number}")).collect();
        let mut vectors = Vec::new();
        for (number, part) in text.chunks(100).enumerate() {
            let mut new = document("project:a", &format!("part{number}"), &part.join("\n\n"));
            if number == 3 {
                new.document.kind = DocumentKind::Note;
            }
            store.put_document(new).await.unwrap();
            vectors.extend(part.iter().map(|text| (Digest::of(text), vector(text, 64))));
        }
        store.put_vectors(&model, vectors).await.unwrap();
        let notes = MemoryFilter { kinds: vec![DocumentKind::Note], ..of(&["project:a"]) };
        for wanted in ["text0", "text305", "text599"] {
            let exact = nearest_by_hand(&text[300..400], wanted, 5);
            assert_eq!(nearest(&store, notes.clone(), &model, wanted, 5).await, exact);
            assert_eq!(nearest(&store, of(&["project:a"]), &model, wanted, 1).await, [wanted]);
        }
    }

    async fn two_programs_share_a_memory(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        let mut writers = tokio::task::JoinSet::new();
        for (name, store) in [("x", one.clone()), ("y", two.clone())] {
            for number in 0..20 {
                let store = store.clone();
                writers.spawn(async move {
                    store.put_document(document("project:a", &format!("{name}{number}"), "same words")).await.unwrap();
                    store.put_document(document("project:a", "contested", &format!("by {name}"))).await.unwrap();
                });
            }
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(texts(&two, of(&["project:a"]), "words").await.len(), 40);
        assert_eq!(texts(&one, of(&["project:a"]), "by").await.len(), 1);
        assert_eq!(one.memory_generation().await.unwrap(), 80);
    }
}

async fn vectors_work(store: &Store) -> bool {
    match store.vector_support().await.unwrap() {
        VectorSupport::Ready => true,
        VectorSupport::Missing(reason) => {
            // What a database without vectors does is tested here, since there is one.
            let refused = store.put_vectors(&model("m", 8), vec![(Digest::of("x"), vector("x", 8))]).await;
            assert!(matches!(refused, Err(Error::NoVectors { .. })), "{refused:?}");
            store.put_document(document("project:z", "still", "works")).await.unwrap();
            assert_eq!(texts(store, of(&["project:z"]), "works").await, ["works"]);
            masque_testkit::need::lacking(&reason);
            false
        }
    }
}

pub(crate) fn model(name: &str, dimension: usize) -> EmbeddingModel {
    EmbeddingModel { name: name.to_owned(), dimension }
}

/// A vector of unit length that looks random and is the same for the same text.
pub(crate) fn vector(text: &str, dimension: usize) -> Vec<f32> {
    let numbers: Vec<f32> = (0..dimension)
        .map(|place| f32::from(Digest::of(format!("{text} {}", place / 32)).as_bytes()[place % 32]) - 127.5)
        .collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

async fn nearest(store: &Store, filter: MemoryFilter, model: &EmbeddingModel, text: &str, limit: usize) -> Vec<String> {
    let query = VectorQuery { filter, model: model.clone(), vector: vector(text, model.dimension), limit };
    let hits = store.vector_hits(&query).await.unwrap();
    let keys: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    store.stored_chunks(&keys).await.unwrap().into_iter().map(|found| found.chunk.text).collect()
}

fn nearest_by_hand(texts: &[String], wanted: &str, limit: usize) -> Vec<String> {
    let query = vector(wanted, 64);
    let score = |text: &str| -> f32 { vector(text, 64).iter().zip(&query).map(|(one, other)| one * other).sum() };
    let mut texts = texts.to_vec();
    texts.sort_by(|one, other| score(other).total_cmp(&score(one)));
    texts.truncate(limit);
    texts
}

/// Texts of five words in many mixtures and lengths.
fn sample_corpus() -> Vec<String> {
    let words = ["alpha", "beta", "gamma", "delta", "epsilon"];
    let text = |number: usize| {
        let digest = Digest::of(number.to_string());
        let length = 3 + usize::from(digest.as_bytes()[31] % 25);
        let bytes = digest.as_bytes().iter().take(length);
        bytes.map(|byte| words[usize::from(*byte % 16).min(9) * 5 / 10]).collect::<Vec<_>>().join(" ")
    };
    (0..120).map(text).collect()
}

/// BM25 written from its formula: scores in falling order.
fn bm25(corpus: &[String], query: &str) -> Vec<(String, f64)> {
    // The heading is a word of its own.
    let length = |text: &str| text.split(' ').count() as f64 + 1.0;
    let count = |text: &str, term: &str| text.split(' ').filter(|word| *word == term).count().min(8) as f64;
    let average = corpus.iter().map(|text| length(text)).sum::<f64>() / corpus.len() as f64;
    let total = corpus.len() as f64;
    let score = |text: &str| -> f64 {
        query
            .split(' ')
            .map(|term| {
                let having = corpus.iter().filter(|text| count(text, term) > 0.0).count() as f64;
                let idf = (1.0 + (total - having + 0.5) / (having + 0.5)).ln();
                let tf = count(text, term);
                idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length(text) / average))
            })
            .sum()
    };
    let mut scores: Vec<_> = corpus.iter().map(|text| (text.clone(), score(text))).filter(|(_, s)| *s > 0.0).collect();
    scores.sort_by(|one, other| other.1.total_cmp(&one.1));
    scores
}
