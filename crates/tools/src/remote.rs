//! MCP servers over HTTP, outside of a run: logging in to them, and trying them out.

pub use crate::mcp::{
    Probe, ProbeFailure,
    login::{LoginRequest, Logins, PendingLogin},
};
