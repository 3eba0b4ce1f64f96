//! From an agent file of another program to persona files.

use std::path::Path;

use masque_types::{
    diagnostic::{Diagnostic, Severity},
    digest::Digest,
    persona::Persona,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Dialect, detect,
    draft::Draft,
    lists::{self, ServerList},
    source::Source,
};
use crate::{aliases, file, notes::Notes, sibling::Sibling};

/// What is in a file.
#[derive(Debug)]
pub enum Found {
    /// Agents; those that could not be read are only in the diagnostics.
    Personas(Vec<Imported>),
    /// A list of MCP servers without an agent.
    Servers(ServerList),
    /// Nothing that could be imported; the text says why.
    Nothing(&'static str),
}

/// What importing one file gave.
#[derive(Debug)]
pub struct Import {
    /// The dialect that the file was read as.
    pub dialect: Option<&'static str>,
    /// What is in it.
    pub found: Found,
    /// What was noticed. After an error, something of the file is not in `found`.
    pub diagnostics: Vec<Diagnostic>,
}

impl Import {
    /// Whether something of the file could not be read.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }
}

/// An agent as a persona.
#[derive(Debug)]
pub struct Imported {
    /// The persona.
    pub persona: Persona,
    /// The text of its file.
    pub text: String,
    /// What goes beside it, so that nothing of the source is lost. Absent for a file of ours.
    pub origin: Option<OriginRecord>,
}

impl Imported {
    /// Gives the persona another name, in its text as well.
    pub fn rename(&mut self, name: &str) {
        let mut named = false;
        let line = |line: &str| {
            let is_name = !named && line.starts_with("name:");
            named |= is_name;
            let end = if line.ends_with('\n') { "\n" } else { "" };
            if is_name { format!("name: {name}{end}") } else { line.to_owned() }
        };
        self.text = self.text.split_inclusive('\n').map(line).collect();
        name.clone_into(&mut self.persona.name);
        if let Some(origin) = &mut self.origin {
            origin.persona = Digest::of(&self.text);
        }
    }
}

/// Where an imported persona came from: `origin.json` beside its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginRecord {
    /// The version of this record.
    pub schema: String,
    /// The dialect of the source.
    pub dialect: String,
    /// The name of the file in the same directory that holds the source, byte by byte.
    pub file: String,
    /// The digest of the source.
    pub digest: Digest,
    /// The digest of the persona file as it was imported: with this one, it is not edited.
    pub persona: Digest,
    /// The version of the tables of tool names that it was read with.
    pub tool_names: String,
    /// Whether the source holds this agent and nothing else.
    pub whole: bool,
    /// Keys of the source that have no place in a persona file.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub kept: Map<String, Value>,
}

impl OriginRecord {
    /// The version that is written.
    pub const SCHEMA: &'static str = "masque.origin/v1";
    /// The file's name in the persona's directory.
    pub const FILE: &'static str = "origin.json";
}

/// Files that explain a directory and are no agents.
const EXPLAINING: [&str; 13] = [
    "readme",
    "changelog",
    "contributing",
    "license",
    "code_of_conduct",
    "security",
    "agents",
    "claude",
    "gemini",
    "skill",
    "index",
    "notice",
    "authors",
];

/// Reads a file of another program. With a dialect, the file is read as that one; otherwise it is told from its path and
/// content. Never fails: what is wrong is in the diagnostics, each error with its line.
#[must_use]
pub fn import(path: &Path, bytes: Vec<u8>, dialect: Option<&'static Dialect>) -> Import {
    let mut notes = Notes::new(path.display().to_string());
    let digest = Digest::of(&bytes);
    let text = match file::text_of_bytes(bytes) {
        Ok(text) => text,
        Err(fault) => {
            let source = Source { path, text: "" };
            let dialect = dialect.or_else(|| detect(&source)).map(|dialect| dialect.id);
            notes.error(fault.place, format!("the file {}", fault.message), fault.hint.unwrap_or("correct it"));
            return finished(dialect, Found::Personas(Vec::new()), notes);
        }
    };
    let source = Source { path, text: &text };
    if dialect.is_none()
        && let Some(reason) = no_agent(&source)
    {
        return finished(None, Found::Nothing(reason), notes);
    }
    let Some(dialect) = dialect.or_else(|| detect(&source)) else { return without_dialect(&source, notes) };
    let drafts = (dialect.read)(&source, &mut notes);
    let whole = drafts.len() == 1;
    if drafts.is_empty() && !notes.has_errors() {
        notes.error(masque_tree::Place::START, "the file holds no agent", "look whether the dialect is right");
    }
    let directory = path.parent().map(|parent| parent.join(source.stem()));
    let mut personas = Vec::new();
    for draft in drafts {
        let mut sibling =
            Sibling { directory: directory.clone().filter(|_| dialect.id == "agents"), ..Sibling::default() };
        let mut own = Notes::new(path.display().to_string());
        let persona = draft.check(&mut sibling, &mut own);
        notes.diagnostics.append(&mut own.diagnostics);
        personas.extend(persona.map(|persona| imported(persona, draft, &source, dialect, digest, whole)));
    }
    finished(Some(dialect.id), Found::Personas(personas), notes)
}

fn imported(
    persona: Persona,
    draft: Draft,
    source: &Source<'_>,
    dialect: &Dialect,
    digest: Digest,
    whole: bool,
) -> Imported {
    if dialect.id == "agents" && draft.name == source.stem() {
        // It is one of ours already: its comments and its order stay as well.
        return Imported { persona, text: source.text.to_owned(), origin: None };
    }
    let text = draft.text();
    let origin = OriginRecord {
        schema: OriginRecord::SCHEMA.to_owned(),
        dialect: dialect.id.to_owned(),
        file: format!("origin.{}", source.extension()),
        digest,
        persona: Digest::of(&text),
        tool_names: aliases::VERSION.to_owned(),
        whole,
        kept: draft.kept.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
    };
    Imported { persona, text, origin: Some(origin) }
}

/// Why a file is certainly none of an agent.
fn no_agent(source: &Source<'_>) -> Option<&'static str> {
    let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match source.extension().as_str() {
        "md" | "markdown" if EXPLAINING.contains(&stem.as_str()) && crate::file::split(source.text).is_none() => {
            Some("it explains a directory or a project")
        }
        "md" | "markdown" if stem == "skill" => Some("it is a skill: put its directory into `.agents/skills`"),
        "md" | "markdown" | "toml" | "json" | "jsonc" | "yaml" | "yml" => None,
        _ => Some("no dialect has files of this kind"),
    }
}

/// A list of servers, or a file that is no agent, or one that cannot be read at all.
fn without_dialect(source: &Source<'_>, mut notes: Notes) -> Import {
    if let Some(list) = lists::read(source, &mut notes) {
        let dialect = Some(list.dialect);
        return finished(dialect, Found::Servers(list), notes);
    }
    let readable = match source.extension().as_str() {
        "toml" => source.toml(&mut notes).is_some(),
        "yaml" | "yml" => source.yaml(&mut notes).is_some(),
        _ => source.json(&mut notes).is_some(),
    };
    if readable {
        return finished(None, Found::Nothing("it has the keys of no dialect: name one with `--dialect`"), notes);
    }
    finished(None, Found::Personas(Vec::new()), notes)
}

fn finished(dialect: Option<&'static str>, found: Found, notes: Notes) -> Import {
    let mut diagnostics = notes.diagnostics;
    // Whoever looks through hundreds of files wants to jump to a line.
    for diagnostic in diagnostics.iter_mut().filter(|found| found.severity == Severity::Error && found.line.is_none()) {
        diagnostic.line = Some(1);
        diagnostic.column = Some(1);
    }
    Import { dialect, found, diagnostics }
}
