//! Identities at rest: the installation's key, the personas' sealed keys, and the registry's file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use masque_types::{digest::Digest, time::Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Card, Entry, KeyPair, PublicKey, Registry, Signature, SignedCard, Succession};
use crate::{
    Error, files,
    name::Name,
    seal::{Item, LOCAL, Vault},
};

const REGISTRY: &str = "masque/registry/v1";

/// A persona's key with its card.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key.
    pub key: KeyPair,
    /// The current card.
    pub card: SignedCard,
}

/// What a card is to say.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The persona.
    pub name: Name,
    /// Digest of everything that the persona was loaded from.
    pub file: Digest,
    /// Its icon: digest and shape.
    pub icon: Option<(Digest, u64)>,
}

/// The identities of an installation.
#[derive(Debug)]
pub struct Identities {
    directory: PathBuf,
    vault: Arc<Vault>,
    installation: KeyPair,
}

/// The registry as stored: its text, signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryFile {
    registry: String,
    signature: Signature,
}

impl Identities {
    /// Opens the identities of Masque's home; the first time, it makes the installation's key.
    ///
    /// # Errors
    /// When a file cannot be read, written or unsealed.
    pub fn open(directory: &Path, vault: Arc<Vault>) -> Result<Self, Error> {
        let path = installation_path(directory);
        if files::read_if_there(&path)?.is_none() {
            // Another process may be faster: whatever stands there then is the key.
            files::create_private(&path, &vault.seal(&INSTALLATION, KeyPair::random().seed().as_slice())?)?;
        }
        let installation = read_key(&vault, &INSTALLATION, &fs_err::read(&path)?)?;
        Ok(Self { directory: directory.to_owned(), vault, installation })
    }

    /// The installation's key, which signs cards and manifests.
    #[must_use]
    pub const fn installation(&self) -> &KeyPair {
        &self.installation
    }

    /// The registry as it is now.
    ///
    /// # Errors
    /// When its file is damaged or not signed by this installation.
    pub fn registry(&self) -> Result<Registry, Error> {
        let path = self.registry_path();
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(Registry::default()) };
        let wrong = |why: &str| Error::damaged(path.display().to_string(), why);
        let file: RegistryFile = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
        if !self.installation.public().verifies(REGISTRY, file.registry.as_bytes(), &file.signature) {
            return Err(wrong("it is not signed by this installation"));
        }
        serde_json::from_str(&file.registry).map_err(|error| wrong(&error.to_string()))
    }

    /// The identity of a persona; none when it has none yet.
    ///
    /// # Errors
    /// When the key or the registry is damaged.
    pub fn find(&self, name: &Name) -> Result<Option<Identity>, Error> {
        let registry = self.registry()?;
        let Some(entry) = registry.entry(name.as_str()) else { return Ok(None) };
        let card = entry.card.clone();
        let Some(key) = self.unseal_key(name, card.card().key_epoch)? else { return Ok(None) };
        if key.public() != card.card().public_key {
            return Err(Error::damaged(self.key_path(name).display().to_string(), "it is not the key of the card"));
        }
        Ok(Some(Identity { key, card }))
    }

    /// The identity of a persona, made or renewed so that its card says what the persona is now. Whether the card is
    /// a new one.
    ///
    /// # Errors
    /// When the name or the icon could be taken for another persona's, or a file is damaged.
    pub fn ensure(&self, subject: &Subject, now: Timestamp) -> Result<(Identity, bool), Error> {
        let _lock = self.lock()?;
        let known = self.find(&subject.name)?;
        if let Some(identity) = &known {
            let card = identity.card.card();
            if card.file == subject.file && card.icon == subject.icon.map(|(digest, _)| digest) {
                return Ok((identity.clone(), false));
            }
        }
        let registry = self.registry()?;
        let earlier = registry.entry(subject.name.as_str());
        let epoch = earlier.map_or(1, |entry| entry.card.card().key_epoch + u64::from(known.is_none()));
        let key = match known {
            Some(identity) => identity.key,
            None => KeyPair::random(),
        };
        let successions = earlier.map_or_else(Vec::new, |entry| entry.successions.clone());
        let identity = self.issue(registry, subject, Next { key, epoch, successions }, now)?;
        Ok((identity, true))
    }

    /// Gives a persona a new key, signed by the old one and the installation; the old one is revoked.
    ///
    /// # Errors
    /// When the persona has no identity, or a file cannot be written.
    pub fn rotate(&self, subject: &Subject, now: Timestamp) -> Result<Identity, Error> {
        let _lock = self.lock()?;
        let old = self.find(&subject.name)?.ok_or_else(|| nothing(&subject.name))?;
        let mut registry = self.registry()?;
        let (key, epoch) = (KeyPair::random(), old.card.card().key_epoch + 1);
        let name = subject.name.as_str();
        let mut successions = registry.entry(name).map_or_else(Vec::new, |entry| entry.successions.clone());
        successions.push(Succession::new(name, &old.key, key.public(), epoch, now, &self.installation));
        registry.revoke(name, old.key.public(), now, "replaced by a new key", &self.installation);
        self.issue(registry, subject, Next { key, epoch, successions }, now)
    }

    /// Revokes a persona's key. The next [`Self::ensure`] with a removed key, or a rotation, gives it another one.
    ///
    /// # Errors
    /// When the persona has no identity, or the registry cannot be written.
    pub fn revoke(&self, name: &Name, reason: &str, now: Timestamp) -> Result<PublicKey, Error> {
        let _lock = self.lock()?;
        let mut registry = self.registry()?;
        let entry = registry.entry(name.as_str()).ok_or_else(|| nothing(name))?;
        let key = entry.card.card().public_key;
        if !registry.is_revoked(&key) {
            registry.revoke(name.as_str(), key, now, reason, &self.installation);
            self.write(&registry)?;
        }
        Ok(key)
    }

    /// Moves the keys of the installation and of all personas to the tenant's newest key; how many files were written.
    pub(crate) fn rewrap(&self) -> Result<usize, Error> {
        let _lock = self.lock()?;
        let mut count = usize::from(self.move_key(&installation_path(&self.directory), &INSTALLATION)?);
        count += self.rewrap_host_key()?;
        for entry in self.registry()?.entries() {
            let (name, epoch) = (&entry.card.card().name, entry.card.card().key_epoch);
            // Reading it puts a key that a crash left beside its place where it belongs.
            if self.unseal_key(name, epoch)?.is_some() {
                count += usize::from(self.move_key(&self.key_path(name), &key_item(name, epoch))?);
            }
        }
        Ok(count)
    }

    pub(super) fn move_key(&self, path: &Path, item: &Item<'_>) -> Result<bool, Error> {
        let Some(moved) = self.vault.rewrap(item, &fs_err::read(path)?)? else { return Ok(false) };
        files::write_private(path, &moved).map(|()| true)
    }

    fn issue(&self, mut registry: Registry, subject: &Subject, next: Next, now: Timestamp) -> Result<Identity, Error> {
        let version = registry.entry(subject.name.as_str()).map_or(1, |entry| entry.card.card().version + 1);
        let card = Card {
            name: subject.name.clone(),
            version,
            file: subject.file,
            icon: subject.icon.map(|(digest, _)| digest),
            public_key: next.key.public(),
            key_epoch: next.epoch,
            issued_at: now,
        };
        let card = SignedCard::sign(card, &self.installation)?;
        let icon_shape = subject.icon.map(|(_, shape)| shape);
        registry.register(Entry { card: card.clone(), successions: next.successions, icon_shape })?;
        // The key stands beside its place until the registry names it: a crash leaves the old identity or the new one.
        let sealed = self.vault.seal(&key_item(&subject.name, next.epoch), next.key.seed().as_slice())?;
        let path = self.key_path(&subject.name);
        let staged = path.with_extension("key.next");
        files::write_private(&staged, &sealed)?;
        self.write(&registry)?;
        fs_err::rename(&staged, &path)?;
        files::sync_parent(&path)?;
        Ok(Identity { key: next.key, card })
    }

    fn write(&self, registry: &Registry) -> Result<(), Error> {
        let registry = serde_json::to_string(registry)?;
        let signature = self.installation.sign(REGISTRY, registry.as_bytes());
        let file = serde_json::to_string(&RegistryFile { registry, signature })?;
        files::write_private(&self.registry_path(), file.as_bytes())
    }

    /// The key of an epoch; none when its file is gone. After a crash it may still stand beside its place.
    fn unseal_key(&self, name: &Name, epoch: u64) -> Result<Option<KeyPair>, Error> {
        let item = key_item(name, epoch);
        let path = self.key_path(name);
        let sealed = files::read_if_there(&path)?;
        let found = sealed.map(|sealed| read_key(&self.vault, &item, &sealed)).transpose();
        if let Ok(Some(key)) = found {
            return Ok(Some(key));
        }
        let staged = path.with_extension("key.next");
        match files::read_if_there(&staged)?.map(|next| read_key(&self.vault, &item, &next)) {
            Some(Ok(key)) => {
                fs_err::rename(&staged, &path)?;
                Ok(Some(key))
            }
            _ => found,
        }
    }

    fn key_path(&self, name: &Name) -> PathBuf {
        self.directory.join("personas").join(name.as_str()).join("identity.key")
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(super) fn host_key_path(&self) -> PathBuf {
        self.directory.join("host.key")
    }

    fn registry_path(&self) -> PathBuf {
        self.directory.join("registry.json")
    }

    fn lock(&self) -> Result<files::Lock, Error> {
        files::Lock::take(&self.directory.join("registry.lock"))
    }
}

/// The key of the next card.
struct Next {
    key: KeyPair,
    epoch: u64,
    successions: Vec<Succession>,
}

fn nothing(name: &Name) -> Error {
    Error::Nothing { persona: name.to_string(), what: "identity".to_owned() }
}

/// What the installation's key is sealed as.
const INSTALLATION: Item<'static> = Item { tenant: LOCAL, persona: "", item: "installation", version: 0 };

fn installation_path(directory: &Path) -> PathBuf {
    directory.join("installation.key")
}

fn key_item(name: &Name, epoch: u64) -> Item<'_> {
    Item { tenant: LOCAL, persona: name.as_str(), item: "identity", version: epoch }
}

pub(super) fn read_key(vault: &Vault, item: &Item<'_>, sealed: &[u8]) -> Result<KeyPair, Error> {
    let seed = vault.unseal(item, sealed)?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(seed.as_slice().try_into().map_err(|_| Error::damaged("a key", "it does not have 32 bytes"))?);
    Ok(KeyPair::from_seed(&seed))
}
