//! The nouns of Masque as plain data, and the seams between its parts.
//!
//! Owns: ids, personas, policies, messages, tools, runs, jobs, events, approvals, memories, standards, costs, diagnostics,
//! and the traits
//! [`model::Model`], [`tool::Toolbox`] and [`memory::Embedder`]. Leaves out everything that acts: no I/O, no clock, no randomness, no
//! runtime. Whoever needs the time or a new id passes it in.

pub mod actor;
pub mod approval;
pub mod child;
pub mod cost;
pub mod diagnostic;
pub mod digest;
pub mod event;
pub mod id;
pub mod instruction;
pub mod job;
pub mod memory;
pub mod message;
pub mod model;
pub mod persona;
pub mod policy;
pub mod run;
pub mod secret;
pub mod standard;
pub mod time;
pub mod tool;

use std::{future::Future, pin::Pin};

/// A boxed future, as returned by the object-safe seams of this crate.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
