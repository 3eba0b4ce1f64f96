//! Use cases over runs: start, drive, cancel, fork, list, follow, replay, export.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use masque_engine::{
    driver::{DriveOptions, Engine},
    replay::{Replay, replay},
    state::State,
};
pub use masque_engine::{
    driver::{Driven, Progress, WhenWaiting},
    output::clipped,
    state::{Outcome, Waits},
};
use masque_store::NewRun;
pub use masque_store::RunFilter;
use masque_types::{
    actor::Actor,
    approval::{Approval, ApprovalTerms},
    cost::Limits,
    event::{Event, EventBody},
    id::{Epoch, RunId, Seq},
    message::{Part, joined_text},
    model::{Model, ModelRef},
    persona::Persona,
    policy::{Mode, Policy, Rule},
    run::{Command, ModelChoice, RunSpec, RunStatus, RunSummary, SandboxMode},
    time::Timestamp,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    App, Error, activity::Recorder, audit, authority, children::LocalChildren, clock, config::Layer, context,
    discovery::Finder, environments::LocalEnvironments, models::Models, trust, worker,
};

/// Largest task text in bytes: more does not fit a model, and is better given as a file in the workspace.
pub const MAX_TASK_BYTES: usize = 1 << 20;

/// What to start.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// The persona.
    pub persona: Persona,
    /// What to do.
    pub task: Vec<Part>,
    /// The directory that the tools work in.
    pub workspace: PathBuf,
    /// The caller's limits; the persona's and the configuration's hold as well.
    pub limits: Limits,
    /// The caller's rules: they can only take away.
    pub ceiling: Vec<Rule>,
    /// How tools are confined.
    pub sandbox: SandboxMode,
    /// Whether it is a conversation, which waits for the person's next words after each answer.
    pub conversation: bool,
    /// Exactly the models to ask, first choice first; empty means those of the persona and the configuration.
    pub models: Vec<ModelRef>,
    /// The mode that the person asked for, before that of the configuration.
    pub mode: Option<Mode>,
}

/// How a run is driven by this process.
pub struct Drive<'a> {
    /// What to do when only an answer to this question can make the run go on.
    pub when_waiting: &'a (dyn Fn(&Approval) -> WhenWaiting + Send + Sync),
    /// What to do when a conversation waits for the person's next words. One that stays keeps its environment warm.
    pub between_turns: WhenWaiting,
    /// Told what happens.
    pub observe: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    /// Stops driving without ending the run.
    pub stop: CancellationToken,
}

impl App {
    /// Creates a run. It does not start by itself: drive it, or leave it to a worker.
    ///
    /// # Errors
    /// When the task is empty or too large, no model can be used, or an unconfined run is wanted in a project that
    /// is not trusted.
    pub async fn start(&self, actor: &Actor, start: StartRun) -> Result<RunId, Error> {
        check_task(&start.task)?;
        self.check_sandbox(start.sandbox, &start.workspace)?;
        let mut start = start;
        start.sandbox = authority::sandbox_of(&self.host, &self.settings, &start.persona, start.sandbox)?;
        let mut policy = authority::policy(&self.host, &self.settings, &start.persona, &start.ceiling)?;
        policy.mode = start.mode.unwrap_or(policy.mode);
        let models = match start.models.is_empty() {
            true => self.models(&start.persona).await?,
            false => self.models_named(&start.persona, start.models.clone()).await?,
        };
        let id = clock::new_run_id();
        let now = self.clock.now();
        let title = clipped(&joined_text(&start.task), 80);
        let spec = self.spec(actor, &start, policy, models);
        let detail = json!({ "sandbox": spec.sandbox, "persona": start.persona.digest, "workspace": spec.workspace });
        let entry = audit::entry(now, actor, "run.create", Some(id), &start.persona.name, detail);
        let persona = context::composed(&start.persona, &spec.policy, &start.workspace);
        let persona = self.with_memories(persona, &start.workspace, &joined_text(&start.task)).await;
        let recorder = Recorder::new(&self.host, &start.persona.name, id);
        let created = EventBody::RunCreated { spec: Box::new(spec) };
        let pinned = EventBody::PersonaPinned { persona: Box::new(persona) };
        let event = |seq, body| Event { seq, epoch: 0, at: now, body };
        self.store
            .create_run(NewRun {
                id,
                persona: start.persona.name,
                title,
                sandbox: start.sandbox,
                created_at: now,
                status: RunStatus::Running,
                events: vec![event(1, created), event(2, pinned)],
                forked_from: None,
                parent: None,
                conversation: start.conversation,
                job: None,
                audit: vec![entry],
            })
            .await?;
        recorder.started(now, actor, None);
        Ok(id)
    }

    fn spec(&self, actor: &Actor, start: &StartRun, policy: Policy, models: Models) -> RunSpec {
        let persona = &start.persona;
        let choice = self.choice(models);
        let ttl = self.settings.duration("approvals.ttl");
        RunSpec {
            task: start.task.clone(),
            route: choice.route,
            price: choice.price,
            context_tokens: choice.context_tokens,
            limits: self.settings.limits().tightest(persona.budget).tightest(start.limits),
            policy,
            approvals: ApprovalTerms { ttl_ms: ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)) },
            workspace: start.workspace.display().to_string(),
            sandbox: start.sandbox,
            started_by: actor.clone(),
            parent: None,
            called: None,
            conversation: start.conversation,
        }
    }

    /// Whom a run asks, with the context that fits: that of the model, less the answer.
    pub(crate) fn choice(&self, models: Models) -> ModelChoice {
        let budget = self.settings.count("model.context_tokens").unwrap_or(u64::MAX);
        let answer = u64::from(models.route.max_output_tokens);
        let fitting = models.context_tokens.map_or(u64::MAX, |tokens| tokens.saturating_sub(answer));
        ModelChoice { route: models.route, price: models.price, context_tokens: budget.min(fitting) }
    }

    /// An unconfined run is for a project whose content the user trusts: what a persona of a stranger's repository
    /// starts would run with all the user's rights.
    fn check_sandbox(&self, sandbox: SandboxMode, workspace: &Path) -> Result<(), Error> {
        if sandbox != SandboxMode::None {
            return Ok(());
        }
        let project = crate::host::Host::project(workspace);
        let trusted = trust::trust_of(&self.host, &project)?;
        if trusted == trust::Trust::Trusted {
            return Ok(());
        }
        Err(Error::refused(format!("--sandbox none is refused: {} is not trusted", project.display()))
            .hint("look at what it brings (.agents, .claude, .masque), then: masque trust")
            .hint("or run it confined: leave --sandbox away"))
    }

    /// Drives a run in this process until it ends or waits.
    ///
    /// # Errors
    /// When the store fails or a model cannot be set up. The run can be resumed.
    pub async fn drive(&self, run: RunId, drive: Drive<'_>) -> Result<Driven, Error> {
        let (engine, state) = self.engine(run).await?;
        self.drive_with(&engine, run, Some(state), drive).await
    }

    /// Drives a run; one that cannot be driven here, because its models are gone, only as far as to end it when someone
    /// wants that.
    pub(crate) async fn drive_or_end(&self, run: RunId, drive: Drive<'_>) -> Result<Driven, Error> {
        match self.engine(run).await {
            Ok((engine, state)) => self.drive_with(&engine, run, Some(state), drive).await,
            Err(error) => {
                let inbox = self.store.inbox(run).await?;
                if !inbox.iter().any(|(_, command)| matches!(command, Command::Cancel { .. })) {
                    return Err(error);
                }
                let engine = self.engine_with(Arc::new(self.gateway(&[]).await?));
                self.drive_with(&engine, run, None, drive).await
            }
        }
    }

    async fn drive_with(
        &self,
        engine: &Engine,
        run: RunId,
        known: Option<State>,
        drive: Drive<'_>,
    ) -> Result<Driven, Error> {
        let lease = self.store.lease(run).await?;
        let dead = lease.map(|lease| lease.worker).filter(|worker| worker::is_dead(worker));
        let recorder = self.recorder(run, known.as_ref()).await?;
        let observe = recorder.beside(drive.observe);
        let options = DriveOptions {
            when_waiting: drive.when_waiting,
            between_turns: drive.between_turns,
            observe: &observe,
            stop: drive.stop,
            dead_worker: dead.as_deref(),
            known: known.map(Box::new),
        };
        Ok(Box::pin(engine.drive(run, options)).await?)
    }

    /// Claims the next run that can go on and drives it; `None` when there is none. A run that cannot be driven here
    /// keeps its lease until that runs out, so that it does not stand in the way of the others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drive_next(&self, drive: Drive<'_>) -> Result<Option<(RunId, Result<Driven, Error>)>, Error> {
        let now = self.clock.now();
        let until = now.plus(self.lease());
        let name = worker_name();
        let Some((run, epoch)) = self.store.claim_next(&name, now, until).await? else { return Ok(None) };
        Ok(Some((run, self.drive_claim(run, (epoch, until), name, drive).await)))
    }

    /// Drives a run whose lease a worker of that name got already. One that cannot be driven here keeps its lease until that
    /// runs out.
    pub(crate) async fn drive_claim(
        &self,
        run: RunId,
        lease: (Epoch, Timestamp),
        worker: String,
        drive: Drive<'_>,
    ) -> Result<Driven, Error> {
        let (engine, state) = self.engine(run).await?;
        let engine = Engine { worker, ..engine };
        self.drive_claimed(&engine, state, lease, drive).await
    }

    async fn drive_claimed(
        &self,
        engine: &Engine,
        known: State,
        (epoch, until): (Epoch, Timestamp),
        drive: Drive<'_>,
    ) -> Result<Driven, Error> {
        let run = known.run;
        let recorder = self.recorder(run, Some(&known)).await?;
        let observe = recorder.beside(drive.observe);
        let options = DriveOptions {
            when_waiting: drive.when_waiting,
            between_turns: drive.between_turns,
            observe: &observe,
            stop: drive.stop,
            dead_worker: None,
            known: Some(Box::new(known)),
        };
        Ok(Box::pin(engine.drive_claimed(run, epoch, until, options)).await?)
    }

    pub(crate) fn lease(&self) -> std::time::Duration {
        self.settings.duration("run.lease").unwrap_or(std::time::Duration::from_secs(10))
    }

    /// What drives a run here, and the run's state as it is now.
    async fn engine(&self, run: RunId) -> Result<(Engine, State), Error> {
        let state = State::fold(run, &self.store.journal(run, 0).await?)?;
        // The trust that the run was started with may have ended since.
        self.check_sandbox(state.spec.sandbox, state.spec.workspace.as_ref())?;
        let engine = self.engine_with(Arc::new(self.gateway(&state.route.models).await?));
        Ok((engine, state))
    }

    /// What activates environments on this machine.
    pub(crate) fn environments(&self) -> LocalEnvironments {
        LocalEnvironments {
            host: self.host.clone(),
            launcher: self.launcher.clone(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            containers: Arc::clone(&self.containers),
            app: self.handle(),
            finder: Finder::of(self),
            hide_above: self.hide_tools_above(),
        }
    }

    fn engine_with(&self, model: Arc<dyn Model>) -> Engine {
        let environments = self.environments();
        let clock = Arc::clone(&self.clock);
        Engine {
            store: self.store.clone(),
            model,
            environments: Arc::new(environments),
            children: Arc::new(LocalChildren(self.handle())),
            clock: Arc::new(move || clock.now()),
            worker: worker_name(),
            lease: self.lease(),
        }
    }

    /// Leaves a run to a process in the background, which ends with it. What that process says goes to
    /// `logs/<run>.log` in Masque's home.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn detach(&self, run: RunId) -> Result<u32, Error> {
        self.background(&["worker", "--run", &run.to_string()], &run.to_string())
    }

    /// Starts this program with these arguments and this one's settings as a process in the background. What it says goes to
    /// `logs/<log>.log` in Masque's home.
    pub(crate) fn background(&self, arguments: &[&str], log: &str) -> Result<u32, Error> {
        let directory = self.host.home.join("logs");
        fs_err::create_dir_all(&directory)?;
        let log = fs_err::File::create(directory.join(format!("{log}.log")))?;
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let mut environment: BTreeMap<OsString, OsString> =
            self.host.environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        // What was set for this invocation holds for that process too; not by its arguments, which anyone can read.
        let asked = self.settings.all().filter(|resolved| resolved.layer == Layer::Argument);
        environment
            .extend(asked.map(|resolved| (resolved.option.variable().into(), resolved.value.to_string().into())));
        environment.insert("MASQUE_HOME".into(), self.host.home.clone().into());
        let program = &self.host.executable;
        masque_sandbox::detach(program, &arguments, &environment, &self.host.directory, log.into())
            .map_err(|error| Error::environment(format!("the background process did not start: {error}")))
    }

    /// Waits until there may be something to drive.
    pub async fn await_work(&self) {
        let mut watch = self.store.watch_any();
        // Leases run out without anything being written.
        let _ = tokio::time::timeout(self.lease() / 2, watch.changed()).await;
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Stops a run and keeps its partial result. A worker that holds it stops it at once; otherwise this process
    /// takes the run and ends it.
    ///
    /// # Errors
    /// When the run ended before, or the store fails.
    pub async fn cancel(&self, actor: &Actor, run: RunId) -> Result<RunSummary, Error> {
        let summary = self.run(run).await?;
        if summary.status.is_final() {
            return Err(Error::refused(format!("{run} is {} already", summary.status.name())));
        }
        self.end_by(run, &Command::Cancel { by: actor.clone() }).await
    }

    /// Sends a command that ends a run, and sees to it that it does: a worker that holds it ends it at once; otherwise
    /// this process takes the run.
    pub(crate) async fn end_by(&self, run: RunId, command: &Command) -> Result<RunSummary, Error> {
        self.store.send(clock::new_command_id(), run, command, self.clock.now()).await?;
        let quiet = |_: Progress<'_>| {};
        let drive = Drive {
            when_waiting: &|_| WhenWaiting::Park,
            between_turns: WhenWaiting::Park,
            observe: &quiet,
            stop: CancellationToken::new(),
        };
        // No model is asked any more: a run whose script or provider is gone can be ended too.
        let engine = self.engine_with(Arc::new(self.gateway(&[]).await?));
        self.drive_with(&engine, run, None, drive).await?;
        self.await_end(run).await
    }

    /// Waits a moment for another worker to end a run.
    async fn await_end(&self, run: RunId) -> Result<RunSummary, Error> {
        let mut watch = self.store.watch(run);
        let deadline = tokio::time::Instant::now() + self.lease();
        loop {
            let summary = self.run(run).await?;
            let changed = tokio::time::timeout_at(deadline, watch.changed());
            if summary.status.is_final() || changed.await.is_err() {
                return Ok(summary);
            }
        }
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, Error> {
        Ok(self.store.runs(filter).await?)
    }

    /// One run's summary.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn run(&self, run: RunId) -> Result<RunSummary, Error> {
        self.store.run(run).await?.ok_or_else(|| masque_engine::Error::NoSuchRun(run).into())
    }

    /// The run with that id, unique beginning of an id, or `last`.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find_run(&self, id: &str) -> Result<RunId, Error> {
        if id == "last" {
            let newest = self.store.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await?;
            let newest = newest.first().map(|run| run.id);
            return newest.ok_or_else(|| Error::usage("there are no runs yet").hint("start one: masque run -p \"…\""));
        }
        match id.parse() {
            Ok(run) => Ok(run),
            Err(_) => only_match("run", id, &self.store.find_runs(id).await?),
        }
    }

    /// A run's journal after an event.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn journal(&self, run: RunId, after: Seq) -> Result<Vec<Event>, Error> {
        Ok(self.store.journal(run, after).await?)
    }

    /// A run's state now.
    ///
    /// # Errors
    /// When there is no such run or its journal is damaged.
    pub async fn state(&self, run: RunId) -> Result<State, Error> {
        Ok(State::fold(run, &self.store.journal(run, 0).await?)?)
    }

    /// Shows a run's events from `after` on, as they are written, until it ends or `stop` is asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn follow(
        &self,
        run: RunId,
        mut after: Seq,
        stop: CancellationToken,
        mut show: impl FnMut(&[Event]),
    ) -> Result<RunStatus, Error> {
        let mut watch = self.store.watch(run);
        loop {
            // The status is read first: what it says is then in the events that are read next.
            let status = self.run(run).await?.status;
            let events = self.store.journal(run, after).await?;
            after = events.last().map_or(after, |event| event.seq);
            show(&events);
            if status.is_final() {
                return Ok(status);
            }
            tokio::select! {
                () = watch.changed() => {}
                () = stop.cancelled() => return Ok(status),
            }
        }
    }

    /// Replays a run without effects.
    ///
    /// # Errors
    /// When there is no such run or its journal is damaged.
    pub async fn replay(&self, run: RunId) -> Result<(Replay, Vec<Event>), Error> {
        let events = self.store.journal(run, 0).await?;
        Ok((replay(run, &events)?, events))
    }

    /// The script that answers as the models of this run did.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn export_script(&self, run: RunId) -> Result<String, Error> {
        self.run(run).await?;
        let events = self.store.journal(run, 0).await?;
        let script = masque_gateway::script::record(&events);
        script.to_yaml().map_err(|error| Error::environment(error.to_string()))
    }

    /// Who works on a run, if anyone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn held_by(&self, run: RunId) -> Result<Option<String>, Error> {
        let now = self.clock.now();
        let lease = self.store.lease(run).await?;
        let live = lease.filter(|lease| lease.until > now && !worker::is_dead(&lease.worker));
        Ok(live.map(|lease| lease.worker))
    }
}

/// The one match of a beginning of an id.
pub(crate) fn only_match<T: Copy + std::fmt::Display>(noun: &str, id: &str, matches: &[T]) -> Result<T, Error> {
    match matches {
        [one] => Ok(*one),
        [] => Err(Error::usage(format!("there is no {noun} `{id}`")).hint(format!("`masque {noun}s list` shows all"))),
        several => {
            let names = several.iter().map(|id| format!("\n  {id}")).collect::<String>();
            Err(Error::usage(format!("`{id}` is the beginning of several {noun} ids:{names}")))
        }
    }
}

pub(crate) fn check_task(task: &[Part]) -> Result<(), Error> {
    let text: usize = task.iter().filter_map(Part::as_text).map(str::len).sum();
    let blank = task.iter().all(|part| part.as_text().is_some_and(|text| text.trim().is_empty()));
    if blank {
        return Err(Error::usage("the task is empty")
            .hint("say what to do: -p \"Review this repository\", or on standard input"));
    }
    if text > MAX_TASK_BYTES {
        return Err(Error::usage(format!("the task has {text} bytes; at most {MAX_TASK_BYTES} are taken"))
            .hint("put the material into a file of the workspace and name the file in the task"));
    }
    Ok(())
}

/// The name of one drive of this process.
pub(crate) fn worker_name() -> String {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    worker::own_name(serial).unwrap_or_else(|| format!("{}-{serial}", clock::new_command_id()))
}

/// The workspace of a run: the given directory, which must exist.
///
/// # Errors
/// When it is no directory.
pub fn workspace(directory: &Path) -> Result<PathBuf, Error> {
    let wrong = |what: String| Error::usage(format!("the workspace {} {what}", directory.display()));
    let path = directory.canonicalize().map_err(|error| wrong(format!("cannot be used: {error}")))?;
    if path.is_dir() { Ok(path) } else { Err(wrong("is not a directory".to_owned())) }
}
