//! Where the two databases differ: opening, errors, parameters, the claim of the next run, and wake-ups.

pub(crate) mod postgres;
pub(crate) mod sqlite;
