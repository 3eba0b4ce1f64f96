//! What `cargo metadata` says about the workspace and its dependencies.
#![expect(clippy::disallowed_methods, reason = "xtask starts cargo itself; it is no part of the product")]

use std::{collections::BTreeSet, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The platform whose dependencies count.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// The part of the answer that the checks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) manifest_path: String,
}

/// One line of a package's dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Absent for `[dependencies]`, otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Resolved>,
}

#[derive(Debug, Deserialize)]
struct Resolved {
    id: String,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn of(root: &Path) -> anyhow::Result<Self> {
        let arguments = ["metadata", "--format-version", "1", "--filter-platform", PLATFORM];
        let answer = Command::new("cargo").args(arguments).current_dir(root).output().context("cannot start cargo")?;
        ensure!(answer.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&answer.stderr));
        serde_json::from_slice(&answer.stdout).context("cargo metadata gave something else than expected")
    }

    /// The packages of this repository.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The packages of others that are used on our platform.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        let used: BTreeSet<&str> = self.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
        self.packages
            .iter()
            .filter(move |package| used.contains(package.id.as_str()) && !self.workspace_members.contains(&package.id))
    }
}
