//! The written part of the tracks: questions, standards, tools. It is compiled in, so that a figure names one version of it.

use anyhow::Context as _;
use serde::Deserialize;

use super::{
    life::Fact,
    track::{Document, Question, Track},
};
use masque_types::memory::DocumentKind;

const PARAPHRASES: &str = include_str!("../../data/retrieval/paraphrases.jsonl");
const STANDARDS: &str = include_str!("../../data/retrieval/standards.jsonl");
const STANDARD_QUESTIONS: &str = include_str!("../../data/retrieval/standard-questions.jsonl");
const TOOLS: &str = include_str!("../../data/retrieval/tools.jsonl");
const LIFE: &str = include_str!("../../data/retrieval/life.jsonl");
const TALK: &str = include_str!("../../data/retrieval/chatter.txt");
const TOOL_TASKS: &str = include_str!("../../data/retrieval/tool-tasks.jsonl");

/// A question and the names of what answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    question: String,
    /// Any of them is a right answer; none for a question that nothing answers.
    #[serde(default)]
    answers: Vec<String>,
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

/// T6: tools, and tasks with the tools that do them.
pub(crate) fn tools() -> anyhow::Result<(Vec<Tool>, Track)> {
    let tools: Vec<Tool> = lines(TOOLS, "tools")?;
    let document = |tool: &Tool| Document {
        name: format!("{}/{}", tool.server, tool.name),
        title: tool.name.clone(),
        text: tool.description.clone(),
        kind: DocumentKind::Document,
    };
    let track = track(tools.iter().map(document).collect(), lines(TOOL_TASKS, "tool-tasks")?, Missing::Refuse)?;
    Ok((tools, track))
}

/// T7: facts of a persona's life.
pub(crate) fn facts() -> anyhow::Result<Vec<Fact>> {
    lines(LIFE, "life")
}

/// T7: what is said and not worth keeping.
pub(crate) fn talk() -> Vec<&'static str> {
    TALK.lines().collect()
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use masque_memory::terms;

    use super::*;

    /// The heading or the name that a question must not repeat.
    fn heading(name: &str) -> &str {
        name.split_once('#').map_or_else(|| name.rsplit_once(['/', '.']).unwrap_or_default().1, |(_, heading)| heading)
    }

    #[test]
    fn no_paraphrase_shares_a_stem_with_its_heading() {
        let asked: Vec<Asked> = lines(PARAPHRASES, "paraphrases").unwrap();
        assert!(asked.len() >= 300, "{}", asked.len());
        let shares = |asked: &&Asked| {
            let question: HashSet<String> = terms::of_query(&asked.question).into_iter().collect();
            asked.answers.iter().any(|name| terms::of_query(heading(name)).iter().any(|term| question.contains(term)))
        };
        let sharing: Vec<&str> = asked.iter().filter(shares).map(|asked| asked.question.as_str()).collect();
        assert!(sharing.is_empty(), "these share a stem with the heading of their answer:\n{}", sharing.join("\n"));
    }

    #[test]
    fn the_written_tracks_are_complete() {
        let standards = standards().unwrap();
        assert!(standards.documents.len() >= 120 && standards.questions.len() >= 240);
        assert_eq!(standards.questions.iter().filter(|question| question.answers.is_empty()).count(), 40);
        let (tools, tasks) = tools().unwrap();
        assert!(tools.len() >= 300 && tasks.questions.len() >= 200);
        assert!(facts().unwrap().len() >= 40 && talk().len() >= 40);
    }
}
