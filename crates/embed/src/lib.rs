//! Embedding models: all-MiniLM-L6-v2 computed here, and endpoints that speak OpenAI's embeddings protocol.
//!
//! Owns: where models are found, how they are fetched and checked, and the vectors. Leaves out what is embedded and where
//! vectors are kept.
