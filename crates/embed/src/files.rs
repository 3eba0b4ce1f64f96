//! The files of a model: which there must be, their published sizes and digests, and the manifest that says that they
//! were checked.
//!
//! Leaves out where the files come from: `fetch` knows that.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use masque_types::digest::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The record, in a model's directory, of what was checked when it came.
const MANIFEST: &str = "masque-model.json";

/// A file of a model, as published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFile {
    /// Its name.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: &'static str,
}

/// A model that can be fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// Its name, also that of its directory.
    pub name: &'static str,
    /// Where the hub keeps it: owner and name.
    pub repository: &'static str,
    /// What belongs to it.
    pub files: &'static [ModelFile],
}

/// The file with the weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The file with the vocabulary.
pub(crate) const TOKENIZER: &str = "tokenizer.json";

/// all-MiniLM-L6-v2 of the Sentence Transformers, Apache 2.0: 384 numbers per vector.
pub const MINILM: ModelFiles = ModelFiles {
    name: "all-MiniLM-L6-v2",
    repository: "sentence-transformers/all-MiniLM-L6-v2",
    files: &[
        ModelFile {
            name: WEIGHTS,
            size: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        ModelFile {
            name: TOKENIZER,
            size: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ],
};

impl ModelFiles {
    /// The bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The directory of this model below the directory of all models.
    #[must_use]
    pub fn directory(&self, models: &Path) -> PathBuf {
        models.join(self.name)
    }

    /// Whether a directory holds the model, complete and checked.
    #[must_use]
    pub fn is_in(&self, directory: &Path) -> bool {
        let Some(manifest) = Manifest::read(directory) else { return false };
        let whole = |file: &ModelFile| {
            manifest.files.get(file.name).is_some_and(|digest| digest.to_string() == file.sha256)
                && fs_err::metadata(directory.join(file.name)).is_ok_and(|metadata| metadata.len() == file.size)
        };
        self.files.iter().all(whole)
    }
}

/// What was checked, so that the next start need not read everything again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The model's name.
    pub(crate) name: String,
    /// The digest of each file.
    pub(crate) files: BTreeMap<String, Digest>,
}

impl Manifest {
    /// The manifest of a directory, where there is a readable one.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(directory.join(MANIFEST)).ok()?).ok()
    }

    /// Reads the files themselves, for a directory that was not fetched.
    pub(crate) fn of_files(directory: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        for name in [WEIGHTS, TOKENIZER] {
            let file = fs_err::File::open(directory.join(name))?;
            files.insert(name.to_owned(), digest_of(file)?);
        }
        let name = directory.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, files })
    }

    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        Ok(fs_err::write(directory.join(MANIFEST), text)?)
    }

    /// The name that its vectors carry: whatever changes a vector changes it.
    pub(crate) fn identity(&self) -> String {
        let parts: Vec<&[u8]> = self.files.values().map(|digest| digest.as_bytes().as_slice()).collect();
        let digest = Digest::of_parts(parts).to_string();
        format!("{}@{}", self.name, digest.get(..8).unwrap_or_default())
    }
}

/// The SHA-256 of everything that a reader gives.
pub(crate) fn digest_of(mut reader: impl Read) -> std::io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let size = reader.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..size).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
    }
    Digest::from_bytes(&hasher.finalize()).ok_or_else(|| std::io::Error::other("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_file_changes_the_identity() {
        let manifest = |weights: &str, tokenizer: &str| Manifest {
            name: "m".to_owned(),
            files: [(WEIGHTS, weights), (TOKENIZER, tokenizer)]
                .map(|(name, bytes)| (name.to_owned(), Digest::of(bytes)))
                .into(),
        };
        let identity = manifest("a", "b").identity();
        assert_eq!(identity.len(), "m@".len() + 8);
        assert_ne!(identity, manifest("a", "c").identity());
        assert_ne!(identity, manifest("c", "b").identity());
    }
}
