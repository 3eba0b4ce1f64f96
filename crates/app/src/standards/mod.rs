//! Use cases over the standards of a project: propose, review, decide, list, search, count.
//!
//! A standard is a file that a person approved. Whoever proposes one writes nothing; whoever decides is a person at this
//! machine, and the decision names the very text and the very file that it is about. Leaves out the format of files and
//! what is found in them, which is the memory crate's, and their SQL.

mod decide;
mod desk;
mod project;
mod propose;
mod search;
mod show;
#[cfg(test)]
mod tests;
mod view;

pub use self::view::{
    Checked, Decide, Finding, FoundStandards, ProposalFilter, Propose, Review, Severity, StandardHit, StandardQuery,
    StandardStatistics, StandardSummary, StandardUse, StandardView, Verdict,
};
pub(crate) use self::{desk::Desk, project::project_id, search::Seen};
