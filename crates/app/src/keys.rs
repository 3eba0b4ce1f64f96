//! The sealed store of provider keys: `keys.json` in Masque's home, each key encrypted for its provider's name.
//!
//! XChaCha20-Poly1305 under a random key in `seal.key`, a file that only its owner can read. This keeps keys out of
//! backups, searches and accidental prints of the home; whoever can read all files of the account can unseal them.

use std::{
    collections::BTreeMap,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use masque_types::{actor::Actor, secret::Secret};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{App, Error, audit, host::Host};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    keys: BTreeMap<String, Sealed>,
}

/// A sealed text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    nonce: String,
    sealed: String,
}

impl App {
    /// Seals the key of a provider.
    ///
    /// # Errors
    /// When there is no such provider, the key is empty, or the files cannot be written.
    pub async fn set_key(&self, actor: &Actor, provider: &str, key: &Secret) -> Result<(), Error> {
        self.check_provider(provider)?;
        let key = Secret::new(key.expose().trim());
        if key.expose().is_empty() || key.expose().chars().any(char::is_whitespace) {
            return Err(Error::usage("the key is empty or holds white space").hint("paste the key alone, on one line"));
        }
        let mut file = read(&self.host)?;
        file.keys.insert(provider.to_owned(), seal(&self.host, provider, &key)?);
        write(&self.host, &file)?;
        self.audit_key(actor, "key.set", provider).await
    }

    /// Removes the sealed key of a provider.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub async fn remove_key(&self, actor: &Actor, provider: &str) -> Result<(), Error> {
        let mut file = read(&self.host)?;
        if file.keys.remove(provider).is_none() {
            return Err(Error::usage(format!("there is no sealed key for `{provider}`"))
                .hint("`masque key list` shows which there are"));
        }
        write(&self.host, &file)?;
        self.audit_key(actor, "key.remove", provider).await
    }

    /// The providers that have a sealed key.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn sealed_keys(&self) -> Result<Vec<String>, Error> {
        Ok(read(&self.host)?.keys.into_keys().collect())
    }

    async fn audit_key(&self, actor: &Actor, action: &str, provider: &str) -> Result<(), Error> {
        Ok(self.store.audit(audit::entry(self.now(), actor, action, None, provider, json!({}))).await?)
    }
}

/// All sealed keys, by provider.
///
/// # Errors
/// When a file is damaged, or others can read the sealing key.
pub(crate) fn unsealed(host: &Host) -> Result<BTreeMap<String, Secret>, Error> {
    let file = read(host)?;
    file.keys.iter().map(|(provider, sealed)| Ok((provider.clone(), unseal(host, provider, sealed)?))).collect()
}

fn path(host: &Host) -> PathBuf {
    host.home.join("keys.json")
}

fn read(host: &Host) -> Result<KeyFile, Error> {
    let text = match fs_err::read_to_string(path(host)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(KeyFile { version: 1, ..KeyFile::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let file: KeyFile = serde_json::from_str(&text).map_err(|error| damaged(&path(host), &error.to_string()))?;
    if file.version == 1 { Ok(file) } else { Err(damaged(&path(host), "it is of another version")) }
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::environment(format!("{} cannot be used: {what}", path.display()))
        .hint("remove the file and set your keys again: masque key set PROVIDER")
}

fn write(host: &Host, file: &KeyFile) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(file).map_err(|error| Error::environment(error.to_string()))?;
    write_private(&path(host), text.as_bytes())
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(directory) = path.parent() {
        fs_err::create_dir_all(directory)?;
    }
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = fs_err::OpenOptions::from_options(options).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(fs_err::rename(&fresh, path)?)
}

fn cipher(host: &Host) -> Result<XChaCha20Poly1305, Error> {
    let path = host.home.join("seal.key");
    let bytes = match fs_err::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let fresh: [u8; KEY_BYTES] = rand::rng().random();
            write_private(&path, &fresh)?;
            fresh.to_vec()
        }
        Err(error) => return Err(error.into()),
    };
    if fs_err::metadata(&path)?.permissions().mode() & 0o077 != 0 {
        return Err(Error::refused(format!("{} can be read by others", path.display()))
            .hint(format!("chmod 600 {}, and set your keys again if others may have read it", path.display())));
    }
    XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| damaged(&path, "it does not have 32 bytes"))
}

/// The provider's name is authenticated with the key, so that entries cannot be swapped.
fn associated(provider: &str) -> Vec<u8> {
    format!("masque/key/v1/{provider}").into_bytes()
}

/// Seals a text for a name, under which alone it can be unsealed.
///
/// # Errors
/// When the sealing key cannot be read or made, or others can read it.
pub(crate) fn seal(host: &Host, provider: &str, key: &Secret) -> Result<Sealed, Error> {
    let nonce: [u8; NONCE_BYTES] = rand::rng().random();
    let payload = Payload { msg: key.expose().as_bytes(), aad: &associated(provider) };
    let sealed = cipher(host)?
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| Error::environment("the key could not be sealed"))?;
    Ok(Sealed { nonce: STANDARD.encode(nonce), sealed: STANDARD.encode(sealed) })
}

/// The text that was sealed for a name.
///
/// # Errors
/// When it was sealed for another name, was changed, or the sealing key cannot be read.
pub(crate) fn unseal(host: &Host, provider: &str, sealed: &Sealed) -> Result<Secret, Error> {
    let wrong = || damaged(&path(host), &format!("the key of `{provider}` cannot be unsealed"));
    let nonce: [u8; NONCE_BYTES] =
        STANDARD.decode(&sealed.nonce).ok().and_then(|n| n.try_into().ok()).ok_or_else(wrong)?;
    let bytes = STANDARD.decode(&sealed.sealed).map_err(|_| wrong())?;
    let payload = Payload { msg: &bytes, aad: &associated(provider) };
    let key = cipher(host)?.decrypt(&XNonce::from(nonce), payload).map_err(|_| wrong())?;
    String::from_utf8(key).map(Secret::new).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unsealed_for_their_own_provider_only_and_unreadable_in_the_file() {
        let home = tempfile::tempdir().unwrap();
        let host = Host {
            environment: BTreeMap::new(),
            directory: home.path().into(),
            executable: "masque".into(),
            home: home.path().into(),
            config: home.path().into(),
            user: "ada".into(),
        };
        let mut file = read(&host).unwrap();
        file.keys.insert("openai".into(), seal(&host, "openai", &Secret::new("sk-canary")).unwrap());
        write(&host, &file).unwrap();
        assert!(!fs_err::read_to_string(path(&host)).unwrap().contains("canary"));
        assert_eq!(unsealed(&host).unwrap()["openai"].expose(), "sk-canary");

        let moved = file.keys.remove("openai").unwrap();
        file.keys.insert("elsewhere".into(), moved);
        write(&host, &file).unwrap();
        assert!(unsealed(&host).unwrap_err().message.contains("cannot be unsealed"));

        let seal_key = home.path().join("seal.key");
        fs_err::set_permissions(&seal_key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(unsealed(&host).unwrap_err().message.contains("can be read by others"));
    }
}
