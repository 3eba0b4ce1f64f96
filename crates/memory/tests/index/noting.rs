//! The gate before notes, and what becomes of notes that others replace or contradict.

use masque_memory::{
    Index,
    notes::{NewNote, Noted, Refusal},
    search::{Filters, SearchQuery},
};
use masque_types::{
    id::DocumentId,
    memory::{Namespace, Origin},
    time::Timestamp,
};

use crate::support::{NOW, index};

fn own() -> Namespace {
    Namespace::Private("anna".to_owned())
}

fn fact(text: &str) -> NewNote {
    NewNote {
        namespace: own(),
        text: text.to_owned(),
        tags: Vec::new(),
        origin: Origin::Untrusted,
        run: None,
        supersedes: Vec::new(),
        retrieved: Vec::new(),
    }
}

async fn kept(index: &Index, note: NewNote, at: i64) -> (DocumentId, Vec<DocumentId>) {
    match index.note(note, Timestamp(NOW.0 + at)).await.unwrap() {
        Noted::Kept { document, contradicts } => (document, contradicts),
        Noted::Refused { refusal } => panic!("{refusal}"),
    }
}

async fn refused(index: &Index, note: NewNote) -> Refusal {
    match index.note(note, NOW).await.unwrap() {
        Noted::Refused { refusal } => refusal,
        Noted::Kept { .. } => panic!("it was kept"),
    }
}

async fn texts(index: &Index, query: &SearchQuery) -> Vec<String> {
    index.search(query).await.unwrap().hits.into_iter().map(|hit| hit.chunk.text).collect()
}

#[tokio::test]
async fn what_is_known_or_recalled_or_empty_talk_is_refused() {
    let index = index(None).await;
    let text = "The staging gateway listens on port 8443.";
    let (id, _) = kept(&index, fact(text), 0).await;
    for again in [text.to_owned(), text.to_uppercase(), format!("By the way: {text}")] {
        assert!(matches!(refused(&index, fact(&again)).await, Refusal::Duplicate { of, .. } if of == id), "{again}");
    }
    assert!(matches!(refused(&index, fact("Thanks, great!")).await, Refusal::Junk { .. }));
    let recalled = NewNote {
        retrieved: vec!["Secrets are rotated each month by the platform team.".to_owned()],
        ..fact("As I know from before: Secrets are rotated each month by the platform team.")
    };
    assert_eq!(refused(&index, recalled).await, Refusal::Recalled);
}

#[tokio::test]
async fn contradictions_are_flagged_and_nothing_is_overwritten() {
    let index = index(None).await;
    let (old, _) = kept(&index, fact("The staging gateway listens on port 8443."), 0).await;
    let (_, contradicts) = kept(&index, fact("The staging gateway listens on port 9443."), 1).await;
    assert_eq!(contradicts, [old]);
    let query = SearchQuery::new("which port does the staging gateway listen on", vec![own()], NOW);
    let found = index.search(&query).await.unwrap();
    assert_eq!(found.hits[0].chunk.text, "The staging gateway listens on port 9443.");
    assert!(found.hits[1].explanation.contradicted);
}

#[tokio::test]
async fn a_note_takes_the_place_of_another_and_back() {
    let index = index(None).await;
    let (first, _) = kept(&index, fact("The product owner is Mara Lind."), 0).await;
    let (second, _) =
        kept(&index, NewNote { supersedes: vec![first], ..fact("The product owner is Ilyas Demir.") }, 1).await;
    let query = SearchQuery::new("product owner", vec![own()], NOW);
    assert_eq!(texts(&index, &query).await, ["The product owner is Ilyas Demir."]);
    let both = SearchQuery { filters: Filters { superseded: true, ..Filters::default() }, ..query.clone() };
    assert_eq!(texts(&index, &both).await.len(), 2);
    kept(&index, NewNote { supersedes: vec![second], ..fact("The product owner is Mara Lind.") }, 2).await;
    assert_eq!(texts(&index, &query).await, ["The product owner is Mara Lind."]);
}
