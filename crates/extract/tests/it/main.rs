//! Documents of every format, what becomes of them, and what becomes of hostile ones.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by a panic")]

mod formats;
mod hostile;
