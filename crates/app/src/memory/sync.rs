//! Use cases: the documents of a directory are kept equal to its files, once or as long as somebody watches.
//!
//! Leaves out single documents, search, and the standards of a project, which are synced when they are searched.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use masque_memory::sync::{Changes, LeftOut, Report, Watching};
use masque_memory::{
    Index,
    sync::{Clock, SyncSpec, Syncer},
};
use masque_sandbox::BUILT_IN_HIDDEN;
use masque_types::{
    actor::Actor,
    memory::{DocumentKind, Namespace, Origin},
};
use serde_json::json;

use crate::{App, Error, audit};

/// Which files of a directory become whose documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDirectory {
    /// The directory.
    pub directory: PathBuf,
    /// Who may read the documents.
    pub namespace: Namespace,
    /// Patterns of the files, from the directory on: `**/*.md`. All when there are none.
    pub include: Vec<String>,
    /// Patterns of what is left out, beside files that look like secrets and those that `.gitignore` lists.
    pub exclude: Vec<String>,
    /// Whether they may be taken at their word.
    pub origin: Origin,
}

impl App {
    /// Makes a namespace equal to a directory: adds, changes and forgets documents. Texts are found by their words at
    /// once; vectors are made by whoever embeds what is missing.
    ///
    /// # Errors
    /// When the directory is none, a pattern is none, or the store cannot be written. What fails for one file is told in
    /// the result.
    pub async fn sync_directory(
        &self,
        actor: &Actor,
        project: &Path,
        index: Index,
        asked: &SyncDirectory,
    ) -> Result<Changes, Error> {
        let mut syncer = self.syncer(project, index, asked)?;
        let changes = syncer.scan().await?;
        if changes.changed_something() {
            let detail = json!({
                "namespace": asked.namespace,
                "added": changes.added.len(),
                "changed": changes.changed.len(),
                "removed": changes.removed.len(),
            });
            let directory = asked.directory.display();
            let entry = audit::entry(self.clock.now(), actor, "memory.sync", None, directory, detail);
            self.store.audit(entry).await?;
        }
        Ok(changes)
    }

    /// Does the same, and goes on doing it while files change, until the watching is closed. Embeds what is missing.
    ///
    /// # Errors
    /// As for [`App::sync_directory`].
    pub async fn watch_directory(
        &self,
        actor: &Actor,
        project: &Path,
        index: Index,
        asked: &SyncDirectory,
        told: impl Fn(Report) + Send + Sync + 'static,
    ) -> Result<Watching, Error> {
        let syncer = self.syncer(project, index, asked)?;
        let detail = json!({ "namespace": asked.namespace });
        let entry = audit::entry(self.clock.now(), actor, "memory.watch", None, asked.directory.display(), detail);
        self.store.audit(entry).await?;
        Ok(Watching::start(syncer, told))
    }

    fn syncer(&self, project: &Path, index: Index, asked: &SyncDirectory) -> Result<Syncer, Error> {
        let root = fs_err::canonicalize(&asked.directory)?;
        if !root.is_dir() {
            return Err(Error::usage(format!("{} is no directory", root.display())));
        }
        let hidden = BUILT_IN_HIDDEN.iter().map(|pattern| (*pattern).to_owned());
        let spec = SyncSpec {
            prefix: prefix(project, &root)?,
            root,
            include: asked.include.clone(),
            exclude: hidden.chain(asked.exclude.iter().cloned()).collect(),
            obey_ignore_files: true,
            namespace: asked.namespace.clone(),
            kind: DocumentKind::Document,
            origin: asked.origin,
        };
        let clock = Arc::clone(&self.clock);
        let clock: Clock = Arc::new(move || clock.now());
        Ok(Syncer::new(index, Arc::new(self.extractor()), spec, clock)?)
    }
}

/// What sources below a directory begin with: its path from the project on, else its whole path.
fn prefix(project: &Path, root: &Path) -> Result<String, Error> {
    let below = root.strip_prefix(fs_err::canonicalize(project)?).unwrap_or(root);
    let path = below.to_str().ok_or_else(|| Error::usage(format!("{} is no text", root.display())))?;
    Ok(if path.is_empty() { String::new() } else { format!("{path}/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_from_the_project_on() {
        let project = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(project.path()).unwrap();
        fs_err::create_dir(root.join("docs")).unwrap();
        assert_eq!(prefix(&root, &root.join("docs")).unwrap(), "docs/");
        assert_eq!(prefix(&root, &root).unwrap(), "");
        assert_eq!(prefix(&root.join("docs"), &root).unwrap(), format!("{}/", root.display()));
    }
}
