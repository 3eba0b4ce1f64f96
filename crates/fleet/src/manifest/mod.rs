//! Reading a fleet from files, with a diagnostic for everything that is wrong in them.
//!
//! Owns the formats: `fleet.toml`, lists of agents in YAML, Compose files, exports; variables; the search for scripts. Leaves
//! out whether the fleet can run on a machine: that is the pre-flight check's.

mod agents;
mod compose;
mod draft;
mod exports;
mod fleet_file;
mod keys;
mod merge;
mod mount;
mod node;
mod notes;
mod probe;
mod reader;
mod resolve;
mod script;
mod service;
mod shapes;
mod typed;
mod units;
mod variables;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_types::diagnostic::Diagnostic;

use crate::{import, model::Fleet};

use draft::Draft;
use exports::Exports;
use fleet_file::{Included, absolute};
use node::{Node, Place};
use notes::Notes;
use variables::Scope;

/// Values for `${…}` in the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables {
    /// The environment of the process, for `${env:NAME}` and for the variables of Compose files.
    pub environment: BTreeMap<String, String>,
    /// What was given by hand; stronger than `[variables]`.
    pub set: BTreeMap<String, String>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// The fleet; absent when the files have errors.
    pub fleet: Option<Fleet>,
    /// What is wrong, by file and line. Without errors among them the fleet is there.
    pub diagnostics: Vec<Diagnostic>,
}

/// The names of manifests, the first one that exists is taken.
const NAMES: [&str; 12] = [
    "fleet.toml",
    "startup_config.yaml",
    "startup_config.yml",
    "config/startup_config.yaml",
    "config/startup_config.yml",
    "compose.yaml",
    "compose.yml",
    "podman-compose.yaml",
    "podman-compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "agents.yaml",
];

/// The manifest of a directory, or of the nearest one above it that has one.
#[must_use]
pub fn find(directory: &Path) -> Option<PathBuf> {
    let candidates = |above: &Path| NAMES.map(|name| above.join(name)).into_iter().find(|file| file.is_file());
    directory.ancestors().find_map(candidates)
}

/// Reads these files as one fleet. What each one is, its content says.
///
/// Files that one of them includes are read too. All that is wrong is told at once, as far as it can be seen.
#[must_use]
pub fn load(paths: &[PathBuf], variables: &Variables) -> Loaded {
    let mut loader = Loader {
        draft: Draft::default(),
        scope: Scope::new(variables),
        environment: &variables.environment,
        notes: Notes::default(),
        carried: None,
    };
    let given = |path: &PathBuf| Included { path: path.clone(), host: None, group: None };
    loader.read(paths.iter().map(given).collect());
    if let Some(fleet) = loader.carried {
        let fleet = (!loader.notes.has_errors()).then_some(fleet);
        return Loaded { fleet, diagnostics: loader.notes.into_sorted() };
    }
    let fleet = resolve::resolve(loader.draft, &loader.scope, &mut loader.notes);
    let fleet = (!loader.notes.has_errors()).then_some(fleet);
    Loaded { fleet, diagnostics: loader.notes.into_sorted() }
}

/// The JSON Schema of `fleet.toml`, draft 2020-12.
#[must_use]
pub fn schema() -> serde_json::Value {
    keys::schema()
}

/// Files of a fleet at most: one that includes its own directory's copies would have no end.
const MAX_FILES: usize = 1000;

struct Loader<'a> {
    draft: Draft,
    scope: Scope<'a>,
    environment: &'a BTreeMap<String, String>,
    notes: Notes,
    /// The fleet that an export carries whole.
    carried: Option<Fleet>,
}

/// What a file is, by its content.
enum Format {
    Fleet,
    Agents,
    Compose,
    /// What [`crate::export`] wrote.
    Export,
}

impl Loader<'_> {
    /// Reads these files, and those that they include.
    fn read(&mut self, files: Vec<Included>) {
        let mut trees = Vec::with_capacity(files.len());
        let mut exports = Exports::default();
        for file in files {
            self.draft.sources.push(absolute(&file.path));
            match export_or_tree(&file, &mut exports) {
                Ok(Some(node)) => trees.push((file, node)),
                Ok(None) => {}
                Err(fault) => self.notes.push(fault),
            }
        }
        if let Some(place) = &exports.place {
            if let Some((_, node)) = trees.first() {
                let message = "this is no export, and the other files are";
                self.notes.push(node.place.error(message).hint("an export is a whole fleet: start it by itself"));
            }
            self.carry(&exports, place);
            return;
        }
        // The head of a fleet says what the other files mean.
        let (fleets, others): (Vec<_>, Vec<_>) =
            trees.into_iter().partition(|(file, node)| matches!(format_of(file, node), Some(Format::Fleet)));
        if let Some((file, node)) = fleets.get(1) {
            let message = "this is the second `fleet.toml` of one fleet";
            self.notes.push(node.place.error(message).hint("move its services into the first, or start it by itself"));
            self.draft.sources.retain(|source| *source != absolute(&file.path));
        }
        if self.draft.directory.as_os_str().is_empty()
            && let Some((file, _)) = others.first()
        {
            self.draft.directory = absolute(agents::project(&file.path));
        }
        for (file, node) in fleets.into_iter().take(1) {
            let included = fleet_file::read_into(&mut self.draft, &node, &file.path, &mut self.scope, &mut self.notes);
            self.include(included);
        }
        for (file, node) in others {
            self.read_other(&file, &node);
        }
    }

    /// Takes the fleet that exports were made from.
    fn carry(&mut self, exports: &Exports, place: &Place) {
        match exports.fleet() {
            Ok(fleet) => self.carried = Some(fleet),
            Err(error) => {
                let hint = "write it again with `masque fleet render`, or start the fleet from its own files";
                self.notes.push(place.error(error.to_string()).hint(hint));
            }
        }
    }

    /// Reads the files that `fleet.toml` includes. They include nothing themselves.
    fn include(&mut self, files: Vec<Included>) {
        for file in files.into_iter().take(MAX_FILES) {
            let path = absolute(&file.path);
            if self.draft.sources.contains(&path) {
                continue;
            }
            self.draft.sources.push(path);
            match node::read(&file.path) {
                Ok(node) => self.read_other(&file, &node),
                Err(fault) => self.notes.push(fault),
            }
        }
    }

    fn read_other(&mut self, file: &Included, node: &Node) {
        match format_of(file, node) {
            Some(Format::Agents) => agents::read_into(&mut self.draft, node, file, &mut self.notes),
            Some(Format::Compose) => {
                compose::read_into(&mut self.draft, node, file, self.environment, &mut self.notes);
            }
            Some(Format::Fleet | Format::Export) => {
                let message = "an included file is a whole fleet itself";
                self.notes.push(node.place.error(message).hint("include lists of agents and Compose files only"));
            }
            None => {
                let message = "this is no manifest: it has no list of agents and no `services`";
                let hint = "expected `agents:` with `name` and `script_path`, or a Compose file, or a `fleet.toml`";
                self.notes.push(node.place.error(message).hint(hint));
            }
        }
    }
}

/// The tree of a file, unless it is one of an export.
fn export_or_tree(file: &Included, exports: &mut Exports) -> Result<Option<Node>, Diagnostic> {
    let cannot = |error: std::io::Error| Place::whole(&file.path).error(format!("cannot read it: {error}"));
    if exports.take(&file.path).map_err(cannot)? {
        return Ok(None);
    }
    let node = node::read(&file.path)?;
    if !matches!(format_of(file, &node), Some(Format::Export)) {
        return Ok(Some(node));
    }
    let text = fs_err::read_to_string(&file.path).map_err(cannot)?;
    if is_description(file, &node) {
        exports.take_description(text, &node.place);
    } else {
        exports.take_compose(&file.path, text, &node.place);
    }
    Ok(None)
}

fn format_of(file: &Included, node: &Node) -> Option<Format> {
    if file.path.extension().is_some_and(|ending| ending == "toml") {
        return Some(Format::Fleet);
    }
    if is_description(file, node) || import::is_own_compose(&node.to_json()) {
        return Some(Format::Export);
    }
    if node.get("services").is_some_and(Node::is_map) {
        return Some(Format::Compose);
    }
    let empty_list = node.get("agents").is_some();
    (agents::is_agents(node) || empty_list).then_some(Format::Agents)
}

/// Whether this is a fleet as JSON, as containers get it.
fn is_description(file: &Included, node: &Node) -> bool {
    let is_json = file.path.extension().is_some_and(|ending| ending == "json");
    is_json && node.get("sources").is_some() && node.get("services").is_some_and(|services| !services.is_map())
}
