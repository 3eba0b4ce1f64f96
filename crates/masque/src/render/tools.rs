//! Tools as tables and whole.

use masque_app::{discovery::ToolHits, tools::ToolView};

use super::{
    line,
    style::{self, BOLD},
};

/// A listing.
pub(crate) fn table(views: &[ToolView]) {
    let rows = views.iter().map(|view| {
        let policy = view.decision.as_ref().map_or("", |decision| decision.verdict.name());
        let spec = &view.spec;
        let first = spec.description.split(". ").next().unwrap_or_default();
        [
            spec.name.clone(),
            spec.effect.name().to_owned(),
            spec.place.name().to_owned(),
            policy.to_owned(),
            style::shortened(first, 90),
        ]
    });
    super::table(["TOOL", "EFFECT", "PLACE", "POLICY", "DESCRIPTION"], rows);
}

/// What a search gave, best first.
pub(crate) fn hits(found: &ToolHits) {
    for hit in &found.tools {
        line(&format!("{BOLD}{}{BOLD:#}", hit.signature));
        let after = if hit.after.is_empty() { String::new() } else { format!(", after {}", hit.after.join(", ")) };
        line(&format!("  {}{after}", hit.summary));
    }
    if found.tools.is_empty() {
        super::note(&format!("none of {} tools fits these words", found.searched));
    }
    if found.model.is_none() {
        super::note("words were compared only; `masque memory model fetch` adds search by meaning");
    }
    found.notes.iter().for_each(|note| super::note(note));
}

/// A tool with its schema.
pub(crate) fn whole(view: &ToolView) {
    let spec = &view.spec;
    line(&format!("{BOLD}{}{BOLD:#}  effect {}, runs in {}", spec.name, spec.effect.name(), spec.place.name()));
    line(&format!("\n{}", spec.description));
    if !spec.depends_on.is_empty() {
        line(&format!("\nusually after {}", spec.depends_on.join(", ")));
    }
    line(&format!("\n{}", serde_json::to_string_pretty(&spec.input_schema).unwrap_or_default()));
}
