//! Something that a person should know before deciding about a standard. Leaves out looking for it.

use serde::Serialize;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The person who decides should look at it.
    Warning,
}

/// Something that a person should know before deciding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How serious.
    pub severity: Severity,
    /// What kind: `template`, `size`, `duplicate`, `conflict`, `injection`.
    pub kind: &'static str,
    /// The line of the content, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What, in one sentence without full stop.
    pub message: String,
}

impl Finding {
    /// A finding that a person should look at.
    pub(crate) fn warning(kind: &'static str, line: Option<u32>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, kind, line, message: message.into() }
    }

    /// A finding that is worth knowing.
    pub(crate) fn note(kind: &'static str, line: Option<u32>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, kind, line, message: message.into() }
    }
}

/// Lines of a text with their numbers, from 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..=u32::MAX).zip(text.lines())
}
