//! The vault: the keys of the tenants, sealed with the root key in `vault.json`, and the items that they seal.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    cipher::{KEY_BYTES, Key, OVERHEAD, associated},
    root::{self, Passphrase, RootSource},
};
use crate::{Error, files};

const FORMAT: u32 = 1;
/// How sealed items begin.
const MAGIC: [u8; 4] = *b"MSQ1";
const WRAPPED_BYTES: usize = KEY_BYTES + OVERHEAD;
const HEAD_BYTES: usize = MAGIC.len() + 4 + WRAPPED_BYTES;

/// What sealed bytes are; all of it is authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Whose key seals it.
    pub tenant: &'a str,
    /// The persona that it belongs to; empty when it belongs to none.
    pub persona: &'a str,
    /// What it is, such as `identity` or `context/notes`.
    pub item: &'a str,
    /// Which version of it.
    pub version: u64,
}

impl Item<'_> {
    fn associated(&self, purpose: &str) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        associated(purpose, &[self.tenant.as_bytes(), self.persona.as_bytes(), self.item.as_bytes(), &version])
    }

    fn damaged(&self) -> Error {
        let what =
            if self.persona.is_empty() { self.item.to_owned() } else { format!("{}/{}", self.persona, self.item) };
        Error::damaged(what, "it cannot be unsealed: it was changed, moved, or sealed with another key")
    }
}

/// What `vault.json` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VaultFile {
    version: u32,
    root: RootSource,
    /// Rises with every change of the root key.
    root_epoch: u64,
    tenants: BTreeMap<String, TenantFile>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantFile {
    /// The key that seals new items.
    epoch: u32,
    /// All keys, by epoch: older ones until every item is re-wrapped.
    keys: BTreeMap<u32, String>,
}

/// The keys of the tenants, unsealed.
#[derive(Debug)]
pub struct Vault {
    directory: PathBuf,
    root: Key,
    source: RootSource,
    root_epoch: u64,
    tenants: BTreeMap<String, Tenant>,
}

#[derive(Debug)]
struct Tenant {
    epoch: u32,
    keys: BTreeMap<u32, Key>,
}

impl Vault {
    /// Opens the vault of a directory; the first time, it makes the keys.
    ///
    /// # Errors
    /// When a file is damaged, others can read the key file, or the passphrase is missing or wrong.
    pub fn open(directory: &Path, passphrase: Option<&Passphrase>) -> Result<Self, Error> {
        if files::read_if_there(&path(directory))?.is_none() {
            Self::create(directory)?;
        }
        loop {
            let file = read(directory)?;
            let epoch = file.root_epoch;
            match Self::opened(directory, file, passphrase) {
                // The root key was replaced between the reading of the one file and the other.
                Err(_) if read(directory)?.root_epoch != epoch => {}
                opened => return opened,
            }
        }
    }

    fn opened(directory: &Path, file: VaultFile, passphrase: Option<&Passphrase>) -> Result<Self, Error> {
        let root = root_key(directory, &file, passphrase)?;
        let mut tenants = BTreeMap::new();
        for (name, tenant) in &file.tenants {
            let opened = open_tenant(&root, file.root_epoch, name, tenant);
            tenants.insert(name.clone(), opened.ok_or_else(|| wrong_root(directory, &file.root))?);
        }
        Ok(Self { directory: directory.to_owned(), root, source: file.root, root_epoch: file.root_epoch, tenants })
    }

    /// Whether the root key comes from a passphrase.
    #[must_use]
    pub fn has_passphrase(&self) -> bool {
        self.source != RootSource::File
    }

    fn create(directory: &Path) -> Result<(), Error> {
        let _lock = lock(directory)?;
        if files::read_if_there(&path(directory))?.is_some() {
            return Ok(());
        }
        let root = root::read_or_create(directory)?;
        let tenant = Tenant { epoch: 1, keys: BTreeMap::from([(1, Key::random())]) };
        let tenants = BTreeMap::from([(super::LOCAL.to_owned(), tenant)]);
        Self { directory: directory.to_owned(), root, source: RootSource::File, root_epoch: 1, tenants }.write()
    }

    fn write(&self) -> Result<(), Error> {
        let mut tenants = BTreeMap::new();
        for (name, tenant) in &self.tenants {
            let mut file = TenantFile { epoch: tenant.epoch, keys: BTreeMap::new() };
            for (epoch, key) in &tenant.keys {
                let sealed = self.root.seal(&tenant_associated(name, *epoch, self.root_epoch), key.bytes());
                let sealed = sealed.ok_or_else(|| Error::damaged("vault.json", "a key could not be sealed"))?;
                file.keys.insert(*epoch, STANDARD.encode(sealed));
            }
            tenants.insert(name.clone(), file);
        }
        let file = VaultFile { version: FORMAT, root: self.source.clone(), root_epoch: self.root_epoch, tenants };
        files::write_private(&path(&self.directory), serde_json::to_string_pretty(&file)?.as_bytes())
    }

    /// Seals bytes as an item, with a data key of their own.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn seal(&self, item: &Item<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let data_key = Key::random();
        let body = data_key.seal(&item.associated("masque/item/v1"), plain).ok_or_else(|| item.damaged())?;
        let mut sealed = self.head(item, &data_key)?;
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Unseals an item.
    ///
    /// # Errors
    /// When any byte was changed, or the bytes were sealed as something else.
    pub fn unseal(&self, item: &Item<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (_, data_key, body) = self.data_key(item, sealed)?;
        data_key.unseal(&item.associated("masque/item/v1"), body).ok_or_else(|| item.damaged())
    }

    /// The same item under the tenant's newest key; none when it is under that already. The data is not touched.
    ///
    /// # Errors
    /// As for [`Self::unseal`], as far as the item's head goes.
    pub fn rewrap(&self, item: &Item<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let (epoch, data_key, body) = self.data_key(item, sealed)?;
        if epoch == self.tenant(item)?.epoch {
            return Ok(None);
        }
        let mut rewrapped = self.head(item, &data_key)?;
        rewrapped.extend_from_slice(body);
        Ok(Some(rewrapped))
    }

    fn head(&self, item: &Item<'_>, data_key: &Key) -> Result<Vec<u8>, Error> {
        let tenant = self.tenant(item)?;
        let key = tenant.keys.get(&tenant.epoch).ok_or_else(|| item.damaged())?;
        let wrapped = key.seal(&wrap_associated(item, tenant.epoch), data_key.bytes()).ok_or_else(|| item.damaged())?;
        Ok([MAGIC.as_slice(), &tenant.epoch.to_be_bytes(), &wrapped].concat())
    }

    fn data_key<'s>(&self, item: &Item<'_>, sealed: &'s [u8]) -> Result<(u32, Key, &'s [u8]), Error> {
        let opened = || {
            let (head, body) = sealed.split_at_checked(HEAD_BYTES)?;
            let (epoch, wrapped) = head.strip_prefix(&MAGIC)?.split_first_chunk::<4>()?;
            let epoch = u32::from_be_bytes(*epoch);
            let key = self.tenants.get(item.tenant)?.keys.get(&epoch)?;
            let data_key = key.unseal(&wrap_associated(item, epoch), wrapped)?;
            Some((epoch, Key::from_slice(&data_key)?, body))
        };
        opened().ok_or_else(|| item.damaged())
    }

    fn tenant(&self, item: &Item<'_>) -> Result<&Tenant, Error> {
        self.tenants
            .get(item.tenant)
            .ok_or_else(|| Error::damaged("vault.json", format!("no tenant `{}`", item.tenant)))
    }

    /// Makes a new key for a tenant. Items under the older keys stay readable, and [`Self::rewrap`] moves them. The older
    /// keys stay: what a version holds of a sealed file stays as it was sealed.
    ///
    /// # Errors
    /// When there is no such tenant, or the file cannot be written.
    pub fn rotate_tenant(&mut self, tenant: &str) -> Result<(), Error> {
        let _lock = lock(&self.directory)?;
        let missing = || Error::damaged("vault.json", format!("no tenant `{tenant}`"));
        let keys = self.tenants.get_mut(tenant).ok_or_else(missing)?;
        keys.epoch += 1;
        keys.keys.insert(keys.epoch, Key::random());
        self.write()
    }

    /// Replaces the root key: by a new random one in the key file, or by one derived from a passphrase. A crash
    /// in between leaves the old one or the new one in force.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn rotate_root(&mut self, passphrase: Option<&Passphrase>) -> Result<(), Error> {
        let _lock = lock(&self.directory)?;
        let next = root::next_path(&self.directory);
        (self.source, self.root) = match passphrase {
            Some(_) => {
                let source = RootSource::new_passphrase();
                let key = source.derive(passphrase)?;
                (source, key)
            }
            None => {
                let key = Key::random();
                files::write_private(&next, key.bytes())?;
                (RootSource::File, key)
            }
        };
        self.root_epoch += 1;
        self.write()?;
        settle_root(&self.directory, &self.source)
    }

    /// Unseals what the root key sealed by itself, as the first file of provider keys did: nonce, ciphertext and
    /// associated data apart.
    #[must_use]
    pub fn unseal_plain(&self, associated: &[u8], nonce: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.root.unseal(associated, &[nonce, sealed].concat())
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("vault.json")
}

fn lock(directory: &Path) -> Result<files::Lock, Error> {
    files::Lock::take(&directory.join("vault.lock"))
}

fn read(directory: &Path) -> Result<VaultFile, Error> {
    let path = path(directory);
    let wrong = |why: String| Error::damaged(path.display().to_string(), why);
    let text = fs_err::read(&path)?;
    let file: VaultFile = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if file.version == FORMAT { Ok(file) } else { Err(wrong("it is of another version".to_owned())) }
}

/// The root key that the vault is sealed with; after an interrupted rotation that is the next one.
fn root_key(directory: &Path, file: &VaultFile, passphrase: Option<&Passphrase>) -> Result<Key, Error> {
    if file.root != RootSource::File {
        return file.root.derive(passphrase);
    }
    let opens =
        |key: &Key| file.tenants.iter().all(|(name, tenant)| open_tenant(key, file.root_epoch, name, tenant).is_some());
    let next = root::next_path(directory);
    if let Some(key) = root::read(&next)?.filter(opens) {
        // The key that stands there now may be that of yet another rotation, which nothing is sealed with so far.
        let _lock = lock(directory)?;
        if root::read(&next)?.is_some_and(|key| opens(&key)) {
            settle_root(directory, &file.root)?;
        }
        return Ok(key);
    }
    let path = root::path(directory);
    root::read(&path)?.ok_or_else(|| Error::RootKey { path, why: "it is missing".to_owned() })
}

/// Ends a rotation of the root key, once `vault.json` is sealed with the new one.
fn settle_root(directory: &Path, source: &RootSource) -> Result<(), Error> {
    let (path, next) = (root::path(directory), root::next_path(directory));
    if *source == RootSource::File {
        // Another process that saw the same state may have been faster.
        match fs_err::rename(&next, &path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    } else {
        files::remove_if_there(&path)?;
    }
    files::sync_directory(directory)
}

fn wrong_root(directory: &Path, source: &RootSource) -> Error {
    match source {
        RootSource::File => {
            let why = "vault.json is sealed with another key, or was changed".to_owned();
            Error::RootKey { path: root::path(directory), why }
        }
        RootSource::Passphrase { .. } => Error::Passphrase { why: "the one that was given is wrong" },
    }
}

fn open_tenant(root: &Key, root_epoch: u64, name: &str, file: &TenantFile) -> Option<Tenant> {
    let mut keys = BTreeMap::new();
    for (epoch, sealed) in &file.keys {
        let key = root.unseal(&tenant_associated(name, *epoch, root_epoch), &STANDARD.decode(sealed).ok()?)?;
        keys.insert(*epoch, Key::from_slice(&key)?);
    }
    keys.contains_key(&file.epoch).then_some(Tenant { epoch: file.epoch, keys })
}

fn tenant_associated(tenant: &str, epoch: u32, root_epoch: u64) -> Vec<u8> {
    associated("masque/tenant-key/v1", &[tenant.as_bytes(), &epoch.to_be_bytes(), &root_epoch.to_be_bytes()])
}

fn wrap_associated(item: &Item<'_>, epoch: u32) -> Vec<u8> {
    [item.associated("masque/data-key/v1"), epoch.to_be_bytes().to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const ITEM: Item<'_> = Item { tenant: "local", persona: "ada", item: "context/notes", version: 3 };

    #[test]
    fn an_item_opens_as_itself_only_and_every_flipped_bit_is_found() {
        let home = tempfile::tempdir().unwrap();
        let vault = Vault::open(home.path(), None).unwrap();
        let sealed = vault.seal(&ITEM, b"canary").unwrap();
        assert_eq!(&*Vault::open(home.path(), None).unwrap().unseal(&ITEM, &sealed).unwrap(), b"canary");
        for other in [
            Item { persona: "bob", ..ITEM },
            Item { item: "context/note", ..ITEM },
            Item { version: 4, ..ITEM },
            Item { tenant: "other", ..ITEM },
            Item { persona: "adacontext/notes", item: "", ..ITEM },
        ] {
            assert!(vault.unseal(&other, &sealed).is_err(), "{other:?}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.unseal(&ITEM, &flipped).is_err(), "bit {bit}");
        }
        assert!((0..sealed.len()).all(|length| vault.unseal(&ITEM, &sealed[..length]).is_err()));
    }

    #[test]
    fn rotation_rewraps_keys_and_leaves_the_data() {
        let home = tempfile::tempdir().unwrap();
        let mut vault = Vault::open(home.path(), None).unwrap();
        let sealed = vault.seal(&ITEM, b"canary").unwrap();
        assert!(vault.rewrap(&ITEM, &sealed).unwrap().is_none());
        vault.rotate_tenant("local").unwrap();
        let moved = vault.rewrap(&ITEM, &sealed).unwrap().unwrap();
        assert_eq!(moved[HEAD_BYTES..], sealed[HEAD_BYTES..]);
        let before = fs_err::read(root::path(home.path())).unwrap();
        vault.rotate_root(None).unwrap();
        assert_ne!(fs_err::read(root::path(home.path())).unwrap(), before);
        for vault in [vault, Vault::open(home.path(), None).unwrap()] {
            assert_eq!(&*vault.unseal(&ITEM, &moved).unwrap(), b"canary");
            assert_eq!(&*vault.unseal(&ITEM, &sealed).unwrap(), b"canary", "by the tenant's key before");
        }
    }

    #[test]
    fn an_interrupted_rotation_of_the_root_key_is_finished() {
        let home = tempfile::tempdir().unwrap();
        let mut vault = Vault::open(home.path(), None).unwrap();
        let sealed = vault.seal(&ITEM, b"canary").unwrap();
        let old = fs_err::read(root::path(home.path())).unwrap();
        // Stopped before vault.json was written: the next key seals nothing yet.
        files::write_private(&root::next_path(home.path()), Key::random().bytes()).unwrap();
        assert!(Vault::open(home.path(), None).unwrap().unseal(&ITEM, &sealed).is_ok());
        // Stopped after: the next key is in force, the old one still in its place.
        vault.rotate_root(None).unwrap();
        fs_err::rename(root::path(home.path()), root::next_path(home.path())).unwrap();
        files::write_private(&root::path(home.path()), &old).unwrap();
        for _ in 0..2 {
            assert!(Vault::open(home.path(), None).unwrap().unseal(&ITEM, &sealed).is_ok());
        }
        assert!(!root::next_path(home.path()).exists());
    }

    #[test]
    fn whoever_opens_while_the_root_key_is_replaced_gets_in() {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut vault = Vault::open(home.path(), None).unwrap();
        let sealed = vault.seal(&ITEM, b"canary").unwrap();
        std::thread::scope(|scope| {
            let rotating = scope.spawn(|| (0..200).for_each(|_| vault.rotate_root(None).unwrap()));
            while !rotating.is_finished() {
                assert!(Vault::open(home.path(), None).unwrap().unseal(&ITEM, &sealed).is_ok());
            }
        });
    }

    #[test]
    fn a_passphrase_replaces_the_key_file() {
        let home = tempfile::tempdir().unwrap();
        let mut vault = Vault::open(home.path(), None).unwrap();
        let sealed = vault.seal(&ITEM, b"canary").unwrap();
        let right = Passphrase::new("correct horse");
        vault.rotate_root(Some(&right)).unwrap();
        assert!(!root::path(home.path()).exists());
        assert!(Vault::open(home.path(), Some(&right)).unwrap().unseal(&ITEM, &sealed).is_ok());
        assert!(matches!(Vault::open(home.path(), None), Err(Error::Passphrase { .. })));
        let wrong = Passphrase::new("wrong horse");
        assert!(matches!(Vault::open(home.path(), Some(&wrong)), Err(Error::Passphrase { .. })));
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_is_another_one_is_refused() {
        let home = tempfile::tempdir().unwrap();
        Vault::open(home.path(), None).unwrap();
        let path = root::path(home.path());
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Vault::open(home.path(), None), Err(Error::Exposed { .. })));
        files::write_private(&path, Key::random().bytes()).unwrap();
        assert!(matches!(Vault::open(home.path(), None), Err(Error::RootKey { .. })));
        fs_err::remove_file(&path).unwrap();
        assert!(matches!(Vault::open(home.path(), None), Err(Error::RootKey { .. })));
    }
}
