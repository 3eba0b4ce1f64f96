//! Search: what is asked, what is found, and why it was found.
//!
//! Owns: queries, fusing the text leg and the vector leg, recency, diversity, sections, abstention, explanations. Leaves
//! out SQL and how a leg scores inside the database.

mod found;
mod query;

pub use found::{Explanation, Found, Hit, Leg, LegRank, Note, Section};
pub use query::{Diversity, Extent, Filters, Mode, Recency, SearchQuery, Tuning};
