//! Jobs as resources: `run://<id>` is the result, or how far the job is.

use std::time::Duration;

use masque_app::{Kind, jobs::JobQuery};
use rmcp::{
    ErrorData,
    model::{
        CacheScope, CompleteRequestParams, CompletionInfo, ReadResourceResponse, ReadResourceResult, Reference,
        ResourceContents, ResourceTemplate,
    },
};

use super::{
    super::{failure, feature::Asked},
    Jobs,
    view::Job,
};

const SCHEME: &str = "run://";
const TEMPLATE: &str = "run://{id}";
/// A job that has ended stays as it is; this long in milliseconds a client may keep it.
const ENDED_TTL_MS: u64 = 3_600_000;

pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(TEMPLATE, "job")
        .with_title("Result of a job")
        .with_description("The result of a persona's job; while it runs, how far it is")
}

impl Jobs {
    pub(super) async fn read_run(&self, asked: &Asked, uri: &str) -> Result<Option<ReadResourceResponse>, ErrorData> {
        let Some(id) = uri.strip_prefix(SCHEME) else { return Ok(None) };
        let run = match self.app.find_job(&asked.caller, id).await {
            Ok(run) => run,
            Err(error) if error.kind == Kind::Usage => return Ok(None),
            Err(error) => return Err(failure::for_client(&self.app, &asked.caller, &error)),
        };
        let looked = self.app.check_job(&asked.caller, run, Duration::ZERO, None).await;
        let view = looked.map_err(|error| failure::for_client(&self.app, &asked.caller, &error))?;
        let (text, media_type) = match &view.result {
            Some(result) => (result.clone(), "text/markdown"),
            None => (serde_json::to_string(&Job::of(&view)).unwrap_or_default(), "application/json"),
        };
        let contents = ResourceContents::text(text, uri).with_mime_type(media_type);
        let ttl = if view.status.is_final() { ENDED_TTL_MS } else { view.poll_after_ms };
        let result = ReadResourceResult::new(vec![contents]).with_ttl_ms(ttl).with_cache_scope(CacheScope::Private);
        Ok(Some(result.into()))
    }

    /// Ids of the caller's jobs; nothing for the free text of a prompt.
    pub(super) async fn completed(
        &self,
        asked: &Asked,
        complete: &CompleteRequestParams,
    ) -> Result<Option<CompletionInfo>, ErrorData> {
        match &complete.r#ref {
            Reference::Prompt(prompt) if self.people.can_be_called(&prompt.name) => Ok(Some(CompletionInfo::default())),
            Reference::Resource(resource) if resource.uri == TEMPLATE => {
                let query = JobQuery { limit: CompletionInfo::MAX_VALUES, ..JobQuery::default() };
                let page = self.app.jobs(&asked.caller, &query).await;
                let page = page.map_err(|error| failure::for_client(&self.app, &asked.caller, &error))?;
                let ids = page.jobs.iter().map(|job| job.run.to_string());
                let fitting = ids.filter(|id| id.starts_with(&complete.argument.value)).collect();
                Ok(CompletionInfo::with_all_values(fitting).ok())
            }
            _ => Ok(None),
        }
    }
}
