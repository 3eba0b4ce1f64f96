//! Choosing what of a conversation goes with a task. Leaves out whether any of it may.

use masque_types::message::Message;

/// The last messages that fit a budget of tokens, without results whose calls are cut off.
#[must_use]
pub fn recent(messages: &[Message], tokens: u64) -> Vec<Message> {
    let mut left = tokens;
    let fitting = messages
        .iter()
        .rev()
        .take_while(|message| {
            let weight = message.estimated_tokens();
            let fits = weight <= left;
            left = left.saturating_sub(weight);
            fits
        })
        .count();
    let kept = messages.get(messages.len() - fitting..).unwrap_or_default();
    kept.iter().skip_while(|message| matches!(message, Message::Tool(_))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::message::{AssistantMessage, Part, ToolCall, ToolMessage};
    use proptest::prelude::*;

    fn turn(place: usize, bytes: usize) -> [Message; 3] {
        let call = ToolCall { id: format!("c{place}"), tool: "fs.read".into(), arguments: ().into(), signature: None };
        let result = ToolMessage {
            call_id: call.id.clone(),
            tool: call.tool.clone(),
            content: vec![Part::text("x".repeat(bytes))],
            is_error: false,
        };
        let said = AssistantMessage { calls: vec![call], ..AssistantMessage::default() };
        [Message::user("go on"), Message::Assistant(said), Message::Tool(result)]
    }

    proptest! {
        #[test]
        fn what_is_kept_fits_and_begins_with_no_result(sizes in prop::collection::vec(0usize..2_000, 0..12), budget in 0u64..3_000) {
            let messages: Vec<Message> =
                sizes.iter().enumerate().flat_map(|(place, bytes)| turn(place, *bytes)).collect();
            let kept = recent(&messages, budget);
            prop_assert!(kept.iter().map(Message::estimated_tokens).sum::<u64>() <= budget);
            prop_assert!(messages.ends_with(&kept));
            prop_assert!(!matches!(kept.first(), Some(Message::Tool(_))));
        }
    }
}
