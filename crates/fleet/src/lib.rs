//! What a fleet is: hosts, groups and services with their dependencies, as files say it.
//!
//! Owns: the plain data ([`model`]), what needs what ([`graph`]), whether it can run ([`check`]), its forms for other
//! tools ([`export`], [`import`]), and what a supervisor tells about it ([`status`]). Leaves out everything that runs: it
//! starts no program and opens no connection.

pub mod check;
mod error;
pub mod export;
pub mod graph;
pub mod import;
pub mod manifest;
pub mod model;
pub mod status;

pub use error::Error;
