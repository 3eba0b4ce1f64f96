//! Standards as resources: `standard://<domain>/<topic>`.

use std::collections::BTreeSet;

use masque_app::{Error, Kind};
use masque_types::actor::{Actor, Caller, Reach};
use rmcp::{
    ErrorData,
    model::{
        Annotations, CacheScope, CompleteRequestParams, CompletionInfo, ReadResourceResponse, ReadResourceResult,
        Reference, Resource, ResourceContents, ResourceTemplate, Role,
    },
};

use super::{
    super::{failure, feature::Asked},
    Standards,
};

const SCHEME: &str = "standard://";
const TEMPLATE: &str = "standard://{domain}/{topic}";
/// How long a client may keep a standard, in milliseconds; changes are told to those that listen.
const TTL_MS: u64 = 30_000;
const MARKDOWN: &str = "text/markdown";

pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(TEMPLATE, "standard")
        .with_title("Standard of the project")
        .with_description("How the project does something, approved by a person")
        .with_mime_type(MARKDOWN)
}

impl Standards {
    pub(super) async fn listed(&self) -> Result<Vec<Resource>, ErrorData> {
        // What is wrong with the list is told without places: it is the same for everybody.
        let nobody = Caller { actor: Actor::System, reach: Reach::Remote };
        let standards = self.app.standards(&self.project).await;
        let mut standards = standards.map_err(|error| failure::for_client(&self.app, &nobody, &error))?;
        standards.sort_by(|one, other| one.citation.cmp(&other.citation));
        let resource = |standard: masque_app::standards::StandardSummary| {
            let mut annotations = Annotations::default().with_audience(vec![Role::Assistant]).with_priority(
                // What nobody approved as it is counts less.
                if standard.approved { 0.9 } else { 0.5 },
            );
            annotations.last_modified = standard.updated_at;
            Resource::new(standard.citation, standard.standard.to_string())
                .with_title(standard.title)
                .with_mime_type(MARKDOWN)
                .with_annotations(annotations)
        };
        Ok(standards.into_iter().map(resource).collect())
    }

    pub(super) async fn read_standard(
        &self,
        asked: &Asked,
        uri: &str,
    ) -> Result<Option<ReadResourceResponse>, ErrorData> {
        if !uri.starts_with(SCHEME) {
            return Ok(None);
        }
        let view = match self.app.standard(&self.project, uri).await {
            Ok(view) => view,
            Err(Error { kind: Kind::Usage, .. }) => return Ok(None),
            Err(error) => return Err(failure::for_client(&self.app, &asked.caller, &error)),
        };
        let contents = ResourceContents::text(view.content, uri).with_mime_type(MARKDOWN);
        let result = ReadResourceResult::new(vec![contents]).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private);
        Ok(Some(result.into()))
    }

    /// Domains, and the topics of a domain.
    pub(super) async fn completed(
        &self,
        asked: &Asked,
        complete: &CompleteRequestParams,
    ) -> Result<Option<CompletionInfo>, ErrorData> {
        if !matches!(&complete.r#ref, Reference::Resource(resource) if resource.uri == TEMPLATE) {
            return Ok(None);
        }
        let standards = self.app.standards(&self.project).await;
        let standards = standards.map_err(|error| failure::for_client(&self.app, &asked.caller, &error))?;
        let chosen = complete.context.as_ref().and_then(|context| context.get_argument("domain"));
        let values: BTreeSet<String> = match complete.argument.name.as_str() {
            "domain" => standards.into_iter().map(|standard| standard.standard.domain).collect(),
            "topic" => standards
                .into_iter()
                .filter(|standard| chosen.is_none_or(|domain| *domain == standard.standard.domain))
                .map(|standard| standard.standard.topic)
                .collect(),
            other => return Err(ErrorData::invalid_params(format!("`{other}`: the template has no such part"), None)),
        };
        let begun = values.into_iter().filter(|value| value.starts_with(&complete.argument.value));
        Ok(CompletionInfo::with_all_values(begun.take(CompletionInfo::MAX_VALUES).collect()).ok())
    }
}
