//! [`Runner`]: one supervisor of one host, or of some groups of it.
//!
//! Owns the loop that hears what happens (ends, checks, notices, clients, other hosts, time), tells it to the machine, and
//! does what the machine wants; the take-over of what an earlier supervisor had started; the end. Everything is an event:
//! nothing is polled, and an idle supervisor does nothing. Leaves out every decision, which is the machine's.

mod act;
mod ask;
mod event;
mod journal;
mod metrics;
mod neighbours;
mod reload;
mod report;
mod spec;
mod status;
mod take_over;
mod unit;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use masque_fleet::{
    model::{Fleet, ServiceId},
    status::State,
};
use masque_sandbox::service::{Reaper, ServiceGroups, raise_open_files};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use self::spec::{Begin, LinkParts, Reload, RunnerSpec};
use self::{event::Event, journal::Journal, reload::Roll, report::Clocks, unit::Unit};
use crate::{
    Error,
    control::{Asked, Server},
    directory::{Lock, StateDirectory},
    link::{Link, States},
    machine::{Action, Board, Input, Selection},
    metrics::Metrics,
    record::Records,
};

/// Log files of services, in the state directory.
pub const LOGS: &str = "logs";
/// The pipes that they print to.
const PIPES: &str = "fifo";
/// What services are told of their dependencies while they run.
const DEPENDENCIES: &str = "dependencies";
/// Notices of services that may wait to be heard.
const NOTICES: usize = 256;
/// Requests of clients that may wait.
const REQUESTS: usize = 16;

/// A supervisor that has its state directory and knows what runs.
#[derive(Debug)]
pub struct Runner {
    spec: Arc<RunnerSpec>,
    fleet: Arc<Fleet>,
    directory: StateDirectory,
    /// What is in the cookies of everything that is started from this directory.
    token: String,
    lock: Lock,
    clocks: Clocks,
    board: Board,
    units: BTreeMap<ServiceId, Unit>,
    records: Records,
    journal: Journal,
    /// The control groups that services can have.
    groups: ServiceGroups,
    /// Services that a new manifest has no more.
    gone: BTreeSet<ServiceId>,
    /// Services that cannot start because something of them is not there.
    missing: BTreeSet<ServiceId>,
    /// Where the services of other supervisors stand, as far as is known.
    elsewhere: BTreeMap<ServiceId, State>,
    /// Where those of this one stand, for the others.
    states: watch::Sender<States>,
    link: Option<Arc<Link>>,
    metrics: Option<Metrics>,
    roll: Option<Roll>,
    hear: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    /// What services say about themselves, as fast as it is heard.
    say: mpsc::Sender<Input>,
    said: mpsc::Receiver<Input>,
    requests: mpsc::Receiver<Asked>,
    signals: Signals,
    tasks: JoinSet<()>,
    /// Buries what services leave behind.
    orphans: JoinSet<()>,
    /// Ends the control socket, at the very end.
    deaf: CancellationToken,
    ending: Ending,
}

/// How far the end of everything has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nobody wants it.
    No,
    /// Everything is being ended in order.
    Ordered,
    /// Everything is being killed.
    Forced,
}

impl Runner {
    /// Takes the state directory, adopts what an earlier supervisor had started, and begins. From its first moment on
    /// SIGTERM, SIGINT and SIGHUP are heard, and answered by [`Self::run`].
    ///
    /// # Errors
    /// [`Error::Running`] when another supervisor has the directory; when the directory cannot be used, other supervisors
    /// cannot be listened to, or something that runs can be neither taken over nor ended. Then nothing was started.
    pub async fn start(spec: RunnerSpec) -> Result<Self, Error> {
        let signals = Signals::listen()?;
        if let Err(error) = raise_open_files() {
            tracing::warn!("the number of files that may be open is not raised: {error}");
        }
        let directory = StateDirectory::create(&spec.directory)?;
        let lock = directory.lock().await?;
        let clocks = Clocks::start(spec.clock);
        let records = Records::open(&directory)?;
        let journal = Journal::open(&directory, &spec.host, clocks.now())?;
        let fleet = Arc::new(spec.fleet.clone());
        let board = Board::new(&fleet, |service| spec.owns(service), rand::random());
        let owned = fleet.services.iter().filter(|service| spec.owns(service));
        let units = owned.map(|service| (service.id.clone(), Unit::new(service))).collect();
        let ((hear, events), (say, said)) = (mpsc::unbounded_channel(), mpsc::channel(NOTICES));
        let (asked, requests) = mpsc::channel(REQUESTS);
        let server = Server::bind(&directory, asked)?;
        let mut runner = Self {
            token: directory.token()?,
            spec: Arc::new(spec),
            fleet,
            directory,
            lock,
            clocks,
            board,
            units,
            records,
            journal,
            groups: ServiceGroups::detect(),
            gone: BTreeSet::new(),
            missing: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
            states: watch::Sender::new(States::default()),
            link: None,
            metrics: None,
            roll: None,
            hear,
            events,
            say,
            said,
            requests,
            signals,
            tasks: JoinSet::new(),
            orphans: JoinSet::new(),
            deaf: CancellationToken::new(),
            ending: Ending::No,
        };
        runner.tasks.spawn(server.run(runner.deaf.clone()));
        runner.orphans.spawn(Reaper::start()?.run());
        // Whatever may refuse comes before anything is started: nobody would supervise it.
        let link = runner.bind_link().await?;
        runner.take_over().await?;
        runner.connect(link);
        runner.tell_metrics().await;
        Ok(runner)
    }

    /// Supervises until it is told to end (`stop`, SIGTERM, SIGINT, or a client) and everything has ended. Told twice, it
    /// kills. SIGHUP makes it read the manifest again.
    ///
    /// # Errors
    /// None so far: what fails while it runs is told, and goes on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut stopped = false;
        while !self.is_over() {
            let timer = self.next_timer();
            tokio::select! {
                Some(event) = self.events.recv() => self.take(event),
                Some(input) = self.said.recv() => self.tell(input),
                Some(asked) = self.requests.recv() => self.answer(asked),
                event = self.signals.next() => self.take(event),
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    self.take(Event::Stop);
                }
                () = at(timer) => self.tell(Input::Tick),
                // What a task did it has told before it ended.
                Some(_) = self.tasks.join_next() => {}
            }
        }
        self.close().await;
        Ok(())
    }

    fn next_timer(&self) -> Option<tokio::time::Instant> {
        let timers = [self.board.next_timer(), self.roll_timer()];
        timers.into_iter().flatten().min().map(|timer| self.clocks.instant(timer).into())
    }

    fn is_over(&self) -> bool {
        self.ending != Ending::No && self.units.values().all(|unit| unit.live.is_none())
    }

    /// Takes something that happened.
    fn take(&mut self, event: Event) {
        match event {
            Event::Machine(input) => self.tell(input),
            Event::Ended { id, instance, end } => self.ended(id, instance, end),
            Event::Stop => self.end(),
            Event::Reload => self.begin_reload(None),
            Event::Loaded(fleet) => self.loaded(fleet),
            Event::News(news) => self.hear_news(news),
            Event::Describe(reply) => self.describe(reply),
        }
    }

    /// Tells the machine, and goes on with a replacement that waited for it.
    fn tell(&mut self, input: Input) {
        self.tell_machine(input);
        self.roll_on();
    }

    /// Tells the machine, and does all that it wants, and all that follows from that.
    fn tell_machine(&mut self, input: Input) {
        if let Input::Redefine(service) = &input {
            self.redefine(service);
        }
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.clocks.offset();
            let actions = self.board.handle(now, input);
            self.note_ready(&actions);
            for action in actions {
                inputs.extend(self.act(action, now));
            }
        }
        // Only now, when all that had to begin has begun.
        self.journal.write();
    }

    /// Notes who became ready before anything is started on it: most services say it once, and a supervisor that is killed
    /// meanwhile must not leave its successor waiting for that.
    fn note_ready(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Changed { id, to: State::Ready | State::Degraded, .. } = action {
                self.records.ready(id);
            }
        }
    }

    /// Ends everything in order; asked again, kills it.
    fn end(&mut self) {
        match self.ending {
            Ending::No => {
                self.ending = Ending::Ordered;
                self.abandon_roll();
                self.records.close();
                self.tell(Input::Down(Selection::All));
            }
            Ending::Ordered => {
                self.ending = Ending::Forced;
                self.kill_all();
            }
            Ending::Forced => {}
        }
    }

    /// Closes everything. Clients see the end only when another supervisor can take the state directory.
    async fn close(mut self) {
        self.journal.write();
        self.disconnect().await;
        self.release().await;
        Server::forget(&self.directory);
        drop(self.lock);
        self.deaf.cancel();
        self.events.close();
        self.said.close();
        while self.tasks.join_next().await.is_some() {}
        self.orphans.shutdown().await;
    }

    const fn is_ending(&self) -> bool {
        !matches!(self.ending, Ending::No)
    }
}

/// The signals that a supervisor listens to.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hang_up.recv() => Event::Reload,
        }
    }
}

async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
