//! [`Unit`]: the state machine of one service. It knows its own program only: whether its dependencies are met, and
//! whether somebody needs it, is told by the board.

use std::time::Duration;

use masque_fleet::{
    model::{Check, Kind, RestartPolicy, Service, Start},
    status::{CheckStatus, State},
};

use super::{
    Action, End, Notice, Outcome, Resolved, Which,
    failures::{Failures, Verdict},
    run::{Binding, Ending, Run, Told},
    text::human,
};

/// After this time what was killed and is still there is killed again.
const KILL_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What people want of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nobody said anything: it runs when others need it.
    Undecided,
    /// It is to run.
    Up,
    /// It is not to run.
    Down,
}

/// Where the state machine stands. What is shown of it depends on other services too: an `Up` one may be degraded, a
/// `Failed` one substituted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Declared,
    Blocked,
    Starting,
    Up,
    Stopping,
    Stopped,
    Waiting {
        until: Duration,
    },
    /// It came to its end by itself, and is not to be started again.
    Completed,
    Failed {
        retry: Option<Duration>,
    },
}

/// What moves the state machine.
#[derive(Debug)]
pub(super) enum Event {
    /// All that it needs is there.
    Begin(Vec<Binding>, Vec<Resolved>),
    Started(u32),
    NotStarted(String),
    Probed(Which, Outcome, Duration),
    Notified(Notice),
    Ended(End),
    /// Somebody wants it to end.
    Stop(String),
    /// The time of one of its timers may have come.
    Due,
}

/// One service.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its definition: of the running instance, else of the next one.
    pub(super) service: Service,
    /// The definition of the next instance, if it is another one.
    next: Option<Service>,
    pub(super) wanted: Wanted,
    /// Whether others need it, although nobody asked for it.
    pub(super) needed: bool,
    /// Whether it is to be ended and started again.
    pub(super) again: bool,
    pub(super) phase: Phase,
    /// Since when it is in that phase.
    pub(super) entered: Duration,
    /// The state that was told last, and since when.
    pub(super) shown: (State, Duration),
    /// What led to the phase, in words.
    pub(super) note: String,
    pub(super) run: Option<Run>,
    /// The number of the last instance.
    pub(super) last_instance: u64,
    pub(super) starts: u32,
    pub(super) started: Option<Duration>,
    pub(super) ready_after: Option<Duration>,
    pub(super) last_end: Option<End>,
    pub(super) last_check: Option<CheckStatus>,
    /// What of it is missing.
    pub(super) missing: Option<String>,
    /// Whether it was given up and has not become ready since.
    pub(super) given_up: bool,
    /// Whether the present start is the one try after it was given up.
    half_open: bool,
    alarmed: bool,
    pub(super) failures: Failures,
}

impl Unit {
    pub(super) fn new(service: Service, seed: u64) -> Self {
        Self {
            service,
            next: None,
            wanted: Wanted::Undecided,
            needed: false,
            again: false,
            phase: Phase::Declared,
            entered: Duration::ZERO,
            shown: (State::Declared, Duration::ZERO),
            note: "nobody asked for it yet".to_owned(),
            run: None,
            last_instance: 0,
            starts: 0,
            started: None,
            ready_after: None,
            last_end: None,
            last_check: None,
            missing: None,
            given_up: false,
            half_open: false,
            alarmed: false,
            failures: Failures::new(seed),
        }
    }

    /// The definition that its next start uses.
    pub(super) fn latest(&self) -> &Service {
        self.next.as_ref().unwrap_or(&self.service)
    }

    /// Whether its next start uses another definition than its running instance.
    pub(super) const fn is_to_change(&self) -> bool {
        self.next.is_some()
    }

    /// Changes the definition: at once when nothing runs, else for the next start.
    pub(super) fn redefine(&mut self, service: Service) {
        if self.run.is_some() {
            self.next = Some(service);
        } else {
            self.service = service;
            self.next = None;
        }
    }

    /// Whether it is to run.
    pub(super) fn is_to_run(&self) -> bool {
        match self.wanted {
            Wanted::Up => true,
            Wanted::Down => false,
            Wanted::Undecided => self.needed,
        }
    }

    /// Whether a program of it runs, as far as is known.
    pub(super) const fn is_live(&self) -> bool {
        self.run.is_some()
    }

    /// Whether it runs, and is to end for a wish: others must not start on it any more.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_live() && (self.again || !self.is_to_run())
    }

    /// Whether it is started only to stand in for others.
    pub(super) fn is_standby(&self) -> bool {
        self.latest().start == Start::Standby
    }

    /// Moves the state machine. What does not fit where it stands is ignored: it comes from the past.
    pub(super) fn take(&mut self, now: Duration, event: Event, out: &mut Vec<Action>) {
        match (self.phase, event) {
            (Phase::Blocked, Event::Begin(bindings, told)) => self.begin(now, bindings, told, out),
            (Phase::Starting | Phase::Up, Event::Started(pid)) => self.started(now, pid, out),
            (Phase::Stopping, Event::Started(pid)) => self.started_too_late(now, pid, out),
            (Phase::Starting | Phase::Up | Phase::Stopping, Event::NotStarted(why)) => {
                self.ended(now, None, format!("could not be started: {why}"), out);
            }
            (Phase::Starting | Phase::Up | Phase::Stopping, Event::Ended(end)) => self.ended_with(now, end, out),
            (Phase::Starting | Phase::Up, Event::Probed(which, outcome, took)) => {
                self.note_check(&outcome, took);
                self.probed(now, which, &outcome, out);
            }
            (Phase::Starting | Phase::Up, Event::Notified(notice)) => self.notified(now, notice, out),
            (Phase::Starting | Phase::Up, Event::Stop(why)) => self.end(now, None, why, out),
            (Phase::Stopping, Event::Stop(why)) => {
                self.note = why;
                if let Some(ending) = self.run.as_mut().and_then(|run| run.ending.as_mut()) {
                    ending.failure = None;
                }
            }
            (Phase::Starting | Phase::Up | Phase::Stopping, Event::Due) => self.running_due(now, out),
            (Phase::Waiting { until }, Event::Due) if until <= now => self.enter(now, Phase::Blocked),
            (Phase::Failed { retry: Some(retry) }, Event::Due) if retry <= now && self.is_to_run() => {
                self.half_open = true;
                self.enter(now, Phase::Blocked);
            }
            _ => {}
        }
    }

    /// When its next timer ends.
    pub(super) fn timer(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Failed { retry } => retry.filter(|_| self.is_to_run()),
            Phase::Starting => self.ready_deadline(),
            Phase::Up => self.run.as_ref()?.watchdog,
            Phase::Stopping => self.run.as_ref()?.ending.as_ref()?.kill_at,
            _ => None,
        }
    }

    /// Takes over an instance that an earlier supervisor started, with what that one had told it.
    pub(super) fn adopt(
        &mut self,
        now: Duration,
        (instance, pid): (u64, u32),
        ready: bool,
        told: Option<&[Resolved]>,
        out: &mut Vec<Action>,
    ) {
        let bindings = self.service.dependencies.iter().map(|it| Binding::new(Told::before(it, told))).collect();
        self.run = Some(Run { pid: Some(pid), ..Run::new(instance, now, bindings) });
        self.last_instance = self.last_instance.max(instance);
        self.starts = self.starts.max(1);
        "runs since before this supervisor".clone_into(&mut self.note);
        if self.wanted == Wanted::Undecided && !self.is_standby() {
            self.wanted = Wanted::Up;
        }
        self.enter(now, Phase::Starting);
        self.watch(Which::Ready, out);
        if ready || self.is_ready_at_once() {
            self.become_ready(now, out);
        }
    }

    /// Puts it where it stands when nothing of it runs and nothing failed: waiting for what it needs, or at rest.
    pub(super) fn rest(&mut self, now: Duration) {
        self.again = false;
        let phase = match (self.is_to_run(), self.wanted) {
            (true, _) => Phase::Blocked,
            (false, Wanted::Down) => Phase::Stopped,
            (false, _) => Phase::Declared,
        };
        match phase {
            Phase::Stopped => self.forget_failures(),
            // Nobody needs it any more; who does later finds it as if it had not been tried.
            Phase::Declared => (self.given_up, self.half_open) = (false, false),
            _ => {}
        }
        self.enter(now, phase);
    }

    /// Begins anew, because a person wants it: what failed before does not count.
    pub(super) fn forget_failures(&mut self) {
        self.failures.forget();
        self.given_up = false;
        self.half_open = false;
        self.alarmed = false;
    }

    /// Begins anew at the next end or at once, because a person wants it to be started again. What stands in for it does
    /// so until it is ready.
    pub(super) fn start_again(&mut self, now: Duration) {
        self.failures.forget();
        // What is not there is tried once: it may be there by now.
        self.half_open = self.missing.is_some();
        self.alarmed = false;
        "is to be started again".clone_into(&mut self.note);
        if self.is_live() {
            self.again = true;
        } else {
            self.rest(now);
        }
    }

    /// Notes that a person wants it to run: by name, or because something needs it that was named.
    pub(super) fn is_asked_for(&mut self, now: Duration, named: bool) {
        match self.wanted {
            // It runs when it is needed, and it is now.
            _ if !named && self.is_standby() => {
                if self.wanted == Wanted::Down {
                    self.wanted = Wanted::Undecided;
                }
            }
            Wanted::Up => {}
            Wanted::Undecided | Wanted::Down => self.wanted = Wanted::Up,
        }
        let is_over = self.phase == Phase::Completed && self.service.kind == Kind::Service;
        let is_hopeless = matches!(self.phase, Phase::Failed { .. }) && self.missing.is_none();
        if named && (is_over || is_hopeless) {
            self.start_again(now);
        }
    }

    /// Brings it to where it is to be, when nothing of it runs.
    pub(super) fn align(&mut self, now: Duration, out: &mut Vec<Action>) -> bool {
        let before = self.phase;
        match (self.phase, self.is_to_run()) {
            (Phase::Declared | Phase::Stopped | Phase::Blocked, true) if self.missing.is_some() && !self.half_open => {
                self.give_up(now, self.missing.clone().unwrap_or_default(), out);
            }
            (Phase::Declared | Phase::Stopped, true) | (Phase::Blocked | Phase::Waiting { .. }, false) => {
                self.rest(now);
            }
            (Phase::Stopped, false) if self.wanted == Wanted::Undecided => self.rest(now),
            (Phase::Declared | Phase::Failed { .. } | Phase::Completed, false) if self.wanted == Wanted::Down => {
                self.rest(now);
            }
            _ => {}
        }
        before != self.phase
    }

    /// What of it is seen by others, besides its phase.
    pub(super) fn condition(&self) -> (Option<String>, Option<&'static str>) {
        self.run.as_ref().map_or((None, None), |run| (run.readiness.unwell.clone(), run.announced))
    }

    /// Whether its program is being ended because of a failure.
    pub(super) fn is_ending_for_failure(&self) -> bool {
        let ending = self.run.as_ref().and_then(|run| run.ending.as_ref());
        ending.is_some_and(|ending| ending.failure.is_some())
    }

    /// Gives it up: others may stand in; a person is told once.
    pub(super) fn give_up(&mut self, now: Duration, why: String, out: &mut Vec<Action>) {
        self.given_up = true;
        self.half_open = false;
        let retry = self.latest().restart.retry_after.map(|time| now + time);
        if !self.alarmed {
            self.alarmed = true;
            out.push(Action::Alarm { id: self.service.id.clone(), why: why.clone() });
        }
        self.note = why;
        self.enter(now, Phase::Failed { retry });
    }

    fn enter(&mut self, now: Duration, phase: Phase) {
        self.phase = phase;
        self.entered = now;
    }

    fn begin(&mut self, now: Duration, bindings: Vec<Binding>, told: Vec<Resolved>, out: &mut Vec<Action>) {
        self.last_instance += 1;
        self.starts = self.starts.saturating_add(1);
        self.started = Some(now);
        self.ready_after = None;
        self.last_check = None;
        self.run = Some(Run::new(self.last_instance, now, bindings));
        "everything that it needs is there".clone_into(&mut self.note);
        self.enter(now, Phase::Starting);
        let (id, instance) = (self.service.id.clone(), self.last_instance);
        out.push(Action::Start { id, instance, dependencies: told });
    }

    fn started(&mut self, now: Duration, pid: u32, out: &mut Vec<Action>) {
        if let Some(run) = self.run.as_mut() {
            run.pid = Some(pid);
        }
        self.watch(Which::Ready, out);
        if self.phase == Phase::Starting && self.is_ready_at_once() {
            self.become_ready(now, out);
        } else if self.phase == Phase::Up {
            self.watch(Which::Live, out);
        }
    }

    /// It was to end before the runner had answered that it runs: only now it can be asked.
    fn started_too_late(&mut self, now: Duration, pid: u32, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut() else { return };
        if run.pid.replace(pid).is_none() {
            self.ask_to_end(now, out);
        }
    }

    /// Without a probe a service is ready as soon as it runs; a task is when it has come to its end.
    fn is_ready_at_once(&self) -> bool {
        self.service.ready.is_none() && self.service.kind == Kind::Service
    }

    fn become_ready(&mut self, now: Duration, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut() else { return };
        run.ready_at = Some(now);
        if self.started == Some(run.begun) {
            self.ready_after = Some(now.saturating_sub(run.begun));
        }
        if self.service.live.as_ref().is_some_and(|probe| matches!(probe.check, Check::Notify)) {
            run.watchdog = watchdog_after(&self.service, now);
        }
        self.recovered();
        self.note = match self.ready_after {
            Some(time) => format!("is ready after {}", human(time)),
            None => "is ready since before this supervisor".to_owned(),
        };
        self.enter(now, Phase::Up);
        self.watch(Which::Live, out);
    }

    /// A series of failures is over. Those within the window of the limit still count, unless it had been given up.
    fn recovered(&mut self) {
        if self.half_open {
            self.failures.forget();
        }
        self.half_open = false;
        self.given_up = false;
        self.alarmed = false;
        self.missing = None;
    }

    fn note_check(&mut self, outcome: &Outcome, took: Duration) {
        let (healthy, detail) = match outcome {
            Outcome::Healthy => (true, "healthy".to_owned()),
            Outcome::Degraded(why) => (false, format!("degraded: {why}")),
            Outcome::Unhealthy(why) => (false, why.clone()),
        };
        self.last_check = Some(CheckStatus { healthy, detail, took });
    }

    fn probed(&mut self, now: Duration, which: Which, outcome: &Outcome, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut() else { return };
        let (gauge, probe) = match which {
            Which::Ready => (&mut run.readiness, &self.service.ready),
            Which::Live => (&mut run.liveness, &self.service.live),
        };
        let Some(probe) = probe else { return };
        let verdict = gauge.take(probe, outcome);
        match (which, verdict) {
            (Which::Ready, Some(true)) if self.phase == Phase::Starting => self.become_ready(now, out),
            (Which::Live, Some(false)) => {
                let why = gauge.unwell.clone().unwrap_or_default();
                self.end(now, Some(format!("does not live any more: {why}")), String::new(), out);
            }
            _ => {}
        }
    }

    fn notified(&mut self, now: Duration, notice: Notice, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut() else { return };
        match notice {
            Notice::Ready => {
                run.announced = None;
                let pushed = self.service.ready.as_ref().is_some_and(|probe| matches!(probe.check, Check::Notify));
                if pushed {
                    self.probed(now, Which::Ready, &Outcome::Healthy, out);
                }
            }
            Notice::Reloading => run.announced = Some("says that it reloads"),
            Notice::Stopping => run.announced = Some("says that it ends"),
            Notice::Status(status) => run.status = Some(status).filter(|status| !status.is_empty()),
            Notice::Watchdog if run.watchdog.is_some() => {
                run.watchdog = watchdog_after(&self.service, now);
                self.probed(now, Which::Live, &Outcome::Healthy, out);
            }
            Notice::Watchdog => {}
        }
    }

    fn ready_deadline(&self) -> Option<Duration> {
        let is_endless = self.service.kind == Kind::Task && self.service.ready.is_none();
        self.run.as_ref().filter(|_| !is_endless).map(|run| run.begun + self.service.ready_within)
    }

    fn running_due(&mut self, now: Duration, out: &mut Vec<Action>) {
        if self.timer().is_none_or(|time| time > now) {
            return;
        }
        match self.phase {
            Phase::Starting => {
                let last = self.last_check.as_ref().map(|check| format!("; the last check: {}", check.detail));
                let limit = human(self.service.ready_within);
                let why = format!("was not ready within {limit}{}", last.unwrap_or_default());
                self.end(now, Some(why), String::new(), out);
            }
            Phase::Up => {
                if let Some(run) = self.run.as_mut() {
                    run.watchdog = watchdog_after(&self.service, now);
                }
                self.probed(now, Which::Live, &Outcome::Unhealthy("sent no WATCHDOG=1 in time".to_owned()), out);
            }
            _ => self.kill(now, out),
        }
    }

    /// Ends the running instance: because of a failure of its own, or for a wish, which `why` tells.
    fn end(&mut self, now: Duration, failure: Option<String>, why: String, out: &mut Vec<Action>) {
        self.unwatch(out);
        self.note = failure.clone().unwrap_or(why);
        self.enter(now, Phase::Stopping);
        let Some(run) = self.run.as_mut() else { return };
        run.ending = Some(Ending { failure, kill_at: None, killed: false });
        if run.pid.is_some() {
            self.ask_to_end(now, out);
        }
    }

    fn ask_to_end(&mut self, now: Duration, out: &mut Vec<Action>) {
        if self.service.stop.grace.is_zero() {
            return self.kill(now, out);
        }
        let Some(run) = self.run.as_mut() else { return };
        let Some(ending) = run.ending.as_mut() else { return };
        ending.kill_at = Some(now + self.service.stop.grace);
        let (id, signal) = (self.service.id.clone(), self.service.stop.signal.clone());
        out.push(Action::Signal { id, instance: run.instance, signal });
    }

    fn kill(&mut self, now: Duration, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut() else { return };
        let Some(ending) = run.ending.as_mut() else { return };
        ending.killed = true;
        ending.kill_at = Some(now + KILL_AGAIN_AFTER);
        out.push(Action::Kill { id: self.service.id.clone(), instance: run.instance });
    }

    fn ended_with(&mut self, now: Duration, end: End, out: &mut Vec<Action>) {
        let age = self.run.as_ref().map(|run| now.saturating_sub(run.begun)).unwrap_or_default();
        self.ended(now, Some(end), format!("ended with {end} after {}", human(age)), out);
    }

    /// Nothing of the instance runs any more.
    fn ended(&mut self, now: Duration, end: Option<End>, what: String, out: &mut Vec<Action>) {
        self.unwatch(out);
        let Some(run) = self.run.take() else { return };
        if end.is_some() {
            self.last_end = end;
        }
        if let Some(next) = self.next.take() {
            self.service = next;
        }
        if self.again || !self.is_to_run() {
            return self.rest(now);
        }
        let failure = match run.ending {
            Some(Ending { failure: None, .. }) => return self.rest(now),
            Some(Ending { failure: Some(why), .. }) => Some(why),
            None => None,
        };
        let is_success = failure.is_none() && end.is_some_and(End::is_success);
        self.note = failure.unwrap_or(what);
        let is_over = self.service.kind == Kind::Task || self.service.restart.policy != RestartPolicy::Always;
        if is_success && is_over {
            self.recovered();
            return self.enter(now, Phase::Completed);
        }
        self.failed(now, run.ready_at, out);
    }

    fn failed(&mut self, now: Duration, ready_at: Option<Duration>, out: &mut Vec<Action>) {
        if self.service.restart.policy == RestartPolicy::Never {
            let why = format!("{}; its policy is never to start it again", self.note);
            return self.give_up(now, why, out);
        }
        if self.half_open {
            return self.give_up(now, format!("failed again: {}", self.note), out);
        }
        let ready_for = ready_at.map(|time| now.saturating_sub(time));
        match self.failures.note(now, &self.service.restart, ready_for) {
            Verdict::Again(wait) => self.enter(now, Phase::Waiting { until: now + wait }),
            Verdict::GiveUp => {
                let (count, window) = (self.failures.count(), human(self.service.restart.window));
                let failures = if count == 1 { "failure" } else { "failures" };
                let why = format!("was given up after {count} {failures} within {window}; the last: {}", self.note);
                self.give_up(now, why, out);
            }
        }
    }

    fn watch(&mut self, which: Which, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut().filter(|run| run.pid.is_some()) else { return };
        let (watches, probe) = match which {
            Which::Ready => (&mut run.watches_ready, &self.service.ready),
            Which::Live => (&mut run.watches_live, &self.service.live),
        };
        // What a service says of its liveness comes by the notify socket, without being asked for.
        let is_watched =
            probe.as_ref().is_some_and(|probe| which == Which::Ready || !matches!(probe.check, Check::Notify));
        if is_watched && !*watches {
            *watches = true;
            out.push(Action::Watch { id: self.service.id.clone(), instance: run.instance, which });
        }
    }

    fn unwatch(&mut self, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut() else { return };
        for (watches, which) in [(&mut run.watches_ready, Which::Ready), (&mut run.watches_live, Which::Live)] {
            if std::mem::take(watches) {
                out.push(Action::Unwatch { id: self.service.id.clone(), instance: run.instance, which });
            }
        }
    }
}

/// When `WATCHDOG=1` must have been sent once more.
fn watchdog_after(service: &Service, now: Duration) -> Option<Duration> {
    // A rhythm of zero would be due again at once, for ever.
    service.live.as_ref().map(|probe| now + (probe.period + probe.timeout).max(Duration::from_millis(1)))
}
