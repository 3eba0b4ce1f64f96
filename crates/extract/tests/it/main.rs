//! Documents of every format, what becomes of them, and what becomes of hostile ones.

#![expect(clippy::unwrap_used, reason = "tests fail by a panic")]

mod formats;
mod hostile;
