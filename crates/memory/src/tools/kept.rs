//! Vectors of descriptions, kept by the digest of the text: in memory, and in a file for each model, so that a new process
//! embeds nothing again. A file that is damaged or of another shape counts as empty.

use std::{collections::HashMap, io::Write as _, path::PathBuf, sync::Arc};

use masque_types::{digest::Digest, memory::EmbeddingModel};

/// Vectors in a file at most; more mean that tools come and go, and the file begins anew.
const MOST: usize = 8192;
/// Bytes of a digest.
const KEY: usize = 32;

/// Vectors of one model.
pub(super) struct Kept {
    vectors: HashMap<Digest, Arc<[f32]>>,
    file: Option<PathBuf>,
}

impl Kept {
    /// Reads what is in the directory for the model.
    pub(super) fn open(model: &EmbeddingModel, directory: Option<PathBuf>) -> Self {
        let name = Digest::of_parts([model.name.as_bytes(), &model.dimension.to_be_bytes()]);
        let file = directory.map(|directory| directory.join(format!("{}.vectors", name.short())));
        let bytes = file.as_ref().and_then(|file| fs_err::read(file).ok()).unwrap_or_default();
        let vectors = read(&bytes, model.dimension).unwrap_or_default();
        Self { vectors, file }
    }

    pub(super) fn get(&self, key: &Digest) -> Option<Arc<[f32]>> {
        self.vectors.get(key).cloned()
    }

    /// Keeps vectors. A file that cannot be written costs time only.
    pub(super) fn put(&mut self, vectors: impl Iterator<Item = (Digest, Vec<f32>)>) {
        let new: Vec<(Digest, Arc<[f32]>)> = vectors.map(|(key, vector)| (key, vector.into())).collect();
        if self.vectors.len() + new.len() > MOST {
            self.vectors.clear();
        }
        self.vectors.extend(new);
        let _costs_time_only = self.write();
    }

    /// Another process may write the same file: whole files take each other's place.
    fn write(&self) -> std::io::Result<()> {
        let Some((file, directory)) = self.file.as_ref().and_then(|file| Some((file, file.parent()?))) else {
            return Ok(());
        };
        fs_err::create_dir_all(directory)?;
        let mut bytes = Vec::new();
        for (key, vector) in &self.vectors {
            bytes.extend_from_slice(key.as_bytes());
            vector.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        let mut new = tempfile::NamedTempFile::new_in(directory)?;
        new.write_all(&bytes)?;
        new.persist(file)?;
        Ok(())
    }
}

fn read(bytes: &[u8], dimension: usize) -> Option<HashMap<Digest, Arc<[f32]>>> {
    let size = KEY + dimension * size_of::<f32>();
    let records = bytes.chunks_exact(size);
    if !records.remainder().is_empty() {
        return None;
    }
    let record = |record: &[u8]| {
        let (key, values) = record.split_at_checked(KEY)?;
        let values = values.chunks_exact(size_of::<f32>());
        let vector: Option<Arc<[f32]>> = values.map(|value| Some(f32::from_le_bytes(value.try_into().ok()?))).collect();
        Some((Digest::from_bytes(key)?, vector?))
    };
    records.map(record).collect()
}
