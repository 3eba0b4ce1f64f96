//! Exports among the files of a fleet: each carries a whole fleet, and nothing else is read beside them.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{Error, export::Files, import, model::Fleet};

use super::node::Place;

/// Endings of the files of an export that carry a part of the fleet.
const ENDINGS: [&str; 4] = ["container", "volume", "yaml", "yml"];

/// What was found of an export so far.
#[derive(Debug, Default)]
pub(super) struct Exports {
    files: Files,
    /// The fleet as JSON, as containers get it.
    description: Option<String>,
    /// The first place of it, for messages.
    pub(super) place: Option<Place>,
}

impl Exports {
    /// Takes what a path leads to, if that can only be an export: a directory, or objects of Kubernetes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn take(&mut self, path: &Path) -> io::Result<bool> {
        let found = if path.is_dir() {
            of_directory(path)?
        } else if ending(path).is_some_and(|ending| matches!(ending, "yaml" | "yml")) {
            // What cannot be read is told by who reads manifests.
            let text = fs_err::read_to_string(path).ok().filter(|text| import::is_own_kube(text));
            text.map(|text| (path.to_owned(), text)).into_iter().collect()
        } else {
            Vec::new()
        };
        let is_one = !found.is_empty() || path.is_dir();
        if is_one {
            self.files.0.extend(found);
            self.note(Place::whole(path));
        }
        Ok(is_one)
    }

    /// Takes a Compose file that Masque wrote.
    pub(super) fn take_compose(&mut self, path: &Path, text: String, place: &Place) {
        self.files.0.insert(path.to_owned(), text);
        self.note(place.clone());
    }

    /// Takes a fleet as JSON.
    pub(super) fn take_description(&mut self, text: String, place: &Place) {
        self.description = Some(text);
        self.note(place.clone());
    }

    fn note(&mut self, place: Place) {
        self.place.get_or_insert(place);
    }

    /// The fleet.
    ///
    /// # Errors
    /// When the files carry none, or are broken.
    pub(super) fn fleet(&self) -> Result<Fleet, Error> {
        self.description.as_ref().map_or_else(|| import::any(&self.files), |text| import::description(text))
    }
}

/// The files of a directory, and of those in it: one for each host.
fn of_directory(directory: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for path in entries(directory)? {
        let inner = if path.is_dir() { entries(&path)? } else { vec![path] };
        for path in inner.into_iter().filter(|path| path.is_file()) {
            if ending(&path).is_some_and(|ending| ENDINGS.contains(&ending)) {
                files.push((path.clone(), fs_err::read_to_string(&path)?));
            }
        }
    }
    Ok(files)
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs_err::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
}

fn ending(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}
