//! Personas as tables and whole.

use masque_app::personas::{Catalog, Loaded};
use masque_types::{
    diagnostic::{Diagnostic, Severity},
    policy::ToolSelection,
};

use super::{
    line,
    style::{self, BOLD, ERROR, GOOD, WARNING},
};

/// A listing; files that cannot be used stand in it too.
pub(crate) fn table(catalog: &Catalog) {
    let usable = catalog.personas.iter().map(|loaded| {
        let name =
            if loaded.shadowed { format!("{} (shadowed)", loaded.persona.name) } else { loaded.persona.name.clone() };
        [name, loaded.origin.name().to_owned(), style::shortened(&loaded.persona.description, 90)]
    });
    let broken = catalog.broken.iter().map(|broken| {
        [
            format!("{} (broken)", broken.name),
            broken.origin.name().to_owned(),
            format!("masque persona validate {}", broken.file),
        ]
    });
    super::table(["PERSONA", "FROM", "DESCRIPTION"], usable.chain(broken));
}

/// A persona with its prompt.
pub(crate) fn whole(loaded: &Loaded) {
    let persona = &loaded.persona;
    line(&format!("{BOLD}{}{BOLD:#}  {}", persona.name, persona.description));
    line(&format!("from     {} ({})", persona.source, loaded.origin.name()));
    line(&format!("digest   {}", persona.digest));
    let models: Vec<String> = persona.model.prefer.iter().map(ToString::to_string).collect();
    line(&format!("models   {}", if models.is_empty() { "as configured".to_owned() } else { models.join(", ") }));
    line(&format!(
        "tools    {}",
        match &persona.tools {
            ToolSelection::Default => "the default set".to_owned(),
            ToolSelection::Only(names) if names.is_empty() => "none".to_owned(),
            ToolSelection::Only(names) => names.join(" "),
        }
    ));
    for rule in &persona.rules {
        line(&format!("rule     {}", rule.describe()));
    }
    for name in persona.mcp_servers.keys() {
        line(&format!("server   {name}"));
    }
    line(&format!("\n{}", persona.prompt.trim_end()));
}

/// What a check found about a file.
pub(crate) fn verdict(file: &str, findings: &[Diagnostic]) {
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    match (errors, findings.is_empty()) {
        (true, _) => line(&format!("{ERROR}wrong{ERROR:#}  {file}")),
        (false, false) => line(&format!("{WARNING}usable{WARNING:#} {file}")),
        (false, true) => line(&format!("{GOOD}good{GOOD:#}   {file}")),
    }
    for finding in findings {
        line(&format!("  {}", finding.to_string().replace('\n', "\n  ")));
    }
}
