//! The standards of one project as they stand in its files, and which of them a person approved.
//!
//! Leaves out proposals and the index.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use masque_memory::standards::{self, Directory, Existing, FoundFile, StandardFile};
use masque_types::{diagnostic::Diagnostic, digest::Digest, memory::Namespace, standard::StandardKey, time::Timestamp};

use super::view::{StandardSummary, StandardView};
use crate::{App, Error};

/// A project with its directory of standards.
#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) directory: Directory,
    /// What names it in the store: the beginning of the digest of its path.
    pub(super) id: String,
}

/// A standard as its file says it.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) found: FoundFile,
    pub(super) file: StandardFile,
    pub(super) digest: Digest,
    pub(super) approved: bool,
}

/// All standards of a project.
#[derive(Debug, Clone, Default)]
pub(super) struct Loading {
    pub(super) standards: Vec<Loaded>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What names a project in the store: the first digits of the digest of its canonical path.
pub(crate) fn project_id(canonical: &Path) -> String {
    Digest::of(canonical.as_os_str().as_encoded_bytes()).to_string().chars().take(16).collect()
}

impl Project {
    pub(super) fn namespace(&self) -> Namespace {
        Namespace::Project(self.id.clone())
    }

    /// The content of a file, if it is there.
    pub(super) async fn read(&self, file: &str) -> Result<Option<String>, Error> {
        let (directory, file) = (self.directory.clone(), file.to_owned());
        off_thread(move || Ok(directory.read(&file)?)).await
    }
}

/// Does work with files where it holds up nobody.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::environment(error.to_string()))?
}

impl App {
    /// The project of a directory, with the directory of its standards.
    pub(super) fn standards_project(&self, project: &Path) -> Result<Project, Error> {
        let project: PathBuf = fs_err::canonicalize(project)?;
        let directory = Directory::new(&project, &self.settings.text("standards.directory"))?;
        Ok(Project { directory, id: project_id(&project) })
    }

    /// The standards of a project, read from its files.
    pub(super) async fn load(&self, project: &Project) -> Result<Loading, Error> {
        let approved: BTreeSet<(String, Digest)> = self.store.approved_files(&project.id).await?.into_iter().collect();
        let directory = project.directory.clone();
        off_thread(move || {
            let listing = directory.list()?;
            let mut loading = Loading { standards: Vec::new(), diagnostics: listing.diagnostics };
            for found in listing.files {
                let text = match directory.read(&found.file) {
                    Ok(Some(text)) => text,
                    Ok(None) => continue,
                    Err(error) => {
                        loading.diagnostics.push(Diagnostic::warning(&found.file, error.to_string()));
                        continue;
                    }
                };
                let (file, diagnostics) = standards::read(&found.file, &found.key, &text);
                loading.diagnostics.extend(diagnostics);
                let digest = Digest::of(&text);
                let approved = approved.contains(&(found.file.clone(), digest));
                loading.standards.push(Loaded { found, file, digest, approved });
            }
            Ok(loading)
        })
        .await
    }
}

impl Loading {
    /// What a new text is compared with.
    pub(super) fn existing(&self) -> Vec<Existing<'_>> {
        let files = self.standards.iter().map(|loaded| &loaded.file);
        files.map(|file| Existing { key: &file.key, title: &file.title, content: &file.content }).collect()
    }

    /// The standard of that name.
    pub(super) fn find(&self, key: &StandardKey) -> Option<&Loaded> {
        self.standards.iter().find(|loaded| loaded.file.key == *key)
    }

    /// Estimated tokens of all texts.
    pub(super) fn tokens(&self) -> u64 {
        self.standards.iter().map(|loaded| (loaded.file.content.len() as u64).div_ceil(4)).sum()
    }
}

impl Loaded {
    pub(super) fn summary(&self) -> StandardSummary {
        StandardSummary {
            standard: self.file.key.clone(),
            citation: standards::citation(&self.file.key),
            title: self.file.title.clone(),
            file: self.found.file.clone(),
            tags: self.file.tags.clone(),
            created_by: self.file.created_by.clone(),
            approved_by: self.file.approved_by.clone(),
            created_at: self.file.created_at.clone(),
            updated_at: self.file.updated_at.clone(),
            approved: self.approved,
        }
    }

    pub(super) fn view(&self) -> StandardView {
        StandardView { summary: self.summary(), content: self.file.content.clone() }
    }

    /// When its text was last changed: the day that its file says, else as the file system says. A checkout of a
    /// repository makes all files new.
    pub(super) fn changed_at(&self) -> Timestamp {
        self.file.updated_at.as_deref().and_then(day_read).unwrap_or(self.found.changed_at)
    }
}

const DAY: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year]-[month]-[day]");

/// A day as files say it.
pub(super) fn day(at: Timestamp) -> String {
    let date = time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1_000)).ok();
    date.and_then(|date| date.format(DAY).ok()).unwrap_or_default()
}

/// The beginning of a day that a file says; whatever follows the day is left out.
fn day_read(text: &str) -> Option<Timestamp> {
    let date = time::Date::parse(text.get(..10)?, DAY).ok()?;
    Some(Timestamp(date.midnight().assume_utc().unix_timestamp().saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_and_read() {
        assert_eq!(day(Timestamp(1_790_000_000_000)), "2026-09-21");
        assert_eq!(day_read("2026-09-21T10:00:00Z").map(day), Some("2026-09-21".to_owned()));
        assert_eq!(day_read("yesterday"), None);
    }
}
