//! All checks, in order.

use std::path::Path;

use crate::{dependencies, docs, metadata::Metadata, ranks, size, sources, tree::Tree};

/// What the checks found.
#[derive(Debug)]
pub(crate) struct Report {
    /// One line per fault: where, what, what to do.
    pub(crate) findings: Vec<String>,
    /// Sizes as a table.
    pub(crate) trend: String,
}

/// Runs every check on the repository.
pub(crate) fn check(root: &Path) -> anyhow::Result<Report> {
    let tree = Tree::read(root)?;
    let metadata = Metadata::of(root)?;
    let sizes = size::measure(&tree);
    let mut findings = ranks::check(&metadata);
    findings.extend(sources::check(&tree));
    findings.extend(docs::check(&tree));
    findings.extend(size::check(&sizes));
    findings.extend(dependencies::check(root, &metadata)?);
    Ok(Report { findings, trend: size::table(&sizes) })
}
