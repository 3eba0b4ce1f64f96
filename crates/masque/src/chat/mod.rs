//! What the interactive session draws: styled text, Markdown as it streams in, code, tables, differences, the screen.
//!
//! Leaves out what the session does; that is in `cli::chat`. Everything that a model or tool said becomes a [`text::Span`]
//! before it reaches the terminal, and a span cannot hold a control character.

pub(crate) mod diff;
pub(crate) mod highlight;
pub(crate) mod markdown;
pub(crate) mod screen;
pub(crate) mod text;
