//! Personas as tables and whole.

use masque_app::personas::{Catalog, Exported, ImportStatus, ImportedFile, Loaded, status_name};
use masque_types::{
    diagnostic::{Diagnostic, Severity},
    persona::Persona,
    policy::{Mode, ToolSelection},
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
    for (what, text) in further(persona) {
        line(&format!("{what:<9}{}", style::harmless(&text)));
    }
    line(&format!("\n{}", persona.prompt.trim_end()));
}

/// What else the file says, in a line each.
fn further(persona: &Persona) -> Vec<(&'static str, String)> {
    let sandbox = &persona.sandbox;
    let hosts = if sandbox.network { "the whole network".to_owned() } else { sandbox.hosts.join(" ") };
    let secrets = persona.secrets.iter().map(|secret| format!("{} for {}", secret.name, secret.hosts.join(" ")));
    let hooks = &persona.hooks;
    let hooks = [&hooks.on_activate, &hooks.on_deactivate, &hooks.pre_tool_use, &hooks.post_tool_use];
    let hooks: Vec<&str> = hooks.into_iter().flatten().map(|hook| hook.path.as_str()).collect();
    let skills: Vec<&str> = persona.skills.iter().map(|skill| skill.name.as_str()).collect();
    let mode = if persona.mode == Mode::Default { "" } else { persona.mode.name() };
    let lines = [
        ("mode", mode.to_owned()),
        ("network", hosts),
        ("secret", secrets.collect::<Vec<_>>().join(", ")),
        ("hooks", hooks.join(" ")),
        ("skills", skills.join(" ")),
        ("calls", persona.delegate.to.join(" ")),
        ("memory", persona.memory.scopes.join(" ")),
    ];
    lines.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// What became of a file of an import.
pub(crate) fn imported(file: &ImportedFile) {
    let style = match file.status {
        ImportStatus::Imported | ImportStatus::Servers | ImportStatus::Unchanged => GOOD,
        ImportStatus::Skipped => style::DIM,
        ImportStatus::Exists => WARNING,
        ImportStatus::Failed => ERROR,
    };
    let dialect = file.dialect.unwrap_or("-");
    let names = file.names.join(" ");
    line(format!("{style}{:<9}{style:#} {dialect:<13} {}  {names}", status_name(file.status), file.file).trim_end());
    for finding in &file.diagnostics {
        line(&format!("  {}", style::harmless(&finding.to_string()).replace('\n', "\n  ")));
    }
}

/// What an export does not say, on standard error.
pub(crate) fn losses(exported: &Exported) {
    if exported.original {
        super::note("this is the file that the persona came from, byte by byte");
    }
    for loss in &exported.losses {
        super::note(&format!("lost ({}): {}: {}", loss.risk.name(), loss.field, loss.reason));
    }
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
