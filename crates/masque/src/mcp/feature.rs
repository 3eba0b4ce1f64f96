//! The seam between the protocol and what is offered over it: tools, prompts, resources, tasks.
//!
//! Owns the trait and what a feature learns about a request. Leaves out the protocol itself, which is in
//! [`server`](super::server), and every concrete feature.

use masque_types::{BoxFuture, actor::Caller};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, ClientCapabilities, CompleteRequestParams, CompletionInfo,
        DetailedTask, GetPromptRequestParams, GetPromptResponse, InputResponses, ProgressToken, Prompt,
        ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, Resource, ResourceTemplate,
        ServerCapabilities, Tool,
    },
    service::RequestContext,
};
use tokio_util::sync::CancellationToken;

/// What a feature answers: `None` when what was named is not its own, so that the next feature is asked.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<Option<T>, ErrorData>>;

/// All of a feature's entries of one kind.
pub(crate) type Listed<'a, T> = BoxFuture<'a, Result<Vec<T>, ErrorData>>;

/// One request as a feature sees it.
pub(crate) struct Asked {
    /// Who asks. Checked for this request, whatever earlier ones of the same connection said.
    pub(crate) caller: Caller,
    /// The protocol's side: id, metadata, the client to send notifications to.
    pub(crate) context: RequestContext<RoleServer>,
    /// Ends when the server stops: what waits then answers with what it has.
    pub(crate) stop: CancellationToken,
}

impl Asked {
    /// Resolves when the client no longer waits for the answer, or the server stops.
    pub(crate) async fn given_up(&self) {
        tokio::select! {
            () = self.context.ct.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// What the client can do, as it said with this request or, in the older protocol, at the beginning.
    pub(crate) fn client(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }

    /// Whether the request follows 2026-07-28 or later, where the server asks the client only in its answers.
    pub(crate) fn is_modern(&self) -> bool {
        self.context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
    }

    /// Where the client wants to hear of progress.
    pub(crate) fn progress_token(&self) -> Option<ProgressToken> {
        self.context.meta.get_progress_token()
    }
}

/// A family of things that the server offers. Lists take no request: they are the same for everybody who asks at the
/// same address.
///
/// An implementer's entries have a fixed order, and it answers for exactly the names that it lists.
pub(crate) trait Feature: Send + Sync + 'static {
    /// Adds what the feature needs to what the server declares.
    fn declare(&self, capabilities: &mut ServerCapabilities);

    /// Its tools.
    fn tools(&self) -> Listed<'_, Tool> {
        nothing()
    }

    /// The definition of one of its tools whose arguments travel in HTTP headers too; those headers are compared with
    /// the arguments.
    fn mirrored_tool(&self, _name: &str) -> Option<Tool> {
        None
    }

    /// Calls a tool.
    fn call<'a>(&'a self, _asked: &'a Asked, _call: CallToolRequestParams) -> Answer<'a, CallToolResponse> {
        not_mine()
    }

    /// Its prompts.
    fn prompts(&self) -> Listed<'_, Prompt> {
        nothing()
    }

    /// Fills a prompt.
    fn prompt<'a>(&'a self, _asked: &'a Asked, _get: GetPromptRequestParams) -> Answer<'a, GetPromptResponse> {
        not_mine()
    }

    /// Its resources.
    fn resources(&self) -> Listed<'_, Resource> {
        nothing()
    }

    /// Its families of resources.
    fn templates(&self) -> Listed<'_, ResourceTemplate> {
        nothing()
    }

    /// Reads a resource.
    fn read<'a>(&'a self, _asked: &'a Asked, _read: ReadResourceRequestParams) -> Answer<'a, ReadResourceResponse> {
        not_mine()
    }

    /// Completes an argument.
    fn complete<'a>(&'a self, _asked: &'a Asked, _complete: CompleteRequestParams) -> Answer<'a, CompletionInfo> {
        not_mine()
    }

    /// Takes the level from which on a client of the older protocol wants log messages.
    #[expect(deprecated, reason = "clients of the older protocol may still ask for log messages")]
    fn set_level<'a>(&'a self, _asked: &'a Asked, _level: rmcp::model::LoggingLevel) -> Answer<'a, ()> {
        not_mine()
    }

    /// Where a task stands.
    fn task<'a>(&'a self, _asked: &'a Asked, _id: &'a str) -> Answer<'a, DetailedTask> {
        not_mine()
    }

    /// Takes answers to what a task asked.
    fn update_task<'a>(&'a self, _asked: &'a Asked, _id: &'a str, _answers: InputResponses) -> Answer<'a, ()> {
        not_mine()
    }

    /// Cancels a task.
    fn cancel_task<'a>(&'a self, _asked: &'a Asked, _id: &'a str) -> Answer<'a, ()> {
        not_mine()
    }
}

fn nothing<'a, T: Send + 'a>() -> Listed<'a, T> {
    Box::pin(async { Ok(Vec::new()) })
}

fn not_mine<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Ok(None) })
}
