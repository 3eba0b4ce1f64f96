//! Memory: chunks, the index, search, the curator, and the standards of a project.
//!
//! Owns: cutting documents into chunks, what is indexed and embedded when, how results are found and ranked, and how
//! standards are proposed, decided and kept as files. Leaves out extraction, embedding models, SQL and surfaces.

pub mod chunk;
pub mod curate;
mod error;
mod export;
pub mod index;
pub mod notes;
pub mod search;
pub mod standards;
pub mod sync;
pub mod terms;
pub mod tools;

pub use error::Error;
pub use export::Import;
pub use index::Index;
