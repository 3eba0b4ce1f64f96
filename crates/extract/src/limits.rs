//! How much a document may ask for. Leaves out memory and time, which only the process around it can bound.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Bounds of one extraction. What hides more than it shows is refused; what is merely long is cut, with a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest document, in bytes.
    pub input_bytes: u64,
    /// Most bytes that all that is read of an archive may unpack to.
    pub unpacked_bytes: u64,
    /// How many times larger than packed an entry of an archive may be, once it is over a mebibyte.
    pub ratio: u64,
    /// Most entries of an archive.
    pub entries: usize,
    /// Elements within elements.
    pub depth: usize,
    /// Most nodes of one XML or HTML tree.
    pub nodes: u32,
    /// Mails within mails.
    pub mails: usize,
    /// Most pages, slides or sheets; what follows is left out.
    pub pages: usize,
    /// Most bytes of text; what follows is left out.
    pub text_bytes: usize,
}

impl Default for Limits {
    /// 64 MiB of input, 256 MiB unpacked, 16 MiB of text.
    fn default() -> Self {
        Self {
            input_bytes: 64 << 20,
            unpacked_bytes: 256 << 20,
            ratio: 200,
            entries: 10_000,
            depth: 256,
            nodes: 2_000_000,
            mails: 4,
            pages: 5_000,
            text_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// Whether a document of this size is read at all: ask before reading it.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub const fn check_input(&self, bytes: u64) -> Result<(), Error> {
        if bytes > self.input_bytes {
            return Err(Error::TooLarge { bytes, limit: self.input_bytes });
        }
        Ok(())
    }
}
