//! all-MiniLM-L6-v2 as an embedder: batches, threads, and the end of work that nobody waits for any more.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use masque_types::{
    BoxFuture,
    memory::{EmbedPurpose, Embedder, EmbeddingModel},
};
use rayon::prelude::*;

use crate::{
    bert::{Bert, WIDTH},
    error::Error,
    files::{MINILM, Manifest, TOKENIZER, WEIGHTS},
    wordpiece::WordPieces,
};

/// Word pieces that are computed together: enough for the processor's caches to pay, few enough to stop soon.
const BATCH: usize = 512;

/// all-MiniLM-L6-v2, computed on this machine's processor.
pub struct MiniLm {
    model: EmbeddingModel,
    network: Arc<Network>,
}

/// The network, read when the first text comes: most commands never need it.
struct Network {
    directory: PathBuf,
    parts: Mutex<Option<Arc<Parts>>>,
}

struct Parts {
    pieces: WordPieces,
    bert: Bert,
}

impl MiniLm {
    /// Takes a directory with the model's files. The weights are read when the first text is embedded.
    ///
    /// # Errors
    /// When a file is missing or cannot be read.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        for file in [WEIGHTS, TOKENIZER] {
            if !directory.join(file).is_file() {
                let (place, file) = (directory.display().to_string(), file.to_owned());
                return Err(Error::Missing { place, file, model: MINILM.name });
            }
        }
        let manifest = match Manifest::read(directory) {
            Some(manifest) => manifest,
            None => Manifest::of_files(directory)?,
        };
        let model = EmbeddingModel { name: manifest.identity(), dimension: WIDTH };
        Ok(Self { model, network: Arc::new(Network { directory: directory.to_owned(), parts: Mutex::default() }) })
    }

    /// Embeds texts on the calling thread and its helpers. Looks at `stop` before each batch.
    ///
    /// # Errors
    /// When the files cannot be read, and when it was stopped.
    pub fn embed_now(&self, texts: &[String], stop: &AtomicBool) -> Result<Vec<Vec<f32>>, Error> {
        self.network.embed(texts, stop)
    }
}

impl Network {
    fn parts(&self) -> Result<Arc<Parts>, Error> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = &*parts {
            return Ok(Arc::clone(parts));
        }
        let path = self.directory.join(WEIGHTS);
        let bytes = fs_err::read(&path)?;
        let bert = Bert::read(bytes).map_err(|error| Error::Model { path, problem: error.to_string() })?;
        let pieces = WordPieces::read(&self.directory.join(TOKENIZER))?;
        Ok(Arc::clone(parts.insert(Arc::new(Parts { pieces, bert }))))
    }

    fn embed(&self, texts: &[String], stop: &AtomicBool) -> Result<Vec<Vec<f32>>, Error> {
        let parts = self.parts()?;
        let pieces: Vec<_> = texts.par_iter().map(|text| parts.pieces.of(text)).collect::<Result<_, _>>()?;
        let computed: Vec<_> = batches(&pieces).par_iter().map(|batch| parts.batch(&pieces, batch, stop)).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in computed {
            for (text, vector) in batch? {
                if let Some(place) = vectors.get_mut(text) {
                    *place = vector;
                }
            }
        }
        Ok(vectors)
    }
}

impl Parts {
    fn batch(&self, pieces: &[Vec<u32>], batch: &[usize], stop: &AtomicBool) -> Result<Vec<(usize, Vec<f32>)>, Error> {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let texts: Vec<&[u32]> = batch.iter().filter_map(|text| pieces.get(*text)).map(Vec::as_slice).collect();
        let vectors = self.bert.vectors(&texts).map_err(|error| Error::Compute(error.to_string()))?;
        Ok(batch.iter().copied().zip(vectors).collect())
    }
}

/// The texts by length, in groups of about [`BATCH`] word pieces, longest first so that no thread ends late.
fn batches(pieces: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let length = |text: &usize| pieces.get(*text).map_or(0, Vec::len);
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|text| std::cmp::Reverse(length(text)));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut size = 0;
    for text in order {
        size += length(&text);
        match batches.last_mut() {
            Some(batch) if size <= BATCH => batch.push(text),
            _ => {
                size = length(&text);
                batches.push(vec![text]);
            }
        }
    }
    batches
}

/// Tells the work that its future is gone.
struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Embedder for MiniLm {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn embed<'a>(&'a self, texts: &'a [String], _: EmbedPurpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        Box::pin(async move {
            let stop = Arc::new(AtomicBool::new(false));
            let (network, texts, seen) = (Arc::clone(&self.network), texts.to_vec(), Arc::clone(&stop));
            let _leaving = Leaving(stop);
            let work = tokio::task::spawn_blocking(move || network.embed(&texts, &seen));
            work.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_text_is_in_one_batch_that_is_not_too_large(lengths in proptest::collection::vec(2..257usize, 0..200)) {
            let pieces: Vec<Vec<u32>> = lengths.iter().map(|length| vec![0; *length]).collect();
            let batches = batches(&pieces);
            let mut texts: Vec<usize> = batches.iter().flatten().copied().collect();
            texts.sort_unstable();
            prop_assert_eq!(texts, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches {
                let size: usize = batch.iter().map(|text| lengths[*text]).sum();
                prop_assert!(size <= BATCH || batch.len() == 1);
            }
        }
    }
}
