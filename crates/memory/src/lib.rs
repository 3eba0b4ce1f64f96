//! Memory: chunks, the index, search, the curator, and the standards of a project.
//!
//! Owns: cutting documents into chunks, what is indexed and embedded when, how results are found and ranked, and how
//! standards are proposed, decided and kept as files. Leaves out extraction, embedding models, SQL and surfaces.
