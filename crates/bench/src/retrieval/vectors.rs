//! Vectors that were computed once: the same text is not embedded again by the next run. Leaves out the model.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use masque_types::{
    BoxFuture,
    digest::Digest,
    memory::{EmbedPurpose, Embedder, EmbeddingModel},
};

/// An embedding model whose vectors are kept in a file. What is measured for speed asks the model itself.
pub(crate) struct Kept {
    inner: Arc<dyn Embedder>,
    file: PathBuf,
    vectors: Mutex<HashMap<Digest, Vec<f32>>>,
}

impl Kept {
    /// Reads what was kept of this model in a directory.
    pub(crate) fn open(inner: Arc<dyn Embedder>, directory: &Path) -> anyhow::Result<Self> {
        fs_err::create_dir_all(directory)?;
        let name = Digest::of(&inner.model().name).short();
        let file = directory.join(format!("vectors-{name}"));
        let vectors = read(&fs_err::read(&file).unwrap_or_default(), inner.model().dimension);
        Ok(Self { inner, file, vectors: Mutex::new(vectors) })
    }

    async fn embed_all(&self, texts: &[String], purpose: EmbedPurpose) -> Result<Vec<Vec<f32>>, String> {
        let keys: Vec<Digest> = texts.iter().map(|text| key(text, purpose)).collect();
        let is_new = |key: &Digest| !self.lock().contains_key(key);
        let (new_keys, new_texts): (Vec<Digest>, Vec<String>) =
            keys.iter().zip(texts).filter(|(key, _)| is_new(key)).map(|(key, text)| (*key, text.clone())).unzip();
        if !new_texts.is_empty() {
            let computed = self.inner.embed(&new_texts, purpose).await?;
            self.keep(new_keys.into_iter().zip(computed)).map_err(|error| error.to_string())?;
        }
        let vectors = self.lock();
        Ok(keys.iter().filter_map(|key| vectors.get(key).cloned()).collect())
    }

    fn keep(&self, computed: impl Iterator<Item = (Digest, Vec<f32>)>) -> std::io::Result<()> {
        use std::io::Write as _;
        let mut bytes = Vec::new();
        let mut vectors = self.lock();
        for (key, vector) in computed {
            bytes.extend_from_slice(key.as_bytes());
            bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
            vectors.insert(key, vector);
        }
        fs_err::OpenOptions::new().create(true).append(true).open(&self.file)?.write_all(&bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Vec<f32>>> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(text: &str, purpose: EmbedPurpose) -> Digest {
    let purpose: &[u8] = if purpose == EmbedPurpose::Query { b"query" } else { b"document" };
    Digest::of_parts([purpose, text.as_bytes()])
}

/// Records of a digest and a vector. An incomplete last one, of a run that died, is left out.
fn read(bytes: &[u8], dimension: usize) -> HashMap<Digest, Vec<f32>> {
    let record = |record: &[u8]| {
        let (key, numbers) = record.split_at_checked(32)?;
        let (numbers, _) = numbers.as_chunks::<4>();
        Some((Digest::from_bytes(key)?, numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    };
    bytes.chunks_exact(32 + dimension * 4).filter_map(record).collect()
}

impl Embedder for Kept {
    fn model(&self) -> &EmbeddingModel {
        self.inner.model()
    }

    fn embed<'a>(&'a self, texts: &'a [String], purpose: EmbedPurpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        Box::pin(self.embed_all(texts, purpose))
    }
}
