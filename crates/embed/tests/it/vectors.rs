//! The vectors are those of the Python model. `reference/make.py` wrote its values.

use std::sync::atomic::AtomicBool;

use masque_embed::{Error, MiniLm};
use masque_types::memory::{EmbedPurpose, Embedder as _};
use serde::Deserialize;

use crate::model_files;

#[derive(Deserialize)]
struct Reference {
    cosines: Vec<Vec<f32>>,
    first_numbers: Vec<Vec<f32>>,
}

fn sentences() -> Vec<String> {
    let sentence = |line: &str| {
        let repeated = line.rsplit_once('*').and_then(|(text, times)| Some(text.repeat(times.parse().ok()?)));
        repeated.unwrap_or_else(|| line.to_owned()).replace("\\n", "\n")
    };
    include_str!("reference/sentences.txt").lines().map(sentence).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn vectors_and_their_cosines_are_those_of_the_python_model() {
    let Some(files) = model_files() else { return };
    let reference: Reference = serde_json::from_str(include_str!("reference/values.json")).unwrap();
    let model = MiniLm::load(&files).unwrap();
    let vectors = model.embed(&sentences(), EmbedPurpose::Document).await.unwrap();
    assert_eq!(vectors.len(), reference.cosines.len());
    for (row, vector) in vectors.iter().enumerate() {
        assert_eq!(vector.len(), model.model().dimension);
        for (place, expected) in reference.first_numbers[row].iter().enumerate() {
            assert!((vector[place] - expected).abs() < 1e-3, "number {place} of sentence {row}");
        }
        for (column, expected) in reference.cosines[row].iter().enumerate() {
            let found = cosine(vector, &vectors[column]);
            assert!((found - expected).abs() < 1e-3, "{row} and {column}: expected {expected}, got {found}");
        }
    }
}

#[tokio::test]
async fn a_vector_does_not_depend_on_what_was_embedded_beside_it() {
    let Some(files) = model_files() else { return };
    let model = MiniLm::load(&files).unwrap();
    let together = model.embed(&sentences(), EmbedPurpose::Document).await.unwrap();
    for place in [0, 5, 18] {
        let alone = model.embed(&sentences()[place..=place], EmbedPurpose::Document).await.unwrap();
        assert!(cosine(&alone[0], &together[place]) > 0.999_999);
    }
    assert!(model.embed(&[], EmbedPurpose::Document).await.unwrap().is_empty());
    let empty = model.embed(&[String::new()], EmbedPurpose::Document).await.unwrap();
    assert!((cosine(&empty[0], &empty[0]) - 1.0).abs() < 1e-4);
}

#[test]
fn work_that_nobody_waits_for_ends_before_the_next_batch() {
    let Some(files) = model_files() else { return };
    let model = MiniLm::load(&files).unwrap();
    let stopped = model.embed_now(&sentences(), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(Error::Stopped)));
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = MiniLm::load(directory.path()).err().unwrap().to_string();
    assert!(missing.contains("model.safetensors") && missing.contains("all-MiniLM-L6-v2"), "{missing}");
    for file in ["model.safetensors", "tokenizer.json"] {
        fs_err::write(directory.path().join(file), "no model").unwrap();
    }
    let model = MiniLm::load(directory.path()).unwrap();
    let damaged = model.embed_now(&["text".to_owned()], &AtomicBool::new(false)).unwrap_err().to_string();
    assert!(damaged.contains("model.safetensors") && damaged.contains("fetch the model again"), "{damaged}");
}
