//! The root key: a file that only its owner can read, or derived from a passphrase.

use std::{
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use masque_types::{digest::Digest, secret::Secret};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{KEY_BYTES, Key};
use crate::{Error, files};

/// Argon2id as recommended for keys of data at rest: a quarter of a second on a common machine.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// Bounds of what a file may ask for, so that a changed one cannot stop the machine.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 16;

/// A passphrase, given by a person or by the environment.
pub type Passphrase = Secret;

/// Where the root key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RootSource {
    /// The file `seal.key`.
    File,
    /// Argon2id of a passphrase.
    Passphrase { salt: String, memory_kib: u32, passes: u32 },
}

impl RootSource {
    pub(super) fn new_passphrase() -> Self {
        let salt: [u8; 16] = rand::rng().random();
        Self::Passphrase { salt: Digest::of(salt).to_string(), memory_kib: MEMORY_KIB, passes: PASSES }
    }

    pub(super) fn derive(&self, passphrase: Option<&Passphrase>) -> Result<Key, Error> {
        let Self::Passphrase { salt, memory_kib, passes } = self else {
            return Err(Error::Passphrase { why: "the record of the root key says otherwise" });
        };
        let passphrase = passphrase.ok_or(Error::Passphrase { why: "none was given" })?;
        if *memory_kib > MOST_MEMORY_KIB || *passes > MOST_PASSES {
            return Err(Error::damaged("vault.json", "it asks for more memory or time than any version would"));
        }
        let unfit = |error: argon2::Error| Error::damaged("vault.json", error.to_string());
        let settings = Params::new(*memory_kib, *passes, 1, Some(KEY_BYTES)).map_err(unfit)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, settings)
            .hash_password_into(passphrase.expose().as_bytes(), salt.as_bytes(), key.as_mut_slice())
            .map_err(unfit)?;
        Ok(Key::new(*key))
    }
}

/// The file of the root key.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("seal.key")
}

/// The next root key, while a rotation is under way.
pub(super) fn next_path(directory: &Path) -> PathBuf {
    directory.join("seal.key.next")
}

/// Reads a key file; none when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Key>, Error> {
    let mut file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Of the file that was opened: the one at this path may be another one by now.
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_owned() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    file.read_to_end(&mut bytes)?;
    let wrong = || Error::RootKey { path: path.to_owned(), why: "it does not have 32 bytes".to_owned() };
    Key::from_slice(&bytes).map(Some).ok_or_else(wrong)
}

/// Reads the key file, and makes it if there is none.
pub(super) fn read_or_create(directory: &Path) -> Result<Key, Error> {
    let path = path(directory);
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    // Another process may be faster: whatever stands there then is the key.
    files::create_private(&path, Key::random().bytes())?;
    read(&path)?.ok_or_else(|| Error::RootKey { path, why: "it vanished".to_owned() })
}
