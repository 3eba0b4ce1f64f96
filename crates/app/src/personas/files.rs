//! Writing persona files: whole or not at all, never over something without being told to.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::Error;

/// Whether a file that stands there may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and writing is refused.
    Never,
    /// It is replaced.
    Allowed,
}

/// Writes a file, with its directories. A reader sees the old content or the new one, never a part.
pub(super) fn write(path: &Path, content: &[u8], replace: Replace) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(directory)?;
    let mut fresh = tempfile::Builder::new().prefix(".masque-").tempfile_in(directory)?;
    fresh.write_all(content)?;
    fresh.as_file().sync_data()?;
    readable_as_others(&fresh)?;
    let persisted = match replace {
        Replace::Never => fresh.persist_noclobber(path),
        Replace::Allowed => fresh.persist(path),
    };
    match persisted {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!("{} is there already", path.display());
            Err(Error::refused(message).hint("look at it; `--force` replaces it"))
        }
        Err(error) => Err(error.error.into()),
    }
}

/// Temporary files are private; a persona of a project is for everyone who works in it.
fn readable_as_others(file: &tempfile::NamedTempFile) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?)
}

/// Bounds of what is copied along with a persona.
const MOST_FILES: usize = 500;
const MOST_BYTES: u64 = 32 << 20;

/// Copies the directory beside a persona's file: regular files only, links stay behind.
pub(super) fn copy_beside(from: &Path, to: &Path, replace: Replace) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    let (mut open, mut bytes) = (vec![PathBuf::new()], 0);
    while let Some(below) = open.pop() {
        let Ok(entries) = fs_err::read_dir(from.join(&below)) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let metadata = fs_err::symlink_metadata(entry.path())?;
            bytes += metadata.len();
            if written.len() >= MOST_FILES || bytes > MOST_BYTES {
                let message = format!("{} holds too much to be copied along", from.display());
                return Err(Error::refused(message).hint("keep what the persona needs there, and nothing else"));
            }
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() {
                let target = to.join(&path);
                write(&target, &fs_err::read(entry.path())?, replace)?;
                written.push(target);
            }
        }
    }
    Ok(written)
}
