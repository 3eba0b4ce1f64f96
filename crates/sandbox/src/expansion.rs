//! What the patterns and protected names of a profile mean in a workspace right now, for other backends: [`Expansion`].

use std::{path::PathBuf, sync::Arc};

use crate::{
    Error, Profile,
    assemble::resolve,
    hidden::Patterns,
    protect::{Placeholder, Protection},
};

/// Paths of a workspace as they are now. While it is kept, placeholders stand for protected paths that are absent.
#[derive(Debug)]
pub struct Expansion {
    /// The workspace at its resolved path.
    pub workspace: PathBuf,
    /// Existing paths that must not be readable; absolute.
    pub hidden: Vec<PathBuf>,
    /// Existing paths, placeholders included, that must not be changed; absolute.
    pub read_only: Vec<PathBuf>,
    _placeholders: Vec<Arc<Placeholder>>,
}

impl Expansion {
    /// Looks through the workspace of a profile. Blocks, longer when the workspace is large.
    ///
    /// # Errors
    /// When a pattern is wrong, a path cannot be protected, or there is too much to look through.
    pub fn of(profile: &Profile) -> Result<Self, Error> {
        let workspace = resolve(std::path::Path::new("/"), &profile.workspace)?;
        let mut protection = Protection::default();
        for path in &profile.read_only {
            protection.protect(&workspace, path)?;
        }
        // A container goes on when this process is killed, until the next one ends it.
        protection.placeholders.iter().for_each(|placeholder| placeholder.leave_to_the_next());
        let found = Patterns::compiled(&profile.hidden)?.find(&workspace)?;
        let hidden = found.into_iter().map(|(path, _)| workspace.join(path)).collect();
        let covered = protection.covered.into_iter().map(|(path, _)| path);
        let read_only = protection.read_only.into_iter().chain(covered).map(|path| workspace.join(path)).collect();
        Ok(Self { workspace, hidden, read_only, _placeholders: protection.placeholders })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_absent_names_become_paths_and_leave_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(directory.path()).unwrap();
        fs_err::create_dir_all(root.join(".git/hooks")).unwrap();
        fs_err::write(root.join(".env"), "").unwrap();
        fs_err::write(root.join("a.secret"), "").unwrap();
        let profile = Profile {
            hidden: vec!["*.secret".to_owned()],
            read_only: vec![".git/hooks".into(), ".masque".into()],
            ..Profile::new(root.clone())
        };
        let expansion = Expansion::of(&profile).unwrap();
        let mut hidden = expansion.hidden.clone();
        hidden.sort();
        assert_eq!(hidden, [root.join(".env"), root.join("a.secret")]);
        assert_eq!(expansion.read_only, [root.join(".git/hooks"), root.join(".masque")]);
        assert!(root.join(".masque").is_dir(), "a placeholder stands for it");
        drop(expansion);
        assert!(!root.join(".masque").exists());
    }
}
