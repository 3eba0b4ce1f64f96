//! The seam between the memory's SQL and what each database does in its own way: full text and vectors.

use masque_types::id::DocumentId;

use crate::{
    Error,
    session::Session,
    value::{Row, Value},
};

/// A connection of the writer, with what only the memory needs.
pub(crate) trait MemorySession: Session {
    /// Makes other programs wait that write to the memory too, until this transaction ends.
    async fn enter(&self) -> Result<(), Error>;

    /// Runs a statement that was put together.
    async fn read(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error>;

    /// Indexes a chunk under lexemes that are separated by spaces.
    async fn index_lexemes(&self, chunk_key: i64, lexemes: &str) -> Result<(), Error>;

    /// Takes a chunk out of the full-text index.
    async fn unindex_lexemes(&self, chunk_key: i64) -> Result<(), Error>;

    /// Makes the index for vectors of a length, unless there is one.
    async fn make_vector_index(&self, dimension: usize) -> Result<(), Error>;

    /// Puts a vector into the index.
    async fn index_vector(&self, place_key: i64, shelf_key: i64, vector: &[f32]) -> Result<(), Error>;

    /// Takes a vector out of the index.
    async fn unindex_vector(&self, dimension: usize, place_key: i64) -> Result<(), Error>;
}

/// Why a document cannot be stored.
pub(super) fn unstorable(id: DocumentId, reason: &str) -> Error {
    Error::unstorable(format!("the document {id}"), reason)
}

/// A vector as it is stored: numbers of 32 bits, little end first.
pub(super) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Reads a stored vector.
pub(super) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).filter_map(|part| part.try_into().ok()).map(f32::from_le_bytes).collect()
}

/// The scalar product of two vectors: of unit vectors the cosine.
pub(super) fn product(one: &[f32], bytes: &[u8]) -> f64 {
    let other = bytes.as_chunks::<4>().0;
    // Several sums, which the compiler turns into vector instructions.
    let mut sums = [0.0_f32; 8];
    for (numbers, parts) in one.chunks(8).zip(other.chunks(8)) {
        for ((sum, number), part) in sums.iter_mut().zip(numbers).zip(parts) {
            *sum += number * f32::from_le_bytes(*part);
        }
    }
    f64::from(sums.iter().sum::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_survive_their_bytes() {
        let vector: Vec<f32> = (0..19_u8).map(|number| f32::from(number) - 7.5).collect();
        assert_eq!(from_bytes(&to_bytes(&vector)), vector);
        let square: f32 = vector.iter().map(|number| number * number).sum();
        assert!((product(&vector, &to_bytes(&vector)) - f64::from(square)).abs() < 1e-3);
    }
}
