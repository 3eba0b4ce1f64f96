//! The directory beside a persona's file, and the places of shared skills.
//!
//! Owns reading files from it: bounded, regular, never outside of it. What was read becomes part of the persona's digest.
//! Leaves out what the files mean.

use std::path::{Component, Path, PathBuf};

use masque_tree::Place;

use crate::{
    file::{self, Fault},
    notes::Notes,
};

/// The directory beside the file: `mcp.json`, `schemas/`, `hooks/`, `skills/`, `icon.svg`.
#[derive(Debug, Default)]
pub(crate) struct Sibling {
    /// The directory, whether it exists or not. Absent for bundled personas.
    pub(crate) directory: Option<PathBuf>,
    /// The files of a bundled persona, by their paths.
    pub(crate) embedded: &'static [(&'static str, &'static str)],
    /// Directories whose children are skills that a file may name, in search order.
    pub(crate) skill_places: Vec<PathBuf>,
    /// The bytes that were read: what the digest covers.
    pub(crate) read: Vec<Vec<u8>>,
}

impl Sibling {
    /// The text of a file that the persona's file names; what is wrong with it is noted. `what` names it in messages, as
    /// in "the schema".
    pub(crate) fn named(&mut self, path: &str, what: &str, place: Place, notes: &mut Notes) -> Option<String> {
        let hint = format!("put {what} into the directory beside the file and name it from there: `<name>/{path}`");
        if !is_inside(path) || (self.directory.is_none() && self.embedded.is_empty()) {
            notes.error(place, format!("{what} `{path}` is not inside the persona's own directory"), hint);
            return None;
        }
        match self.text(path) {
            Ok(text) => Some(text),
            Err(fault) => {
                notes.error(place, format!("{what} `{path}` {}", fault.message), fault.hint.unwrap_or(&hint));
                None
            }
        }
    }

    /// The text of a file that may be absent.
    pub(crate) fn text(&mut self, path: &str) -> Result<String, Fault> {
        let text = match &self.directory {
            // Most personas have no such directory: one look says so.
            Some(directory) if !directory.is_dir() => return Err(Fault::not_there()),
            Some(directory) => read_below(directory, path)?,
            None => self.embedded_text(path)?.to_owned(),
        };
        self.read.push(text.clone().into_bytes());
        Ok(text)
    }

    fn embedded_text(&self, path: &str) -> Result<&'static str, Fault> {
        let found = self.embedded.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| *text).ok_or_else(Fault::not_there)
    }
}

/// Whether links make a file of somewhere else a part of what a project brings: whoever wrote the project could name any
/// file of its reader so. What is in no project is the user's own and may be wherever they like.
pub(crate) fn leads_out_of_project(path: &Path) -> bool {
    let holds = |directory: &&Path| directory.file_name().is_some_and(|name| name == ".agents" || name == ".claude");
    let Some(project) = path.ancestors().find(holds).and_then(Path::parent) else { return false };
    match (fs_err::canonicalize(project), fs_err::canonicalize(path)) {
        (Ok(root), Ok(target)) => !target.starts_with(root),
        // What is not there is told by reading it.
        _ => false,
    }
}

/// Reads a file below a directory; a link that leads out of it, or out of the project, is refused.
pub(crate) fn read_below(directory: &Path, path: &str) -> Result<String, Fault> {
    let whole = directory.join(path);
    if leads_out_of_project(&whole) {
        return Err(Fault::new("leads out of the project", "put the file itself there"));
    }
    if let (Ok(root), Ok(target)) = (fs_err::canonicalize(directory), fs_err::canonicalize(&whole))
        && !target.starts_with(&root)
    {
        return Err(Fault::new("leads out of the persona's own directory", "put the file itself there"));
    }
    file::read_text(&whole)
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|step| matches!(step, Component::Normal(_)))
}
