//! The curator's plan, its questions, and what is accepted as an answer.
//!
//! Owns: which groups of documents and conversations deserve a summary, the prompt, checking the answer of the model, the
//! summary as a source.
//! Leaves out running a model, reading and storing: everything here is a function of what it is given.
//!
//! A summary never replaces what it summarises: it is a document of its own that names its sources in each statement, is
//! forgotten with the first of them, and stays untrusted, because a model wrote it. Contradictions are listed, not solved.

mod answer;
mod conversation;
mod plan;
mod prompt;
mod text;

pub use answer::{Contradiction, Problem, Statement, Summary, check};
pub use conversation::{conversation, conversation_source, transcript};
pub use plan::{Group, Limits, Listed, Why, plan, summary_source};
pub use prompt::{Prompt, SourceText, prompt};
pub use text::whole;
