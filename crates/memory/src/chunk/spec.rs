//! How large chunks are. Leaves out cutting.

use masque_types::memory::DocumentKind;

use crate::Error;

/// How large chunks are, in estimated tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkSpec {
    tokens: usize,
    overlap: usize,
}

impl ChunkSpec {
    /// The smallest size that chunks can be cut to.
    pub const SMALLEST: usize = 32;

    /// Chunks of at most so many tokens, each beginning with about so many of the one before.
    ///
    /// # Errors
    /// [`Error::ChunkSize`] when the size is below [`Self::SMALLEST`] or the overlap above half of it.
    pub fn new(tokens: usize, overlap: usize) -> Result<Self, Error> {
        if tokens < Self::SMALLEST || overlap > tokens / 2 {
            return Err(Error::ChunkSize { tokens, overlap, smallest: Self::SMALLEST });
        }
        Ok(Self { tokens, overlap })
    }

    /// What is usual for a kind of document: a standard or a note is about one thing each few sentences, and a smaller chunk
    /// tells them apart.
    #[must_use]
    pub const fn of_kind(kind: DocumentKind) -> Self {
        match kind {
            DocumentKind::Document | DocumentKind::Summary => Self { tokens: 512, overlap: 64 },
            DocumentKind::Standard | DocumentKind::Note => Self { tokens: 256, overlap: 24 },
        }
    }

    /// Estimated tokens of a chunk at most.
    #[must_use]
    pub const fn tokens(self) -> usize {
        self.tokens
    }

    /// Estimated tokens that a chunk repeats of the one before at most.
    #[must_use]
    pub const fn overlap(self) -> usize {
        self.overlap
    }
}
