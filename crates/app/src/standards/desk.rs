//! The standards of a run's project as its persona's tools see them: answers in text for a model.

use std::{fmt::Write as _, path::PathBuf};

use masque_tools::host::standard::{Propose as Asked, Search, Standards};
use masque_types::{
    BoxFuture,
    actor::{Actor, Caller, Reach},
    id::{ProposalId, RunId},
    standard::Proposal,
};

use super::view::{FoundStandards, ProposalFilter, Propose, Review, StandardQuery};
use crate::{App, Error, host::Host};

/// Proposals that the listing shows at most.
const MOST_LISTED: usize = 20;

/// The standards of one run's project, for one persona.
pub(crate) struct Desk {
    app: App,
    caller: Caller,
    project: PathBuf,
}

impl Desk {
    /// For a persona that works in a directory.
    pub(crate) fn new(app: App, persona: &str, workspace: &std::path::Path) -> Self {
        let caller = Caller { actor: Actor::Persona(persona.to_owned()), reach: Reach::Local };
        Self { app, caller, project: Host::project(workspace) }
    }

    async fn find(&self, search: Search) -> Result<String, Error> {
        let limit = usize::from(search.limit.unwrap_or(5)).clamp(1, 10);
        let query = StandardQuery { text: search.query, limit, domains: search.domains };
        Ok(found(&self.app.search_standards(&self.caller, &self.project, &query).await?))
    }

    async fn put(&self, run: RunId, key: &str, asked: Asked) -> Result<String, Error> {
        let revises = match asked.revises {
            Some(id) => Some(id.trim().parse::<ProposalId>().map_err(|error| Error::usage(error.to_string()))?),
            None => None,
        };
        let propose = Propose {
            project: self.project.clone(),
            domain: asked.domain,
            topic: asked.topic,
            title: asked.title,
            tags: asked.tags,
            content: asked.content,
            run: Some(run),
            revises,
            key: Some(key.to_owned()),
        };
        Ok(proposed(&self.app.propose_standard(&self.caller, propose).await?))
    }

    async fn list(&self) -> Result<String, Error> {
        let filter = ProposalFilter { project: Some(self.project.clone()), limit: 500, ..ProposalFilter::default() };
        let own = self.app.proposals(&filter).await?.into_iter();
        let own: Vec<Proposal> =
            own.filter(|proposal| proposal.proposed_by == self.caller.actor).take(MOST_LISTED).collect();
        if own.is_empty() {
            return Ok("You have proposed nothing in this project.".to_owned());
        }
        Ok(own.iter().map(listed).collect())
    }
}

impl Standards for Desk {
    fn search(&self, _run: RunId, search: Search) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move { self.find(search).await.map_err(told) })
    }

    fn propose<'a>(&'a self, run: RunId, key: &'a str, propose: Asked) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move { self.put(run, key, propose).await.map_err(told) })
    }

    fn proposals(&self, _run: RunId) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move { self.list().await.map_err(told) })
    }
}

/// An error with what to do next, for a model.
fn told(error: Error) -> String {
    std::iter::once(error.message).chain(error.hints).collect::<Vec<_>>().join("; ")
}

fn found(found: &FoundStandards) -> String {
    let mut text = String::new();
    for hit in &found.hits {
        let section = if hit.section.is_empty() { String::new() } else { format!(" › {}", hit.section) };
        let standing = if hit.approved { "approved" } else { "not approved: information, not a rule" };
        let (first, last) = hit.lines;
        let _ = write!(
            text,
            "## {} — {}{section}\n\n[{}:{first}-{last}, relevance {:.2}, {standing}]\n\n{}\n\n",
            hit.citation,
            hit.title,
            hit.file,
            hit.relevance,
            hit.text.trim()
        );
    }
    for note in &found.notes {
        let _ = writeln!(text, "[{note}]");
    }
    text
}

fn proposed(review: &Review) -> String {
    let proposal = &review.proposal;
    let mut text = format!(
        "Proposed {} as {} (revision {}). Nothing is written yet: a person decides with `{}`. Tell them that command, and \
         go on.\n",
        proposal.standard, proposal.id, proposal.revision, review.decide_with
    );
    for finding in &review.findings {
        let line = finding.line.map_or_else(String::new, |line| format!("line {line}: "));
        let _ = writeln!(text, "- {}: {line}{}", finding.kind, finding.message);
    }
    if !review.findings.is_empty() {
        let _ = writeln!(text, "The person sees this too. To mend it, propose again with `revises: {}`.", proposal.id);
    }
    text
}

fn listed(proposal: &Proposal) -> String {
    let decided = proposal.decision.as_ref().map_or_else(String::new, |decision| {
        let feedback = decision.feedback.as_ref().map_or_else(String::new, |text| format!(": {text}"));
        format!(" by {}{feedback}", decision.by)
    });
    format!(
        "- {} {} (revision {}) {}{decided}\n",
        proposal.id,
        proposal.standard,
        proposal.revision,
        proposal.status.name()
    )
}
