//! What tools tell about standards, as plain data.

use masque_app::standards::{Finding, FoundStandards, Review, StandardHit, StandardView};
use masque_types::standard::{Proposal, ProposalStatus};
use schemars::JsonSchema;
use serde::Serialize;

/// The answer to a search.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    /// The parts that fit, best first; empty when nothing does.
    results: Vec<Hit>,
    /// Estimated tokens of the results.
    context_tokens: u64,
    /// Estimated tokens of all standards.
    source_tokens: u64,
    /// What whoever asked should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A part of a standard.
#[derive(Debug, Serialize, JsonSchema)]
struct Hit {
    /// How to cite it; `get_standard` and `resources/read` take this.
    citation: String,
    /// The standard's title.
    title: String,
    /// Its file.
    file: String,
    /// The headings above the part.
    section: String,
    /// First and last line of the part.
    lines: (u32, u32),
    /// How well it fits, 0 to 1.
    relevance: f64,
    /// Whether a person approved the file as it is.
    approved: bool,
    /// The part.
    text: String,
}

impl Found {
    pub(super) fn of(found: FoundStandards) -> Self {
        let hit = |hit: StandardHit| Hit {
            citation: hit.citation,
            title: hit.title,
            file: hit.file,
            section: hit.section,
            lines: hit.lines,
            relevance: (hit.relevance * 1000.0).round() / 1000.0,
            approved: hit.approved,
            text: hit.text,
        };
        Self {
            results: found.hits.into_iter().map(hit).collect(),
            context_tokens: found.context_tokens,
            source_tokens: found.source_tokens,
            notes: found.notes,
        }
    }
}

/// A standard as a whole.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Standard {
    /// How to cite it.
    citation: String,
    /// Its title.
    title: String,
    /// Its file.
    file: String,
    /// Searchable words.
    tags: Vec<String>,
    /// Whether a person approved the file as it is.
    approved: bool,
    /// Who approved it, as the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// When it was last changed, as the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// Its Markdown text.
    content: String,
}

impl Standard {
    pub(super) fn of(view: StandardView) -> Self {
        let StandardView { summary, content } = view;
        Self {
            citation: summary.citation,
            title: summary.title,
            file: summary.file,
            tags: summary.tags,
            approved: summary.approved,
            approved_by: summary.approved_by,
            updated_at: summary.updated_at,
            content,
        }
    }
}

/// A proposal and what a person needs for deciding.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Proposed {
    /// The proposal.
    proposal_id: String,
    /// `draft`, `approved`, `rejected` or `superseded`.
    status: &'static str,
    /// Which standard: `architecture/api-conventions`.
    standard: String,
    /// The file that it makes or changes.
    file: String,
    /// Counts the changes of the proposal.
    revision: u32,
    /// What a decision is bound to.
    digest: String,
    /// What would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// What to look at before deciding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<String>,
    /// What the person said who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<String>,
    /// The command with which a person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    decide_with: Option<String>,
    /// For people.
    message: String,
}

impl Proposed {
    /// One that waits for a person.
    pub(super) fn waiting(review: &Review, message: String) -> Self {
        Self {
            diff: Some(review.diff.clone()),
            findings: review.findings.iter().map(line).collect(),
            decide_with: Some(review.decide_with.clone()),
            ..Self::plain(&review.proposal, message)
        }
    }

    /// One that is decided.
    pub(super) fn decided(proposal: &Proposal) -> Self {
        let message = match proposal.status {
            ProposalStatus::Approved => format!("approved: {} is written", proposal.file),
            ProposalStatus::Rejected => "rejected: nothing is written".to_owned(),
            ProposalStatus::Superseded => "a later proposal took its place: nothing is written".to_owned(),
            ProposalStatus::Draft => "it waits for a person".to_owned(),
        };
        Self::plain(proposal, message)
    }

    fn plain(proposal: &Proposal, message: String) -> Self {
        Self {
            proposal_id: proposal.id.to_string(),
            status: proposal.status.name(),
            standard: proposal.standard.to_string(),
            file: proposal.file.clone(),
            revision: proposal.revision,
            digest: proposal.digest.to_string(),
            diff: None,
            findings: Vec::new(),
            feedback: proposal.decision.as_ref().and_then(|decision| decision.feedback.clone()),
            decide_with: None,
            message,
        }
    }
}

/// A finding in one line.
pub(super) fn line(finding: &Finding) -> String {
    match finding.line {
        Some(number) => format!("line {number}: {}", finding.message),
        None => finding.message.clone(),
    }
}
