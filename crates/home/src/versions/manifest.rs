//! Manifests: what a version holds, signed by the installation, sealed at rest.

use std::io::Read as _;

use masque_types::{digest::Digest, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{Versions, tree::Stamp};
use crate::{
    Error, files,
    identity::{PublicKey, Signature},
};

const PURPOSE: &str = "masque/manifest/v1";
const FORMAT: u32 = 1;
/// Bound of an unpacked manifest: some millions of files.
const MOST_BYTES: u64 = 1 << 30;
const COMPRESSION: i32 = 1;

/// A version of a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Whose home it is.
    pub persona: String,
    /// The version's number: 1, 2, 3, …
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Why, in the words of whoever asked for it.
    pub description: String,
    /// What made it.
    pub reason: Reason,
    /// The version before: its number, and the digest of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<(u64, Digest)>,
    /// All files, directories and links, in the order of their paths.
    pub entries: Vec<Entry>,
}

/// What made a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// Somebody asked for a backup.
    Asked,
    /// The schedule.
    Scheduled,
    /// A rollback was about to replace what was there.
    BeforeRollback,
    /// A rollback to a version.
    Rollback {
        /// Its number.
        to: u64,
    },
    /// What was learned from one source was undone.
    Undo {
        /// The version that its files went back to.
        to: u64,
        /// The source.
        origin: String,
    },
}

/// A file, directory or link of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the home. Bytes that are no UTF-8 stand as `\xNN`, a backslash as `\\`.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// The source that it was learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// By what an unchanged file is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stamp: Option<Stamp>,
}

impl Entry {
    /// Whether both say the same about the content, whenever they were made.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.path == other.path && self.kind == other.kind
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A file.
    File {
        /// Its size in bytes.
        size: u64,
        /// Its permissions.
        mode: u32,
        /// The digest of its content.
        digest: Digest,
        /// The digests of the pieces that it was cut into.
        chunks: Vec<Digest>,
        /// Whether it is a database, which was copied by its own means.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sqlite: bool,
    },
    /// A directory.
    Directory {
        /// Its permissions.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, written like a path.
        target: String,
    },
}

impl Manifest {
    /// How many files it has, and their size in bytes.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        let sizes = self.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::File { size, .. } => Some(*size),
            _ => None,
        });
        sizes.fold((0, 0), |(count, sum), size| (count + 1, sum.saturating_add(size)))
    }

    /// The entry of a path.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let place = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(place)
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &Digest> {
        self.entries.iter().flat_map(|entry| match &entry.kind {
            Kind::File { chunks, .. } => chunks.as_slice(),
            _ => &[],
        })
    }
}

/// What of a version is known before it has a place in the row.
pub(super) struct Draft {
    pub(super) at: Timestamp,
    pub(super) description: String,
    pub(super) reason: Reason,
    pub(super) entries: Vec<Entry>,
}

impl Versions {
    /// Makes the next manifest and the bytes of its file.
    pub(super) fn next_manifest(&self, last: Option<&Manifest>, draft: Draft) -> Result<(Manifest, Vec<u8>), Error> {
        let parent = last.map(|last| Ok::<_, Error>((last.number, digest(last)?))).transpose()?;
        let manifest = Manifest {
            format: FORMAT,
            persona: self.name.to_string(),
            number: last.map_or(1, |last| last.number + 1),
            at: draft.at,
            description: draft.description,
            reason: draft.reason,
            parent,
            entries: draft.entries,
        };
        let body = serde_json::to_vec(&manifest)?;
        let signature = self.signer.sign(PURPOSE, &body);
        let signed = [signature.as_bytes().as_slice(), self.signer.public().as_bytes(), &body].concat();
        let sealed =
            self.vault.seal(&self.item("manifest", manifest.number), &zstd::bulk::compress(&signed, COMPRESSION)?)?;
        Ok((manifest, sealed))
    }

    /// Makes a manifest the newest version.
    pub(super) fn commit(&self, manifest: &Manifest, sealed: &[u8]) -> Result<(), Error> {
        files::write_private(&self.manifest_path(manifest.number), sealed)
    }

    /// Reads a version, checks its signature and that it is the one that its place says.
    pub(super) fn manifest(&self, number: u64) -> Result<Manifest, Error> {
        let path = self.manifest_path(number);
        let missing = || Error::NoVersion { persona: self.name.to_string(), wanted: number.to_string() };
        let sealed = files::read_if_there(&path)?.ok_or_else(missing)?;
        let wrong = |why: &str| Error::damaged(path.display().to_string(), why);
        let packed = self.vault.unseal(&self.item("manifest", number), &sealed)?;
        let mut signed = Vec::new();
        zstd::Decoder::with_buffer(packed.as_slice())?.take(MOST_BYTES).read_to_end(&mut signed)?;
        let manifest =
            read_signed(&signed, &self.signer.public()).ok_or_else(|| wrong("its signature does not hold"))?;
        let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| wrong(&error.to_string()))?;
        if manifest.format != FORMAT || manifest.number != number || manifest.persona != self.name.as_str() {
            return Err(wrong("it is the manifest of something else"));
        }
        Ok(manifest)
    }
}

/// The digest that the next version names its parent by.
pub(super) fn digest(manifest: &Manifest) -> Result<Digest, Error> {
    Ok(Digest::of(serde_json::to_vec(manifest)?))
}

fn read_signed<'a>(signed: &'a [u8], signer: &PublicKey) -> Option<&'a [u8]> {
    let (signature, rest) = signed.split_first_chunk::<64>()?;
    let (key, body) = rest.split_first_chunk::<32>()?;
    let is_right = key == signer.as_bytes() && signer.verifies(PURPOSE, body, &Signature::from_bytes(*signature));
    is_right.then_some(body)
}
