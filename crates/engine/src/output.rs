//! Texts that the engine puts before the model, and the bound on what the model sees of a tool's result.

use std::fmt::Write as _;

use masque_types::{
    actor::Actor,
    approval::{Answer, Question},
    digest::Digest,
    event::BlobRef,
    id::RunId,
    message::Part,
    run::RunStatus,
    tool::ToolOutput,
};

/// Bytes of a tool result that the model sees from the beginning of a larger one.
const HEAD_BYTES: usize = 16 * 1024;
/// Bytes that it sees from the end.
const TAIL_BYTES: usize = 4 * 1024;

/// A tool result, bounded for the model; `whole` is what has to be stored beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounded {
    /// What the model sees.
    pub content: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// The whole text and its reference, when the model sees only a part.
    pub whole: Option<(BlobRef, Vec<u8>)>,
}

/// Bounds a tool's result: texts beyond 20 KiB together keep their beginning and end, and say how to read on.
#[must_use]
pub fn bounded(output: ToolOutput) -> Bounded {
    let ToolOutput { content, is_error } = output;
    let size: usize = content.iter().filter_map(Part::as_text).map(str::len).sum();
    if size <= HEAD_BYTES + TAIL_BYTES {
        return Bounded { content, is_error, whole: None };
    }
    let text = masque_types::message::joined_text(&content);
    let whole = BlobRef { digest: Digest::of(&text), bytes: text.len() as u64 };
    let head = text.get(..text.floor_char_boundary(HEAD_BYTES)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - TAIL_BYTES)..).unwrap_or_default();
    let cut = text.len() - head.len() - tail.len();
    let next_line = head.lines().count().max(1);
    let shown = format!(
        "{head}\n[… {cut} of {total} bytes are not shown. The whole result is stored: call result.read with \
         {{\"digest\": \"{digest}\", \"offset_line\": {next_line}}} to read on from line {next_line}. …]\n{tail}",
        total = text.len(),
        digest = whole.digest,
    );
    let images = content.into_iter().filter(|part| part.as_text().is_none());
    let content = std::iter::once(Part::text(shown)).chain(images).collect();
    Bounded { content, is_error, whole: Some((whole, text.into_bytes())) }
}

/// The result of a call that a turn ended before it was made, or that only read.
pub(crate) const GIVEN_UP: &str = "The call was not completed: the turn was stopped.";
/// The result of a call that a turn ended after it had begun.
pub(crate) const GIVEN_UP_UNKNOWN: &str = "The turn was stopped while the call was under way: nobody knows whether it took effect. Look before you repeat it.";

/// The result of a call whose persona did not answer in time.
pub(crate) fn child_late(persona: &str) -> String {
    format!("{persona} did not answer in time and was told to stop. What it has done so far stays done.")
}

/// The result of a call that does not wait.
pub(crate) fn child_started(persona: &str, child: RunId) -> String {
    format!("{persona} works on it as {child}. Its result comes as a message when it is there; go on meanwhile.")
}

/// What a caller is told about the end of a called run.
pub(crate) fn child_result(persona: &str, status: RunStatus, text: &str, problem: Option<&str>) -> String {
    if status == RunStatus::Completed {
        return text.to_owned();
    }
    let why = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
    let partial = if text.is_empty() { String::new() } else { format!("\nWhat it said last:\n{text}") };
    format!("{persona} has no result, its run {}{why}.{partial}", status.name())
}

/// The message that brings a result that no call waits for.
pub(crate) fn child_note(persona: &str, child: RunId, text: &str) -> String {
    format!("[The result of {persona}, called before as {child}]\n{text}")
}

pub(crate) fn denied(by: &Actor, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!(" Reason: {}.", reason.trim_end_matches('.'))).unwrap_or_default();
    format!("The call was not made: {by} denied it.{reason} Do not repeat it; go on without it or finish.")
}

pub(crate) fn happened(known: Option<&str>) -> String {
    let result = known.map_or_else(|| "Its result is not known.".to_owned(), |text| format!("Its result: {text}"));
    format!("The call was interrupted; a human confirmed that it happened. {result}")
}

pub(crate) fn decision_line(question: &Question, answer: &Answer, by: &Actor) -> String {
    match (question, answer) {
        (Question::Input { question, .. }, Answer::Reply { text }) => format!("{by} answered «{question}»: {text}"),
        (Question::Input { question, .. }, answer) => format!("{by}: {} for «{question}»", answer.name()),
        (Question::ToolCall { tool, arguments, .. } | Question::InDoubt { tool, arguments, .. }, answer) => {
            format!("{by}: {} for {tool} {}", answer.name(), clipped(&arguments.to_string(), 160))
        }
    }
}

pub(crate) fn repair_request(errors: &[String]) -> String {
    let mut text = "Your answer does not satisfy the required output schema:\n".to_owned();
    for error in errors {
        let _ = writeln!(text, "- {error}");
    }
    text.push_str("Answer once more with one JSON value that satisfies the schema, and nothing else.");
    text
}

/// The beginning of a text, at most so many bytes, on one line.
#[must_use]
pub fn clipped(text: &str, bytes: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= bytes {
        return line;
    }
    format!("{}…", line.get(..line.floor_char_boundary(bytes)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_large_result_is_cut_at_characters_and_stored_whole(text in "[aé€😀\n]{0,30000}") {
            let bound = bounded(ToolOutput::text(text.clone()));
            let shown = masque_types::message::joined_text(&bound.content);
            prop_assert!(shown.len() <= HEAD_BYTES + TAIL_BYTES + 400);
            match bound.whole {
                Some((whole, bytes)) => {
                    prop_assert_eq!(&bytes, text.as_bytes());
                    prop_assert_eq!(whole.digest, Digest::of(&text));
                }
                None => prop_assert_eq!(shown, text),
            }
        }
    }
}
