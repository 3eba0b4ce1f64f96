//! From a tool's name to what performs it. A name without a route reaches nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use masque_types::tool::{Invocation, ProbeAnswer, ToolOutput};
use serde_json::{Value, json};

use crate::{
    builtin,
    host::HostTool,
    mcp::{self, Request},
    server::{self, IDEMPOTENCY_KEY, PROBE},
};

/// For a call of the tool server that waits for nothing.
const FILE_LIMIT: Duration = Duration::from_secs(120);
/// What a command's own limit is exceeded by before the server itself is given up.
const SLACK: Duration = Duration::from_secs(30);

/// What performs a tool.
pub(super) enum Route {
    /// Code inside Masque.
    Host(Arc<dyn HostTool>),
    /// The engine, by asking a human or another persona.
    Engine,
    /// The tool server.
    Builtin,
    /// An MCP server, by its own name for the tool.
    Mcp(Arc<mcp::Source>, String),
}

/// All routes, and why other tools have none.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) open: BTreeMap<String, Route>,
    pub(super) refused: BTreeMap<String, String>,
}

impl Routes {
    pub(super) async fn call(&self, tool_server: Option<&mcp::Server>, invocation: &Invocation) -> ToolOutput {
        let tool = &invocation.call.tool;
        match (self.open.get(tool), tool_server) {
            (Some(Route::Host(host)), _) => host.call(invocation).await,
            (Some(Route::Engine), _) => {
                ToolOutput::error(format!("`{tool}` is answered by a human or a persona, not called"))
            }
            (Some(Route::Mcp(source, name)), _) => source.call(name, invocation).await,
            (Some(Route::Builtin), Some(server)) => match server.call(builtin_request(invocation, Meta::Call)).await {
                Ok(result) => mcp::output(result),
                Err(failure) => ToolOutput::error(failure.reason),
            },
            (Some(Route::Builtin), None) | (None, _) => ToolOutput::error(self.refusal(tool)),
        }
    }

    pub(super) async fn probe(&self, tool_server: Option<&mcp::Server>, invocation: &Invocation) -> ProbeAnswer {
        // Only our own server knows the question; any other would take it for a call and perform it.
        match (self.open.get(&invocation.call.tool), tool_server) {
            (Some(Route::Builtin), Some(server)) => {
                let answer = server.call(builtin_request(invocation, Meta::Probe)).await;
                answer.map_or(ProbeAnswer::Unknown, server::probe_answer)
            }
            _ => ProbeAnswer::Unknown,
        }
    }

    fn refusal(&self, tool: &str) -> String {
        match self.refused.get(tool) {
            Some(reason) => format!("`{tool}` cannot be called: {reason}"),
            None => format!("there is no tool `{tool}` for this persona; use one of the tools that were listed"),
        }
    }
}

/// What a request to the tool server means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meta {
    Call,
    Probe,
}

fn builtin_request(invocation: &Invocation, meta: Meta) -> Request<'_> {
    let mut entries = serde_json::Map::new();
    entries.insert(IDEMPOTENCY_KEY.to_owned(), json!(invocation.idempotency_key));
    if meta == Meta::Probe {
        entries.insert(PROBE.to_owned(), json!(true));
    }
    let arguments = &invocation.call.arguments;
    let asked = arguments.get("timeout_s").and_then(Value::as_u64).map(Duration::from_secs);
    let limit = asked.unwrap_or(FILE_LIMIT).clamp(FILE_LIMIT, builtin::LONGEST_TIMEOUT) + SLACK;
    Request { tool: &invocation.call.tool, arguments, meta: entries, limit }
}
