//! The curator's plan, its questions, and what is accepted as an answer.
//!
//! Owns: which groups of documents deserve a summary, the prompt, checking the model's answer, the summary as a source.
//! Leaves out running a model, reading and storing: everything here is a function of what it is given.
//!
//! A summary never replaces what it summarises: it is a document of its own that names its sources in each statement, is
//! forgotten with the first of them, and stays untrusted, because a model wrote it. Contradictions are listed, not solved.

mod answer;
mod plan;
mod prompt;

pub use answer::{Contradiction, Problem, Statement, Summary, check};
pub use plan::{Group, Limits, Listed, Why, plan};
pub use prompt::{Prompt, SourceText, prompt};
