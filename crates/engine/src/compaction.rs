//! Keeps the conversation within its token budget. The task, the human decisions and the recent turns stay.
//!
//! Two steps, both without a model, so that they cost nothing and replay exactly: first the results of old tool
//! calls become one line each (the model can call again); if that is not enough, old turns are replaced by an
//! outline of what was said and called.

use std::sync::Arc;

use masque_types::message::{AssistantMessage, Message, Part, ToolMessage};

use crate::output::clipped;

/// Messages at the end that are never touched: the last few turns.
const RECENT: usize = 8;
/// Bytes of one outline line.
const LINE_BYTES: usize = 240;
/// Bytes of the whole outline at most; older lines go first.
const SUMMARY_BYTES: usize = 12_000;

/// What to shorten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// Messages from the start whose tool results become a line.
    pub elided: u32,
    /// Messages after the task that go.
    pub dropped: u32,
    /// What stands beside the task instead.
    pub summary: String,
    /// Estimated tokens afterwards.
    pub tokens_after: u64,
}

/// Plans how to bring `tokens` to at most `budget`; `None` when nothing can be shortened any more.
#[must_use]
pub fn plan(
    messages: &[Arc<Message>],
    task: &[Part],
    decisions: &[String],
    summary: &str,
    tokens: u64,
    budget: u64,
) -> Option<Compaction> {
    let old = turn_boundary(messages, messages.len().saturating_sub(RECENT))?;
    let weigh = |messages: &[Arc<Message>]| messages.iter().map(|message| message.estimated_tokens()).sum::<u64>();
    let fixed = tokens.saturating_sub(weigh(messages));
    // A byte per token of the budget: at most a quarter of it.
    let room = SUMMARY_BYTES.min(usize::try_from(budget).unwrap_or(SUMMARY_BYTES));
    let attempt = |dropped: usize| {
        let summary =
            if dropped == 0 { summary.to_owned() } else { outline(messages, dropped, decisions, summary, room) };
        let mut shorter = messages.to_vec();
        let (elided, dropped) = (u32::try_from(old).ok()?, u32::try_from(dropped).ok()?);
        apply(&mut shorter, task, elided, dropped, &summary);
        let tokens_after = fixed + weigh(&shorter);
        Some(Compaction { elided, dropped, summary, tokens_after })
    };
    let gentle = attempt(0)?;
    let plan = if gentle.tokens_after <= budget { gentle } else { attempt(old - 1)? };
    (plan.tokens_after < tokens).then_some(plan)
}

/// Carries a compaction out.
pub fn apply(messages: &mut Vec<Arc<Message>>, task: &[Part], elided: u32, dropped: u32, summary: &str) {
    for message in messages.iter_mut().take(elided as usize) {
        if let Message::Tool(result) = &**message {
            *message = Arc::new(Message::Tool(elide(result)));
        }
    }
    messages.drain(1..(1 + dropped as usize).min(messages.len()).max(1));
    if let Some(first) = messages.first_mut() {
        let mut content = task.to_vec();
        if !summary.is_empty() {
            content.push(Part::text(summary));
        }
        *first = Arc::new(Message::User { content });
    }
}

/// An outline of a whole conversation, for somebody else.
#[must_use]
pub fn summary(messages: &[Arc<Message>], decisions: &[String], earlier: &str) -> String {
    outline(messages, messages.len(), decisions, earlier, SUMMARY_BYTES)
}

/// The last place at or before `limit` where a turn of the model starts, so that calls and results stay together.
fn turn_boundary(messages: &[Arc<Message>], limit: usize) -> Option<usize> {
    (2..=limit)
        .rev()
        .find(|place| matches!(messages.get(*place).map(|message| &**message), Some(Message::Assistant(_))))
}

fn elide(result: &ToolMessage) -> ToolMessage {
    let bytes: usize = result.content.iter().filter_map(Part::as_text).map(str::len).sum();
    let text = format!("[{bytes} bytes of result are no longer shown; call {} again if they are needed]", result.tool);
    if bytes <= text.len() {
        return result.clone();
    }
    ToolMessage { content: vec![Part::text(text)], ..result.clone() }
}

fn outline(messages: &[Arc<Message>], dropped: usize, decisions: &[String], earlier: &str, room: usize) -> String {
    let mut lines: Vec<String> = earlier.lines().filter(|line| line.starts_with("- ")).map(str::to_owned).collect();
    for message in messages.iter().skip(1).take(dropped) {
        match &**message {
            Message::Assistant(said) => lines.extend(outline_answer(said)),
            Message::User { content } => {
                lines
                    .push(format!("- the user: {}", clipped(&masque_types::message::joined_text(content), LINE_BYTES)));
            }
            Message::Tool(_) => {}
        }
    }
    let mut kept: Vec<String> = Vec::new();
    let mut bytes = 0;
    for line in lines.into_iter().rev().take_while(|line| {
        bytes += line.len();
        bytes <= room
    }) {
        kept.push(line);
    }
    kept.reverse();
    let decisions: String = decisions.iter().map(|line| format!("* {}\n", clipped(line, LINE_BYTES))).collect();
    let decisions = if decisions.is_empty() { String::new() } else { format!("Decisions of people:\n{decisions}") };
    format!("[Earlier turns were shortened. What happened in them:\n{}\n{decisions}]", kept.join("\n"))
}

fn outline_answer(said: &AssistantMessage) -> impl Iterator<Item = String> {
    let text = (!said.text.is_empty()).then(|| format!("- you said: {}", clipped(&said.text, LINE_BYTES)));
    let calls = said
        .calls
        .iter()
        .map(|call| format!("- you called {} {}", call.tool, clipped(&call.arguments.to_string(), LINE_BYTES)));
    text.into_iter().chain(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::message::ToolCall;
    use proptest::prelude::*;

    fn conversation(turns: &[(bool, usize)]) -> Vec<Arc<Message>> {
        let mut messages = vec![Message::user("the task")];
        for (place, (calls, size)) in turns.iter().enumerate() {
            let call = ToolCall {
                id: format!("c{place}"),
                tool: "fs.read".into(),
                arguments: serde_json::json!({ "path": place }),
                signature: None,
            };
            let calls = if *calls { vec![call.clone()] } else { vec![] };
            let with_calls = !calls.is_empty();
            let text = "x".repeat(size % 50);
            messages.push(Message::Assistant(AssistantMessage { text, calls, ..AssistantMessage::default() }));
            messages.push(if with_calls {
                let content = vec![Part::text("y".repeat(*size))];
                Message::Tool(ToolMessage { call_id: call.id, tool: call.tool, content, is_error: false })
            } else {
                Message::user("go on")
            });
        }
        messages.into_iter().map(Arc::new).collect()
    }

    proptest! {
        #[test]
        fn task_decisions_pairs_and_recent_turns_stay(
            turns in prop::collection::vec((any::<bool>(), 0usize..4000), 0..30),
            budget in 0u64..4000,
        ) {
            let messages = conversation(&turns);
            let tokens = messages.iter().map(|message| message.estimated_tokens()).sum();
            let task = [Part::text("the task")];
            let decisions = ["ada: approve".to_owned()];
            let Some(plan) = plan(&messages, &task, &decisions, "", tokens, budget) else { return Ok(()) };
            let mut after = messages.clone();
            apply(&mut after, &task, plan.elided, plan.dropped, &plan.summary);
            prop_assert!(plan.tokens_after < tokens);
            let begins_with_the_task = matches!(&*after[0], Message::User { content } if content[0] == task[0]);
            prop_assert!(begins_with_the_task);
            prop_assert!(plan.dropped == 0 || plan.summary.contains("ada: approve"));
            prop_assert_eq!(&after[after.len() - RECENT..], &messages[messages.len() - RECENT..]);
            for (place, message) in after.iter().enumerate() {
                if let Message::Tool(result) = &**message {
                    let paired = matches!(&*after[place - 1], Message::Assistant(said) if said.calls[0].id == result.call_id);
                    prop_assert!(paired);
                }
            }
        }
    }
}
