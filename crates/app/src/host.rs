//! The process that Masque runs in: its environment, directories and executable. The only reader of the environment.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::Error;

/// The process that Masque runs in, read once.
#[derive(Debug, Clone)]
pub struct Host {
    /// Environment variables that are valid UTF-8.
    pub environment: BTreeMap<String, String>,
    /// The working directory.
    pub directory: PathBuf,
    /// The running executable.
    pub executable: PathBuf,
    /// Where Masque keeps its data: `$MASQUE_HOME`, else `$XDG_DATA_HOME/masque`.
    pub home: PathBuf,
    /// Where the user's configuration is: `$XDG_CONFIG_HOME/masque`.
    pub config: PathBuf,
    /// The account's name.
    pub user: String,
}

impl Host {
    /// Reads the process.
    ///
    /// # Errors
    /// When the working directory is gone, or neither `HOME` nor the directories that replace it are set.
    pub fn read() -> Result<Self, Error> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let directory = std::env::current_dir()
            .and_then(|directory| directory.canonicalize())
            .map_err(|error| Error::environment(format!("the working directory cannot be read: {error}")))?;
        let executable = std::env::current_exe()?;
        Self::new(environment, directory, executable)
    }

    fn new(environment: BTreeMap<String, String>, directory: PathBuf, executable: PathBuf) -> Result<Self, Error> {
        let home = base(&environment, "XDG_DATA_HOME", ".local/share").map(|base| base.join("masque"));
        let home = match environment.get("MASQUE_HOME").filter(|home| !home.is_empty()) {
            Some(home) => directory.join(home),
            None => home?,
        };
        let config =
            base(&environment, "XDG_CONFIG_HOME", ".config").map_or_else(|_| home.clone(), |b| b.join("masque"));
        let user = ["USER", "LOGNAME"].iter().find_map(|name| environment.get(*name)).cloned();
        let user = user.unwrap_or_else(|| "local".to_owned());
        Ok(Self { environment, directory, executable, home, config, user })
    }

    /// A host whose directories lie below one of a test.
    #[cfg(test)]
    pub(crate) fn for_tests(root: &Path) -> Self {
        Self {
            environment: BTreeMap::new(),
            directory: root.into(),
            executable: "masque".into(),
            home: root.join("home"),
            config: root.join("config"),
            user: "ada".into(),
        }
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The project that a directory belongs to: the nearest ancestor with `.git`, `.masque` or `.agents`, or itself.
    ///
    /// Marks further up count only when they belong to this user, to root or to the directory's own owner: in `/tmp`
    /// anyone can make one, and with it personas and settings for all that is below.
    #[must_use]
    pub fn project(directory: &Path) -> PathBuf {
        let owner = |path: &Path| fs_err::symlink_metadata(path).ok().map(|metadata| metadata.uid());
        let owners = [Some(rustix::process::geteuid().as_raw()), Some(0), owner(directory)];
        // While a sandbox runs in a directory, empty placeholders stand for what is absent there.
        let is_mark = |candidate: &Path, path: &Path| {
            path.exists()
                && !masque_sandbox::is_placeholder_at(path)
                && (candidate == directory || owners.contains(&owner(path)))
        };
        let marked = |candidate: &&Path| {
            [".git", ".masque", ".agents"].iter().any(|mark| is_mark(candidate, &candidate.join(mark)))
        };
        directory.ancestors().find(marked).unwrap_or(directory).to_owned()
    }
}

fn base(environment: &BTreeMap<String, String>, variable: &str, below_home: &str) -> Result<PathBuf, Error> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(variable).filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(below_home))).ok_or_else(|| {
        Error::environment("neither HOME nor MASQUE_HOME is set")
            .hint("set MASQUE_HOME to a directory for Masque's data")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_make_a_project_of_what_is_below() {
        let root = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(root.path()).unwrap();
        let below = root.join("a/b");
        fs_err::create_dir_all(&below).unwrap();
        fs_err::create_dir(root.join(".agents")).unwrap();
        assert_eq!(Host::project(&below), root, "one's own mark counts");
        if std::os::unix::fs::lchown(root.join(".agents"), Some(12345), None).is_ok() {
            assert_eq!(Host::project(&below), below, "a stranger's does not");
            std::os::unix::fs::lchown(&below, Some(12345), None).unwrap();
            assert_eq!(Host::project(&below), root, "unless the directory is the stranger's as well");
        }
    }
}
