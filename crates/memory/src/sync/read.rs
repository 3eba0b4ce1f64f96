//! A file's bytes with their stamp. Leaves out what they say.

use std::{
    io::{self, Read as _},
    path::Path,
};

use masque_extract::Limits;
use masque_types::digest::Digest;

use super::walk::Stamp;

/// What reading a file gave.
#[derive(Debug)]
pub(super) enum Content {
    /// Its bytes, and the stamp that it had before they were read: a change while reading makes another stamp.
    Bytes { bytes: Vec<u8>, digest: Digest, stamp: Stamp },
    /// It is no more.
    Gone,
    /// It cannot be read, or is too large to be.
    Refused { reason: String, stamp: Option<Stamp> },
}

/// Reads a file, unless its size says that it is too large. Blocks.
pub(super) fn read(path: &Path, limits: &Limits) -> Content {
    match try_read(path, limits) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Content::Gone,
        Err(error) => Content::Refused { reason: error.to_string(), stamp: None },
    }
}

fn try_read(path: &Path, limits: &Limits) -> io::Result<Content> {
    let metadata = fs_err::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Ok(Content::Gone);
    }
    let stamp = Stamp::of(&metadata);
    let refused = |error: masque_extract::Error| Content::Refused { reason: error.to_string(), stamp: Some(stamp) };
    if let Err(error) = limits.check_input(stamp.bytes) {
        return Ok(refused(error));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.bytes).unwrap_or_default());
    fs_err::File::open(path)?.take(limits.input_bytes + 1).read_to_end(&mut bytes)?;
    if let Err(error) = limits.check_input(bytes.len() as u64) {
        return Ok(refused(error));
    }
    Ok(Content::Bytes { digest: Digest::of(&bytes), bytes, stamp })
}
