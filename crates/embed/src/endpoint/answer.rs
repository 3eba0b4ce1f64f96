//! What a server answered, checked: as many vectors as texts, in their order, all of one dimension, at unit length.

use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The vectors of an answer. A `dimension` of 0 takes whatever comes.
pub(super) fn vectors(bytes: &[u8], texts: usize, dimension: usize) -> Result<Vec<Vec<f32>>, String> {
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|error| format!("the answer has no vectors: {error}"))?;
    if answer.data.len() != texts {
        return Err(format!("expected {texts} vectors, got {}", answer.data.len()));
    }
    let mut entries: Vec<(usize, Vec<f32>)> = answer
        .data
        .into_iter()
        .enumerate()
        .map(|(place, entry)| (entry.index.unwrap_or(place), entry.embedding))
        .collect();
    entries.sort_by_key(|(index, _)| *index);
    if entries.iter().enumerate().any(|(place, (index, _))| place != *index) {
        return Err("the vectors are not numbered from 0 without gaps".to_owned());
    }
    let first = entries.first().map_or(0, |(_, vector)| vector.len());
    let expected = if dimension == 0 { first } else { dimension };
    entries.into_iter().map(|(_, vector)| unit(vector, expected)).collect()
}

fn unit(vector: Vec<f32>, dimension: usize) -> Result<Vec<f32>, String> {
    if vector.len() != dimension || dimension == 0 {
        let got = vector.len();
        return Err(format!(
            "expected vectors of {dimension} numbers, got {got}: has the model behind the name changed?"
        ));
    }
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err("a vector has no length: the model does not embed".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "vectors have 32-bit numbers")]
    let unit = |value: f32| (f64::from(value) / length) as f32;
    Ok(vector.into_iter().map(unit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, dimension: usize) -> Result<Vec<Vec<f32>>, String> {
        vectors(answer.as_bytes(), 2, dimension)
    }

    #[test]
    fn vectors_come_in_the_order_of_their_numbers_and_at_unit_length() {
        let answer = r#"{"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]}"#;
        assert_eq!(check(answer, 0).unwrap(), [[0.6, 0.8], [0.0, 1.0]]);
        let unnumbered = r#"{"data": [{"embedding": [3, 4]}, {"embedding": [0, 2]}]}"#;
        assert_eq!(check(unnumbered, 2).unwrap(), [[0.6, 0.8], [0.0, 1.0]]);
    }

    #[test]
    fn wrong_answers_are_refused_in_words() {
        let refused = [
            ("{}", 0, "no vectors"),
            (r#"{"data": [{"embedding": [1]}]}"#, 0, "expected 2 vectors, got 1"),
            (r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}"#, 0, "without gaps"),
            (r#"{"data": [{"embedding": [1]}, {"embedding": [1, 1]}]}"#, 0, "expected vectors of 1 numbers, got 2"),
            (r#"{"data": [{"embedding": [1]}, {"embedding": [1]}]}"#, 2, "expected vectors of 2 numbers, got 1"),
            (r#"{"data": [{"embedding": [0]}, {"embedding": [1]}]}"#, 1, "no length"),
            (r#"{"data": [{"embedding": []}, {"embedding": []}]}"#, 0, "got 0"),
        ];
        for (answer, dimension, words) in refused {
            let problem = check(answer, dimension).unwrap_err();
            assert!(problem.contains(words), "{answer}: {problem}");
        }
    }
}
