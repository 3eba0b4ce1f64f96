//! Labels of origin: from which source a file of a home was learned. A small file in the home.

use std::{collections::BTreeMap, path::Path};

use crate::{Error, files};

/// Its name in the home.
pub(crate) const FILE: &str = "origins.json";

/// Origins by path.
#[derive(Debug, Default)]
pub(crate) struct Labels(BTreeMap<String, String>);

impl Labels {
    pub(crate) fn read(home: &Path) -> Result<Self, Error> {
        let path = home.join(FILE);
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(Self::default()) };
        let labels = serde_json::from_slice(&bytes);
        labels.map(Self).map_err(|error| Error::damaged(path.display().to_string(), error.to_string()))
    }

    pub(crate) fn of(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    pub(super) fn set(&mut self, path: &str, origin: Option<&str>) {
        match origin {
            Some(origin) => self.0.insert(path.to_owned(), origin.to_owned()),
            None => self.0.remove(path),
        };
    }

    pub(super) fn write(&self, home: &Path) -> Result<(), Error> {
        files::write_private(&home.join(FILE), serde_json::to_string_pretty(&self.0)?.as_bytes())
    }
}
