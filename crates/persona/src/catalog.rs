//! All personas that can be seen from one place, in search order.
//!
//! Owns where they are looked for and who wins. Leaves out reading one file.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use masque_types::{
    diagnostic::{Diagnostic, Severity},
    persona::Persona,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    bundled,
    file::{self, Outcome},
    section,
};

/// Where to look for personas, beside the bundled ones.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The project's root: `.agents/agents/` and `.claude/agents/` below it are read.
    pub project: Option<PathBuf>,
    /// The user's directory of personas, usually `~/.config/masque/agents`.
    pub user: Option<PathBuf>,
}

impl Sources {
    /// Where skills are that a persona may name: its own side first.
    fn skill_places(&self, origin: Origin) -> Vec<PathBuf> {
        let project = self.project.iter().flat_map(|root| [root.join(".agents/skills"), root.join(".claude/skills")]);
        let user = self.user.iter().filter_map(|agents| agents.parent()).map(|config| config.join("skills"));
        if origin.is_project() { project.chain(user).collect() } else { user.chain(project).collect() }
    }
}

/// Where a persona came from, in search order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The project's `.agents/agents/`.
    Project,
    /// The project's `.claude/agents/`, which Masque only reads.
    ProjectClaude,
    /// The user's directory.
    User,
    /// Part of Masque.
    Bundled,
}

impl Origin {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::ProjectClaude => "project_claude",
            Self::User => "user",
            Self::Bundled => "bundled",
        }
    }

    /// Whether it came with the project's files: whoever wrote the project wrote the persona.
    #[must_use]
    pub const fn is_project(self) -> bool {
        matches!(self, Self::Project | Self::ProjectClaude)
    }
}

/// A persona that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The persona.
    pub persona: Persona,
    /// Where it came from.
    pub origin: Origin,
    /// Whether a file earlier in the search order has the same name, so that this one is not used.
    pub shadowed: bool,
    /// Keys of its files that have no effect, by dotted path, with their values. The
    /// values may hold secrets: show people the paths only.
    pub unused_keys: BTreeMap<String, Value>,
}

/// A file that cannot be used; the diagnostics say why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The name that the file stands for. Files later in the search order do not take its place: a persona that its
    /// author restricted must not be replaced by one that is not.
    pub name: String,
    /// The file.
    pub file: String,
    /// Where it came from.
    pub origin: Origin,
    /// Whether a file earlier in the search order has the same name.
    pub shadowed: bool,
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The usable personas in search order, shadowed ones included.
    pub personas: Vec<Loaded>,
    /// The files that cannot be used.
    pub broken: Vec<Broken>,
    /// What was noticed, in search order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Catalog {
    /// The persona of that name. Absent also when the file that stands for the name is broken: see [`Self::broken`].
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Loaded> {
        self.personas.iter().find(|loaded| !loaded.shadowed && loaded.persona.name == name)
    }

    /// The broken file that stands for the name.
    #[must_use]
    pub fn find_broken(&self, name: &str) -> Option<&Broken> {
        self.broken.iter().find(|broken| !broken.shadowed && broken.name == name)
    }

    /// The usable name nearest to a misspelt one.
    #[must_use]
    pub fn suggest(&self, name: &str) -> Option<&str> {
        let usable = self.personas.iter().filter(|loaded| !loaded.shadowed).map(|loaded| loaded.persona.name.as_str());
        section::nearest(name, usable)
    }

    /// The diagnostics of one file and of the files in its sibling directory.
    pub fn diagnostics_of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a Diagnostic> {
        let directory = format!("{}/", file.strip_suffix(".md").unwrap_or(file));
        self.diagnostics.iter().filter(move |found| found.file == file || found.file.starts_with(&directory))
    }

    fn add(
        &mut self,
        mut outcome: Outcome,
        origin: Origin,
        taken: &mut BTreeMap<String, (Origin, String)>,
        file: &str,
    ) {
        let shadowed = match taken.get(&outcome.name) {
            Some((first, by)) => {
                if *first == origin {
                    let message =
                        format!("the name `{}` is already taken by {by}; this file is not used", outcome.name);
                    outcome.notes.diagnostics.push(Diagnostic::warning(file, message).hint("rename one of the two"));
                }
                true
            }
            None => {
                taken.insert(outcome.name.clone(), (origin, file.to_owned()));
                false
            }
        };
        self.diagnostics.append(&mut outcome.notes.diagnostics);
        match outcome.persona {
            Some(persona) => {
                self.personas.push(Loaded { persona, origin, shadowed, unused_keys: outcome.notes.unknown });
            }
            None => self.broken.push(Broken { name: outcome.name, file: file.to_owned(), origin, shadowed }),
        }
    }
}

/// Reads all personas. Never fails: what is wrong is in [`Catalog::diagnostics`].
#[must_use]
pub fn load(sources: &Sources) -> Catalog {
    let mut catalog = Catalog::default();
    let mut taken = BTreeMap::new();
    let project = |below: &str| sources.project.as_ref().map(|root| root.join(below));
    let directories = [
        (Origin::Project, project(".agents/agents")),
        (Origin::ProjectClaude, project(".claude/agents")),
        (Origin::User, sources.user.clone()),
    ];
    for (origin, directory) in directories {
        let Some(directory) = directory else { continue };
        for path in list(&directory, &mut catalog.diagnostics) {
            let outcome = file::read(&path, sources.skill_places(origin));
            catalog.add(outcome, origin, &mut taken, &path.display().to_string());
        }
    }
    for outcome in bundled::read() {
        catalog.add(outcome, Origin::Bundled, &mut taken, "bundled");
    }
    catalog
}

/// Reads one persona file. The persona is absent when a diagnostic is an error. Skills that it names are looked for in the
/// project that the file's path tells of; [`read_file`] knows the user's as well.
#[must_use]
pub fn validate_file(path: &Path) -> (Option<Persona>, Vec<Diagnostic>) {
    let holds = |directory: &&Path| directory.file_name().is_some_and(|name| name == ".agents" || name == ".claude");
    let project = path.ancestors().find(holds).and_then(Path::parent).map(Path::to_owned);
    read_file(path, &Sources { project, user: None })
}

/// Reads one persona file as [`load`] reads it from these sources.
#[must_use]
pub fn read_file(path: &Path, sources: &Sources) -> (Option<Persona>, Vec<Diagnostic>) {
    let is_users = sources.user.as_ref().is_some_and(|user| path.starts_with(user));
    let origin = if is_users { Origin::User } else { Origin::Project };
    let outcome = file::read(path, sources.skill_places(origin));
    (outcome.persona, outcome.notes.diagnostics)
}

/// Reads a persona from a text as if it stood in a file. The persona is absent when a diagnostic is an error.
#[must_use]
pub fn check_text(path: &Path, text: &str, sources: &Sources) -> (Option<Persona>, Vec<Diagnostic>) {
    let is_users = sources.user.as_ref().is_some_and(|user| path.starts_with(user));
    let origin = if is_users { Origin::User } else { Origin::Project };
    let outcome = file::read_as(path, text, sources.skill_places(origin));
    (outcome.persona, outcome.notes.diagnostics)
}

/// Reads an edited text of a bundled persona as if it stood in a file, with the files of the bundled one beside it.
#[must_use]
pub fn check_bundled(name: &str, path: &Path, text: &str) -> (Option<Persona>, Vec<Diagnostic>) {
    let outcome = bundled::read_in_place_of(name, &path.display().to_string(), text);
    (outcome.persona, outcome.notes.diagnostics)
}

/// The Markdown files of a directory by name. A directory that does not exist holds none.
fn list(directory: &Path, diagnostics: &mut Vec<Diagnostic>) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    let label = directory.display().to_string();
    let entries = match fs_err::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return paths,
        Err(error) => {
            let message = format!("the directory cannot be read: {}", error.kind());
            diagnostics.push(Diagnostic::warning(label, message).hint("check its permissions"));
            return paths;
        }
    };
    for entry in entries {
        match entry {
            Ok(entry) => match sort_out(&entry.path()) {
                Entry::Persona(path) => drop(paths.insert(path)),
                Entry::Wrong(diagnostic) => diagnostics.push(diagnostic),
                Entry::Other => {}
            },
            Err(error) => {
                let message = format!("the directory cannot be listed to its end: {}", error.kind());
                diagnostics.push(Diagnostic::warning(&label, message));
                break;
            }
        }
    }
    paths
}

enum Entry {
    Persona(PathBuf),
    Wrong(Diagnostic),
    Other,
}

fn sort_out(path: &Path) -> Entry {
    if path.extension() != Some(OsStr::new("md")) {
        return Entry::Other;
    }
    let Some(stem) = path.file_stem().and_then(OsStr::to_str) else {
        let mut diagnostic =
            Diagnostic::warning(path.display().to_string(), "the file name is not UTF-8; it is left out");
        diagnostic.severity = Severity::Error;
        return Entry::Wrong(diagnostic.hint("rename it to lower-case letters, digits and `-`"));
    };
    // Directories of personas often explain themselves; hidden files are editors' leftovers.
    if stem.eq_ignore_ascii_case("readme") || stem.starts_with('.') {
        return Entry::Other;
    }
    Entry::Persona(path.to_owned())
}
