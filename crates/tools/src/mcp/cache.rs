//! What lazily started servers listed when they last ran, one file for each server's settings in Masque's own directory.
//!
//! A stale list does no harm: at its first start a server must list a tool as the run knows it, or the tool is not
//! called.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use masque_types::{
    digest::{Digest, canonical_json},
    persona::McpServer,
};
use rmcp::model::Tool;

/// Bytes of a list that are read back; more was not written by us.
const LARGEST: u64 = 16 << 20;

/// The file of one server.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

impl Cache {
    /// The file for these settings: a server that is started differently is another one.
    pub(super) fn of(directory: &Path, settings: &McpServer) -> Option<Self> {
        let settings = serde_json::to_value(settings).ok()?;
        let digest = Digest::of(canonical_json(&settings));
        Some(Self(directory.join(format!("{digest}.json"))))
    }

    /// The list, when there is one that can be read.
    pub(super) fn read(&self) -> Option<Vec<Tool>> {
        let size = fs_err::metadata(&self.0).ok()?.len();
        if size > LARGEST {
            return None;
        }
        serde_json::from_slice(&fs_err::read(&self.0).ok()?).ok()
    }

    /// Keeps a list. A list that cannot be kept is asked for again.
    pub(super) fn write(&self, tools: &[Tool]) {
        let kept = || -> std::io::Result<()> {
            let directory = self.0.parent().unwrap_or(Path::new("."));
            fs_err::create_dir_all(directory)?;
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec(tools)?)?;
            file.persist(&self.0)?;
            Ok(())
        };
        if let Err(error) = kept() {
            tracing::warn!(%error, file = %self.0.display(), "the tools of a server could not be kept");
        }
    }
}
