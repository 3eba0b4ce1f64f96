//! The tool server: the built-in tools over MCP on standard input and output, inside the sandbox.
//!
//! By the time a call arrives here the engine has asked the policy, and a human where the policy says so. What the policy
//! denies is neither listed nor performed here either. Starts nothing on its own and keeps no state between calls.

use std::{path::PathBuf, sync::Arc};

use masque_types::{
    message::{Part, ToolCall},
    policy::{Policy, Verdict},
    tool::{EffectClass, ProbeAnswer, ToolOutput},
};
use rmcp::{
    ErrorData, ServerHandler, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::{RequestContext, RoleServer},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Error,
    builtin::{self, Builtin, Call, Processes, Run},
    failure::{Failure, Outcome, into_output},
    stop::Stop,
    workspace::Workspace,
};

/// In the `_meta` of a call: not a call, but the question whether this call happened.
pub(crate) const PROBE: &str = "masque/probe";
/// In the `_meta` of a call: the same text on every try of the call.
pub(crate) const IDEMPOTENCY_KEY: &str = "masque/idempotency-key";
/// In the structured result of a probe.
const ANSWER: &str = "masque/answer";

/// What a tool server serves. Given to `masque tool-server` as JSON in its one argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolServerConfig {
    /// The directory that the tools work in.
    pub workspace: PathBuf,
    /// Patterns of names and paths that do not exist for the tools.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// Paths in the workspace that cannot be changed.
    #[serde(default)]
    pub read_only: Vec<PathBuf>,
    /// Directories in the workspace that can be written; absent means all of it.
    #[serde(default)]
    pub writable: Option<Vec<PathBuf>>,
    /// What the persona may do; absent means every tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

impl ToolServerConfig {
    /// A workspace without further limits.
    #[must_use]
    pub fn new(workspace: PathBuf) -> Self {
        Self { workspace, hidden: Vec::new(), read_only: Vec::new(), writable: None, policy: None }
    }

    /// Reads the argument of `masque tool-server`.
    ///
    /// # Errors
    /// When it is not such a configuration.
    pub fn parse(argument: &str) -> Result<Self, Error> {
        serde_json::from_str(argument).map_err(Error::Configuration)
    }
}

/// Serves on standard input and output until the input ends. A runtime of one thread is enough.
///
/// # Errors
/// When the workspace cannot be opened or the connection breaks.
pub async fn serve(config: ToolServerConfig) -> Result<(), Error> {
    let server = Server::new(&config)?;
    server.processes.adopt_orphans();
    let (input, output) = rmcp::transport::io::stdio_pipes();
    server.run(input, output).await
}

/// Serves on any pair of streams until the input ends.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    config: ToolServerConfig,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<(), Error> {
    Server::new(&config)?.run(input, output).await
}

#[derive(Debug, Clone)]
struct Server {
    workspace: Arc<Workspace>,
    processes: Arc<Processes>,
    policy: Option<Arc<Policy>>,
}

impl Server {
    fn new(config: &ToolServerConfig) -> Result<Self, Error> {
        let policy = config.policy.clone().map(Arc::new);
        Ok(Self { workspace: Arc::new(Workspace::open(config)?), processes: Arc::default(), policy })
    }

    async fn run(
        self,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<(), Error> {
        let broken = |error: String| Error::Serve(error);
        let service = self.serve((input, output)).await.map_err(|error| broken(error.to_string()))?;
        service.waiting().await.map(drop).map_err(|error| broken(error.to_string()))
    }

    fn has(&self, tool: &Builtin) -> bool {
        self.policy.as_ref().is_none_or(|policy| policy.has_tool(tool.name, tool.effect))
    }

    /// Why the policy does not let the call be made; `None` when it may.
    fn refusal(&self, tool: &Builtin, arguments: &Value) -> Option<String> {
        let policy = self.policy.as_ref()?;
        let (id, name) = (String::new(), tool.name.to_owned());
        let call = ToolCall { id, tool: name, arguments: arguments.clone(), signature: None };
        let decision = policy.decide_in(&self.workspace.root().to_string_lossy(), &call, tool.effect);
        (decision.verdict == Verdict::Deny).then(|| format!("`{}` is denied: {}", tool.name, decision.reason))
    }

    async fn perform(&self, tool: &'static Builtin, arguments: Value, question: Wanted) -> CallToolResult {
        let stop = Stop::default();
        let _stop_when_dropped = stop.on_drop();
        let call = Call { workspace: Arc::clone(&self.workspace), processes: Arc::clone(&self.processes), stop };
        match (question, &tool.run) {
            (Wanted::Call, Run::Waiting(run)) => result(into_output(run(call, arguments).await)),
            (Wanted::Call, Run::Blocking(run) | Run::Probed(run, _)) => {
                result(into_output(blocking(*run, call, arguments).await))
            }
            (Wanted::Probe, Run::Probed(_, probe)) => probed(blocking(*probe, call, arguments).await),
            // The call could have happened or not, and there is nothing to look at.
            (Wanted::Probe, _) => probed(Ok(ProbeAnswer::Unknown)),
        }
    }
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Call,
    Probe,
}

async fn blocking<T: Send + 'static>(run: fn(&Call, Value) -> Outcome<T>, call: Call, arguments: Value) -> Outcome<T> {
    tokio::task::spawn_blocking(move || run(&call, arguments))
        .await
        .map_err(|error| Failure::new(format!("the tool broke down: {error}; try something else")))?
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("masque-tool-server", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(builtin::ALL.iter().filter(|tool| self.has(tool)).map(described).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = builtin::find(&request.name)
            .filter(|tool| self.has(tool))
            .ok_or_else(|| ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None))?;
        // Before the handler is called the protocol library moves the metadata to the context.
        let is_probe = [request.meta.as_ref(), Some(&context.meta)]
            .into_iter()
            .flatten()
            .any(|meta| meta.0.0.get(PROBE).and_then(Value::as_bool) == Some(true));
        let wanted = if is_probe { Wanted::Probe } else { Wanted::Call };
        let arguments = request.arguments.map_or(Value::Null, Value::Object);
        if let Some(refusal) = self.refusal(tool, &arguments) {
            return Ok(result(ToolOutput::error(refusal)).into());
        }
        tokio::select! {
            result = self.perform(tool, arguments, wanted) => Ok(result.into()),
            () = context.ct.cancelled() => Err(ErrorData::internal_error("the call was cancelled", None)),
        }
    }
}

fn described(tool: &Builtin) -> Tool {
    let schema = match (tool.schema)() {
        Value::Object(schema) => schema,
        _ => serde_json::Map::new(),
    };
    let annotations = ToolAnnotations::new()
        .read_only(tool.effect == EffectClass::Pure)
        .idempotent(matches!(tool.effect, EffectClass::Pure | EffectClass::Keyed));
    Tool::new(tool.name, tool.description, Arc::new(schema)).with_annotations(annotations)
}

fn result(output: ToolOutput) -> CallToolResult {
    let content = output.content.into_iter().map(block).collect();
    if output.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) }
}

fn block(part: Part) -> ContentBlock {
    match part {
        Part::Text { text } => ContentBlock::text(text),
        Part::Image { media_type, data } => ContentBlock::image(data, media_type),
    }
}

fn probed(answer: Outcome<ProbeAnswer>) -> CallToolResult {
    let (name, mut result) = match answer {
        Ok(ProbeAnswer::Happened(output)) => ("happened", result(output)),
        Ok(ProbeAnswer::DidNotHappen) => ("did_not_happen", CallToolResult::success(Vec::new())),
        Ok(ProbeAnswer::Unknown) => ("unknown", CallToolResult::success(Vec::new())),
        // What cannot be looked at now could not be changed either, but may have been before.
        Err(failure) => ("unknown", CallToolResult::success(vec![ContentBlock::text(failure.to_string())])),
    };
    result.structured_content = Some(json!({ ANSWER: name }));
    result
}

/// The answer in the result of a probe.
pub(crate) fn probe_answer(result: CallToolResult) -> ProbeAnswer {
    let name = result.structured_content.as_ref().and_then(|content| content.get(ANSWER)).and_then(Value::as_str);
    match name {
        Some("happened") => {
            let text = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str());
            ProbeAnswer::Happened(ToolOutput::text(text.collect::<Vec<_>>().join("\n")))
        }
        Some("did_not_happen") => ProbeAnswer::DidNotHappen,
        _ => ProbeAnswer::Unknown,
    }
}
