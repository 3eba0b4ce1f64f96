//! Drives a run: claims it, feeds the machine, commits its events, then performs its actions.
//!
//! The order is the promise: an effect is announced (committed and flushed) before it happens and confirmed after.
//! Only a step whose actions are all pure starts them while its commit is still under way.

mod perform;
mod told;

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future, stream::FuturesUnordered};
use masque_store::{Append, Claim, ClaimRequest, RunHead, Store, Watch};
use masque_types::{
    approval::Approval,
    diagnostic::Diagnostic,
    event::{Event, EventBody},
    id::{CommandId, Epoch, RunId},
    model::{Model, ModelDelta},
    run::Command,
    time::Timestamp,
    tool::EffectClass,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    children::Children,
    environment::{ActiveEnvironment, Environments},
    heartbeat::{Heartbeat, LeaseTerms},
    machine::{Action, Input, Machine, Step},
    state::{Outcome, State, Waits},
    steady::SteadyTime,
};

use self::told::{asked, audited, sent};

/// Reads the time.
pub type Clock = dyn Fn() -> Timestamp + Send + Sync;

/// A worker: drives runs, one call of [`Engine::drive`] each.
#[derive(Clone)]
pub struct Engine {
    /// Where journals live.
    pub store: Store,
    /// Who answers model calls.
    pub model: Arc<dyn Model>,
    /// Who sets environments up.
    pub environments: Arc<dyn Environments>,
    /// Who knows and runs the personas that are called.
    pub children: Arc<dyn Children>,
    /// The time.
    pub clock: Arc<Clock>,
    /// This worker's name, unique among living workers.
    pub worker: String,
    /// How long a lease lasts without a heartbeat; a heartbeat comes every third of it.
    pub lease: Duration,
}

/// How to drive.
pub struct DriveOptions<'a> {
    /// What to do when only an answer to this question can make the run go on; asked for each open question.
    pub when_waiting: &'a (dyn Fn(&Approval) -> WhenWaiting + Send + Sync),
    /// What to do when a conversation waits for the person's next words.
    pub between_turns: WhenWaiting,
    /// Told what happens: committed events, model deltas, diagnostics.
    pub observe: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    /// Stops driving without ending the run: it can be resumed.
    pub stop: CancellationToken,
    /// An owner that is known to be dead: its lease is taken before it ends.
    pub dead_worker: Option<&'a str>,
    /// The run's state as it was read before: only what came since is read again.
    pub known: Option<Box<State>>,
}

/// What to do when only a human can make the run go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenWaiting {
    /// Give the lease back and return; anyone may take the run up later.
    Park,
    /// Stay until someone answers or a deadline passes.
    Stay,
}

/// What happens while a run is driven.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Events that are now durable.
    Committed(&'a [Event]),
    /// Something that a model call shows.
    Delta(ModelDelta),
    /// Something wrong with the environment that does not stop the run.
    Diagnostic(&'a Diagnostic),
    /// Something that happens in a run that this one called.
    Child {
        /// That run.
        run: RunId,
        /// Its persona.
        persona: &'a str,
        /// What happens.
        progress: &'a Progress<'a>,
    },
}

/// How driving ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Driven {
    /// The run ended.
    Ended(Outcome),
    /// It waits: for answers, or for the person's next words.
    Waiting(Waits),
    /// Another worker holds it.
    HeldBy {
        /// Who.
        worker: String,
        /// Until when, unless it renews.
        until: Timestamp,
    },
    /// The lease went to another worker; nothing was written after that.
    LeaseLost,
    /// `stop` was asked for; the run can be resumed.
    Stopped,
}

impl Engine {
    /// Claims a run and drives it until it ends, waits, or is lost.
    ///
    /// # Errors
    /// When the store fails or the journal is damaged. The run can be resumed.
    pub async fn drive(&self, run: RunId, options: DriveOptions<'_>) -> Result<Driven, Error> {
        let now = (self.clock)();
        let until = now.plus(self.lease);
        let request = ClaimRequest { worker: &self.worker, now, until, dead_worker: options.dead_worker };
        let epoch = match self.store.claim(run, request).await? {
            Claim::Granted { epoch, .. } => epoch,
            Claim::Held { worker, until } => return Ok(Driven::HeldBy { worker, until }),
        };
        self.drive_claimed(run, epoch, until, options).await
    }

    /// Drives a run whose lease this worker got already (see [`Store::claim_next`]).
    ///
    /// # Errors
    /// As for [`Engine::drive`].
    pub async fn drive_claimed(
        &self,
        run: RunId,
        epoch: Epoch,
        until: Timestamp,
        mut options: DriveOptions<'_>,
    ) -> Result<Driven, Error> {
        let terms = LeaseTerms { run, epoch, length: self.lease, until };
        let heartbeat = Heartbeat::start(self.store.clone(), Arc::clone(&self.clock), terms);
        let driven = match self.load(run, options.known.take()).await {
            Ok(state) => Drive::new(self, Machine::new(state, epoch), epoch, options, &heartbeat).run().await,
            Err(error) => Err(error),
        };
        heartbeat.stop().await;
        if !matches!(driven, Ok(Driven::LeaseLost)) {
            self.store.release(run, epoch).await?;
        }
        driven
    }

    async fn load(&self, run: RunId, known: Option<Box<State>>) -> Result<State, Error> {
        match known.filter(|known| known.run == run) {
            Some(mut state) => {
                state.take(&self.store.journal(run, state.last_seq).await?)?;
                Ok(*state)
            }
            None => State::fold(run, &self.store.journal(run, 0).await?),
        }
    }
}

/// The inbox is read at most once in this time.
const INBOX_PACE: Duration = Duration::from_millis(20);

type InFlight<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Input> + Send + 'a>>>;
type ChildDrives<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>;
type Commit = Pin<Box<dyn Future<Output = Result<(), masque_store::Error>> + Send>>;

/// One run being driven.
struct Drive<'a> {
    engine: &'a Engine,
    options: DriveOptions<'a>,
    heartbeat: &'a Heartbeat,
    machine: Machine,
    epoch: Epoch,
    time: SteadyTime,
    inputs: VecDeque<Input>,
    /// Commands of the inbox that are yet to be taken.
    commands: VecDeque<(CommandId, Command)>,
    /// Commands whose meaning is in the next commit: no earlier one may mark them as consumed.
    consumed: Vec<CommandId>,
    in_flight: InFlight<'a>,
    /// Called runs that are driven here.
    children: ChildDrives<'a>,
    stop_children: CancellationToken,
    /// A commit that nothing waits for yet, and the events that it makes durable.
    commit: Option<(Commit, Vec<Event>)>,
    environment: Option<Arc<dyn ActiveEnvironment>>,
    /// What the model has said so far in the call under way.
    said: Arc<Mutex<String>>,
    changes: Watch,
    /// When the inbox is to be read; every own commit is a change too, so reading is paced.
    inbox_due: Option<Instant>,
    inbox_read: Instant,
}

/// Why the loop ends early.
enum Stop {
    Driven(Driven),
    Failed(Error),
}

impl From<masque_store::Error> for Stop {
    fn from(error: masque_store::Error) -> Self {
        match error {
            masque_store::Error::StaleLease { .. } => Self::Driven(Driven::LeaseLost),
            error => Self::Failed(error.into()),
        }
    }
}

impl<'a> Drive<'a> {
    fn new(
        engine: &'a Engine,
        machine: Machine,
        epoch: Epoch,
        options: DriveOptions<'a>,
        heartbeat: &'a Heartbeat,
    ) -> Self {
        let run = machine.state().run;
        let stop_children = options.stop.child_token();
        let first = if machine.state().has_open_work() {
            Input::Recovered { worker: engine.worker.clone() }
        } else {
            Input::Claimed
        };
        Self {
            engine,
            options,
            heartbeat,
            time: SteadyTime::new(Arc::clone(&engine.clock), machine.state().last_at),
            machine,
            epoch,
            inputs: VecDeque::from([first]),
            commands: VecDeque::new(),
            consumed: Vec::new(),
            in_flight: FuturesUnordered::new(),
            children: FuturesUnordered::new(),
            stop_children,
            commit: None,
            environment: None,
            said: Arc::default(),
            changes: engine.store.watch(run),
            inbox_due: Some(Instant::now()),
            inbox_read: Instant::now(),
        }
    }

    async fn run(mut self) -> Result<Driven, Error> {
        let stop = loop {
            if let Err(stop) = self.turn().await {
                break stop;
            }
        };
        // Calls under way end with their futures; the environment is closed before the lease is given back.
        self.in_flight.clear();
        if let Some(environment) = self.environment.take() {
            environment.close().await;
        }
        // Those of a run that ended were told to end as well.
        if !matches!(stop, Stop::Driven(Driven::Ended(_))) {
            self.stop_children.cancel();
        }
        while self.children.next().await.is_some() {}
        match stop {
            Stop::Driven(driven) => Ok(driven),
            Stop::Failed(error) => Err(error),
        }
    }

    /// Handles everything that happened, then waits for something to happen.
    async fn turn(&mut self) -> Result<(), Stop> {
        if self.inbox_due.is_some_and(|due| due <= Instant::now()) {
            self.read_inbox().await?;
        }
        while let Some(input) = self.next_input() {
            let step = self.machine.handle(input, self.time.now());
            self.take(step).await?;
        }
        if let Some(outcome) = self.machine.state().outcome.clone() {
            self.flush().await?;
            return Err(Stop::Driven(Driven::Ended(outcome)));
        }
        if self.in_flight.is_empty() && self.children.is_empty() && !self.stays() {
            self.flush().await?;
            // What came since the inbox was last read is not left lying.
            self.read_inbox().await?;
            if self.commands.is_empty() {
                return Err(Stop::Driven(Driven::Waiting(self.machine.state().waits())));
            }
            return Ok(());
        }
        self.wait().await
    }

    /// Whether a run with nothing under way is kept.
    fn stays(&self) -> bool {
        let state = self.machine.state();
        let answered = |question: &Approval| (self.options.when_waiting)(question) == WhenWaiting::Stay;
        let spoken = state.turn_over && self.options.between_turns == WhenWaiting::Stay;
        spoken || state.questions().any(answered)
    }

    fn next_input(&mut self) -> Option<Input> {
        // A run that is to be stopped is not set up before.
        let stops = self.commands.iter().any(|(_, command)| matches!(command, Command::Cancel { .. }));
        if stops && matches!(self.inputs.front(), Some(Input::Claimed)) {
            self.inputs.pop_front();
        }
        self.inputs.pop_front().or_else(|| {
            let (id, command) = self.commands.pop_front()?;
            self.consumed.push(id);
            Some(match command {
                Command::Interrupt { by } => Input::Interrupted { by, partial: self.said_so_far() },
                command => Input::Command(command),
            })
        })
    }

    fn said_so_far(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Commits a step's events and performs its actions, in the order that their effects ask for.
    async fn take(&mut self, step: Step) -> Result<(), Stop> {
        let Step { events, blobs, actions } = step;
        if !events.is_empty() || !self.consumed.is_empty() {
            self.flush().await?;
            let append = self.append(&events, blobs);
            self.commit = Some((Box::pin(self.engine.store.append(append)), events));
        }
        let pure = |action: &Action| matches!(action, Action::CallTool { effect: EffectClass::Pure, .. });
        if !actions.iter().all(pure) {
            self.flush().await?;
        }
        for action in actions {
            self.perform(action).await?;
        }
        Ok(())
    }

    /// Waits until the commit under way is durable, and tells the observer.
    async fn flush(&mut self) -> Result<(), Stop> {
        if let Some((commit, events)) = self.commit.take() {
            commit.await?;
            if !events.is_empty() {
                (self.options.observe)(Progress::Committed(&events));
            }
        }
        Ok(())
    }

    fn append(&mut self, events: &[Event], blobs: Vec<Vec<u8>>) -> Append {
        let state = self.machine.state();
        let asked = events.iter().filter_map(|event| asked(state, event)).collect();
        let decided = events.iter().filter_map(|event| match &event.body {
            EventBody::ApprovalDecided { approval, ruling } => Some((*approval, ruling.clone(), event.at)),
            _ => None,
        });
        Append {
            run: state.run,
            epoch: self.epoch,
            events: events.to_vec(),
            head: RunHead { status: state.status(), spend: state.spend, wake_at: state.wake_at() },
            blobs,
            asked,
            decided: decided.collect(),
            consumed: std::mem::take(&mut self.consumed),
            sent: events.iter().filter_map(|event| sent(state, event)).collect(),
            audit: events.iter().filter_map(|event| audited(state, event)).collect(),
        }
    }

    /// Waits for the next thing to happen: a call ends, someone writes to the inbox, time passes, the lease is lost.
    async fn wait(&mut self) -> Result<(), Stop> {
        let now = self.time.now();
        let sleep = self.machine.state().wake_at().map(|at| tokio::time::sleep(at.since(now)));
        let tick = sleep.map_or_else(|| future::pending().left_future(), FutureExt::right_future);
        let inbox = self.inbox_due.map(tokio::time::sleep_until);
        let inbox = inbox.map_or_else(|| future::pending().left_future(), FutureExt::right_future);
        let commit = self.commit.as_mut();
        let durable = commit.map_or_else(|| future::pending().left_future(), |(commit, _)| commit.right_future());
        tokio::select! {
            Some(input) = self.in_flight.next() => self.inputs.push_back(input),
            Some(()) = self.children.next() => {}
            result = durable => {
                let events = self.commit.take().map(|(_, events)| events).unwrap_or_default();
                result?;
                (self.options.observe)(Progress::Committed(&events));
            }
            () = self.changes.changed() => {
                self.inbox_due.get_or_insert(self.inbox_read + INBOX_PACE);
            }
            () = inbox => {}
            () = tick => self.inputs.push_back(Input::Tick),
            () = self.heartbeat.lost() => return Err(Stop::Driven(Driven::LeaseLost)),
            () = self.options.stop.cancelled() => return Err(Stop::Driven(Driven::Stopped)),
        }
        while let Some(Some(input)) = self.in_flight.next().now_or_never() {
            self.inputs.push_back(input);
        }
        Ok(())
    }

    async fn read_inbox(&mut self) -> Result<(), Stop> {
        self.inbox_due = None;
        self.inbox_read = Instant::now();
        for (id, command) in self.engine.store.inbox(self.machine.state().run).await? {
            if !self.consumed.contains(&id) {
                self.commands.push_back((id, command));
            }
        }
        Ok(())
    }
}
