//! `standard.search`, `standard.propose` and `standard.proposals`: what a project has agreed on, and how a persona adds to
//! it. A persona proposes; a person decides, elsewhere.
//!
//! Leaves out searching, checking and storing, which stand behind [`Standards`].

use std::sync::Arc;

use masque_types::{
    BoxFuture,
    id::RunId,
    tool::{EffectClass, Invocation, Place, ToolOutput, ToolSpec},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::HostTool;
use crate::{
    builtin::schema_of,
    failure::{Failure, Outcome, arguments, into_output},
};

/// Canonical name of the search.
pub const SEARCH: &str = "standard.search";
/// Canonical name of the proposal.
pub const PROPOSE: &str = "standard.propose";
/// Canonical name of the listing.
pub const PROPOSALS: &str = "standard.proposals";

/// A question to the standards of the run's project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What you want to know, as a question or a few words: `structure of API errors`.
    pub query: String,
    /// Parts to return, 1 to 10; 5 when absent.
    #[serde(default)]
    pub limit: Option<u8>,
    /// Only standards of these domains, for example `architecture`.
    #[serde(default)]
    pub domains: Vec<String>,
}

/// A standard that a persona proposes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// The field it belongs to: lower-case letters, digits, `-`, for example `architecture`.
    pub domain: String,
    /// What it is about: lower-case letters, digits, `-`, for example `api-conventions`.
    pub topic: String,
    /// One line for people.
    pub title: String,
    /// Markdown without front matter, with headings for context, pattern, examples and anti-patterns. Never a secret: write
    /// a placeholder such as $DATABASE_URL.
    pub content: String,
    /// Searchable words.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The id of your own open proposal that this is a new revision of.
    #[serde(default)]
    pub revises: Option<String>,
}

/// The standards of the project that a run works in.
///
/// Implementers answer in text for a model, write nothing to the project, and make of the same key the same proposal. The
/// error is a sentence that says what to do instead.
pub trait Standards: Send + Sync {
    /// The parts of standards that answer a question, with their citations.
    fn search(&self, run: RunId, search: Search) -> BoxFuture<'_, Result<String, String>>;

    /// Proposes, and names the command by which a person decides.
    fn propose<'a>(&'a self, run: RunId, key: &'a str, propose: Propose) -> BoxFuture<'a, Result<String, String>>;

    /// The persona's proposals in this project, with what people decided and why.
    fn proposals(&self, run: RunId) -> BoxFuture<'_, Result<String, String>>;
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What the tools declare.
#[must_use]
pub fn specs() -> [ToolSpec; 3] {
    let search = "Searches the standards of this project: what its people agreed on for code, design and operation. Use it \
                  before you design, write or judge something that a convention could exist for, and cite what you follow \
                  (standard://domain/topic). It says when nothing fits; then there is no standard, so do not invent one.";
    let propose = "Proposes a standard for this project, or a change of one. Nothing is written: a person sees the difference \
                   and approves, changes or rejects it later, so go on without waiting. Use it for a pattern that the project \
                   follows already or that a person asked to keep, not for a single case. Search first: a standard that \
                   exists is changed by proposing the same domain and topic.";
    let proposals = "Lists your proposals for standards in this project with their state, and for rejected ones the reason that \
                     a person gave.";
    let declare = |name: &str, description: &str, schema, effect| ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: schema,
        output_schema: None,
        effect,
        place: Place::Host,
        depends_on: Vec::new(),
    };
    let mut propose = declare(PROPOSE, propose, schema_of::<Propose>(), EffectClass::Keyed);
    propose.depends_on = vec![SEARCH.to_owned()];
    [
        declare(SEARCH, search, schema_of::<Search>(), EffectClass::Pure),
        propose,
        declare(PROPOSALS, proposals, schema_of::<Nothing>(), EffectClass::Pure),
    ]
}

/// One of the tools over the standards of a project.
pub struct StandardTool {
    spec: ToolSpec,
    standards: Arc<dyn Standards>,
}

impl StandardTool {
    /// All of the tools.
    #[must_use]
    pub fn all(standards: &Arc<dyn Standards>) -> Vec<Arc<dyn HostTool>> {
        let tool = |spec| Arc::new(Self { spec, standards: Arc::clone(standards) }) as Arc<dyn HostTool>;
        specs().into_iter().map(tool).collect()
    }

    async fn answer(&self, invocation: &Invocation) -> Outcome {
        let given = invocation.call.arguments.clone();
        let answered = match self.spec.name.as_str() {
            SEARCH => self.standards.search(invocation.run, arguments(given)?).await,
            PROPOSE => {
                let propose = arguments(given)?;
                self.standards.propose(invocation.run, &invocation.idempotency_key, propose).await
            }
            _ => {
                let Nothing {} = arguments(given)?;
                self.standards.proposals(invocation.run).await
            }
        };
        answered.map(ToolOutput::text).map_err(Failure::new)
    }
}

impl HostTool for StandardTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { into_output(self.answer(invocation).await) })
    }
}
