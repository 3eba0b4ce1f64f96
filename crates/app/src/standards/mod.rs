//! Use cases over the standards of a project: propose, review, decide, list, search, count.
//!
//! Leaves out the format of files and what is found in them, which is the memory crate's, and their SQL.

mod view;

use std::path::Path;

use masque_types::{
    actor::{Caller, Channel},
    id::ProposalId,
    standard::Proposal,
};

pub use self::view::{
    Decide, Finding, FoundStandards, ProposalFilter, Propose, Review, Severity, StandardHit, StandardQuery,
    StandardStatistics, StandardSummary, StandardUse, StandardView, Verdict,
};
use crate::{App, Error};

impl App {
    /// Proposes a standard, or revises a proposal. Nothing is written to the project: a person decides.
    ///
    /// # Errors
    /// When a name or the text is not accepted, the text holds a secret, or the proposal that it revises is decided,
    /// gone, or somebody else's.
    pub async fn propose_standard(&self, _caller: &Caller, _propose: Propose) -> Result<Review, Error> {
        Err(unfinished())
    }

    /// Proposals, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn proposals(&self, _filter: &ProposalFilter) -> Result<Vec<Proposal>, Error> {
        Err(unfinished())
    }

    /// The proposal with that id or unique beginning of an id.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find_proposal(&self, _id: &str) -> Result<Proposal, Error> {
        Err(unfinished())
    }

    /// A proposal with its diff and what to look at. When the file that it changes was changed meanwhile, the proposal
    /// gets a new revision for the file as it is now, and with it a new digest.
    ///
    /// # Errors
    /// When there is no such proposal, or its project cannot be read.
    pub async fn review_proposal(&self, _id: ProposalId) -> Result<Review, Error> {
        Err(unfinished())
    }

    /// Decides about a proposal. An approval writes the file and indexes it.
    ///
    /// # Errors
    /// When the caller or the channel may not decide, the proposal was decided or replaced, is too old, is another one
    /// than the digest says, or the file that it changes was changed meanwhile; nothing is written then.
    pub async fn decide_proposal(
        &self,
        _caller: &Caller,
        _channel: Channel,
        _decide: Decide,
    ) -> Result<Proposal, Error> {
        Err(unfinished())
    }

    /// The standards of a project.
    ///
    /// # Errors
    /// When the directory of the standards cannot be read.
    pub async fn standards(&self, _project: &Path) -> Result<Vec<StandardSummary>, Error> {
        Err(unfinished())
    }

    /// One standard of a project by `domain/topic`; a citation (`standard://…`) works too.
    ///
    /// # Errors
    /// When there is none.
    pub async fn standard(&self, _project: &Path, _key: &str) -> Result<StandardView, Error> {
        Err(unfinished())
    }

    /// Searches the standards of a project and counts the query. Gives nothing when nothing fits.
    ///
    /// # Errors
    /// When the question is empty, or the standards or the store cannot be read.
    pub async fn search_standards(
        &self,
        _caller: &Caller,
        _project: &Path,
        _query: &StandardQuery,
    ) -> Result<FoundStandards, Error> {
        Err(unfinished())
    }

    /// How the standards of a project are used, and which look stale.
    ///
    /// # Errors
    /// When the standards or the store cannot be read.
    pub async fn standard_stats(&self, _project: &Path) -> Result<StandardStatistics, Error> {
        Err(unfinished())
    }
}

fn unfinished() -> Error {
    Error::refused("standards are not built yet")
}
