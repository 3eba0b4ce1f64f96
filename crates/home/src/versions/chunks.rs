//! The pieces of all versions of a home, each stored once: found by digest, read from packs, added to a new one.

use std::{collections::HashMap, io::Read};

use fastcdc::v2020::StreamCDC;
use masque_types::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::{
    Versions,
    pack::{self, LARGEST_PIECE, Pack, Place, Sealer, Writer},
};
use crate::{Error, files, seal::LOCAL};

/// Where files are cut: pieces of a quarter of a megabyte on average. Smaller files are one piece.
const SMALLEST_PIECE: usize = 64 * 1024;
const USUAL_PIECE: usize = 256 * 1024;

/// The content of a file, cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) chunks: Vec<Digest>,
}

/// What takes the pieces of a file, each with its digest.
pub(super) type Take<'a> = dyn FnMut(Digest, &[u8]) -> Result<(), Error> + 'a;

/// Cuts what a source gives, and hands each piece on.
pub(super) fn cut(mut source: impl Read, take: &mut Take<'_>) -> Result<Content, Error> {
    let mut head = Vec::new();
    source.by_ref().take(SMALLEST_PIECE as u64).read_to_end(&mut head)?;
    let mut whole = Sha256::new();
    let mut content = Content { size: 0, digest: Digest::of([]), chunks: Vec::new() };
    let mut add = |piece: &[u8]| -> Result<(), Error> {
        let digest = Digest::of(piece);
        take(digest, piece)?;
        whole.update(piece);
        content.size += piece.len() as u64;
        content.chunks.push(digest);
        Ok(())
    };
    if head.len() < SMALLEST_PIECE {
        if !head.is_empty() {
            add(&head)?;
        }
    } else {
        let all = std::io::Cursor::new(head).chain(source);
        for piece in StreamCDC::new(all, SMALLEST_PIECE, USUAL_PIECE, LARGEST_PIECE) {
            add(&piece.map_err(std::io::Error::from)?.data)?;
        }
    }
    let digest: [u8; 32] = whole.finalize().into();
    content.digest = Digest::from_bytes(&digest).unwrap_or(content.digest);
    Ok(content)
}

/// The pieces of a home's versions.
pub(super) struct Chunks<'a> {
    versions: &'a Versions,
    packs: Vec<Pack>,
    places: HashMap<Digest, (usize, Place)>,
    added: HashMap<Digest, ()>,
    writer: Option<Writer>,
}

impl<'a> Chunks<'a> {
    /// Reads what there is.
    pub(super) fn open(versions: &'a Versions) -> Result<Self, Error> {
        let mut chunks =
            Self { versions, packs: Vec::new(), places: HashMap::new(), added: HashMap::new(), writer: None };
        for id in pack::ids(&versions.packs())? {
            let pack = Pack::open(&versions.packs(), &id, &chunks.sealer())?;
            let number = chunks.packs.len();
            chunks.places.extend(pack.places.iter().map(|place| (place.digest, (number, *place))));
            chunks.packs.push(pack);
        }
        Ok(chunks)
    }

    fn sealer(&self) -> Sealer<'a> {
        self.versions.sealer()
    }

    pub(super) fn packs(&self) -> &[Pack] {
        &self.packs
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.places.contains_key(digest) || self.added.contains_key(digest)
    }

    /// Adds a piece unless it is there.
    pub(super) fn add(&mut self, digest: Digest, piece: &[u8]) -> Result<(), Error> {
        if self.has(&digest) { Ok(()) } else { self.add_again(digest, piece) }
    }

    /// Adds a piece that may be in another pack as well.
    pub(super) fn add_again(&mut self, digest: Digest, piece: &[u8]) -> Result<(), Error> {
        if self.writer.is_none() {
            self.writer = Some(Writer::new(&self.versions.packs())?);
        }
        if let Some(writer) = &mut self.writer {
            writer.add(digest, piece)?;
            self.added.insert(digest, ());
        }
        Ok(())
    }

    /// A piece; what was added is there once it is finished.
    pub(super) fn read(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let missing = || {
            Error::damaged(
                self.versions.packs().display().to_string(),
                format!("the piece {} is missing", digest.short()),
            )
        };
        let (pack, place) = self.places.get(digest).ok_or_else(missing)?;
        self.packs.get(*pack).ok_or_else(missing)?.read(place)
    }

    /// Writes the pieces of a file one after the other, and checks the digest of the whole.
    pub(super) fn copy(&self, content: &[Digest], digest: &Digest, out: &mut dyn std::io::Write) -> Result<(), Error> {
        let mut whole = Sha256::new();
        for piece in content {
            let piece = self.read(piece)?;
            whole.update(&piece);
            out.write_all(&piece)?;
        }
        let found: [u8; 32] = whole.finalize().into();
        if found == *digest.as_bytes() {
            return Ok(());
        }
        Err(Error::damaged(format!("a file with the digest {}", digest.short()), "its pieces give another one"))
    }

    /// Makes everything that was added durable.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.writer.take() {
            Some(writer) => writer.finish(&self.sealer()),
            None => Ok(()),
        }
    }
}

impl Drop for Chunks<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // What is left over is removed by the next one who holds the lock as well.
            let _best_effort = writer.abandon();
        }
    }
}

impl Versions {
    pub(super) fn sealer(&self) -> Sealer<'_> {
        Sealer { vault: &self.vault, tenant: LOCAL, persona: self.name.as_str() }
    }

    /// Removes what was being written when a process died. Only whoever holds the lock may do so.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let packs = self.packs();
        let ids = pack::ids(&packs)?;
        for path in super::entries(&packs)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_orphan = name.strip_suffix(".key").is_some_and(|id| !ids.iter().any(|known| known == id));
            if name.starts_with('.') || is_orphan {
                files::remove_if_there(&path)?;
            }
        }
        for directory in [self.manifests(), self.directory.clone()] {
            for path in super::entries(&directory)? {
                let is_left = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if is_left && path.is_dir() {
                    files::remove_tree(&path)?;
                } else if is_left {
                    files::remove_if_there(&path)?;
                }
            }
        }
        Ok(())
    }
}
