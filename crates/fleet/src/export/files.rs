//! [`Files`]: what an export wrote.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Files by their path within the directory of the export.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files(pub BTreeMap<PathBuf, String>);

impl Files {
    pub(super) fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.0.insert(path.into(), text.into());
    }

    /// Writes them below a directory, which is made if need be; others in it stay.
    ///
    /// # Errors
    /// When a file or a directory cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        for (path, text) in &self.0 {
            let file = directory.join(path);
            if let Some(parent) = file.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(file, text)?;
        }
        Ok(())
    }

    /// Reads all text files of a directory and of those below it.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            for entry in fs_err::read_dir(directory.join(&below))? {
                let entry = entry?;
                let path = below.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    open.push(path);
                } else if let Ok(text) = String::from_utf8(fs_err::read(entry.path())?) {
                    files.0.insert(path, text);
                }
            }
        }
        Ok(files)
    }
}
