//! Queueing a job: who may, what the persona gets, how long it may take. Leaves out driving it.

use std::{path::Path, time::Duration};

use masque_engine::output::clipped;
use masque_store::{NewJob, NewRun};
use masque_types::{
    actor::{Caller, Reach},
    approval::ApprovalTerms,
    cost::Limits,
    digest::Digest,
    event::{Event, EventBody},
    message::Part,
    policy::Policy,
    run::{RunSpec, RunStatus},
    time::Timestamp,
};
use serde_json::json;

use super::{Estimate, Invoke, Invoked, estimate, material, prepared::Prepared};
use crate::{App, Error, activity::Recorder, audit, clock, host::Host, runs::check_task};

/// How long what was learned from past runs is taken for new.
const LEARNED_FOR: Duration = Duration::from_secs(10);

impl App {
    /// Queues a job and returns at once: a worker drives it.
    ///
    /// # Errors
    /// When the persona does not exist or may not be called from there, the task is empty or too large, a file is not one of
    /// the workspace, or no model can be used.
    pub async fn invoke(&self, caller: &Caller, invoke: Invoke) -> Result<Invoked, Error> {
        let prepared = self.prepared(&invoke.persona, &invoke.workspace).await?;
        self.check_caller(caller, &invoke, &prepared)?;
        check_task(&[Part::text(invoke.task.as_str())])?;
        let hidden = &prepared.persona.sandbox.deny;
        let (text, context) =
            material::task(&invoke.task, invoke.context.as_deref(), &invoke.files, &invoke.workspace, hidden)?;
        let task = vec![Part::text(text)];
        check_task(&task)?;
        let (run, now) = (clock::new_run_id(), self.now());
        let estimate = self.estimate(&prepared.persona.name, &prepared.limits).await?;
        let new = NewRun {
            id: run,
            persona: prepared.persona.name.clone(),
            title: clipped(&invoke.task, 80),
            sandbox: prepared.sandbox,
            created_at: now,
            status: RunStatus::Running,
            events: first_events(self.job_spec(caller, &invoke, &prepared, task), &prepared, now),
            forked_from: None,
            parent: None,
            conversation: false,
            job: Some(job(caller, &invoke, context, estimate)),
            audit: vec![audit::entry(
                now,
                &caller.actor,
                "job.queue",
                Some(run),
                &prepared.persona.name,
                json!({
                    "reach": caller.reach,
                    "persona": prepared.persona.digest,
                    "workspace": invoke.workspace,
                    "priority": invoke.priority,
                    "context": context,
                }),
            )],
        };
        let recorder = Recorder::new(&self.host, &prepared.persona.name, run);
        self.store.create_run(new).await?;
        recorder.started(now, &caller.actor, None);
        let persona = prepared.persona.name.clone();
        Ok(Invoked { run, persona, priority: invoke.priority, estimate, created_at: now })
    }

    fn check_caller(&self, caller: &Caller, invoke: &Invoke, prepared: &Prepared) -> Result<(), Error> {
        if caller.reach == Reach::Local {
            return Ok(());
        }
        let name = &prepared.persona.name;
        if !prepared.persona.callable {
            return Err(Error::refused(format!("persona `{name}` may not be called from elsewhere"))
                .hint("its file allows it by `masque: { callable: true }`"));
        }
        let project = Host::project(&self.host.directory);
        let real = invoke.workspace.canonicalize().unwrap_or_else(|_| invoke.workspace.clone());
        if real.starts_with(&project) {
            return Ok(());
        }
        Err(Error::refused("a workspace outside of the server's project is refused to callers from elsewhere"))
    }

    fn job_spec(&self, caller: &Caller, invoke: &Invoke, prepared: &Prepared, task: Vec<Part>) -> RunSpec {
        let ttl = self.settings.duration("approvals.ttl");
        let choice = prepared.choice.clone();
        RunSpec {
            task,
            route: choice.route,
            price: choice.price,
            context_tokens: choice.context_tokens,
            limits: prepared.limits.tightest(invoke.limits),
            policy: policy(&prepared.policy, invoke),
            approvals: ApprovalTerms { ttl_ms: ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)) },
            workspace: invoke.workspace.display().to_string(),
            sandbox: prepared.sandbox,
            started_by: caller.actor.clone(),
            parent: None,
            called: None,
            conversation: false,
        }
    }

    /// How long a job of a persona may take.
    pub(super) async fn estimate(&self, persona: &str, limits: &Limits) -> Result<Estimate, Error> {
        Ok(estimate::estimate(&self.durations(persona).await?, limits))
    }

    pub(super) async fn durations(&self, persona: &str) -> Result<Vec<u64>, Error> {
        let (now, key) = (self.now(), persona.to_owned());
        if let Some((learned, durations)) = self.jobs.estimates.get(&key)
            && now.since(learned) < LEARNED_FOR
        {
            return Ok(durations);
        }
        let durations = self.store.run_durations(persona, estimate::NEWEST).await?;
        self.jobs.estimates.set(key, (now, durations.clone()));
        Ok(durations)
    }
}

/// The persona's policy with what the caller takes away.
fn policy(own: &Policy, invoke: &Invoke) -> Policy {
    let mut policy = own.clone();
    policy.ceiling.extend(invoke.ceiling.iter().cloned());
    policy.mode = invoke.mode.map_or(policy.mode, |asked| asked.min(policy.mode));
    policy
}

fn job(caller: &Caller, invoke: &Invoke, context: Option<Digest>, estimate: Estimate) -> NewJob {
    NewJob {
        principal: caller.actor.to_string(),
        remote: caller.reach == Reach::Remote,
        priority: invoke.priority,
        workspace: Path::new(&invoke.workspace).display().to_string(),
        context,
        estimate_ms: estimate.seconds.saturating_mul(1_000),
    }
}

fn first_events(spec: RunSpec, prepared: &Prepared, at: Timestamp) -> Vec<Event> {
    let bodies = [
        EventBody::RunCreated { spec: Box::new(spec) },
        EventBody::PersonaPinned { persona: Box::new(prepared.persona.clone()) },
    ];
    (1..).zip(bodies).map(|(seq, body)| Event { seq, epoch: 0, at, body }).collect()
}
