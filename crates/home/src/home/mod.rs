//! The directory of a persona: `personas/<name>/` in Masque's home, with its workspace, its saved contexts, its cache,
//! its icon, its key and its activity.
//!
//! Leaves out versions of all that: see [`crate::versions`].

pub mod activity;
mod context;
mod labels;
mod rotation;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use labels::{FILE as LABELS_FILE, Labels};
pub use rotation::{NextRoot, Rotation};

use crate::{
    Error, files,
    icon::Icon,
    identity::{Identities, KeyPair},
    name::Name,
    seal::{Passphrase, Vault},
    versions::Versions,
};

/// All homes of an installation, with what they are sealed and signed with.
#[derive(Debug)]
pub struct Homes {
    directory: PathBuf,
    vault: Arc<Vault>,
    identities: Identities,
}

impl Homes {
    /// Opens the homes below Masque's home; the first time, it makes the keys.
    ///
    /// # Errors
    /// When a key cannot be read or made.
    pub fn open(directory: &Path, passphrase: Option<&Passphrase>) -> Result<Self, Error> {
        files::create_private_directory(directory)?;
        // Resolved once: below it no link is followed.
        let directory = fs_err::canonicalize(directory)?;
        let vault = Arc::new(Vault::open(&directory, passphrase)?);
        let identities = Identities::open(&directory, Arc::clone(&vault))?;
        Ok(Self { directory, vault, identities })
    }

    /// What seals.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Who the personas are.
    #[must_use]
    pub const fn identities(&self) -> &Identities {
        &self.identities
    }

    /// The personas that have a home, in the order of their names.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self) -> Result<Vec<Name>, Error> {
        let entries = match fs_err::read_dir(self.directory.join("personas")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().and_then(|name| Name::of_persona(&name).ok());
            names.extend(name.filter(|_| entry.path().is_dir()));
        }
        names.sort();
        Ok(names)
    }

    /// The home of a persona, made if there is none.
    ///
    /// # Errors
    /// When a directory cannot be made, or an interrupted rollback cannot be finished.
    pub fn create(&self, name: &Name) -> Result<Home, Error> {
        let home = self.at(name);
        // Whatever was interrupted comes first: it may be about to put a directory here.
        home.versions().recover()?;
        for part in ["workspace", "context", "cache"] {
            files::create_private_directory(&home.directory.join(part))?;
        }
        Ok(home)
    }

    /// The home of a persona; none when it has none.
    ///
    /// # Errors
    /// When an interrupted rollback cannot be finished.
    pub fn find(&self, name: &Name) -> Result<Option<Home>, Error> {
        let home = self.at(name);
        home.versions().recover()?;
        Ok(home.directory.is_dir().then_some(home))
    }

    fn at(&self, name: &Name) -> Home {
        Home {
            name: name.clone(),
            directory: home_path(&self.directory, name),
            versions: versions_path(&self.directory, name),
            vault: Arc::clone(&self.vault),
            signer: self.identities.installation().clone(),
        }
    }
}

fn home_path(directory: &Path, name: &Name) -> PathBuf {
    directory.join("personas").join(name.as_str())
}

fn versions_path(directory: &Path, name: &Name) -> PathBuf {
    directory.join("versions").join(name.as_str())
}

/// The home of one persona.
#[derive(Debug, Clone)]
pub struct Home {
    name: Name,
    directory: PathBuf,
    versions: PathBuf,
    vault: Arc<Vault>,
    signer: KeyPair,
}

impl Home {
    /// Whose home it is.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The files that the persona works on.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.directory.join("workspace")
    }

    /// What can be made again: in no version, and empty after a rollback was interrupted.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    /// The versions of this home.
    #[must_use]
    pub fn versions(&self) -> Versions {
        Versions::new(&self.name, &self.directory, &self.versions, Arc::clone(&self.vault), self.signer.clone())
    }

    /// The icon; none when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or is no clean icon.
    pub fn icon(&self) -> Result<Option<Icon>, Error> {
        let path = self.icon_path();
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let icon = Icon::clean(&bytes)?;
        if icon.svg().as_bytes() == bytes {
            return Ok(Some(icon));
        }
        Err(Error::damaged(path.display().to_string(), "it holds what no clean icon would: set the icon again"))
    }

    /// Keeps an icon.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_icon(&self, icon: &Icon) -> Result<(), Error> {
        files::write_private(&self.icon_path(), icon.svg().as_bytes())
    }

    fn icon_path(&self) -> PathBuf {
        self.directory.join("icon.svg")
    }

    /// Says where a file of this home came from, by its path in the home; versions keep it with the file. `None`
    /// takes the label away.
    ///
    /// # Errors
    /// When the labels cannot be read or written.
    pub fn label(&self, path: &str, origin: Option<&str>) -> Result<(), Error> {
        let mut labels = Labels::read(&self.directory)?;
        labels.set(path, origin);
        labels.write(&self.directory)
    }

    /// Where a file of this home came from, if that was said.
    ///
    /// # Errors
    /// When the labels cannot be read.
    pub fn origin(&self, path: &str) -> Result<Option<String>, Error> {
        Ok(Labels::read(&self.directory)?.of(path).map(str::to_owned))
    }
}
