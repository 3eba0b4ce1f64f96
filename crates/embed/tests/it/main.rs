//! Embedding models from the outside.
