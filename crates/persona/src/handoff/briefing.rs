//! The text that a persona begins with when a task comes to it in a package.

use std::fmt::Write as _;

use masque_types::{
    child::Expected,
    message::{Message, Part, ToolCall, joined_text},
};

use super::Handoff;

/// Bytes of one tool result that are told on.
const RESULT_BYTES: usize = 2_000;

impl Handoff {
    /// The task as the target's run gets it: what to do comes first, then what belongs to it, then what is wanted back.
    #[must_use]
    pub fn briefing(&self) -> Vec<Part> {
        let mut text = self.task.trim_end().to_owned();
        let _ = write!(text, "\n\n[Handed on by {}.", self.source.name);
        if !self.artifacts.is_empty() {
            text.push_str(" Files that belong to the task:");
            for artifact in &self.artifacts {
                let _ = write!(text, "\n- {} ({} bytes)", artifact.path, artifact.content.bytes);
            }
            text.push('\n');
        }
        if !self.environment.is_empty() {
            text.push_str(" Settings:");
            for (name, value) in &self.environment {
                let _ = write!(text, "\n- {name}={value}");
            }
            text.push('\n');
        }
        text.push_str(match &self.expected {
            Expected::Text => " Your last answer is the result.]",
            Expected::Structured { .. } => " Your last answer is the result: one JSON value of the form asked for.]",
            Expected::File { .. } => " The result is a file; your last answer says in a few lines what is in it.]",
        });
        if let Expected::File { path } = &self.expected {
            let _ = write!(text, "\n[Write the result to {path}.]");
        }
        let mut parts = vec![Part::text(text)];
        if !self.history.is_empty() {
            parts.push(Part::text(self.transcript()));
        }
        parts
    }

    fn transcript(&self) -> String {
        let mut text = format!("[What was said before, in the conversation of {}:]\n", self.source.name);
        for message in &self.history {
            let _ = match message {
                Message::User { content } => writeln!(text, "\nThe person:\n{}", joined_text(content)),
                Message::Assistant(said) => {
                    let calls: String = said.calls.iter().map(called).collect();
                    writeln!(text, "\n{}:\n{}{calls}", self.source.name, said.text)
                }
                Message::Tool(result) => {
                    writeln!(text, "\nResult of {}:\n{}", result.tool, shortened(&joined_text(&result.content)))
                }
            };
        }
        text
    }
}

fn called(call: &ToolCall) -> String {
    format!("\n(called {} {})", call.tool, shortened(&call.arguments.to_string()))
}

fn shortened(text: &str) -> String {
    match text.get(..text.floor_char_boundary(RESULT_BYTES)) {
        Some(head) if head.len() < text.len() => format!("{head}\n[… {} more bytes …]", text.len() - head.len()),
        _ => text.to_owned(),
    }
}
