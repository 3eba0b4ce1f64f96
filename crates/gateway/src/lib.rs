//! Model calls: providers, routes with typed fallback, retries, receipts, prices, and scripted models.
//!
//! Owns the wire formats of model providers and everything that happens between a [`ModelRequest`] and its reply.
//! Leaves out reading the environment and configuration files (the application passes keys and settings in), budgets
//! (the engine reserves before each call) and checking tool arguments.
//!
//! Each provider speaks one dialect, written here on raw JSON and server-sent events: [`upstream`] has the reasons.
//!
//! [`ModelRequest`]: masque_types::model::ModelRequest

mod answer;
mod anthropic;
pub mod config;
mod error;
mod failure;
mod gateway;
mod gemini;
mod http;
mod names;
mod openai;
mod openai_body;
pub mod prices;
pub mod probe;
mod route;
pub mod script;
pub mod scripted;
mod sse;
mod template;
mod upstream;
pub mod well_known;

pub use error::Error;
pub use gateway::{Gateway, Reason};
pub use http::client;
