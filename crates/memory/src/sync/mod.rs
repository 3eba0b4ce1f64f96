//! A directory and a namespace that say the same: the files below a root are documents, and stay so while they change.
//!
//! Owns: which files belong to a sync, what changed since they were indexed, watching for changes. Leaves out the parsers
//! of documents, which are given, cutting and storing, which is the index's, and when the application syncs what.
//!
//! Several processes may sync the same directory into the same store: a document is stored under the digest of its bytes,
//! so that it does not matter who comes first, and whoever stores something old sees the change that made it old.

mod extract;
mod inotify;
mod pending;
mod read;
mod scan;
mod scope;
mod spec;
mod stored;
mod walk;
mod watching;

pub use extract::{Extract, InProcess};
pub use scan::{Changes, Clock, LeftOut, Syncer};
pub use spec::SyncSpec;
pub use watching::{Report, Watching};
