//! Saved contexts: named, sealed, with a label of where they came from.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::Home;
use crate::{
    Error, files,
    name::Name,
    seal::{Item, LOCAL},
};

const ENDING: &str = "sealed";

impl Home {
    /// Seals a context under a name, in place of an earlier one, with the source that it was learned from.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_context(&self, name: &Name, context: &[u8], origin: Option<&str>) -> Result<(), Error> {
        let item = context_item(name);
        let sealed = self.vault.seal(&self.item(&item), context)?;
        files::write_private(&self.context_path(name), &sealed)?;
        let path = format!("context/{name}.{ENDING}");
        if origin == self.origin(&path)?.as_deref() { Ok(()) } else { self.label(&path, origin) }
    }

    /// Unseals a context; none when there is none of that name.
    ///
    /// # Errors
    /// When it was changed, moved or sealed with another key.
    pub fn context(&self, name: &Name) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let item = context_item(name);
        let sealed = files::read_if_there(&self.context_path(name))?;
        sealed.map(|sealed| self.vault.unseal(&self.item(&item), &sealed)).transpose()
    }

    /// Removes a context.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be removed.
    pub fn remove_context(&self, name: &Name) -> Result<(), Error> {
        if self.context(name)?.is_none() {
            return Err(Error::Nothing { persona: self.name.to_string(), what: format!("context `{name}`") });
        }
        Ok(fs_err::remove_file(self.context_path(name))?)
    }

    /// The names of the saved contexts, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn contexts(&self) -> Result<Vec<Name>, Error> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(self.directory.join("context"))? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".sealed"));
            names.extend(stem.and_then(|stem| Name::of_context(stem).ok()));
        }
        names.sort();
        Ok(names)
    }

    /// Moves all saved contexts and versions to the newest key of the tenant. Only keys are sealed again, no data.
    /// Gives how many files were written.
    ///
    /// # Errors
    /// When something cannot be unsealed or written.
    pub fn rewrap(&self) -> Result<usize, Error> {
        let mut count = 0;
        for name in self.contexts()? {
            let (path, item) = (self.context_path(&name), context_item(&name));
            if let Some(rewrapped) = self.vault.rewrap(&self.item(&item), &fs_err::read(&path)?)? {
                files::write_private(&path, &rewrapped)?;
                count += 1;
            }
        }
        Ok(count + self.versions().rewrap()?)
    }

    fn item<'a>(&'a self, item: &'a str) -> Item<'a> {
        Item { tenant: LOCAL, persona: self.name.as_str(), item, version: 0 }
    }

    fn context_path(&self, name: &Name) -> PathBuf {
        self.directory.join("context").join(format!("{name}.{ENDING}"))
    }
}

fn context_item(name: &Name) -> String {
    format!("context/{name}")
}
