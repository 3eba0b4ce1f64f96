//! Standards, proposals and what was found in them.

use masque_app::standards::{
    Checked, FoundStandards, Review, Severity, StandardStatistics, StandardSummary, StandardView,
};
use masque_types::{
    standard::{Proposal, ProposalStatus},
    time::Timestamp,
};

use super::{heading, line, note, style, text};

/// A listing.
pub(crate) fn table(standards: &[StandardSummary]) {
    let rows = standards.iter().map(|standard| {
        [
            standard.standard.to_string(),
            approved(standard.approved).to_owned(),
            standard.updated_at.clone().unwrap_or_else(|| "-".to_owned()),
            style::shortened(&standard.title, 80),
        ]
    });
    super::table(["STANDARD", "APPROVED", "CHANGED", "TITLE"], rows);
}

const fn approved(approved: bool) -> &'static str {
    if approved { "yes" } else { "no" }
}

/// A standard with its text.
pub(crate) fn whole(view: &StandardView) {
    let summary = &view.summary;
    line(&format!("{} ({})", style::harmless(&summary.title), summary.citation));
    line(&format!("file      {}", style::harmless(&summary.file)));
    if !summary.tags.is_empty() {
        line(&format!("tags      {}", style::harmless(&summary.tags.join(", "))));
    }
    let said = [
        ("created", &summary.created_by, &summary.created_at),
        ("approved", &summary.approved_by, &summary.updated_at),
    ];
    for (what, by, at) in said {
        if let Some(by) = by {
            let at = at.as_ref().map_or_else(String::new, |at| format!(", {}", style::harmless(at)));
            line(&format!("{what:<10}{}{at}", style::harmless(by)));
        }
    }
    if !summary.approved {
        line("standing  not what a person approved here");
    }
    line(&format!("\n{}", style::harmless(view.content.trim_end())));
}

/// The parts that answer a question.
pub(crate) fn found(found: &FoundStandards) {
    for (place, hit) in found.hits.iter().enumerate() {
        if place > 0 {
            line("");
        }
        let section = if hit.section.is_empty() { String::new() } else { format!(" › {}", hit.section) };
        let (first, last) = hit.lines;
        let standing = if hit.approved { "" } else { ", not approved" };
        line(&format!("{}{}", hit.citation, style::harmless(&section)));
        let file = style::harmless(&hit.file);
        line(&format!("  {file}:{first}-{last}, relevance {:.2}{standing}", hit.relevance));
        for row in style::harmless(hit.text.trim()).lines() {
            line(format!("  │ {row}").trim_end());
        }
    }
    for told in &found.notes {
        note(told);
    }
}

/// Proposals as a table.
pub(crate) fn proposals(proposals: &[Proposal], now: Timestamp) {
    let rows = proposals.iter().map(|proposal| {
        [
            proposal.id.to_string(),
            proposal.status.name().to_owned(),
            proposal.proposed_by.to_string(),
            style::age(now, proposal.updated_at),
            proposal.standard.to_string(),
            style::shortened(&proposal.title, 60),
        ]
    });
    super::table(["PROPOSAL", "STATE", "BY", "AGE", "STANDARD", "TITLE"], rows);
}

/// A proposal with everything that a decision is about.
pub(crate) fn review(review: &Review) {
    let proposal = &review.proposal;
    line(&format!("{} {} (revision {})", proposal.id, proposal.standard, proposal.revision));
    line(&format!("title     {}", style::harmless(&proposal.title)));
    line(&format!(
        "by        {}, {}",
        style::harmless(&proposal.proposed_by.to_string()),
        style::date(proposal.created_at)
    ));
    if let Some(run) = proposal.run {
        line(&format!("run       {run}"));
    }
    line(&format!("digest    {}", proposal.digest));
    if let Some(decision) = &proposal.decision {
        let when = style::date(decision.at);
        line(&format!("{:<10}by {} ({}), {when}", proposal.status.name(), decision.by, decision.channel.name()));
        if let Some(feedback) = &decision.feedback {
            line(&format!("feedback  {}", style::harmless(feedback)));
        }
    } else if proposal.status != ProposalStatus::Draft {
        line(&format!("state     {}", proposal.status.name()));
    }
    line("");
    text(&style::harmless(&review.diff));
    findings(review);
    if proposal.status == ProposalStatus::Draft {
        note(&format!("decide: {} or masque standard reject {}", review.decide_with, proposal.id));
    }
}

/// What a person should look at, on standard error.
pub(crate) fn findings(review: &Review) {
    for finding in &review.findings {
        let at = finding.line.map_or_else(String::new, |line| format!(" line {line}:"));
        let mark = mark(finding.severity);
        note(&format!("{mark} {}:{at} {}", finding.kind, style::harmless(&finding.message)));
    }
}

const fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What a person changed in a proposal before approving it.
pub(crate) fn changes(before: &str, after: &str) {
    heading("your changes");
    let after = format!("{}\n", after.trim_end());
    text(&style::harmless(&diffy::create_patch(&format!("{before}\n"), &after).to_string()));
}

/// How the standards are used.
pub(crate) fn statistics(statistics: &StandardStatistics, now: Timestamp) {
    let rows = statistics.standards.iter().map(|used| {
        let last = used.last_used_at.map_or_else(|| "never".to_owned(), |at| style::age(now, at));
        [
            used.queries.to_string(),
            last,
            approved(used.approved).to_owned(),
            used.standard.to_string(),
            used.stale.join("; "),
        ]
    });
    super::table(["QUERIES", "LAST", "APPROVED", "STANDARD", "STALE"], rows);
    if statistics.open_proposals > 0 {
        let open = style::counted(statistics.open_proposals as u64, "proposal waits", "proposals wait");
        note(&format!("{open} for a person: masque standard proposals"));
    }
}

/// What a check found.
pub(crate) fn checked(checked: &[Checked]) {
    for found in checked {
        let at = found.line.map_or_else(String::new, |line| format!(":{line}"));
        let file = style::harmless(&found.file);
        line(&format!("{file}{at}: {}: {}: {}", mark(found.severity), found.kind, style::harmless(&found.message)));
    }
    if checked.is_empty() {
        note("nothing to complain about");
    }
}
