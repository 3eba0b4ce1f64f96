//! MCP servers of npm that tests stand on, installed in the cache.

#![expect(clippy::disallowed_methods, reason = "chores start programs")]

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};

use crate::python::cache;

/// The variable that tells tests where the packages are: a directory `node_modules`.
pub(crate) const MCP_VARIABLE: &str = "MASQUE_TEST_MCP_NODE";
/// The servers that the client and the sandbox are tested with.
const SERVERS: [(&str, &str); 2] = [
    ("@modelcontextprotocol/server-everything", "2026.8.31"),
    ("@modelcontextprotocol/server-filesystem", "2026.8.31"),
];

/// The directory `node_modules` with the servers; none where there is no npm.
pub(crate) fn with_mcp_servers() -> anyhow::Result<Option<PathBuf>> {
    let directory = cache()?.join("mcp-node");
    let modules = directory.join("node_modules");
    let is_complete = || {
        SERVERS.iter().all(|(name, version)| {
            let manifest = fs_err::read_to_string(modules.join(name).join("package.json")).unwrap_or_default();
            manifest.contains(&format!("\"version\": \"{version}\""))
        })
    };
    if is_complete() {
        return Ok(Some(modules));
    }
    if !Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    fs_err::create_dir_all(&directory)?;
    let packages = SERVERS.map(|(name, version)| format!("{name}@{version}"));
    let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error", "--prefix"];
    let status =
        Command::new("npm").args(options).arg(&directory).args(packages).status().context("cannot start npm")?;
    ensure!(status.success() && is_complete(), "npm did not install {SERVERS:?}; packages come from the npm registry");
    Ok(Some(modules))
}
