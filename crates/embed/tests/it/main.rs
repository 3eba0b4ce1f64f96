//! Embedding models from the outside: reference values of the Python model, fetching, and endpoints.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail by a panic"
)]

mod endpoint;
mod fetching;
mod server;
mod vectors;

use std::path::PathBuf;

/// The directory with the model's files that `MASQUE_TEST_MINILM` names; `cargo run -p xtask -- test` sets it. None
/// where there is none, which is said, and a failure in CI.
#[expect(clippy::disallowed_methods, reason = "tests learn from the environment where the model is")]
fn model_files() -> Option<PathBuf> {
    if let Ok(directory) = std::env::var("MASQUE_TEST_MINILM") {
        return Some(directory.into());
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must set MASQUE_TEST_MINILM to a directory");
    eprintln!("skipped: MASQUE_TEST_MINILM names no directory with the files of all-MiniLM-L6-v2");
    None
}
