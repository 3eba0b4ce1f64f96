//! Fifty personas with secrets of their own, asked ten thousand times for those of others.

use masque_memory::search::SearchQuery;
use masque_types::memory::Namespace;

use crate::support::{NOW, WordCounter, index, source};

const PERSONAS: usize = 50;
const SUBJECTS: [&str; 4] = ["server room", "billing database", "guest network", "tax portal"];

fn own(persona: usize) -> Namespace {
    Namespace::Private(format!("persona-{persona}"))
}

fn canary(persona: usize, subject: usize) -> String {
    format!("canary{persona}x{subject}")
}

#[tokio::test]
async fn no_canary_crosses() {
    let index = index(Some(WordCounter::new("words"))).await;
    for persona in 0..PERSONAS {
        let notes = SUBJECTS.iter().enumerate().map(|(subject, name)| {
            let text = format!("The code word for the {name} is {}.", canary(persona, subject));
            let mut note = source(name, &text);
            note.namespace = own(persona);
            note
        });
        index.add_all(notes.collect(), NOW).await.unwrap();
    }
    index.embed_missing(&|_| {}).await.unwrap();
    let mut answers = 0;
    for (subject, name) in SUBJECTS.iter().enumerate() {
        for asker in 0..PERSONAS {
            for owner in 0..PERSONAS {
                let question = format!("code word for the {name} {}", canary(owner, subject));
                let query = SearchQuery { limit: 4, ..SearchQuery::new(question, vec![own(asker)], NOW) };
                for hit in index.search(&query).await.unwrap().hits {
                    assert_eq!(hit.document.namespace, own(asker));
                    assert!(owner == asker || !hit.chunk.text.contains(&canary(owner, subject)));
                    answers += 1;
                }
            }
        }
    }
    assert!(answers >= 10_000, "everybody finds their own: {answers}");
}
