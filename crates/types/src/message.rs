//! The conversation with a model: messages and their parts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// One part of a message's or a tool result's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Plain text or Markdown.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// For example `image/png`.
        media_type: String,
        /// The bytes in base 64.
        data: String,
    },
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The text of a text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            Self::Image { .. } => None,
        }
    }
}

/// All text parts, joined by line feeds.
#[must_use]
pub fn joined_text(parts: &[Part]) -> String {
    parts.iter().filter_map(Part::as_text).collect::<Vec<_>>().join("\n")
}

/// A model's wish to call a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call; unique within the run (the gateway makes one where a provider gives none).
    pub id: String,
    /// The tool's canonical name, for example `fs.read`.
    pub tool: String,
    /// The arguments; not yet checked against the tool's schema. A text that was no JSON arrives as a string.
    pub arguments: Value,
    /// What the provider wants back with this call in the next request (Gemini thought signatures).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl ToolCall {
    /// The digest of tool and arguments: what an approval is bound to and what loop detection compares.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let arguments = crate::digest::canonical_json(&self.arguments);
        Digest::of_parts([self.tool.as_bytes(), arguments.as_bytes()])
    }
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// The text; empty when the model only called tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The reasoning that the provider showed, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Tool calls in the model's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// Provider data that must be sent back unchanged (Anthropic thinking blocks with signatures), by dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opaque: Option<Value>,
}

/// A tool's result as the model sees it: bounded in size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolMessage {
    /// The call that this answers.
    pub call_id: String,
    /// The tool's canonical name.
    pub tool: String,
    /// The content.
    pub content: Vec<Part>,
    /// Whether the tool failed; failures are data for the model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

/// One message of a conversation. The system prompt stands apart, in the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// From the user, or from Masque on the user's behalf.
    User {
        /// The content.
        content: Vec<Part>,
    },
    /// From the model.
    Assistant(AssistantMessage),
    /// From a tool.
    Tool(ToolMessage),
}

impl Message {
    /// A user message of one text.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { content: vec![Part::text(text)] }
    }

    /// A rough count of tokens: a token per four bytes of text and 1,000 per image. Used to keep the context within
    /// its budget before the provider has counted.
    #[must_use]
    pub fn estimated_tokens(&self) -> u64 {
        let bytes = match self {
            Self::User { content } => parts_weight(content),
            Self::Assistant(message) => {
                let calls: usize =
                    message.calls.iter().map(|call| call.tool.len() + call.arguments.to_string().len() + 16).sum();
                message.text.len() + calls
            }
            Self::Tool(message) => parts_weight(&message.content),
        };
        (bytes as u64).div_ceil(4) + 4
    }
}

fn parts_weight(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.as_text().map_or(4_000, str::len)).sum()
}
