//! Writing a rendered fleet into files, those with values from outside of the manifest for this user only.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use masque_fleet::export::Files;

use super::Manifest;
use crate::Error;

/// Shorter values are no secrets, and found everywhere.
const SHORTEST: usize = 4;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// All files.
    pub files: Vec<PathBuf>,
    /// Those that hold values from outside of the manifest, readable for this user only, and what names the values there.
    pub private: Vec<(PathBuf, Vec<String>)>,
}

impl Manifest {
    /// Writes what this fleet was rendered as below a directory, which is made if need be; others in it stay.
    ///
    /// # Errors
    /// When a file or a directory cannot be written.
    pub fn write(&self, files: Files, directory: &Path) -> Result<Written, Error> {
        let values = self.values_from_outside();
        let mut written =
            Written { files: files.0.keys().map(|path| directory.join(path)).collect(), private: Vec::new() };
        let mut public = Files::default();
        for (path, text) in files.0 {
            let holds =
                |value: &str| value.len() >= SHORTEST && (text.contains(value) || text.contains(&escaped(value)));
            let held: Vec<String> =
                values.iter().filter(|(_, value)| holds(value)).map(|(name, _)| name.clone()).collect();
            if held.is_empty() {
                public.0.insert(path, text);
            } else {
                write_private(&directory.join(&path), &text)?;
                written.private.push((directory.join(path), held));
            }
        }
        public.write(directory)?;
        Ok(written)
    }
}

/// As it stands between quotation marks.
fn escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted.trim_matches('"').to_owned()
}

fn write_private(file: &Path, text: &str) -> Result<(), Error> {
    if let Some(parent) = file.parent() {
        fs_err::create_dir_all(parent)?;
    }
    // An earlier one may be open to others, or be open right now.
    match fs_err::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = fs_err::OpenOptions::new();
    Ok(options.write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())?)
}
