//! What a persona's next job begins with, remembered while the files that it comes from are as they were.
//!
//! Reading personas, judging trust and building a gateway takes longer than queueing a job may.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_types::{
    cost::Limits,
    persona::Persona,
    policy::Policy,
    run::{ModelChoice, SandboxMode},
    time::Timestamp,
};

use super::stamps::Stamps;
use crate::{App, Error, authority, context, host::Host, personas};

/// Keys and local model servers come and go without a file that tells.
const FRESH: Duration = Duration::from_secs(30);

/// What a persona's jobs in one workspace begin with.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The persona with its context.
    pub(super) persona: Persona,
    /// Its policy in its own mode, without what a caller takes away.
    pub(super) policy: Policy,
    /// How it is confined: never not at all.
    pub(super) sandbox: SandboxMode,
    /// Whom it asks.
    pub(super) choice: ModelChoice,
    /// What a run of it may use.
    pub(super) limits: Limits,
    until: Timestamp,
    stamps: Option<Stamps>,
}

impl App {
    /// What a job of that persona in that workspace begins with.
    pub(super) async fn prepared(&self, name: &str, workspace: &Path) -> Result<Arc<Prepared>, Error> {
        let project = Host::project(workspace);
        // Thousands of files that say nothing about personas.
        let standards = project.join(".masque/standards");
        let stamps = Stamps::of(&sources(&self.host, &project, workspace), &standards);
        let key = (name.to_owned(), workspace.to_owned());
        let now = self.now();
        let known = self.jobs.prepared.get(&key);
        if let Some(known) = known.filter(|known| stamps.is_some() && known.stamps == stamps && known.until > now) {
            return Ok(known);
        }
        let fresh = Arc::new(self.prepare(name, &project, workspace, stamps).await?);
        self.jobs.prepared.set(key, Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn prepare(
        &self,
        name: &str,
        project: &Path,
        workspace: &Path,
        stamps: Option<Stamps>,
    ) -> Result<Prepared, Error> {
        let catalog = personas::catalog(&self.host, project);
        let persona = &personas::find(&catalog, name)?.persona;
        let mut policy = authority::policy(&self.host, &self.settings, persona, &[])?;
        policy.mode = policy.mode.min(persona.mode);
        let wanted = match self.settings.sandbox() {
            SandboxMode::None => SandboxMode::Process,
            mode => mode,
        };
        let sandbox = authority::sandbox_of(&self.host, &self.settings, persona, wanted)?;
        let choice = self.choice(self.models(persona).await?);
        Ok(Prepared {
            persona: context::composed(persona, &policy, workspace),
            sandbox,
            choice,
            limits: self.settings.limits().tightest(persona.budget),
            until: self.now().plus(FRESH),
            stamps,
            policy,
        })
    }
}

/// Everything that personas, trust in them and the instructions of a project are read from.
fn sources(host: &Host, project: &Path, workspace: &Path) -> Vec<PathBuf> {
    let mut sources: Vec<PathBuf> =
        [".agents", ".claude", ".masque", ".mcp.json"].iter().map(|name| project.join(name)).collect();
    sources.extend([host.config.clone(), host.home.join("trusted.json")]);
    let between = workspace.ancestors().take_while(|directory| directory.starts_with(project));
    for directory in between {
        sources.extend(["AGENTS.md", "CLAUDE.md", "GEMINI.md"].map(|name| directory.join(name)));
    }
    sources
}
