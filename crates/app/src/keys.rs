//! The sealed store of provider keys: `keys.json` in Masque's home, each key encrypted for its provider's name.
//!
//! The vault of Masque's home seals. This keeps keys out of backups, searches and accidental prints of the home; whoever
//! can read all files of the account can unseal them, unless the vault stands under a passphrase.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use masque_home::seal::{Item, LOCAL, Vault};
use masque_types::{actor::Actor, secret::Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{App, Error, audit, home, host::Host};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    keys: BTreeMap<String, Sealed>,
}

/// A sealed text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Sealed {
    /// An item of the vault.
    Item { item: String },
    /// As before there was a vault: sealed with the root key itself. Setting a key writes the other form.
    Plain { nonce: String, sealed: String },
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
    Ok(masque_home::write_private(path, bytes)?)
}

fn vault(host: &Host) -> Result<Vault, Error> {
    Ok(Vault::open(&host.home, home::passphrase(host).as_ref())?)
}

/// The provider's name is authenticated with the key, so that entries cannot be swapped.
fn item_name(provider: &str) -> String {
    format!("key/{provider}")
}

fn item(name: &str) -> Item<'_> {
    Item { tenant: LOCAL, persona: "", item: name, version: 0 }
}

/// Seals a text for a name, under which alone it can be unsealed.
///
/// # Errors
/// When the sealing key cannot be read or made, or others can read it.
pub(crate) fn seal(host: &Host, provider: &str, key: &Secret) -> Result<Sealed, Error> {
    seal_by(&vault(host)?, provider, key)
}

fn seal_by(vault: &Vault, provider: &str, key: &Secret) -> Result<Sealed, Error> {
    let sealed = vault.seal(&item(&item_name(provider)), key.expose().as_bytes())?;
    Ok(Sealed::Item { item: STANDARD.encode(sealed) })
}

/// Seals all keys again with the newest key of the vault; how many there are.
///
/// # Errors
/// When one cannot be unsealed, or the file cannot be written.
pub(crate) fn reseal(host: &Host, vault: &Vault) -> Result<usize, Error> {
    let mut file = read(host)?;
    if file.keys.is_empty() {
        return Ok(0);
    }
    reseal_all(host, vault, &mut file.keys, str::to_owned)?;
    write(host, &file)?;
    Ok(file.keys.len())
}

/// Seals texts again with the newest key of the vault, each for the name that its own name stands for.
pub(crate) fn reseal_all(
    host: &Host,
    vault: &Vault,
    sealed: &mut BTreeMap<String, Sealed>,
    sealed_for: fn(&str) -> String,
) -> Result<(), Error> {
    for (name, sealed) in sealed {
        let name = sealed_for(name);
        *sealed = seal_by(vault, &name, &unseal_by(host, vault, &name, sealed)?)?;
    }
    Ok(())
}

/// The text that was sealed for a name.
///
/// # Errors
/// When it was sealed for another name, was changed, or the sealing key cannot be read.
pub(crate) fn unseal(host: &Host, provider: &str, sealed: &Sealed) -> Result<Secret, Error> {
    unseal_by(host, &vault(host)?, provider, sealed)
}

fn unseal_by(host: &Host, vault: &Vault, provider: &str, sealed: &Sealed) -> Result<Secret, Error> {
    let wrong = || damaged(&path(host), &format!("the key of `{provider}` cannot be unsealed"));
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| wrong());
    let key = match sealed {
        Sealed::Item { item: sealed } => {
            vault.unseal(&item(&item_name(provider)), &decoded(sealed)?).map_err(|_| wrong())?
        }
        Sealed::Plain { nonce, sealed } => {
            let bound_to = format!("masque/key/v1/{provider}");
            vault.unseal_plain(bound_to.as_bytes(), &decoded(nonce)?, &decoded(sealed)?).ok_or_else(wrong)?
        }
    };
    str::from_utf8(&key).map(Secret::new).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use masque_home::home::{NextRoot, Rotation};

    use super::*;

    fn host(home: &Path) -> Host {
        Host {
            environment: BTreeMap::new(),
            directory: home.into(),
            executable: "masque".into(),
            home: home.into(),
            config: home.into(),
            user: "ada".into(),
        }
    }

    #[test]
    fn keys_are_unsealed_for_their_own_provider_only_and_unreadable_in_the_file() {
        let home = tempfile::tempdir().unwrap();
        let host = host(home.path());
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

    /// Written by the release before the vault.
    #[test]
    fn keys_that_were_sealed_before_there_was_a_vault_are_still_read() {
        let home = tempfile::tempdir().unwrap();
        let host = host(home.path());
        write_private(&home.path().join("seal.key"), &[7; 32]).unwrap();
        let text = r#"{ "version": 1, "keys": { "openai": {
            "nonce": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ",
            "sealed": "zRnP5RDOVAGVfGlOEQiCFhECeCDL3KkAzvo27wA=" } } }"#;
        write_private(&path(&host), text.as_bytes()).unwrap();
        assert_eq!(unsealed(&host).unwrap()["openai"].expose(), "sk-old-canary");

        let rotation = Rotation::begin(home.path(), None).unwrap();
        assert_eq!(reseal(&host, rotation.vault()).unwrap(), 1);
        rotation.finish(&NextRoot::Renewed).unwrap();
        assert_ne!(fs_err::read(home.path().join("seal.key")).unwrap(), [7; 32]);
        assert_eq!(unsealed(&host).unwrap()["openai"].expose(), "sk-old-canary", "by another root key");
    }
}
