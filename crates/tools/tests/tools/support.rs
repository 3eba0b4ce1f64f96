//! What the tests share: a workspace with a connected tool server, and calls as the engine makes them.

use std::path::Path;

use masque_tools::server::{ToolServerConfig, serve_on};
use masque_types::{
    id::RunId,
    message::{ToolCall, joined_text},
    tool::{Invocation, ToolOutput},
};
use rmcp::{
    RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResponse},
    service::RunningService,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A tool server over an in-memory connection, in a workspace of its own.
pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    client: RunningService<RoleClient, ()>,
    _server: JoinSet<()>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut ToolServerConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = ToolServerConfig::new(directory.path().to_path_buf());
        adjust(&mut config);
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut server = JoinSet::new();
        let (input, output) = tokio::io::split(theirs);
        server.spawn(async move { serve_on(config, input, output).await.unwrap() });
        let client = ().serve(ours).await.unwrap();
        Self { directory, client, _server: server }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs_err::read_to_string(self.path().join(path)).unwrap()
    }

    /// The text of a call that works.
    pub(crate) async fn ok(&self, tool: &'static str, arguments: Value) -> String {
        let (text, is_error) = self.call(tool, arguments).await;
        assert!(!is_error, "{tool}: {text}");
        text
    }

    /// The text of a call that fails.
    pub(crate) async fn err(&self, tool: &'static str, arguments: Value) -> String {
        let (text, is_error) = self.call(tool, arguments.clone()).await;
        assert!(is_error, "{tool} {arguments}: {text}");
        text
    }

    /// The names of all tools that it lists.
    pub(crate) async fn listed(&self) -> Vec<String> {
        let tools = self.client.list_all_tools().await.unwrap();
        tools.into_iter().map(|tool| tool.name.to_string()).collect()
    }

    /// Why the server does not know the tool.
    pub(crate) async fn refused(&self, tool: &'static str, arguments: Value) -> String {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        self.client.call_tool_once(request).await.unwrap_err().to_string()
    }

    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> (String, bool) {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        let CallToolResponse::Complete(result) = self.client.call_tool_once(request).await.unwrap() else { panic!() };
        let text = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.clone());
        (text.collect::<Vec<_>>().join("\n"), result.is_error == Some(true))
    }
}

/// A call as the engine makes it.
pub(crate) fn invocation(tool: &str, arguments: Value) -> Invocation {
    let call = ToolCall { id: "c1".into(), tool: tool.into(), arguments, signature: None };
    let run = RunId::from_uuid(uuid::Uuid::nil());
    Invocation { run, call, idempotency_key: "key-1".into(), attempt: 1 }
}

pub(crate) fn text(output: &ToolOutput) -> String {
    joined_text(&output.content)
}
