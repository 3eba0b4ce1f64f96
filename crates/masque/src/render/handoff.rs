//! A hand-off package for people.

use masque_app::handoff::Handoff;
use masque_types::child::Expected;

use super::{line, style};

/// Prints what a package holds.
pub(crate) fn print(handoff: &Handoff, signed_by: &str, own: bool) {
    let signer = if own { "this installation" } else { signed_by };
    let from = handoff.source.run.map(|run| format!(", {run}")).unwrap_or_default();
    line(&format!("from       {}{from}", style::harmless(&handoff.source.name)));
    line(&format!("to         {}", style::harmless(&handoff.target)));
    line(&format!("packed     {}", style::date(handoff.created_at)));
    line(&format!("signed by  {signer}"));
    line(&format!("directory  {}", style::harmless(&handoff.working_directory)));
    let expected = match &handoff.expected {
        Expected::Text => "text".to_owned(),
        Expected::Structured { .. } => "JSON that satisfies a schema".to_owned(),
        Expected::File { path } => format!("the file {}", style::harmless(path)),
    };
    line(&format!("expects    {expected}"));
    if let Some(timeout) = handoff.timeout_ms {
        line(&format!("within     {}", style::duration(std::time::Duration::from_millis(timeout))));
    }
    if !handoff.history.is_empty() {
        let tokens = handoff.history.iter().map(masque_types::message::Message::estimated_tokens).sum();
        line(&format!("history    {} messages, {} tokens", handoff.history.len(), style::count(tokens)));
    }
    for artifact in &handoff.artifacts {
        let digest = artifact.content.digest.short();
        line(&format!("artifact   {} ({} bytes, {digest})", style::harmless(&artifact.path), artifact.content.bytes));
    }
    for (name, value) in &handoff.environment {
        line(&format!("setting    {}", style::harmless(&format!("{name}={value}"))));
    }
    line(&format!("\n{}", style::harmless(handoff.task.trim_end())));
}
