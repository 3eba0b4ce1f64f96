//! What is accepted as a summary. Leaves out asking for it.

use std::fmt;

use masque_types::{
    digest::Digest,
    id::{DocumentId, RunId},
    memory::DocumentKind,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Group, Prompt, plan::ORIGIN};
use crate::index::Source;

/// Statements of a summary at most.
const MOST_STATEMENTS: usize = 60;
/// Characters of a statement at most.
const LONGEST_STATEMENT: usize = 800;

/// A summary whose every statement names its sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its title.
    pub title: String,
    /// What the sources say.
    pub statements: Vec<Statement>,
    /// What they contradict each other in.
    pub contradictions: Vec<Contradiction>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// The documents that say it.
    pub sources: Vec<DocumentId>,
}

/// Something that sources do not agree about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// What it is about.
    pub about: String,
    /// The documents that disagree, two at least.
    pub sources: Vec<DocumentId>,
}

/// Why an answer is no summary; said to the model, so that it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Problem {
    /// It is not the JSON object that was asked for.
    NotJson(String),
    /// It states nothing.
    Empty,
    /// It is longer than a summary may be.
    TooLong(String),
    /// A statement or contradiction names no source, or too few.
    Unsourced(String),
    /// It names a source that was not given.
    UnknownSource(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(reason) => write!(f, "the answer is not the JSON object that was asked for: {reason}"),
            Self::Empty => f.write_str("the answer has no title or no statement"),
            Self::TooLong(what) => write!(f, "the answer is too long: {what}"),
            Self::Unsourced(text) => write!(f, "names too few sources: {text}"),
            Self::UnknownSource(name) => write!(f, "there is no source {name}"),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    title: String,
    statements: Vec<Said>,
    #[serde(default)]
    contradictions: Vec<Disagreed>,
}

#[derive(Deserialize)]
struct Said {
    text: String,
    #[serde(default)]
    sources: Vec<String>,
}

#[derive(Deserialize)]
struct Disagreed {
    about: String,
    #[serde(default)]
    sources: Vec<String>,
}

/// Reads the model's answer.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(answer: &str, prompt: &Prompt) -> Result<Summary, Vec<Problem>> {
    let answer: Answer =
        serde_json::from_str(object(answer)).map_err(|error| vec![Problem::NotJson(error.to_string())])?;
    let mut problems = Vec::new();
    if answer.title.trim().is_empty() || answer.statements.is_empty() {
        problems.push(Problem::Empty);
    }
    if answer.statements.len() > MOST_STATEMENTS {
        problems.push(Problem::TooLong(format!("{} statements, at most {MOST_STATEMENTS}", answer.statements.len())));
    }
    let mut statements = Vec::new();
    for said in answer.statements {
        if said.text.chars().count() > LONGEST_STATEMENT {
            problems.push(Problem::TooLong(format!("a statement of more than {LONGEST_STATEMENT} characters")));
        }
        let sources = ids(&said.sources, 1, &said.text, prompt, &mut problems);
        statements.push(Statement { text: plain(&said.text), sources });
    }
    let mut contradictions = Vec::new();
    for disagreed in answer.contradictions {
        let sources = ids(&disagreed.sources, 2, &disagreed.about, prompt, &mut problems);
        contradictions.push(Contradiction { about: plain(&disagreed.about), sources });
    }
    let summary = Summary { title: plain(&answer.title), statements, contradictions };
    if problems.is_empty() { Ok(summary) } else { Err(problems) }
}

/// The object within what models put around it.
fn object(answer: &str) -> &str {
    let inside = answer.find('{').zip(answer.rfind('}')).filter(|(start, end)| start < end);
    inside.and_then(|(start, end)| answer.get(start..=end)).unwrap_or(answer)
}

fn ids(names: &[String], least: usize, text: &str, prompt: &Prompt, problems: &mut Vec<Problem>) -> Vec<DocumentId> {
    let known = |name: &String| prompt.names.iter().any(|(known, _)| known == name.trim());
    problems.extend(names.iter().filter(|name| !known(name)).map(|name| Problem::UnknownSource(name.clone())));
    let cited = prompt.names.iter().filter(|(known, _)| names.iter().any(|name| name.trim() == known));
    let ids: Vec<DocumentId> = cited.map(|(_, id)| *id).collect();
    if ids.len() < least {
        problems.push(Problem::Unsourced(text.chars().take(80).collect()));
    }
    ids
}

/// One line, so that a statement cannot become a heading or a list of its own.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Summary {
    /// The summary as a source of the index. It names all documents of its group: it is forgotten with the first of them.
    #[must_use]
    pub fn into_source(self, group: &Group, run: Option<RunId>, at: Timestamp) -> Source {
        let text = self.text(group);
        let ids: Vec<String> = group.documents.iter().map(ToString::to_string).collect();
        let contradictions: Vec<Value> =
            self.contradictions.iter().map(|contradiction| serde_json::json!(contradiction)).collect();
        let mut metadata = Map::new();
        metadata.insert("sources".to_owned(), ids.into());
        metadata.insert("group".to_owned(), group.name.clone().into());
        if !contradictions.is_empty() {
            metadata.insert("contradictions".to_owned(), contradictions.into());
        }
        if let Some(run) = run {
            metadata.insert("run".to_owned(), run.to_string().into());
        }
        Source {
            namespace: group.namespace.clone(),
            source: group.source.clone(),
            kind: DocumentKind::Summary,
            title: self.title,
            media_type: "text/markdown".to_owned(),
            origin: ORIGIN,
            digest: Digest::of(&text),
            text,
            changed_at: at,
            metadata,
        }
    }

    fn text(&self, group: &Group) -> String {
        let number = |id: &DocumentId| group.documents.iter().position(|known| known == id).map_or(0, |at| at + 1);
        let cited = |ids: &[DocumentId]| ids.iter().map(|id| format!("[{}]", number(id))).collect::<String>();
        let mut text = String::new();
        for statement in &self.statements {
            text.push_str(&format!("- {} {}\n", statement.text, cited(&statement.sources)));
        }
        if !self.contradictions.is_empty() {
            text.push_str("\n## Contradictions\n\n");
        }
        for contradiction in &self.contradictions {
            text.push_str(&format!("- {} {}\n", contradiction.about, cited(&contradiction.sources)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use masque_types::memory::Namespace;

    use super::*;
    use crate::{curate::Why, index::document_id};

    fn group() -> (Group, Prompt) {
        let namespace = Namespace::Project("p".to_owned());
        let documents = vec![document_id(&namespace, "a"), document_id(&namespace, "b")];
        let names = vec![("S1".to_owned(), documents[0]), ("S2".to_owned(), documents[1])];
        let group = Group {
            namespace,
            name: "d".to_owned(),
            why: Why::New,
            documents,
            tokens: 1,
            source: "summary:d".to_owned(),
        };
        (group, Prompt { task: String::new(), names })
    }

    #[test]
    fn a_sourced_answer_becomes_a_summary_that_names_its_sources() {
        let (group, prompt) = group();
        let answer = "Here it is:\n```json\n{\"title\": \"Ports\", \"statements\": [{\"text\": \"Staging\\n# listens\", \"sources\": [\"S1\"]}], \
                      \"contradictions\": [{\"about\": \"the port\", \"sources\": [\"S1\", \"S2\"]}]}\n```";
        let source = check(answer, &prompt).unwrap().into_source(&group, None, Timestamp(1));
        assert_eq!(source.text, "- Staging # listens [1]\n\n## Contradictions\n\n- the port [1][2]\n");
        assert_eq!(source.metadata["sources"].as_array().unwrap().len(), 2);
        assert_eq!(source.origin, masque_types::memory::Origin::Untrusted);
    }

    #[test]
    fn what_names_no_source_or_an_unknown_one_is_refused() {
        let (_, prompt) = group();
        let of = |answer: &str| check(answer, &prompt).unwrap_err();
        assert!(matches!(of("I cannot")[0], Problem::NotJson(_)));
        assert_eq!(of(r#"{"title": "", "statements": []}"#), [Problem::Empty]);
        let unsourced = r#"{"title": "T", "statements": [{"text": "x", "sources": []}]}"#;
        assert_eq!(of(unsourced), [Problem::Unsourced("x".to_owned())]);
        let unknown = r#"{"title": "T", "statements": [{"text": "x", "sources": ["S1", "S9"]}]}"#;
        assert_eq!(of(unknown), [Problem::UnknownSource("S9".to_owned())]);
        let alone = r#"{"title": "T", "statements": [{"text": "x", "sources": ["S1"]}], "contradictions": [{"about": "y", "sources": ["S1"]}]}"#;
        assert_eq!(of(alone), [Problem::Unsourced("y".to_owned())]);
    }
}
