//! Whether what a service executes is there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_fleet::model::{Command, Service};

use super::environment::path_of;

/// Why a service cannot run: its script, its program or its directory is not there. `own` is the environment of the
/// supervisor.
#[must_use]
pub fn missing(service: &Service, own: &BTreeMap<String, String>) -> Option<String> {
    let program = &service.program;
    if let Some(image) = &program.image {
        return Some(format!("it runs in the image `{image}`, which `masque fleet deploy` starts and no supervisor"));
    }
    if let Some(script) = &program.script {
        match &program.script_file {
            None => return Some(format!("script `{script}` is in none of the fleet's directories")),
            Some(file) if !file.is_file() => return Some(format!("script {} is not there", file.display())),
            Some(_) => {}
        }
    }
    if !program.directory.is_dir() {
        return Some(format!("directory {} is not there", program.directory.display()));
    }
    // A shell says itself what it does not find.
    let Command::Exec(words) = &program.command else { return None };
    let word = words.first().map(String::as_str).unwrap_or_default();
    let path = path_of(service, own);
    let is_there = if word.contains('/') {
        program.directory.join(word).is_file()
    } else {
        !word.is_empty() && directories(&path).any(|directory| directory.join(word).is_file())
    };
    (!is_there).then(|| format!("program `{word}` is not there; PATH is {path}"))
}

fn directories(path: &str) -> impl Iterator<Item = PathBuf> {
    path.split(':').filter(|directory| directory.starts_with('/')).map(|directory| Path::new(directory).to_path_buf())
}
