//! The MCP server: personas as jobs, standards and memory for editors and other clients, in both eras of the protocol.
//!
//! Owns the composition of one server: what is offered where, the transports, the workers that drive jobs, the stop.
//! What is offered comes in [features](feature::Feature), which are mounted here. Leaves out every decision: those are
//! use cases of the application.

mod changes;
mod failure;
mod feature;
mod fixtures;
mod form;
pub(crate) mod http;
mod instructions;
mod jobs;
mod memory;
mod people;
mod server;
mod standards;
mod stdio;
mod tool;

use std::{path::PathBuf, sync::Arc};

use masque_app::{App, Error, jobs::JobWorkers};
use masque_types::{
    actor::{Actor, Caller, Reach},
    digest::Digest,
};
use rmcp::model::Implementation;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::{
    changes::{Changes, Picture},
    feature::Feature,
    http::Listen,
    people::People,
    server::{Entry, Life, Server, Shared},
};
use crate::render;

/// How a client reaches the server.
pub(crate) enum Transport {
    /// Over this process's standard streams; a persona's surface, or the whole one.
    Streams(Option<String>),
    /// Over HTTP: the whole surface at `/mcp`, each persona's at `/mcp/p/<persona>`.
    Http(Listen),
}

/// What one server offers, wherever it is reached.
#[derive(Clone)]
pub(crate) struct Service {
    /// The application, shared by all connections.
    app: Arc<App>,
    /// The project whose personas and standards are offered.
    project: PathBuf,
    /// The directory that personas work in.
    workspace: PathBuf,
    /// With the fixtures of the conformance suite.
    fixtures: Option<Arc<fixtures::Triggers>>,
    life: Life,
}

impl Service {
    /// A server for one project.
    pub(crate) fn new(app: &App, project: PathBuf, workspace: PathBuf) -> Self {
        Self { app: Arc::new(app.handle()), project, workspace, fixtures: None, life: Life::default() }
    }

    /// The same server with the fixtures of the conformance suite, before everything else.
    pub(crate) fn with_fixtures(self) -> Self {
        Self { fixtures: Some(Arc::default()), ..self }
    }

    /// Serves until the client leaves or the process is asked to end. Jobs that have not ended go on in the background.
    ///
    /// # Errors
    /// When there is no such persona, the address cannot be bound, or the protocol is not kept.
    pub(crate) async fn serve(self, transport: Transport) -> Result<(), Error> {
        let parallel = self.app.settings.count("jobs.parallel").unwrap_or(4);
        let workers = JobWorkers::start(&self.app, usize::try_from(parallel).unwrap_or(usize::MAX));
        let stop = self.life.stop.clone();
        let whole = Arc::new(self.people(None));
        let (changes, looking) = changes::changes(pictures(&self.app, &whole, self.fixtures.clone()));
        let serving = async {
            let served = self.answer(transport, changes).await;
            stop.cancel();
            served
        };
        let (served, (), signalled) = tokio::join!(serving, looking.run(stop.clone()), signals(&stop));
        let closed = workers.close().await;
        served.and(signalled).and(closed)
    }

    async fn answer(&self, transport: Transport, changes: Changes) -> Result<(), Error> {
        match transport {
            Transport::Streams(persona) => {
                let shared = self.shared(persona.as_deref(), &changes)?.ok_or_else(|| {
                    let name = persona.unwrap_or_default();
                    Error::usage(format!("no persona `{name}` can be called"))
                        .hint("`masque persona list` shows all personas; `callable: true` in its file opens one")
                })?;
                let caller = Caller { actor: Actor::User(self.app.host.user.clone()), reach: Reach::Local };
                stdio::serve(Server::new(shared, Entry::Streams(caller)), &self.life.stop).await
            }
            Transport::Http(listen) => {
                let bound = http::bind(listen.address).await?;
                render::note(&format!("listening on http://{}/mcp", bound.address));
                let service = self.clone();
                let surfaces = Box::new(move |persona: Option<&str>| service.shared(persona, &changes));
                http::serve(bound, listen, Arc::clone(&self.app), surfaces, &self.life).await
            }
        }
    }

    /// What one address offers; `None` when the persona cannot be called.
    fn shared(&self, persona: Option<&str>, changes: &Changes) -> Result<Option<Arc<Shared>>, Error> {
        let people = Arc::new(self.people(persona.map(str::to_owned)));
        let callable = people.callable();
        if persona.is_some() && callable.is_empty() {
            return Ok(None);
        }
        let implementation = Implementation::new("masque", env!("CARGO_PKG_VERSION"))
            .with_title("Masque")
            .with_description("Personas as jobs, with the standards and the memory of a project")
            .with_icons(people.server_icons());
        Ok(Some(Arc::new(Shared {
            features: self.features(&people)?,
            changes: changes.clone(),
            instructions: instructions::text(&callable, persona),
            implementation,
            life: self.life.clone(),
        })))
    }

    /// What is offered to whoever calls these personas, in the order of the lists.
    fn features(&self, people: &Arc<People>) -> Result<Vec<Arc<dyn Feature>>, Error> {
        let jobs = Arc::new(jobs::Jobs::new(Arc::clone(&self.app), Arc::clone(people), self.workspace.clone()));
        let mut features: Vec<Arc<dyn Feature>> = Vec::new();
        if let Some(triggers) = &self.fixtures {
            let fixtures = fixtures::Fixtures::new(Arc::clone(&jobs), self.workspace.clone(), Arc::clone(triggers))?;
            features.push(Arc::new(fixtures));
        }
        features.extend([
            Arc::new(standards::Standards::new(Arc::clone(&self.app), self.project.clone())) as Arc<dyn Feature>,
            Arc::new(memory::ProjectMemory::new(Arc::clone(&self.app), self.project.clone())),
            jobs,
        ]);
        Ok(features)
    }

    fn people(&self, only: Option<String>) -> People {
        People::new(&self.app, self.project.clone(), only)
    }
}

/// What takes pictures of the personas and the standards, for clients that want to know of changes.
fn pictures(
    app: &Arc<App>,
    people: &Arc<People>,
    fixtures: Option<Arc<fixtures::Triggers>>,
) -> impl Fn() -> masque_types::BoxFuture<'static, Option<Picture>> + use<> {
    let (app, people) = (Arc::clone(app), Arc::clone(people));
    move || {
        let (app, people, fixtures) = (Arc::clone(&app), Arc::clone(&people), fixtures.clone());
        Box::pin(async move {
            let listed = people.fingerprint();
            let resources = standards::fingerprints(&app, people.project()).await.ok()?;
            let (tools, prompts) = match fixtures {
                Some(fixtures) => fixtures.fingerprints(),
                None => (listed, listed),
            };
            Some(Picture { tools: Some(tools), prompts: Some(prompts), resources })
        })
    }
}

/// Ends the server when the process is asked to end.
async fn signals(stop: &CancellationToken) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stop.cancelled() => {}
    }
    stop.cancel();
    Ok(())
}

/// The digest of parts in their order; a part cannot run into the next.
fn digest_of<'a>(parts: impl Iterator<Item = &'a str>) -> Digest {
    let joined: Vec<String> = parts.map(|part| format!("{}:{part}", part.len())).collect();
    Digest::of(joined.join(","))
}
