//! One summary: the run that writes it, and what becomes of its answer. Leaves out what is summarised.

use std::path::PathBuf;

use masque_memory::{
    Index,
    curate::{Group, Problem, Prompt, Summary, check, prompt},
};
use masque_persona::Sources;
use masque_store::ForgetFilter;
use masque_types::{
    actor::Caller, cost::Limits, id::RunId, message::Part, persona::Persona, policy::ToolSelection, run::SandboxMode,
    time::Timestamp,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{CurateResult, material::Material};
use crate::{
    App, Error, audit, personas,
    runs::{Drive, Driven, Outcome, Progress, StartRun, WhenWaiting},
};

/// The persona that writes summaries.
const PERSONA: &str = "curator";

/// Writes the summaries of one round.
pub(super) struct Curator<'a> {
    app: &'a App,
    caller: &'a Caller,
    stop: &'a CancellationToken,
    /// When the sources were looked at: what changed later makes their summary outdated.
    at: Timestamp,
    persona: Persona,
    workspace: PathBuf,
    /// Tokens of sources that fit into one task.
    fitting: u64,
    pub(super) index: Index,
}

impl<'a> Curator<'a> {
    /// Finds out who writes and what fits; fails before anything is changed when no model can be used.
    pub(super) async fn new(
        app: &'a App,
        caller: &'a Caller,
        at: Timestamp,
        stop: &'a CancellationToken,
    ) -> Result<Self, Error> {
        let persona = persona(app)?;
        let context = app.choice(app.models(&persona).await?).context_tokens;
        let index = app.memory_index().await?;
        // Its own, so that the instructions of no project are part of what it is told.
        let workspace = app.host.home.join(PERSONA);
        fs_err::create_dir_all(&workspace)?;
        Ok(Self { app, caller, stop, at, persona, workspace, fitting: context / 4 * 3, index })
    }

    /// Has a group summarised, and remembers the summary if it holds up.
    pub(super) async fn summarise(&self, material: &Material, group: &Group) -> Result<CurateResult, Error> {
        let result = self.result(material, group).await?;
        let run = match &result {
            CurateResult::Planned => None,
            CurateResult::Summarised { run, .. } => Some(*run),
            CurateResult::Refused { run, .. } => *run,
        };
        let detail = json!({
            "namespace": group.namespace,
            "group": group.name,
            "documents": group.documents,
            "outcome": result,
        });
        let entry = audit::entry(self.app.now(), &self.caller.actor, "memory.curate", run, &group.source, detail);
        self.app.store.audit(entry).await?;
        Ok(result)
    }

    async fn result(&self, material: &Material, group: &Group) -> Result<CurateResult, Error> {
        if group.tokens > self.fitting {
            let reason = format!("{} tokens are more than the model reads at once ({})", group.tokens, self.fitting);
            return Ok(CurateResult::refused(None, reason));
        }
        let sources = material.texts(self.app, group).await?;
        if sources.len() < group.documents.len() {
            return Ok(CurateResult::refused(None, "a source was forgotten meanwhile"));
        }
        let prompt = prompt(group, &sources);
        let run = self.start(&prompt).await?;
        let answer = match self.answer(run).await? {
            Ok(answer) => answer,
            Err(reason) => return Ok(CurateResult::refused(Some(run), reason)),
        };
        match check(&answer, &prompt) {
            Ok(summary) => self.keep(material, group, run, summary).await,
            Err(problems) => {
                let reasons = problems.iter().map(Problem::to_string).collect();
                Ok(CurateResult::Refused { run: Some(run), reasons })
            }
        }
    }

    async fn start(&self, prompt: &Prompt) -> Result<RunId, Error> {
        let start = StartRun {
            persona: self.persona.clone(),
            task: vec![Part::text(prompt.task.as_str())],
            workspace: self.workspace.clone(),
            limits: Limits::default(),
            ceiling: Vec::new(),
            sandbox: SandboxMode::Process,
            conversation: false,
            models: Vec::new(),
            mode: None,
        };
        self.app.start(&self.caller.actor, start).await
    }

    /// Drives a run to its end; its answer, or why there is none.
    async fn answer(&self, run: RunId) -> Result<Result<String, String>, Error> {
        let quiet = |_: Progress<'_>| {};
        let drive = Drive {
            when_waiting: &|_| WhenWaiting::Park,
            between_turns: WhenWaiting::Park,
            observe: &quiet,
            stop: self.stop.clone(),
        };
        let driven = Box::pin(self.app.drive(run, drive)).await?;
        if matches!(driven, Driven::HeldBy { .. } | Driven::LeaseLost) {
            // A worker that looked for something to do was quicker.
            self.app.follow(run, 0, self.stop.clone(), |_| {}).await?;
        }
        match self.app.state(run).await?.outcome.clone() {
            Some(Outcome::Completed { text, .. }) => Ok(Ok(text)),
            Some(Outcome::Failed { message, .. }) => Ok(Err(format!("the run failed: {message}"))),
            Some(Outcome::Cancelled { .. }) => Ok(Err("the run was cancelled".to_owned())),
            None => {
                // Nobody is there any more to take its answer.
                if let Err(error) = self.app.cancel(&self.caller.actor, run).await {
                    tracing::warn!(%run, %error, "a summary that nobody waits for goes on");
                }
                Ok(Err("the run was stopped before it ended".to_owned()))
            }
        }
    }

    async fn keep(
        &self,
        material: &Material,
        group: &Group,
        run: RunId,
        summary: Summary,
    ) -> Result<CurateResult, Error> {
        let (title, statements) = (summary.title.clone(), summary.statements.len());
        let contradictions = summary.contradictions.iter().map(|contradiction| contradiction.about.clone()).collect();
        let origin = material.conversation(group).unwrap_or(run);
        let mut source = summary.into_source(group, Some(origin), self.at);
        source.metadata.insert("curator".to_owned(), run.to_string().into());
        let document = self.index.add(source, self.at).await?.document;
        // What was forgotten before the summary was stored could not take it along.
        if !material.is_there(self.app, group).await? {
            let filter = ForgetFilter {
                namespaces: vec![group.namespace.clone()],
                ids: vec![document],
                ..ForgetFilter::default()
            };
            self.app.store.forget(filter).await?;
            return Ok(CurateResult::refused(Some(run), "a source was forgotten meanwhile"));
        }
        Ok(CurateResult::Summarised { document, run, title, statements, contradictions })
    }
}

/// The user's curator, or the bundled one. A project's does not count, for other projects' documents pass it; and whatever
/// its file says, it has no tools, for strangers' documents do.
fn persona(app: &App) -> Result<Persona, Error> {
    let catalog = masque_persona::load(&Sources { project: None, user: Some(app.host.config.join("agents")) });
    let mut persona = personas::find(&catalog, PERSONA)?.persona.clone();
    persona.tools = ToolSelection::Only(Vec::new());
    persona.mcp_servers.clear();
    Ok(persona)
}
