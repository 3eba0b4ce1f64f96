//! Standards of a project, and proposals for them.
//!
//! A standard is a Markdown file that a persona proposed and a person approved. Leaves out files, diffs and the rules of
//! deciding.

use serde::{Deserialize, Serialize};

use crate::{
    actor::{Actor, Channel},
    digest::Digest,
    id::{ProposalId, RunId},
    time::Timestamp,
};

/// Which standard: `architecture/api-conventions`. Both parts are lower-case letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StandardKey {
    /// The field that it belongs to: `architecture`, `data`, `security`.
    pub domain: String,
    /// What it is about: `api-conventions`.
    pub topic: String,
}

impl std::fmt::Display for StandardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.domain, self.topic)
    }
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalStatus {
    /// It waits for a person.
    Draft,
    /// A person approved it, as it was or with changes; the file is written.
    Approved,
    /// A person rejected it; the feedback says why.
    Rejected,
    /// A later proposal for the same standard took its place before anybody decided.
    Superseded,
}

impl ProposalStatus {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Draft, Self::Approved, Self::Rejected, Self::Superseded].into_iter().find(|status| status.name() == name)
    }
}

/// A standard that somebody proposes. Revisions of one proposal share its id; a decision is bound to the id *and* to the
/// digest of the content that was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// The project, as its namespace names it.
    pub project: String,
    /// The project's directory when it was proposed, absolute.
    pub directory: String,
    /// The file that it makes or changes, relative to that directory.
    pub file: String,
    /// Which standard.
    pub standard: StandardKey,
    /// Its title.
    pub title: String,
    /// Searchable words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The Markdown text, without front matter.
    pub content: String,
    /// Digest of everything that a decision is about: project, file, standard, title, tags, content, and the file that it
    /// changes. Whoever decides names it.
    pub digest: Digest,
    /// Digest of the file that it would change; absent for a new one. A decision on anything else is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Counts from 1; each change of the content raises it.
    pub revision: u32,
    /// Who proposed it.
    pub proposed_by: Actor,
    /// The run that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Where it stands.
    pub status: ProposalStatus,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// When it was last changed or decided.
    pub updated_at: Timestamp,
    /// The decision, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// What a person decided about a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The digest of the content that was decided on.
    pub digest: Digest,
    /// Who.
    pub by: Actor,
    /// How it reached Masque.
    pub channel: Channel,
    /// When.
    pub at: Timestamp,
    /// What the person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
}
