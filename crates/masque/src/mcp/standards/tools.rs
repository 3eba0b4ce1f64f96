//! The tools over standards: their arguments, and what each does.

use masque_app::{
    Error,
    standards::{Propose, StandardQuery},
};
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, Resource, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    super::{
        failure,
        feature::Asked,
        tool::{Does, arguments, define, refused, told},
    },
    Standards,
    view::{Found, Proposed, Standard},
};

/// What a call comes to; the error is a result too, one that says what is wrong.
pub(super) type Outcome = Result<CallToolResponse, CallToolResult>;

/// Parts that a search returns at most.
const MOST_RESULTS: usize = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// What you are about to do or want to know, as a sentence or a question.
    query: String,
    /// How many parts at most, 1 to 20.
    #[serde(default = "usual_results")]
    limit: usize,
    /// Only standards of these domains, for example `security`.
    #[serde(default)]
    domains: Vec<String>,
}

const fn usual_results() -> usize {
    5
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Get {
    /// Which one: `architecture/api-conventions`, or its citation `standard://architecture/api-conventions`.
    standard: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewStandard {
    /// The field that it belongs to, in lower case: `architecture`, `data`, `development`, `testing`, `security`,
    /// `operations`.
    domain: String,
    /// What it is about, in lower case with `-`: `api-conventions`.
    topic: String,
    /// Its title.
    title: String,
    /// Its Markdown text without front matter: context, pattern, examples, anti-patterns. No secrets: name where they are
    /// kept instead.
    content: String,
    /// Searchable words.
    #[serde(default)]
    tags: Vec<String>,
    /// The job that it comes from.
    #[serde(default)]
    job_id: Option<String>,
    /// The open proposal that this is a new version of.
    #[serde(default)]
    revises: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    /// The proposal.
    pub(super) proposal_id: String,
}

/// The tools, in the order of the list.
pub(super) fn definitions() -> Vec<Tool> {
    vec![
        define::<Search, Found>(
            "search_standards",
            "Search standards",
            "Finds what the project's standards say about a question: the few parts that fit, each with its citation. \
             Empty when they say nothing about it. Use it before you write code or decide how something is built.",
            Does::Read,
        ),
        define::<Get, Standard>("get_standard", "Read a standard", "Reads one standard as a whole.", Does::Read),
        define::<NewStandard, Proposed>(
            "propose_standard",
            "Propose a standard",
            "Proposes a standard for the project. Nothing is written: a person decides. Show the person the diff and the \
             command.",
            Does::Add,
        ),
        define::<Decide, Proposed>(
            "decide_proposal",
            "Have a proposal decided",
            "Asks the person to decide about a proposed standard. It takes no verdict from you. Where the person has to \
             use the command line, it says with which command.",
            Does::Add,
        ),
    ]
}

impl Standards {
    /// Calls the tool of that name; `None` when there is none here.
    pub(super) async fn called(&self, asked: &Asked, call: CallToolRequestParams) -> Option<Outcome> {
        Some(match call.name.as_ref() {
            "search_standards" => self.search(asked, call.arguments).await,
            "get_standard" => self.get(asked, call.arguments).await,
            "propose_standard" => self.propose(asked, call.arguments).await,
            "decide_proposal" => self.decide(asked, call).await,
            _ => return None,
        })
    }

    async fn search(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let search: Search = arguments(given)?;
        if !(1..=MOST_RESULTS).contains(&search.limit) {
            return Err(refused(format!("wrong argument `limit`: expected 1 to {MOST_RESULTS}, got {}", search.limit)));
        }
        let query = StandardQuery { text: search.query, limit: search.limit, domains: search.domains };
        let found = self.app.search_standards(&asked.caller, &self.project, &query).await;
        let found = found.map_err(|error| self.failed(asked, &error))?;
        let mut cited: Vec<(String, String)> = Vec::new();
        for hit in &found.hits {
            if cited.iter().all(|(citation, _)| *citation != hit.citation) {
                cited.push((hit.citation.clone(), hit.title.clone()));
            }
        }
        let mut result = told(&Found::of(found));
        let links = cited.into_iter().map(|(citation, title)| {
            let name = citation.trim_start_matches("standard://").to_owned();
            ContentBlock::resource_link(Resource::new(citation, name).with_title(title).with_mime_type("text/markdown"))
        });
        result.content.extend(links);
        Ok(result.into())
    }

    async fn get(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let get: Get = arguments(given)?;
        let view = self.app.standard(&self.project, &get.standard).await;
        Ok(told(&Standard::of(view.map_err(|error| self.failed(asked, &error))?)).into())
    }

    async fn propose(&self, asked: &Asked, given: Option<JsonObject>) -> Outcome {
        let new: NewStandard = arguments(given)?;
        let run = match &new.job_id {
            Some(id) => Some(self.app.find_job(&asked.caller, id).await.map_err(|error| self.failed(asked, &error))?),
            None => None,
        };
        let revises = match &new.revises {
            Some(id) => Some(self.app.find_proposal(id).await.map_err(|error| self.failed(asked, &error))?.id),
            None => None,
        };
        let propose = Propose {
            project: self.project.clone(),
            domain: new.domain,
            topic: new.topic,
            title: new.title,
            tags: new.tags,
            content: new.content,
            run,
            revises,
            key: None,
        };
        let review = self.app.propose_standard(&asked.caller, propose).await;
        let review = review.map_err(|error| self.failed(asked, &error))?;
        let message = format!("proposed; nothing is written until a person decides: {}", review.decide_with);
        Ok(told(&Proposed::waiting(&review, message)).into())
    }

    pub(super) fn failed(&self, asked: &Asked, error: &Error) -> CallToolResult {
        failure::for_model(&self.app, &asked.caller, error)
    }
}
