//! Texts to the numbers of word pieces, cut at what the model was trained for.

use std::path::Path;

use tokenizers::{Tokenizer, TruncationParams};

use crate::error::Error;

/// The longest text in word pieces, the marks of begin and end included: what the model was trained for.
pub(crate) const LONGEST: usize = 256;

/// The vocabulary of a model.
pub(crate) struct WordPieces {
    tokenizer: Tokenizer,
}

impl WordPieces {
    /// Reads a `tokenizer.json`. What the file says of cutting and padding is for another purpose and not used.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Model { path: path.to_owned(), problem };
        let mut tokenizer = Tokenizer::from_bytes(fs_err::read(path)?).map_err(|error| wrong(error.to_string()))?;
        let cut = TruncationParams { max_length: LONGEST, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(cut)).map_err(|error| wrong(error.to_string()))?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer })
    }

    /// The word pieces of a text with the marks of begin and end.
    pub(crate) fn of(&self, text: &str) -> Result<Vec<u32>, Error> {
        // No word piece is longer than some letters, so what lies far behind the cut need not be looked at.
        let text = head(text, LONGEST * 64);
        let encoded = self.tokenizer.encode_fast(text, true).map_err(|error| Error::Compute(error.to_string()))?;
        Ok(encoded.get_ids().to_vec())
    }
}

/// The first bytes of a text, to a whole letter.
fn head(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or(text)
}
