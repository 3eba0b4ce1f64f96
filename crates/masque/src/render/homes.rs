//! What personas keep: versions, differences, cards, checks, icons.

use std::io::IsTerminal as _;

use masque_app::home::{Change, Check, Difference, Icon, Manifest, Reason, Report, SignedCard, State};
use serde_json::json;

use super::{
    line, note,
    style::{self, BOLD, ERROR, GOOD, WARNING},
};

/// Pixels of an icon in a terminal; two of them are as high as one line.
const ICON_PIXELS: u32 = 24;

fn summary(version: &Manifest) -> serde_json::Value {
    let (files, bytes) = version.size();
    json!({
        "version": version.number,
        "at": version.at,
        "reason": version.reason,
        "description": version.description,
        "files": files,
        "bytes": bytes,
    })
}

/// A version that was made.
pub(crate) fn made(version: &Manifest, json: bool) {
    if json {
        return super::json(&summary(version));
    }
    let (files, bytes) = version.size();
    let files = if files == 1 { "1 file".to_owned() } else { format!("{} files", style::count(files as u64)) };
    line(&format!("version {} of {}: {files}, {} bytes", version.number, version.persona, style::count(bytes)));
}

/// All versions, newest first.
pub(crate) fn history(versions: &[Manifest], json: bool) {
    if json {
        return super::json(&versions.iter().map(summary).collect::<Vec<_>>());
    }
    let rows = versions.iter().rev().map(|version| {
        let (files, bytes) = version.size();
        [
            version.number.to_string(),
            style::date(version.at),
            reason(&version.reason),
            style::count(files as u64),
            style::count(bytes),
            style::harmless(&style::shortened(&version.description, 80)),
        ]
    });
    super::table(["VERSION", "MADE", "BY", "FILES", "BYTES", "DESCRIPTION"], rows);
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Asked => "request".to_owned(),
        Reason::Scheduled => "schedule".to_owned(),
        Reason::BeforeRollback => "rollback, before".to_owned(),
        Reason::Rollback { to } => format!("rollback to {to}"),
        Reason::Undo { to, .. } => format!("undo as in {to}"),
    }
}

/// What differs.
pub(crate) fn differences(differences: &[Difference], json: bool) {
    if json {
        return super::json(&differences);
    }
    if differences.is_empty() {
        note("nothing differs");
    }
    for found in differences {
        let mark = match found.change {
            Change::Added => "added  ",
            Change::Removed => "removed",
            Change::Changed => "changed",
            Change::Permissions => "mode   ",
        };
        let sizes = match (found.size_before, found.size_after) {
            (Some(before), Some(after)) if before != after => {
                format!("  {} → {} bytes", style::count(before), style::count(after))
            }
            (None, Some(size)) | (Some(size), None) => format!("  {} bytes", style::count(size)),
            _ => String::new(),
        };
        let origin =
            found.origin.as_ref().map_or_else(String::new, |origin| format!("  from {}", style::harmless(origin)));
        line(&format!("{mark}  {}{sizes}{origin}", style::harmless(&found.path)));
    }
}

/// What a check of all versions found.
pub(crate) fn report(report: &Report, json: bool) {
    if json {
        return super::json(report);
    }
    for fault in &report.faults {
        line(&format!("{ERROR}damaged{ERROR:#}  {fault}"));
    }
    let versions =
        if report.versions == 1 { "1 version is".to_owned() } else { format!("{} versions are", report.versions) };
    line(&format!("{GOOD}whole{GOOD:#}    {versions} as signed, {} bytes read", style::count(report.bytes)));
}

/// A persona's card.
pub(crate) fn card(signed: &SignedCard, is_revoked: bool, json: bool) {
    if json {
        return super::json(&json!({ "card": signed.card(), "signed": signed, "revoked": is_revoked }));
    }
    let card = signed.card();
    line(&format!("{BOLD}{}{BOLD:#}  card {}, signed {}", card.name, card.version, style::date(card.issued_at)));
    line(&format!("file     {}", card.file));
    line(&format!("icon     {}", card.icon.map_or_else(|| "none".to_owned(), |icon| icon.to_string())));
    line(&format!("key      {} (epoch {})", card.public_key, card.key_epoch));
    line(&format!("card     {}", signed.digest()));
    if is_revoked {
        line(&format!(
            "{WARNING}revoked{WARNING:#}  it cannot prove who it is: masque persona identity {} --rotate",
            card.name
        ));
    }
}

/// Checks of personas.
pub(crate) fn checks(checks: &[Check]) {
    let rows = checks.iter().map(|check| {
        let state = match check.state {
            State::Good => "good",
            State::Absent => "-",
            State::Wrong => "WRONG",
        };
        [check.persona.clone(), check.what.to_owned(), state.to_owned(), style::harmless(&check.detail)]
    });
    super::table(["PERSONA", "CHECK", "STATE", "DETAIL"], rows);
}

/// An icon: drawn where the terminal can show colours, else as SVG.
pub(crate) fn icon(icon: &Icon) {
    match picture(icon) {
        Some(picture) => super::text(&picture),
        None => line(icon.svg()),
    }
}

/// An icon as half blocks; none where colours cannot be seen.
pub(crate) fn picture(icon: &Icon) -> Option<String> {
    let can_show = std::io::stdout().is_terminal()
        && anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    can_show.then(|| icon.draw(ICON_PIXELS).ok().map(|drawn| drawn.terminal())).flatten()
}
