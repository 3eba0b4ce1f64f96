//! Trying a server out: connected to as a run would, its tools listed and called, nothing kept.

use std::sync::Arc;

use masque_types::{
    diagnostic::Diagnostic,
    persona::{McpServer, McpTransport},
    tool::{ToolOutput, ToolSpec},
};
use serde_json::Value;

use super::{
    connection::{How, StartFailure},
    login::Logins,
    server::CallFailure,
    source::{self, Source},
};

/// The name that tools of a server that is tried out stand under.
const NAME: &str = "probe";

/// A server that is tried out.
pub struct Probe {
    source: Source,
    /// What of the server cannot be used, and why.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a server could not be tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFailure {
    /// In words for people.
    pub reason: String,
    /// The `WWW-Authenticate` header with which the server asked for a login, or for more rights.
    pub challenge: Option<String>,
}

impl From<StartFailure> for ProbeFailure {
    fn from(failure: StartFailure) -> Self {
        let reason = failure.to_string();
        let challenge = match failure {
            StartFailure::Login { challenge, .. } => Some(challenge),
            StartFailure::Program(_) | StartFailure::Server(_) => None,
        };
        Self { reason, challenge }
    }
}

impl From<CallFailure> for ProbeFailure {
    fn from(CallFailure { reason, challenge }: CallFailure) -> Self {
        Self { reason, challenge }
    }
}

impl Probe {
    /// Connects to a server over HTTP and lists its tools.
    ///
    /// # Errors
    /// When it cannot be reached, asks for a login, or does not answer within its time limit.
    pub async fn open(server: &McpServer, logins: Arc<dyn Logins>) -> Result<Self, ProbeFailure> {
        let wrong = |reason: String| ProbeFailure { reason, challenge: None };
        let McpTransport::Http { url, headers } = &server.transport else {
            return Err(wrong("only servers over HTTP are tried out; others start within a run".to_owned()));
        };
        let headers = source::headers(headers).map_err(wrong)?;
        let how = How::Http { url: url.clone(), headers, logins: Some(logins) };
        let (source, diagnostics) = Source::start(NAME, url, server, how, None).await?;
        Ok(Self { source, diagnostics })
    }

    /// Its tools, by the server's own names.
    pub fn tools(&self) -> impl Iterator<Item = (&String, &ToolSpec)> {
        self.source.tools()
    }

    /// Calls one of its tools, by the server's own name.
    ///
    /// # Errors
    /// When it is refused, asks for more rights, or gives no answer within the server's time limit.
    pub async fn call(&self, tool: &str, arguments: &Value) -> Result<ToolOutput, ProbeFailure> {
        Ok(self.source.request(tool, arguments, serde_json::Map::new()).await?)
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.source.close().await;
    }
}
