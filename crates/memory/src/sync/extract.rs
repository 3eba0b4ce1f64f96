//! The seam to the parsers of documents. Leaves out where a parser runs.

use masque_extract::{Extracted, Limits};
use masque_types::BoxFuture;

/// Turns the bytes of a file into text.
///
/// Implementers keep the bytes of formats that are hostile away from this process unless they trust them, and bound the
/// time that one document takes.
pub trait Extract: Send + Sync {
    /// The text of a document; the error is a sentence that says why there is none and what to do.
    fn extract<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<Extracted, String>>;

    /// How much is read.
    fn limits(&self) -> &Limits;
}

/// Parses every document in this process: for files that the caller trusts.
#[derive(Debug, Clone, Default)]
pub struct InProcess {
    limits: Limits,
}

impl Extract for InProcess {
    fn extract<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<Extracted, String>> {
        let (name, limits) = (name.to_owned(), self.limits.clone());
        let extracting = move || masque_extract::extract(&name, &bytes, &limits).map_err(|error| error.to_string());
        Box::pin(async { tokio::task::spawn_blocking(extracting).await.map_err(|error| error.to_string())? })
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}
