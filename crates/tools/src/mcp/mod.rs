//! The MCP client: servers as programs in the sandbox or over HTTP, their tools as ours, their results as content.
//!
//! Everything that a server says about itself is data of a stranger: names are checked, texts cleaned and cut, and a
//! tool that changes after the run started is not called any more.

mod cache;
mod catalogue;
mod client;
mod connection;
mod content;
pub(crate) mod login;
mod probe;
mod sanitise;
mod server;
mod source;
mod stderr;

pub(crate) use connection::{How, StartFailure};
pub(crate) use content::output;
pub use probe::{Probe, ProbeFailure};
pub(crate) use sanitise::{SHORT, clean};
pub(crate) use server::{Request, Server};
pub(crate) use source::{Source, headers};
