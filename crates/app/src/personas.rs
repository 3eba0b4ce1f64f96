//! Use cases over personas: list, find, check; and in the files below, write, import and export.

mod author;
mod files;
mod transfer;

use std::path::{Path, PathBuf};

use masque_persona::Sources;
pub use masque_persona::{Catalog, Loaded, dialect::Loss, schema};
use masque_types::{diagnostic::Diagnostic, instruction::Instruction};

pub use self::{
    author::{Draft, Edit, Place, Reach, compose, directory, draft, edit, in_editor},
    files::Replace,
    transfer::{
        Exported, ImportOrder, ImportStatus, ImportedFile, Weaker, dialect_named, export, export_dialects, status_name,
    },
};
use crate::{Error, host::Host};

/// All personas that a project and its user have.
#[must_use]
pub fn catalog(host: &Host, project: &Path) -> Catalog {
    masque_persona::load(&sources(host, project))
}

pub(crate) fn sources(host: &Host, project: &Path) -> Sources {
    Sources { project: Some(project.to_owned()), user: Some(host.config.join("agents")) }
}

/// The persona of a name.
///
/// # Errors
/// When there is none; the error names the nearest one, or what is wrong with its file.
pub fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Loaded, Error> {
    if let Some(loaded) = catalog.find(name) {
        return Ok(loaded);
    }
    if let Some(broken) = catalog.find_broken(name) {
        let findings = catalog.diagnostics_of(&broken.file).map(ToString::to_string).collect::<Vec<_>>().join("\n");
        return Err(Error::usage(format!("the file of persona `{name}` cannot be used\n{findings}"))
            .hint(format!("mend {}, then check it with `masque persona validate`", broken.file)));
    }
    let error = Error::usage(format!("there is no persona `{name}`"));
    let error = match catalog.suggest(name) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    };
    Err(error.hint("`masque persona list` shows all personas"))
}

/// The instructions that a project gives to whoever works in a directory of it, as they are in the context of new runs.
#[must_use]
pub fn instructions(directory: &Path) -> Vec<Instruction> {
    masque_persona::instructions(&Host::project(directory), directory).0
}

/// What is wrong with persona files: the given ones, or all that a project and its user have.
#[must_use]
pub fn validate(host: &Host, project: &Path, files: &[PathBuf]) -> Vec<(String, Vec<Diagnostic>)> {
    if files.is_empty() {
        let catalog = catalog(host, project);
        let usable = catalog.personas.iter().map(|loaded| loaded.persona.source.clone());
        let broken = catalog.broken.iter().map(|broken| broken.file.clone());
        return usable
            .chain(broken)
            .filter(|file| file != "bundled")
            .map(|file| {
                let findings = catalog.diagnostics_of(&file).cloned().collect();
                (file, findings)
            })
            .collect();
    }
    let sources = sources(host, project);
    files.iter().map(|file| (file.display().to_string(), masque_persona::read_file(file, &sources).1)).collect()
}
