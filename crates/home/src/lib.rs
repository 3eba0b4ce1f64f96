//! What a persona keeps: its directory, its versions, its identity, its icon; and how all that is sealed.
//!
//! Leaves out persona files and who may do what; it knows names, bytes and keys only.
