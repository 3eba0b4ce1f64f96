//! Tools as tables and whole.

use masque_app::tools::ToolView;

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
