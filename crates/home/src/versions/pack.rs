//! Packs: files of sealed pieces, written once. A pack has a data key of its own, which stands sealed beside it.
//!
//! Layout: a line that names the format; the sealed pieces; the sealed index; the index's length in 8 bytes. Every byte
//! is compared or authenticated.

use std::{
    io::{BufWriter, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use masque_types::digest::Digest;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::{
    Error, files,
    seal::{Item, Key, Vault},
};

const MAGIC: &[u8] = b"masque-pack/1\n";
const LENGTH_BYTES: u64 = 8;
const COMPRESSION: i32 = 1;
/// No piece is larger.
pub(super) const LARGEST_PIECE: usize = 1 << 20;

/// Where a piece is in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) digest: Digest,
    offset: u64,
    length: u64,
    pub(super) size: u64,
}

/// What packs are sealed with.
#[derive(Clone, Copy)]
pub(super) struct Sealer<'a> {
    pub(super) vault: &'a Vault,
    pub(super) tenant: &'a str,
    pub(super) persona: &'a str,
}

impl Sealer<'_> {
    fn item<'s>(&'s self, item: &'s str) -> Item<'s> {
        Item { tenant: self.tenant, persona: self.persona, item, version: 0 }
    }
}

/// The ids of the packs in a directory.
pub(super) fn ids(directory: &Path) -> Result<Vec<String>, Error> {
    let mut ids: Vec<String> = super::entries(directory)?
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "pack"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|id| !id.starts_with('.'))
        .collect();
    ids.sort();
    Ok(ids)
}

/// The item that the key of a pack is sealed as.
pub(super) fn key_item(id: &str) -> String {
    format!("pack/{id}")
}

/// The file of a pack's key.
pub(super) fn key_path(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}.key"))
}

fn pack_path(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}.pack"))
}

/// Removes a pack with its key.
pub(super) fn remove(directory: &Path, id: &str) -> Result<(), Error> {
    files::remove_if_there(&pack_path(directory, id))?;
    files::remove_if_there(&key_path(directory, id))
}

fn associated(id: &str, what: &str, digest: Option<&Digest>) -> Vec<u8> {
    let digest = digest.map_or_else(String::new, ToString::to_string);
    format!("masque/{what}/v1|{id}|{digest}").into_bytes()
}

/// A pack that is being written. Nobody sees it before it is finished.
pub(super) struct Writer {
    directory: PathBuf,
    id: String,
    key: Key,
    file: BufWriter<fs_err::File>,
    fresh: PathBuf,
    offset: u64,
    places: Vec<Place>,
}

impl Writer {
    pub(super) fn new(directory: &Path) -> Result<Self, Error> {
        files::create_private_directory(directory)?;
        let id = format!("{:032x}", rand::rng().random::<u128>());
        let fresh = directory.join(format!(".{id}.new"));
        let mut file = BufWriter::with_capacity(1 << 20, files::create_new(&fresh)?);
        file.write_all(MAGIC)?;
        let offset = MAGIC.len() as u64;
        Ok(Self { directory: directory.to_owned(), id, key: Key::random(), file, fresh, offset, places: Vec::new() })
    }

    pub(super) fn add(&mut self, digest: Digest, piece: &[u8]) -> Result<(), Error> {
        let packed = zstd::bulk::compress(piece, COMPRESSION)?;
        let length = self.write(&associated(&self.id, "piece", Some(&digest)), &packed)?;
        self.places.push(Place { digest, offset: self.offset - length, length, size: piece.len() as u64 });
        Ok(())
    }

    fn write(&mut self, associated: &[u8], plain: &[u8]) -> Result<u64, Error> {
        let sealed = self.key.seal(associated, plain).ok_or_else(|| damaged(&self.fresh, "it could not be sealed"))?;
        self.file.write_all(&sealed)?;
        self.offset += sealed.len() as u64;
        Ok(sealed.len() as u64)
    }

    /// Makes the pack durable and visible.
    pub(super) fn finish(mut self, sealer: &Sealer<'_>) -> Result<(), Error> {
        let index = serde_json::to_vec(&self.places)?;
        let length = self.write(&associated(&self.id, "index", None), &zstd::bulk::compress(&index, COMPRESSION)?)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let key = sealer.vault.seal(&sealer.item(&key_item(&self.id)), self.key.bytes())?;
        files::write_private(&key_path(&self.directory, &self.id), &key)?;
        let path = pack_path(&self.directory, &self.id);
        fs_err::rename(&self.fresh, &path)?;
        files::sync_parent(&path)
    }

    /// Gives up what was written.
    pub(super) fn abandon(self) -> Result<(), Error> {
        files::remove_if_there(&self.fresh)
    }
}

/// A pack that is there.
#[derive(Debug)]
pub(super) struct Pack {
    id: String,
    path: PathBuf,
    file: fs_err::File,
    key: Key,
    pub(super) places: Vec<Place>,
    index_at: u64,
}

impl Pack {
    pub(super) fn open(directory: &Path, id: &str, sealer: &Sealer<'_>) -> Result<Self, Error> {
        let path = pack_path(directory, id);
        let sealed = fs_err::read(key_path(directory, id))?;
        let key = sealer.vault.unseal(&sealer.item(&key_item(id)), &sealed)?;
        let key = Key::from_slice(&key).ok_or_else(|| damaged(&path, "its key has not 32 bytes"))?;
        let file = fs_err::File::open(&path)?;
        let end = file.metadata()?.len().checked_sub(LENGTH_BYTES).ok_or_else(|| damaged(&path, "it is cut short"))?;
        let mut length = [0; LENGTH_BYTES as usize];
        file.file().read_exact_at(&mut length, end)?;
        let index_at = end.checked_sub(u64::from_be_bytes(length)).filter(|at| *at >= MAGIC.len() as u64);
        let index_at = index_at.ok_or_else(|| damaged(&path, "the place of its index is wrong"))?;
        let mut pack = Self { id: id.to_owned(), path, file, key, places: Vec::new(), index_at };
        let index = pack.unseal(index_at, u64::from_be_bytes(length), &associated(id, "index", None))?;
        let index = zstd::decode_all(index.as_slice())?;
        pack.places = serde_json::from_slice(&index)?;
        Ok(pack)
    }

    fn unseal(&self, offset: u64, length: u64, associated: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
        let fits = offset.checked_add(length).is_some_and(|end| end <= self.file.metadata().map_or(0, |m| m.len()));
        let mut sealed = vec![0; if fits { usize::try_from(length).unwrap_or(0) } else { 0 }];
        self.file.file().read_exact_at(&mut sealed, offset)?;
        let plain = self.key.unseal(associated, &sealed);
        plain.ok_or_else(|| damaged(&self.path, &format!("the bytes from {offset} on were changed")))
    }

    /// A piece, checked against its digest.
    pub(super) fn read(&self, place: &Place) -> Result<Vec<u8>, Error> {
        let associated = associated(&self.id, "piece", Some(&place.digest));
        let packed = self.unseal(place.offset, place.length, &associated)?;
        let size = usize::try_from(place.size).ok().filter(|size| *size <= LARGEST_PIECE);
        let size = size.ok_or_else(|| damaged(&self.path, "a piece is larger than any can be"))?;
        let piece = zstd::bulk::decompress(&packed, size)?;
        if piece.len() == size && Digest::of(&piece) == place.digest {
            return Ok(piece);
        }
        Err(damaged(&self.path, &format!("the piece at {} has another digest", place.offset)))
    }

    /// Checks every byte; gives the size of the file.
    pub(super) fn check(&self) -> Result<u64, Error> {
        let mut magic = [0; MAGIC.len()];
        self.file.file().read_exact_at(&mut magic, 0)?;
        if magic != *MAGIC {
            return Err(damaged(&self.path, "it does not begin as a pack"));
        }
        let mut end = MAGIC.len() as u64;
        for place in &self.places {
            if place.offset != end {
                return Err(damaged(&self.path, &format!("there are bytes at {end} that nothing accounts for")));
            }
            self.read(place)?;
            end += place.length;
        }
        if end != self.index_at {
            return Err(damaged(&self.path, &format!("there are bytes at {end} that nothing accounts for")));
        }
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::damaged(path.display().to_string(), why)
}
