//! What a persona keeps: its directory, its versions, its identity, its icon; and how all that is sealed.
//!
//! Owns: the sealing of data at rest ([`seal`]), the directory of a persona ([`home`]) and its versions
//! ([`versions`]), who a persona is ([`identity`]) and how it proves that ([`handshake`]), and its [`icon`]. Leaves
//! out persona files and who may do what; it knows names, bytes and keys only. Times are passed in.

mod error;
mod files;
pub mod handshake;
pub mod home;
pub mod icon;
pub mod identity;
pub mod name;
pub mod seal;
pub mod versions;

pub use error::Error;
pub use files::{create_private_directory, write_private};
