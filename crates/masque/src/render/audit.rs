//! The audit log as a table and as JSON lines.

use masque_app::audit::AuditEntry;
use serde_json::json;

use super::style;

/// A listing, oldest first.
pub(crate) fn table(entries: &[AuditEntry]) {
    let rows = entries.iter().map(|entry| {
        [
            entry.number.to_string(),
            style::date(entry.what.at),
            entry.what.actor.to_string(),
            entry.what.action.clone(),
            entry.what.target.clone(),
            style::shortened(&entry.what.detail.to_string(), 80),
        ]
    });
    super::table(["#", "AT", "ACTOR", "ACTION", "TARGET", "DETAIL"], rows);
}

/// One entry as a line of JSON.
pub(crate) fn json(entry: &AuditEntry) {
    super::json(&json!({
        "number": entry.number, "at": entry.what.at, "actor": entry.what.actor, "action": entry.what.action, "run": entry.what.run,
        "target": entry.what.target, "detail": entry.what.detail, "digest": entry.digest,
    }));
}
