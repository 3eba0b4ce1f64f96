//! What the use cases over standards take and give, as plain data. Leaves out doing anything with it.

use std::path::PathBuf;

pub use masque_memory::standards::{Finding, Severity};
use masque_types::{
    digest::Digest,
    id::{ProposalId, RunId},
    standard::{Proposal, ProposalStatus, StandardKey},
    time::Timestamp,
};
use serde::Serialize;

/// A standard that somebody wants to propose.
#[derive(Debug, Clone)]
pub struct Propose {
    /// The project's directory.
    pub project: PathBuf,
    /// Its domain: `architecture`.
    pub domain: String,
    /// Its topic: `api-conventions`.
    pub topic: String,
    /// Its title, one line.
    pub title: String,
    /// Searchable words.
    pub tags: Vec<String>,
    /// Its Markdown text, without front matter.
    pub content: String,
    /// The run that it comes from.
    pub run: Option<RunId>,
    /// The open proposal that this is a new revision of. Only whoever proposed it may revise it.
    pub revises: Option<ProposalId>,
    /// The same key is the same proposal: a call that is tried again proposes nothing new.
    pub key: Option<String>,
}

/// Which proposals to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalFilter {
    /// Only those of this project's directory.
    pub project: Option<PathBuf>,
    /// Only those that stand there.
    pub status: Option<ProposalStatus>,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for ProposalFilter {
    fn default() -> Self {
        Self { project: None, status: None, run: None, limit: 100 }
    }
}

/// A proposal with everything that a person needs for deciding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// The proposal, as it is now.
    pub proposal: Proposal,
    /// The unified diff from the file as it is now to what an approval would write.
    pub diff: String,
    /// What to look at.
    pub findings: Vec<Finding>,
    /// The command that approves it: the channel of record.
    pub decide_with: String,
}

/// What a person says to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Write it as it is.
    Approve,
    /// Write this text instead: Markdown without front matter.
    ApproveWith(String),
    /// Do not write it.
    Reject,
}

/// A person's decision about a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decide {
    /// The proposal.
    pub proposal: ProposalId,
    /// The digest of the proposal that the person saw.
    pub digest: Digest,
    /// What the person says.
    pub verdict: Verdict,
    /// Why; whoever proposed it can read it.
    pub feedback: Option<String>,
}

/// A standard of a project, without its text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardSummary {
    /// Which.
    pub standard: StandardKey,
    /// How it is cited: `standard://architecture/api-conventions`.
    pub citation: String,
    /// Its title.
    pub title: String,
    /// Its file, relative to the project.
    pub file: String,
    /// Searchable words.
    pub tags: Vec<String>,
    /// Who proposed it, as its file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who approved it, as its file says; `approved` says whether that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When it was made, as its file says: a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was last changed, as its file says: a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Whether the file is, byte for byte, what a person approved with this store.
    pub approved: bool,
}

/// A standard with its text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardView {
    /// All but the text.
    #[serde(flatten)]
    pub summary: StandardSummary,
    /// Its Markdown text, without front matter.
    pub content: String,
}

/// A question to the standards of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardQuery {
    /// What is asked.
    pub text: String,
    /// At most so many parts: 1 to 20.
    pub limit: usize,
    /// Only standards of these domains; empty means all.
    pub domains: Vec<String>,
}

impl StandardQuery {
    /// The usual question: at most 5 parts, of all domains.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), limit: 5, domains: Vec::new() }
    }
}

/// A part of a standard that answers a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardHit {
    /// Which standard.
    pub standard: StandardKey,
    /// How it is cited: `standard://architecture/api-conventions`.
    pub citation: String,
    /// The standard's title.
    pub title: String,
    /// Its file, relative to the project.
    pub file: String,
    /// The headings above the part, outermost first, joined by ` › `; empty at the top of a file.
    pub section: String,
    /// First and last line of the part in the file's text.
    pub lines: (u32, u32),
    /// The part.
    pub text: String,
    /// How well it fits, 0 to 1: comparable within one answer.
    pub relevance: f64,
    /// Whether the file is, byte for byte, what a person approved with this store.
    pub approved: bool,
    /// Estimated tokens of the part.
    pub tokens: u32,
}

/// The answer to a [`StandardQuery`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundStandards {
    /// The best first; empty when nothing fits.
    pub hits: Vec<StandardHit>,
    /// Estimated tokens of all parts that are returned.
    pub context_tokens: u64,
    /// Estimated tokens of the project's standards as a whole.
    pub source_tokens: u64,
    /// What whoever asked should know: which way of searching was used, that nothing fits.
    pub notes: Vec<String>,
}

/// How a standard is used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardUse {
    /// Which.
    pub standard: StandardKey,
    /// Its file, relative to the project.
    pub file: String,
    /// Whether the file is, byte for byte, what a person approved with this store.
    pub approved: bool,
    /// How many searches it answered.
    pub queries: u64,
    /// When it last answered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When its text was last changed.
    pub changed_at: Timestamp,
    /// Why it may be stale; empty when nothing speaks for it.
    pub stale: Vec<String>,
}

/// How the standards of a project are used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardStatistics {
    /// Every standard, most used first.
    pub standards: Vec<StandardUse>,
    /// Proposals that wait for a person.
    pub open_proposals: usize,
}

/// Something that is wrong with the standards of a project, or worth a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The file, relative to the project.
    pub file: String,
    /// The line of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How serious.
    pub severity: Severity,
    /// What kind: `file`, `secret`, or that of a [`Finding`].
    pub kind: &'static str,
    /// What, in one sentence.
    pub message: String,
}
