//! Jobs of personas over MCP: tools for every client, tasks for those that have them, results as resources, a prompt for
//! each persona. All are faces of the same durable rows.

mod prompts;
mod resources;
mod tasks;
mod tools;
mod view;
mod waiting;

use std::{path::PathBuf, sync::Arc};

use masque_app::App;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompletionInfo, DetailedTask,
    GetPromptRequestParams, GetPromptResponse, InputResponses, Prompt, ReadResourceRequestParams, ReadResourceResponse,
    ResourceTemplate, ServerCapabilities, Tool,
};

pub(crate) use self::view::rfc3339;
use super::{
    feature::{Answer, Asked, Feature, Listed},
    people::People,
    tool::settled,
};

/// The jobs of the personas of one address.
pub(crate) struct Jobs {
    app: Arc<App>,
    people: Arc<People>,
    /// The directory that personas work in.
    workspace: PathBuf,
}

impl Jobs {
    pub(crate) fn new(app: Arc<App>, people: Arc<People>, workspace: PathBuf) -> Self {
        Self { app, people, workspace }
    }
}

impl Feature for Jobs {
    fn declare(&self, capabilities: &mut ServerCapabilities) {
        let said = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_completions()
            .enable_tasks()
            .build();
        capabilities.tools = said.tools;
        capabilities.prompts = said.prompts;
        capabilities.completions = said.completions;
        capabilities.resources.get_or_insert(said.resources.unwrap_or_default());
        capabilities.extensions.get_or_insert_default().extend(said.extensions.unwrap_or_default());
    }

    fn tools(&self) -> Listed<'_, Tool> {
        Box::pin(async move { Ok(tools::definitions(&self.people.drawn(), self.people.only())) })
    }

    fn call<'a>(&'a self, asked: &'a Asked, call: CallToolRequestParams) -> Answer<'a, CallToolResponse> {
        Box::pin(async move { Ok(self.called(asked, call).await.map(settled)) })
    }

    fn prompts(&self) -> Listed<'_, Prompt> {
        Box::pin(async move { Ok(self.people.drawn().iter().map(prompts::definition).collect()) })
    }

    fn prompt<'a>(&'a self, _asked: &'a Asked, get: GetPromptRequestParams) -> Answer<'a, GetPromptResponse> {
        Box::pin(async move { self.filled(&get) })
    }

    fn templates(&self) -> Listed<'_, ResourceTemplate> {
        Box::pin(async move { Ok(vec![resources::template()]) })
    }

    fn read<'a>(&'a self, asked: &'a Asked, read: ReadResourceRequestParams) -> Answer<'a, ReadResourceResponse> {
        Box::pin(async move { self.read_run(asked, &read.uri).await })
    }

    fn complete<'a>(&'a self, asked: &'a Asked, complete: CompleteRequestParams) -> Answer<'a, CompletionInfo> {
        Box::pin(async move { self.completed(asked, &complete).await })
    }

    fn task<'a>(&'a self, asked: &'a Asked, id: &'a str) -> Answer<'a, DetailedTask> {
        Box::pin(self.task_of(asked, id))
    }

    fn update_task<'a>(&'a self, asked: &'a Asked, id: &'a str, answers: InputResponses) -> Answer<'a, ()> {
        Box::pin(self.answered(asked, id, answers))
    }

    fn cancel_task<'a>(&'a self, asked: &'a Asked, id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.task_cancelled(asked, id))
    }
}
