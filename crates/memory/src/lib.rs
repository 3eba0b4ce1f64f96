//! Memory: chunks, the index, search, the curator, and the standards of a project.
//!
//! Owns: cutting documents into chunks, what is indexed and embedded when, how results are found and ranked, and how
//! standards are proposed, decided and kept as files. Leaves out extraction, embedding models, SQL and surfaces.

pub mod chunk;
mod error;
pub mod index;
pub mod search;
pub mod standards;
pub mod terms;

pub use error::Error;
pub use index::Index;
