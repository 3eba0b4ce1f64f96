//! Python packages that tests stand on, each set in a virtual environment of its own in the cache.

#![expect(clippy::disallowed_methods, reason = "chores start programs and read the environment")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// A package that tests stand on.
pub(crate) struct Set {
    /// The variable that tells tests which Python has it.
    pub(crate) variable: &'static str,
    /// Name of the virtual environment.
    name: &'static str,
    package: &'static str,
    /// The module that shows that it is there.
    module: &'static str,
}

/// All of them.
pub(crate) const SETS: [Set; 2] = [
    // The SDK whose servers the client is tested against.
    Set { variable: "MASQUE_TEST_MCP_PYTHON", name: "mcp", package: "mcp==2.3.0", module: "mcp" },
    // What the agents of the example fleet answer health checks with.
    Set { variable: "MASQUE_TEST_FLEET_PYTHON", name: "fleet", package: "pyzmq==27.3.0", module: "zmq" },
];

impl Set {
    /// A Python with the package.
    pub(crate) fn provide(&self) -> anyhow::Result<PathBuf> {
        let environment = environment(self.name, self.package, |python| {
            let mut check = Command::new(python);
            check.args(["-c", &format!("import {}", self.module)]).status().is_ok_and(|status| status.success())
        })?;
        Ok(environment.join("bin/python"))
    }
}

/// The virtual environment of that name with a package in it; made when `complete` says of its Python that it is not.
pub(crate) fn environment(name: &str, package: &str, complete: impl Fn(&Path) -> bool) -> anyhow::Result<PathBuf> {
    let environment = cache()?.join(name);
    let python = environment.join("bin/python");
    if python.exists() && complete(&python) {
        return Ok(environment);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment), "python3 -m venv")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", package]), "pip install")?;
    ensure!(complete(&python), "{package} was installed and does not hold what the tests need");
    Ok(environment)
}

fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let hint = "`make setup` installs python3-venv; packages come from PyPI";
    let status = command.status().with_context(|| format!("cannot start `{what}`: {hint}"))?;
    ensure!(status.success(), "`{what}` failed: {hint}");
    Ok(())
}

/// Where the chores keep what they install.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("masque-dev"))
}
