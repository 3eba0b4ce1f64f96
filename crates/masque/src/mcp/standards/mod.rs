//! The standards of a project over MCP: search, read, propose, have decided; as tools and as resources.

mod decision;
mod resources;
mod tools;
mod view;

use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc};

use masque_app::{App, Error};
use masque_types::digest::Digest;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompletionInfo, ReadResourceRequestParams,
    ReadResourceResponse, Resource, ResourceTemplate, ResourcesCapability, ServerCapabilities, Tool, ToolsCapability,
};

use super::{
    digest_of,
    feature::{Answer, Asked, Feature, Listed},
    form::Forms,
    tool::settled,
};

/// The standards of one project.
pub(crate) struct Standards {
    app: Arc<App>,
    project: PathBuf,
    forms: Forms,
}

impl Standards {
    pub(crate) fn new(app: Arc<App>, project: PathBuf) -> Self {
        Self { app, project, forms: Forms::new() }
    }
}

impl Feature for Standards {
    fn declare(&self, capabilities: &mut ServerCapabilities) {
        capabilities.tools.get_or_insert_with(ToolsCapability::default);
        let resources = capabilities.resources.get_or_insert_with(ResourcesCapability::default);
        resources.list_changed = Some(true);
        resources.subscribe = Some(true);
        capabilities.completions.get_or_insert_default();
    }

    fn tools(&self) -> Listed<'_, Tool> {
        Box::pin(async move { Ok(tools::definitions()) })
    }

    fn call<'a>(&'a self, asked: &'a Asked, call: CallToolRequestParams) -> Answer<'a, CallToolResponse> {
        Box::pin(async move { Ok(self.called(asked, call).await.map(settled)) })
    }

    fn resources(&self) -> Listed<'_, Resource> {
        Box::pin(self.listed())
    }

    fn templates(&self) -> Listed<'_, ResourceTemplate> {
        Box::pin(async move { Ok(vec![resources::template()]) })
    }

    fn read<'a>(&'a self, asked: &'a Asked, read: ReadResourceRequestParams) -> Answer<'a, ReadResourceResponse> {
        Box::pin(async move { self.read_standard(asked, &read.uri).await })
    }

    fn complete<'a>(&'a self, asked: &'a Asked, complete: CompleteRequestParams) -> Answer<'a, CompletionInfo> {
        Box::pin(async move { self.completed(asked, &complete).await })
    }
}

/// The standards of a project by URI, each with a digest that changes whenever it does.
///
/// # Errors
/// When the directory of the standards cannot be read.
pub(crate) async fn fingerprints(app: &App, project: &Path) -> Result<BTreeMap<String, Digest>, Error> {
    let mut found = BTreeMap::new();
    for standard in app.standards(project).await? {
        let text = fs_err::tokio::read_to_string(project.join(&standard.file)).await.unwrap_or_default();
        let parts = [standard.title.as_str(), &text, if standard.approved { "approved" } else { "" }];
        found.insert(standard.citation, digest_of(parts.into_iter()));
    }
    Ok(found)
}
