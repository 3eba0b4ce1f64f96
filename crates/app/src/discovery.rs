//! Finding tools by what they do, for runs and for people.

use std::sync::Arc;

use masque_memory::tools::{Meaning, ToolIndex, dependencies, signature, summary};
use masque_tools::host::discovery::{FoundTool, ToolFinder};
use masque_types::{BoxFuture, diagnostic::Diagnostic, persona::Persona, tool::ToolSpec};
use tokio::sync::OnceCell;

use crate::{App, Error, authority, clock, environments::Wanted};

/// With `tools.discovery` at `auto`, more tools of servers than this are looked for instead of shown.
const USUAL_THRESHOLD: usize = 40;

/// Finds tools with the embedder of an application, which is made when first needed.
pub(crate) struct Finder {
    app: App,
    meaning: OnceCell<Option<Meaning>>,
}

impl Finder {
    pub(crate) fn of(app: &App) -> Arc<Self> {
        Arc::new(Self { app: app.handle(), meaning: OnceCell::new() })
    }

    /// What compares meanings; none where no model embeds, and then words decide.
    async fn meaning(&self) -> Option<&Meaning> {
        let make = || async {
            let embedder = self.app.embedder().await.inspect_err(|error| tracing::warn!("{error}")).ok().flatten()?;
            Some(Meaning::new(embedder, Some(self.app.host.home.join("cache/tools"))))
        };
        self.meaning.get_or_init(make).await.as_ref()
    }
}

impl ToolFinder for Finder {
    fn find<'a>(
        &'a self,
        tools: &'a [ToolSpec],
        task: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<FoundTool>, String>> {
        Box::pin(async move {
            let found = ToolIndex::new(tools).search(task, limit, self.meaning().await).await;
            let tool = |tool: &ToolSpec| FoundTool {
                signature: signature(tool),
                summary: summary(tool),
                after: dependencies(tools, &tool.name),
            };
            Ok(found.places.iter().filter_map(|(place, _)| tools.get(*place)).map(tool).collect())
        })
    }
}

/// A tool that a search found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ToolHit {
    /// Its name.
    pub name: String,
    /// Name and arguments on one line.
    pub signature: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// Tools that usually come before it, in the order of the calls.
    pub after: Vec<String>,
    /// How well it fits, for comparison within one search.
    pub score: f32,
}

/// What a search among tools gave.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ToolHits {
    /// Best first.
    pub tools: Vec<ToolHit>,
    /// Tools that were searched.
    pub searched: usize,
    /// The model that compared meanings; absent when words alone decided.
    pub model: Option<String>,
    /// Why meanings were not compared, and what the persona's environment had to say.
    pub notes: Vec<String>,
}

impl App {
    /// More tools of servers than this are looked for instead of shown.
    pub(crate) fn hide_tools_above(&self) -> Option<usize> {
        match self.settings.text("tools.discovery").as_str() {
            "off" => None,
            "on" => Some(0),
            _ => Some(USUAL_THRESHOLD),
        }
    }

    async fn tools_of(&self, persona: &Persona) -> Result<(Vec<ToolSpec>, Vec<Diagnostic>), Error> {
        let policy = authority::policy(&self.host, &self.settings, persona, &[])?;
        let mode = authority::sandbox_of(&self.host, &self.settings, persona, self.settings.sandbox())?;
        let (run, workspace) = (clock::new_run_id(), self.host.directory.clone());
        let wanted = Wanted { run, persona, policy: &policy, workspace, mode, pinned: None };
        let (tools, noticed) = self.environments().tools(wanted).await.map_err(Error::environment)?;
        Ok((tools.to_vec(), noticed))
    }

    /// The tools that fit a task in words: of the built-in ones, and with a persona of all that it has, for which its
    /// servers are started as for a run.
    ///
    /// # Errors
    /// When the persona's environment does not start, or the embedder's setting is wrong.
    pub async fn search_tools(&self, persona: Option<&Persona>, task: &str, limit: usize) -> Result<ToolHits, Error> {
        let mut notes = Vec::new();
        let tools = match persona {
            Some(persona) => {
                let (tools, noticed) = self.tools_of(persona).await?;
                notes.extend(noticed.iter().map(ToString::to_string));
                tools
            }
            None => masque_tools::builtin_specs(),
        };
        let embedder = self.embedder().await?;
        let model = embedder.as_ref().map(|embedder| embedder.model().name.clone());
        let meaning = embedder.map(|embedder| Meaning::new(embedder, Some(self.host.home.join("cache/tools"))));
        let found = ToolIndex::new(&tools).search(task, limit, meaning.as_ref()).await;
        notes.extend(found.note);
        let hit = |(place, score): &(usize, f32)| {
            let tool = tools.get(*place)?;
            Some(ToolHit {
                name: tool.name.clone(),
                signature: signature(tool),
                summary: summary(tool),
                after: dependencies(&tools, &tool.name),
                score: *score,
            })
        };
        let found = found.places.iter().filter_map(hit).collect();
        Ok(ToolHits { tools: found, searched: tools.len(), model, notes })
    }
}
