//! One MCP server as a source of tools: what it had at the start, and calls to exactly that.

use std::{collections::HashMap, path::Path, sync::Arc};

use masque_types::{
    diagnostic::Diagnostic,
    persona::{McpServer, McpTransport},
    tool::{Invocation, Place, ToolOutput, ToolSpec},
};
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    cache::Cache,
    catalogue::{self, Catalogue, Origin},
    connection::{How, StartFailure},
    content,
    server::{CallFailure, Line, Request, Server},
};
use crate::server::IDEMPOTENCY_KEY;

/// A server and the tools that it had when the run started.
#[derive(Debug)]
pub(crate) struct Source {
    server: Arc<Server>,
    origin: Origin,
    catalogue: Catalogue,
    /// Where the list of a lazily started server is kept.
    cache: Option<Cache>,
    /// What the newest start of the server lists.
    newest: Mutex<Newest>,
}

#[derive(Debug)]
struct Newest {
    generation: u64,
    catalogue: Catalogue,
}

impl Source {
    /// Starts a server and lists its tools. One that is started lazily is not started when its list is kept in the
    /// directory `kept`; else it is started, asked for its list, and ended until it is needed.
    ///
    /// # Errors
    /// When it does not start, or does not list its tools.
    pub(crate) async fn start(
        name: &str,
        file: &str,
        settings: &McpServer,
        how: How,
        kept: Option<&Path>,
    ) -> Result<(Self, Vec<Diagnostic>), StartFailure> {
        let place = match settings.transport {
            McpTransport::Stdio { .. } => Place::Sandbox,
            McpTransport::Http { .. } => Place::Remote,
        };
        let origin = Origin { server: name.to_owned(), file: file.to_owned(), place, settings: settings.clone() };
        let cache = kept.filter(|_| settings.lazy).and_then(|directory| Cache::of(directory, settings));
        let server_name = format!("mcp:{name}");
        if let Some(listed) = cache.as_ref().and_then(Cache::read) {
            let server = Arc::new(Server::idle(server_name, how, settings.forms, settings.timeout));
            return Ok(Self::listed(server, origin, listed, cache, 0));
        }
        let server = Arc::new(Server::start(server_name, how, settings.forms, settings.timeout).await?);
        let listed = match server.line().await {
            Ok(line) => catalogue::ask(&line.peer, settings.timeout).await,
            Err(failure) => Err(failure),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(CallFailure { reason, challenge }) => {
                server.close().await;
                return Err(match (challenge, &settings.transport) {
                    (Some(challenge), McpTransport::Http { url, .. }) => {
                        StartFailure::Login { url: url.clone(), challenge }
                    }
                    _ => StartFailure::Server(reason),
                });
            }
        };
        if settings.lazy {
            server.rest().await;
        }
        if let Some(cache) = &cache {
            cache.write(&listed);
        }
        Ok(Self::listed(server, origin, listed, cache, 1))
    }

    fn listed(
        server: Arc<Server>,
        origin: Origin,
        listed: Vec<Tool>,
        cache: Option<Cache>,
        generation: u64,
    ) -> (Self, Vec<Diagnostic>) {
        let (catalogue, diagnostics) = catalogue::catalogue(&origin, listed);
        let newest = Mutex::new(Newest { generation, catalogue: catalogue.clone() });
        (Self { server, origin, catalogue, cache, newest }, diagnostics)
    }

    /// Its tools by the server's own names.
    pub(crate) fn tools(&self) -> impl Iterator<Item = (&String, &ToolSpec)> {
        self.catalogue.iter()
    }

    /// Performs a call to one of [`Source::tools`].
    pub(crate) async fn call(&self, tool: &str, invocation: &Invocation) -> ToolOutput {
        match self.try_call(tool, invocation).await {
            Ok(output) => output,
            Err(failure) => ToolOutput::error(failure.reason),
        }
    }

    async fn try_call(&self, tool: &str, invocation: &Invocation) -> Result<ToolOutput, CallFailure> {
        let mut meta = serde_json::Map::new();
        meta.insert(IDEMPOTENCY_KEY.to_owned(), json!(invocation.idempotency_key));
        self.request(tool, &invocation.call.arguments, meta).await
    }

    /// Performs a call that belongs to no run, or to one whose key stands in `meta`.
    pub(super) async fn request(
        &self,
        tool: &str,
        arguments: &Value,
        meta: JsonObject,
    ) -> Result<ToolOutput, CallFailure> {
        let line = self.server.line().await?;
        self.check_unchanged(&line, tool).await?;
        let request = Request { tool, arguments, meta, limit: self.origin.settings.timeout };
        self.server.call_over(&line, request).await.map(content::output)
    }

    /// A server that was started again may have become another one: what it lists now must be what it listed then.
    async fn check_unchanged(&self, line: &Line, tool: &str) -> Result<(), CallFailure> {
        let mut newest = self.newest.lock().await;
        if newest.generation != line.generation {
            let listed = catalogue::ask(&line.peer, self.origin.settings.timeout).await?;
            if let Some(cache) = &self.cache {
                cache.write(&listed);
            }
            let (catalogue, _) = catalogue::catalogue(&self.origin, listed);
            *newest = Newest { generation: line.generation, catalogue };
        }
        let digest = |catalogue: &Catalogue| catalogue.get(tool).map(ToolSpec::digest);
        if digest(&newest.catalogue) == digest(&self.catalogue) {
            return Ok(());
        }
        Err(CallFailure::new(format!(
            "`mcp:{}/{tool}` is not what it was when the run started (the server was started again and declares it \
             differently); it is not called any more",
            self.origin.server
        )))
    }

    /// Ends the server.
    pub(crate) async fn close(&self) {
        self.server.close().await;
    }
}

/// The headers of a persona's file.
///
/// # Errors
/// For what is no header; the value is not repeated, it may be a secret.
pub(crate) fn headers<'a>(
    written: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let mut headers = HashMap::new();
    for (name, value) in written {
        let parsed = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
        let (name, mut value) = parsed.ok_or_else(|| format!("the header `{name}` or its value is not valid HTTP"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
