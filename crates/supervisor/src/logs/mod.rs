//! What services print: read from a named pipe, stamped, kept in files that are closed and packed when they are large,
//! and passed on to whoever waits for a line or follows.
//!
//! The pipe is held open by the service itself, for both directions: the end of the supervisor neither breaks it nor
//! loses what is in it, and the next supervisor reads on. Leaves out who shows it.

mod budget;
mod capture;
mod closed;
mod file;
mod line;
mod listeners;
mod read;
mod splitter;

pub use capture::{Capture, Clock, LogSpec};
pub(crate) use closed::file_name;
pub use line::Line;
pub use read::{read_since, read_tail};
