//! The written part of the tracks: questions, standards, tools. It is compiled in, so that a figure names one version of it.

use anyhow::Context as _;
use serde::Deserialize;

use super::track::{Document, Question, Track};
use masque_types::memory::DocumentKind;

const PARAPHRASES: &str = include_str!("../../data/retrieval/paraphrases.jsonl");
const STANDARDS: &str = include_str!("../../data/retrieval/standards.jsonl");
const STANDARD_QUESTIONS: &str = include_str!("../../data/retrieval/standard-questions.jsonl");
const TOOLS: &str = include_str!("../../data/retrieval/tools.jsonl");
const TOOL_TASKS: &str = include_str!("../../data/retrieval/tool-tasks.jsonl");

/// A question and the names of what answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) question: String,
    /// Any of them is a right answer; none for a question that nothing answers.
    #[serde(default)]
    pub(crate) answers: Vec<String>,
}

/// A standard of a project that does not exist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standard {
    /// `domain/topic`.
    key: String,
    title: String,
    text: String,
}

/// A tool as a server describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Its parameters' names.
    #[serde(default)]
    pub(crate) parameters: Vec<String>,
}

/// T4: questions that share no word with the heading of the section, or with the name of the item, that answers them.
pub(crate) fn paraphrases(documents: Vec<Document>) -> anyhow::Result<Track> {
    let asked: Vec<Asked> = lines(PARAPHRASES, "paraphrases")?;
    // Another toolchain's documentation may have moved a section: what it has no answer to is not asked.
    track(documents, asked, Missing::LeaveOut)
}

/// T5: standards that resemble each other, and questions of which some have no answer.
pub(crate) fn standards() -> anyhow::Result<Track> {
    let standards: Vec<Standard> = lines(STANDARDS, "standards")?;
    let document = |standard: Standard| Document {
        name: standard.key,
        title: standard.title,
        text: standard.text,
        kind: DocumentKind::Standard,
    };
    let asked = lines(STANDARD_QUESTIONS, "standard-questions")?;
    track(standards.into_iter().map(document).collect(), asked, Missing::Refuse)
}

/// T6: descriptions of tools.
pub(crate) fn tools() -> anyhow::Result<Vec<Tool>> {
    lines(TOOLS, "tools")
}

/// T6: tasks and the tools that do them.
pub(crate) fn tool_tasks(documents: Vec<Document>) -> anyhow::Result<Track> {
    track(documents, lines(TOOL_TASKS, "tool-tasks")?, Missing::Refuse)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refuse,
    LeaveOut,
}

fn track(documents: Vec<Document>, asked: Vec<Asked>, missing: Missing) -> anyhow::Result<Track> {
    let mut track = Track { documents, questions: Vec::new() };
    for asked in asked {
        let answers: Vec<usize> = asked.answers.iter().filter_map(|name| track.place(name)).collect();
        let is_complete = answers.len() == asked.answers.len();
        if !is_complete && missing == Missing::Refuse {
            anyhow::bail!("`{}` names an answer that is not there: {:?}", asked.question, asked.answers);
        }
        if !answers.is_empty() || asked.answers.is_empty() {
            track.questions.push(Question { text: asked.question, answers });
        }
    }
    Ok(track)
}

fn lines<T: for<'de> Deserialize<'de>>(text: &str, name: &str) -> anyhow::Result<Vec<T>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("data/retrieval/{name}.jsonl, line {}", number + 1))
        })
        .collect()
}
