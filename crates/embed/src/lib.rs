//! Embedding models: all-MiniLM-L6-v2 computed here, and endpoints that speak OpenAI's embeddings protocol.
//!
//! Owns: where models are found, how they are fetched and checked, and the vectors. Leaves out what is embedded and where
//! vectors are kept, and which model is used: the application chooses it and passes the HTTP client in.

mod bert;
mod endpoint;
mod error;
pub mod fetch;
mod files;
mod gelu;
mod minilm;
mod wordpiece;

pub use endpoint::{Endpoint, EndpointSpec};
pub use error::Error;
pub use files::{MINILM, ModelFile, ModelFiles};
pub use minilm::MiniLm;
