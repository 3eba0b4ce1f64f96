//! Called personas: finding them in the caller's project, making their runs, and driving those in this process.

use std::path::Path;

use masque_engine::children::{Caller, ChildDrive, ChildRequest, Children, Resolved, StartChild};
use masque_persona::handoff;
use masque_store::NewRun;
use masque_types::{
    BoxFuture,
    actor::Actor,
    child::Called,
    event::{Event, EventBody},
    id::RunId,
    persona::Persona,
    run::{RunSpec, RunStatus},
};
use serde_json::json;

use crate::{
    App, Error,
    activity::Recorder,
    audit, authority, context,
    handoff::{HISTORY_TOKENS, Handoff, ReplyTo, Source, artifacts, persona_for, sealed},
    host::Host,
    personas,
    runs::{Drive, Driven, WhenWaiting, clipped},
};

/// The personas of the caller's project and user.
pub(crate) struct LocalChildren(pub(crate) App);

impl Children for LocalChildren {
    fn resolve<'a>(&'a self, caller: &'a Caller, request: ChildRequest) -> BoxFuture<'a, Result<Resolved, String>> {
        Box::pin(async move { self.resolved(caller, request).await.map_err(for_model) })
    }

    fn start<'a>(&'a self, caller: &'a Caller, start: StartChild) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { self.create(caller, start).await.map_err(for_model) })
    }

    fn drive<'a>(&'a self, child: RunId, drive: ChildDrive<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.drive_to_rest(child, drive).await {
                tracing::warn!(%child, %error, "a called run cannot be driven here");
            }
        })
    }
}

fn for_model(error: Error) -> String {
    error.to_string()
}

impl LocalChildren {
    fn persona(&self, caller: &Caller, name: &str) -> Result<Persona, Error> {
        let project = Host::project(Path::new(&caller.spec.workspace));
        let catalog = personas::catalog(&self.0.host, &project);
        Ok(personas::find(&catalog, name)?.persona.clone())
    }

    async fn resolved(&self, caller: &Caller, request: ChildRequest) -> Result<Resolved, Error> {
        let app = &self.0;
        let persona = self.persona(caller, &request.call.persona)?;
        // Without a model the run would only fail: that is told before it exists.
        app.models(&persona).await?;
        let source =
            Source { name: caller.persona.name.clone(), digest: Some(caller.persona.digest), run: Some(caller.run) };
        let handoff = Handoff {
            task: request.call.task.clone(),
            source,
            target: persona.name.clone(),
            history: handoff::recent(&request.history, HISTORY_TOKENS),
            artifacts: artifacts(Path::new(&caller.spec.workspace), &request.call.artifacts)?,
            working_directory: caller.spec.workspace.clone(),
            environment: std::collections::BTreeMap::new(),
            expected: request.call.expected(),
            reply_to: Some(ReplyTo { run: caller.run, call_id: request.call_id }),
            timeout_ms: request.call.timeout_s.map(|seconds| seconds.saturating_mul(1_000)),
            created_at: app.now(),
        };
        let package = sealed(&app.host, &handoff)?;
        Ok(Resolved { digest: persona.digest, budget: persona.budget, package })
    }

    /// Makes the run of a call, unless it exists: its id is the call's, so that it is made once however often this is
    /// tried.
    async fn create(&self, caller: &Caller, start: StartChild) -> Result<(), Error> {
        let app = &self.0;
        if app.store.run(start.child).await?.is_some() {
            return Ok(());
        }
        let package = app.store.blob(&start.package.digest).await?;
        let package = package.ok_or_else(|| Error::environment("the package of the call is not stored"))?;
        let handoff = app.inspect(&package)?.handoff;
        let persona = persona_for(&self.persona(caller, &start.persona)?, &handoff.expected);
        let (spec, now) = (self.spec(caller, &start, &persona, &handoff).await?, app.now());
        let actor = Actor::Persona(caller.persona.name.clone());
        let detail = json!({ "parent": caller.run, "persona": persona.digest, "package": start.package.digest });
        let entry = audit::entry(now, &actor, "run.create", Some(start.child), &persona.name, detail);
        let (title, sandbox) = (clipped(&handoff.task, 80), spec.sandbox);
        let workspace = Path::new(&spec.workspace);
        let composed = context::composed(&persona, &spec.policy, workspace);
        let composed = app.with_memories(composed, workspace, &handoff.task).await;
        let bodies =
            [EventBody::RunCreated { spec: Box::new(spec) }, EventBody::PersonaPinned { persona: Box::new(composed) }];
        let events = (1..).zip(bodies).map(|(seq, body)| Event { seq, epoch: 0, at: now, body }).collect();
        let recorder = Recorder::new(&app.host, &persona.name, start.child);
        let new = NewRun {
            id: start.child,
            persona: persona.name,
            title,
            sandbox,
            created_at: now,
            status: RunStatus::Running,
            events,
            forked_from: None,
            parent: Some(caller.run),
            conversation: false,
            job: None,
            audit: vec![entry],
        };
        match app.store.create_run(new).await {
            Ok(()) => {
                recorder.started(now, &actor, Some(("parent", caller.run)));
                Ok(())
            }
            Err(masque_store::Error::RunExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What is fixed for a called run: its own persona's wishes, within what its caller may hand on.
    async fn spec(
        &self,
        caller: &Caller,
        start: &StartChild,
        persona: &Persona,
        handoff: &Handoff,
    ) -> Result<RunSpec, Error> {
        let app = &self.0;
        let mut policy = authority::callee(&app.host, &caller.policy, &caller.persona.delegate, persona)?;
        authority::restrict_called(&app.host, &caller.persona, persona, &mut policy)?;
        let choice = app.choice(app.models(persona).await?);
        Ok(RunSpec {
            task: handoff.briefing(),
            route: choice.route,
            price: choice.price,
            context_tokens: choice.context_tokens,
            limits: app.settings.limits().tightest(persona.budget).tightest(start.reserved),
            policy,
            approvals: caller.spec.approvals,
            workspace: caller.spec.workspace.clone(),
            sandbox: authority::sandbox_of(&app.host, &app.settings, persona, caller.spec.sandbox)?,
            started_by: Actor::Persona(caller.persona.name.clone()),
            parent: Some(caller.run),
            called: Some(Called {
                call_id: start.call_id.clone(),
                lineage: caller.lineage.clone(),
                depth_left: caller.depth_left,
                package: start.package,
            }),
            conversation: false,
        })
    }

    /// Drives until the run ends or waits; while another worker has it, waits for that one.
    async fn drive_to_rest(&self, child: RunId, drive: ChildDrive<'_>) -> Result<(), Error> {
        let app = &self.0;
        loop {
            let mut watch = app.store.watch(child);
            if app.run(child).await?.status.is_final() || drive.stop.is_cancelled() {
                return Ok(());
            }
            let again = Drive {
                when_waiting: drive.when_waiting,
                between_turns: WhenWaiting::Park,
                observe: drive.observe,
                stop: drive.stop.clone(),
            };
            let until = match app.drive_or_end(child, again).await? {
                Driven::HeldBy { until, .. } => until,
                Driven::LeaseLost => app.now().plus(app.lease()),
                Driven::Ended(_) | Driven::Waiting(_) | Driven::Stopped => return Ok(()),
            };
            loop {
                tokio::select! {
                    () = tokio::time::sleep(until.since(app.now())) => break,
                    () = drive.stop.cancelled() => return Ok(()),
                    () = watch.changed() => {}
                }
                if app.held_by(child).await?.is_none() {
                    break;
                }
            }
        }
    }
}
