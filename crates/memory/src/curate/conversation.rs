//! A conversation as something that can be summarised: its words, and the document that stands for it. Leaves out which
//! conversations there are.
//!
//! The document is never stored: a summary names it as its source, so that both have ids of one kind. Results of tools stay
//! out: they are what the world said, not what was talked about.

use masque_types::{
    digest::Digest,
    event::{Event, EventBody},
    id::RunId,
    memory::{Document, DocumentKind, Namespace, Origin},
    message::joined_text,
    time::Timestamp,
};
use serde_json::Map;

use super::SourceText;
use crate::index::document_id;

/// The source of a conversation.
#[must_use]
pub fn conversation_source(run: RunId) -> String {
    format!("conversation:{run}")
}

/// A conversation with its words. `changed_at` is the time of its last event.
#[must_use]
pub fn conversation(
    namespace: Namespace,
    run: RunId,
    title: &str,
    changed_at: Timestamp,
    transcript: String,
) -> SourceText {
    let source = conversation_source(run);
    let mut metadata = Map::new();
    metadata.insert("thread".to_owned(), run.to_string().into());
    let document = Document {
        id: document_id(&namespace, &source),
        namespace,
        source,
        kind: DocumentKind::Document,
        title: title.to_owned(),
        media_type: "text/markdown".to_owned(),
        origin: Origin::Untrusted,
        digest: Digest::of(&transcript),
        changed_at,
        indexed_at: changed_at,
        metadata,
    };
    SourceText { document, text: transcript }
}

/// What the person and the persona said, in order.
#[must_use]
pub fn transcript(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let (who, words) = match &event.body {
            EventBody::RunCreated { spec } => ("Person", joined_text(&spec.task)),
            EventBody::Forked { instruction, .. } => ("Person", joined_text(instruction)),
            EventBody::UserSaid { parts, .. } => ("Person", joined_text(parts)),
            EventBody::ModelCallFinished { message, .. } => ("Persona", message.text.clone()),
            _ => continue,
        };
        if !words.trim().is_empty() {
            text.push_str(&format!("{who}: {}\n\n", words.trim()));
        }
    }
    text
}
