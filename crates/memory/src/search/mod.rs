//! Search: what is asked, what is found, and why it was found.
//!
//! Owns: queries, fusing the text leg and the vector leg, recency, diversity, sections, abstention, explanations. Leaves
//! out SQL and how a leg scores inside the database.
//!
//! The text leg ranks by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), the vector
//! leg by the cosine. [`fuse`] joins them by weighted reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009), [`rank`]
//! prefers what is newer and thins out what says the same (Carbonell and Goldstein, SIGIR 1998), [`confidence`] judges
//! whether the best result answers the question at all.

mod answer;
mod confidence;
mod found;
mod fuse;
mod query;
mod rank;
mod section;

pub(crate) use answer::answer;
pub use found::{Explanation, Found, Hit, Leg, LegRank, Note, Section};
pub use query::{Diversity, Extent, Filters, Mode, Recency, SearchQuery, Tuning};
