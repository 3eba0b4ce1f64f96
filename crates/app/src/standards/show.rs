//! Listing, showing and checking the standards of a project, and how they are used.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use masque_memory::standards::{self, secrets};
use masque_store::{ProposalQuery, StandardUses};
use masque_types::standard::{ProposalStatus, StandardKey};

use super::{
    project::{Loaded, Loading},
    view::{Checked, Severity, StandardStatistics, StandardSummary, StandardUse, StandardView},
};
use crate::{App, Error};

/// After which time without a change a standard may be stale.
const OLD: Duration = Duration::from_hours(24 * 365);

impl App {
    /// The standards of a project.
    ///
    /// # Errors
    /// When the directory of the standards cannot be read.
    pub async fn standards(&self, project: &Path) -> Result<Vec<StandardSummary>, Error> {
        let project = self.standards_project(project)?;
        self.finish_approvals(&project).await?;
        Ok(self.load(&project).await?.standards.iter().map(Loaded::summary).collect())
    }

    /// One standard of a project by `domain/topic`; a citation (`standard://…`) works too.
    ///
    /// # Errors
    /// When there is none.
    pub async fn standard(&self, project: &Path, key: &str) -> Result<StandardView, Error> {
        let key = standards::parse(key).map_err(|error| Error::usage(error.to_string()))?;
        let project = self.standards_project(project)?;
        self.finish_approvals(&project).await?;
        let loading = self.load(&project).await?;
        loading.find(&key).map(Loaded::view).ok_or_else(|| {
            let place = project.directory.below();
            Error::usage(format!("there is no standard {key} in {place}"))
                .hint("`masque standard list` shows what there is")
        })
    }

    /// Everything that is wrong with the standards of a project, or worth a look, by file and line. What this process
    /// knew of the files is forgotten, so that the next search looks at each of them.
    ///
    /// # Errors
    /// When the standards cannot be read.
    pub async fn check_standards(&self, project: &Path) -> Result<Vec<Checked>, Error> {
        let project = self.standards_project(project)?;
        self.finish_approvals(&project).await?;
        self.forget_seen_standards(&project);
        let loading = self.load(&project).await?;
        let mut checked: Vec<Checked> = loading
            .diagnostics
            .iter()
            .map(|told| Checked {
                file: told.file.clone(),
                line: told.line,
                severity: Severity::Warning,
                kind: "file",
                message: told.message.clone(),
            })
            .collect();
        let existing = loading.existing();
        for loaded in &loading.standards {
            checked.extend(secrets_of(loaded));
            checked.extend(findings_of(loaded, &existing));
        }
        checked.sort_by(|one, two| (&one.file, one.line).cmp(&(&two.file, two.line)));
        Ok(checked)
    }

    /// How the standards of a project are used, and which look stale.
    ///
    /// # Errors
    /// When the standards or the store cannot be read.
    pub async fn standard_stats(&self, project: &Path) -> Result<StandardStatistics, Error> {
        let project = self.standards_project(project)?;
        self.finish_approvals(&project).await?;
        let loading = self.load(&project).await?;
        let uses = self.store.standard_uses(&project.id).await?;
        let query = ProposalQuery {
            project: Some(project.id.clone()),
            status: Some(ProposalStatus::Draft),
            run: None,
            limit: 1_000,
        };
        let open_proposals = self.store.proposals(&query).await?.len();
        let standards = self.uses_of(&loading, uses, project.directory.project());
        Ok(StandardStatistics { standards, open_proposals })
    }

    fn uses_of(&self, loading: &Loading, uses: Vec<StandardUses>, project: &Path) -> Vec<StandardUse> {
        let uses: BTreeMap<StandardKey, StandardUses> =
            uses.into_iter().map(|uses| (uses.standard.clone(), uses)).collect();
        let now = self.clock.now();
        let mut all: Vec<StandardUse> = loading
            .standards
            .iter()
            .map(|loaded| {
                let known = uses.get(&loaded.file.key);
                let mut stale = Vec::new();
                if now.since(loaded.changed_at()) > OLD {
                    stale.push("was not changed for more than a year".to_owned());
                }
                stale.extend(gone(&loaded.file.content, project).map(|path| format!("names {path}, which is gone")));
                StandardUse {
                    standard: loaded.file.key.clone(),
                    file: loaded.found.file.clone(),
                    approved: loaded.approved,
                    queries: known.map_or(0, |uses| uses.queries),
                    last_used_at: known.map(|uses| uses.last_used_at),
                    changed_at: loaded.changed_at(),
                    stale,
                }
            })
            .collect();
        all.sort_by(|one, two| two.queries.cmp(&one.queries).then_with(|| one.standard.cmp(&two.standard)));
        all
    }
}

fn secrets_of(loaded: &Loaded) -> impl Iterator<Item = Checked> {
    let above = loaded.file.content_line.saturating_sub(1);
    secrets::scan(&loaded.file.content).into_iter().map(move |leak| Checked {
        file: loaded.found.file.clone(),
        line: Some(leak.line.saturating_add(above)),
        severity: Severity::Warning,
        kind: "secret",
        message: format!("holds a secret ({}): write {} instead", leak.kind, leak.placeholder),
    })
}

fn findings_of(loaded: &Loaded, existing: &[standards::Existing<'_>]) -> Vec<Checked> {
    let above = loaded.file.content_line.saturating_sub(1);
    let file = &loaded.file;
    let findings = standards::review(&file.key, &file.title, &file.content, existing);
    let unapproved = (!loaded.approved).then(|| Checked {
        file: loaded.found.file.clone(),
        line: None,
        severity: Severity::Note,
        kind: "unapproved",
        message: "is not what a person approved here".to_owned(),
    });
    let found = findings.into_iter().map(|finding| Checked {
        file: loaded.found.file.clone(),
        line: finding.line.map(|line| line.saturating_add(above)),
        severity: finding.severity,
        kind: finding.kind,
        message: finding.message,
    });
    unapproved.into_iter().chain(found).collect()
}

/// Paths of the project that a text names in `code` and that are not there. Only paths whose first directory exists
/// count: all others may be addresses, packages, or other repositories.
fn gone<'a>(content: &'a str, project: &'a Path) -> impl Iterator<Item = String> + 'a {
    let quoted: BTreeSet<&str> = content.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    quoted.into_iter().filter_map(move |text| {
        let path = text.split(':').next().unwrap_or(text).trim_end_matches('/');
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-');
        let (first, _) = path.split_once('/')?;
        let is_path = path.chars().all(plain) && !first.is_empty() && !path.contains("..") && !text.contains("//");
        (is_path && project.join(first).is_dir() && !project.join(path).exists()).then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_project_are_gone() {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(root.path().join("src")).unwrap();
        fs_err::write(root.path().join("src/main.rs"), "").unwrap();
        let text =
            "See `src/main.rs:12`, `src/old.rs`, `src/*.rs`, `GET /api/v1`, `api/v1`, `https://src/x`, `../src/y`.";
        assert_eq!(gone(text, root.path()).collect::<Vec<_>>(), ["src/old.rs"]);
    }
}
