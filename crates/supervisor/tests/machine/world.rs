//! A simulated world around boards: programs, supervisors that die, a link between hosts that breaks. It has a clock
//! of its own, and checks with everything that a board asks for whether it may ask for that.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use masque_fleet::{
    model::{Condition, Dependency, Fallback, Fleet, Kind, Service, ServiceId},
    status::State,
};
use masque_supervisor::machine::{
    Action, Board, End, Input, Outcome, Resolved, Rolling, RollingReport, RollingSpec, RollingStep, Selection, Which,
};

use super::plan::{Chaos, Mishap, Plan, fleet, id, ms};

/// After this time a supervisor that is not heard counts as lost.
const LEASE: Duration = Duration::from_millis(50);
const LINK_DELAY: Duration = Duration::from_millis(2);

pub(crate) struct World {
    pub(crate) fleet: Fleet,
    plan: Plan,
    pub(crate) now: Duration,
    pub(crate) hosts: Vec<Host>,
    pub(crate) processes: BTreeMap<u32, Process>,
    /// Processes that ended without their supervisor knowing it yet, and whether they were ready.
    dying: BTreeMap<ServiceId, bool>,
    queue: BTreeMap<(Duration, u64), Event>,
    scripts: BTreeMap<ServiceId, VecDeque<Mishap>>,
    /// How services are defined otherwise than in the fleet. One whose description is `bad` never becomes ready.
    pub(crate) definitions: BTreeMap<ServiceId, Service>,
    next: u64,
    is_cut: bool,
    /// Rises when the link heals: what was decided about the link before does not count then.
    link_age: u64,
    /// Services about which a person was alarmed and that have not recovered.
    alarmed: BTreeSet<ServiceId>,
    /// Services that were given up and have not been usable since.
    given_up: BTreeSet<ServiceId>,
    /// Tasks whose supervisor knows that they came to their end.
    completed: BTreeSet<ServiceId>,
    /// When each service was started last.
    pub(crate) starts: BTreeMap<ServiceId, Duration>,
    pub(crate) start_count: usize,
    steps_now: usize,
    /// Whether supervisors are just told that they do not hear each other.
    is_losing: bool,
}

pub(crate) struct Host {
    name: String,
    pub(crate) board: Option<Board>,
    since: Duration,
    epoch: u64,
    /// The states that its board told.
    pub(crate) shown: BTreeMap<ServiceId, State>,
    /// What its board was told about others.
    heard: BTreeMap<ServiceId, Option<State>>,
    /// Those of others that were given up, as its board was told.
    given_up: BTreeSet<ServiceId>,
}

impl Host {
    pub(crate) fn is_of(&self, id: &ServiceId) -> bool {
        self.name == id.host
    }
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: ServiceId,
    instance: u64,
    mishap: Mishap,
    begun: Duration,
    /// Whether its supervisor knows that it is ready.
    is_ready: bool,
    is_ending: bool,
    told: Vec<Resolved>,
}

#[derive(Debug)]
enum Event {
    Tell { host: usize, epoch: u64, input: Input },
    End { pid: u32, end: End },
    Chaos(Chaos),
    Lost { link_age: u64 },
    Takeover { host: usize },
}

impl World {
    /// Whether a person stops services of this plan.
    pub(crate) fn was_stopped_by_hand(&self) -> bool {
        self.plan.chaos.iter().any(|(_, chaos)| matches!(chaos, Chaos::Down(_) | Chaos::DownAll(_)))
    }

    pub(crate) fn is_missing(&self, id: &ServiceId) -> bool {
        let number: usize = id.name.trim_start_matches('s').parse().expect("a number");
        self.plan.services[number].is_missing
    }

    pub(crate) fn new(plan: &Plan) -> Self {
        let fleet = fleet(plan);
        let count = plan.services.iter().map(|service| service.host + 1).max().unwrap_or(1);
        let hosts = (0..count).map(|host| Host {
            name: format!("host{host}"),
            board: None,
            since: Duration::ZERO,
            epoch: 0,
            shown: BTreeMap::new(),
            heard: BTreeMap::new(),
            given_up: BTreeSet::new(),
        });
        let scripts = plan.services.iter().enumerate();
        let scripts = scripts.map(|(number, it)| (id(number, it), it.mishaps.iter().cloned().collect()));
        let mut world = Self {
            fleet,
            plan: plan.clone(),
            now: Duration::ZERO,
            hosts: hosts.collect(),
            processes: BTreeMap::new(),
            dying: BTreeMap::new(),
            queue: BTreeMap::new(),
            scripts: scripts.collect(),
            definitions: BTreeMap::new(),
            next: 1,
            is_cut: false,
            link_age: 0,
            alarmed: BTreeSet::new(),
            given_up: BTreeSet::new(),
            completed: BTreeSet::new(),
            starts: BTreeMap::new(),
            start_count: 0,
            steps_now: 0,
            is_losing: false,
        };
        for (at, chaos) in plan.chaos.clone() {
            world.at(ms(at), Event::Chaos(chaos));
        }
        for host in 0..count {
            world.take_over(host);
        }
        world
    }

    /// Runs until that time, or until nothing happens any more.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while self.step(end) {}
        self.now = self.now.max(end);
    }

    /// Does the next thing, if it happens until then.
    fn step(&mut self, end: Duration) -> bool {
        let timers = self.hosts.iter().enumerate();
        let timer = timers.filter_map(|(host, it)| Some((it.since + it.board.as_ref()?.next_timer()?, host))).min();
        let event = self.queue.keys().next().copied();
        let (at, timer) = match (timer, event) {
            (Some((at, host)), Some((time, _))) if at < time => (at, Some(host)),
            (_, Some((time, _))) => (time, None),
            (Some((at, host)), None) => (at, Some(host)),
            (None, None) => return false,
        };
        if at > end {
            return false;
        }
        self.advance(at);
        match timer {
            Some(host) => self.tick(host),
            None => self.next_event(),
        }
        true
    }

    /// Replaces services of the first host, which must come to an end.
    pub(crate) fn roll(&mut self, spec: RollingSpec) -> RollingReport {
        let views = |world: &Self| world.hosts[0].board.as_ref().expect("a board").views();
        let mut rolling = Rolling::new(spec, &views(self));
        loop {
            match rolling.step(self.now, &views(self)) {
                RollingStep::Done(report) => return report,
                RollingStep::Tell(inputs) if inputs.is_empty() => {
                    let timer = rolling.next_timer().expect("a wave has an end");
                    if !self.step(timer) {
                        self.now = timer;
                    }
                }
                RollingStep::Tell(inputs) => inputs.into_iter().for_each(|input| self.tell(0, input)),
            }
        }
    }

    fn advance(&mut self, at: Duration) {
        self.steps_now = if at > self.now { 0 } else { self.steps_now + 1 };
        assert!(self.steps_now < 2000, "busy loop at {at:?}");
        self.now = self.now.max(at);
    }

    fn tick(&mut self, host: usize) {
        self.tell(host, Input::Tick);
        let now = self.now;
        let it = &self.hosts[host];
        let next = it.board.as_ref().and_then(Board::next_timer);
        assert!(next.is_none_or(|next| it.since + next > now), "a timer that is due stays due: {next:?} at {now:?}");
    }

    fn next_event(&mut self) {
        let Some((_, event)) = self.queue.pop_first() else { return };
        match event {
            Event::Tell { host, epoch, input } => {
                if self.hosts[host].epoch == epoch {
                    self.note_readiness(&input);
                    self.tell(host, input);
                }
            }
            Event::End { pid, end } => self.process_ends(pid, end),
            Event::Chaos(chaos) => self.chaos(chaos),
            Event::Lost { link_age } => self.link_lost(link_age),
            Event::Takeover { host } => self.take_over(host),
        }
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.next += 1;
        self.queue.insert((time, self.next), event);
    }

    fn tell_at(&mut self, time: Duration, host: usize, input: Input) {
        let epoch = self.hosts[host].epoch;
        self.at(time, Event::Tell { host, epoch, input });
    }

    /// Tells a board something, and does what it asks for.
    pub(crate) fn tell(&mut self, host: usize, input: Input) {
        if let Input::Redefine(service) = &input {
            self.definitions.insert(service.id.clone(), (**service).clone());
        }
        let it = &mut self.hosts[host];
        if let Input::Remote { id, state } = &input {
            it.heard.insert(id.clone(), *state);
            match state {
                Some(State::Failed | State::Substituted) => drop(it.given_up.insert(id.clone())),
                Some(State::Ready | State::Degraded | State::Completed | State::Declared | State::Stopped) => {
                    it.given_up.remove(id);
                }
                _ => {}
            }
        }
        let Some(board) = it.board.as_mut() else { return };
        let actions = board.handle(self.now - it.since, input);
        assert!(actions.len() <= 12 * self.fleet.services.len() + 12, "a flood of actions");
        for action in actions {
            self.act(host, action);
        }
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::Start { id, instance, dependencies } => self.start(host, id, instance, &dependencies),
            Action::Watch { id, instance, which } => self.watch(host, &id, instance, which),
            Action::Unwatch { .. } => {}
            Action::Signal { id, instance, .. } => self.signal(&id, instance, false),
            Action::Kill { id, instance } => self.signal(&id, instance, true),
            Action::Reload { id, instance, dependencies } => {
                self.check_reload(&id, &dependencies);
                let pid = self.pid_of(&id, instance);
                if let Some(process) = pid.and_then(|pid| self.processes.get_mut(&pid)) {
                    process.told = dependencies;
                }
            }
            Action::Changed { id, from, to, .. } => {
                assert_ne!(from, to);
                if !matches!(
                    to,
                    State::Failed
                        | State::Substituted
                        | State::Blocked
                        | State::Starting
                        | State::Waiting
                        | State::Stopping
                ) {
                    self.alarmed.remove(&id);
                    self.given_up.remove(&id);
                }
                let before = self.hosts[host].shown.insert(id.clone(), to);
                assert_eq!(before.unwrap_or(State::Declared), from, "{id}");
                self.tell_others(host, &id, to);
            }
            Action::Alarm { id, .. } => {
                self.given_up.insert(id.clone());
                assert!(self.alarmed.insert(id.clone()), "a second alarm about {id}");
            }
        }
    }

    fn tell_others(&mut self, host: usize, id: &ServiceId, state: State) {
        if self.is_cut {
            return;
        }
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.tell_at(self.now + LINK_DELAY, other, Input::Remote { id: id.clone(), state: Some(state) });
        }
    }

    fn start(&mut self, host: usize, id: ServiceId, instance: u64, told: &[Resolved]) {
        let double = self.processes.values().find(|process| process.id == id);
        assert!(double.is_none(), "{id} runs already: {double:?}");
        self.check_told(host, &id, told);
        self.check_required(&id, told);
        self.starts.insert(id.clone(), self.now);
        self.completed.remove(&id);
        self.start_count += 1;
        let number: usize = id.name.trim_start_matches('s').parse().expect("a number");
        let mishap = self.scripts.get_mut(&id).and_then(VecDeque::pop_front).unwrap_or(Mishap::None);
        let is_bad = self.definitions.get(&id).is_some_and(|it| it.description.as_deref() == Some("bad"));
        let mishap = if is_bad { Mishap::NeverReady } else { mishap };
        let (now, plan) = (self.now, self.plan.services[number].clone());
        if plan.is_missing || matches!(mishap, Mishap::CannotStart) {
            return self.tell_at(now, host, Input::NotStarted { id, instance, why: "not found".to_owned() });
        }
        self.next += 1;
        let pid = u32::try_from(self.next).expect("a pid");
        match mishap {
            Mishap::Crash { after_ms, code } => {
                self.at(now + ms(after_ms), Event::End { pid, end: End::Code(code) });
            }
            Mishap::NeverReady | Mishap::Hang { .. } if plan.is_task => {
                self.at(now + ms(2500), Event::End { pid, end: End::Code(1) });
            }
            _ if plan.is_task => self.at(now + ms(plan.start_ms), Event::End { pid, end: End::Code(0) }),
            _ => {}
        }
        let told = told.to_vec();
        let process = Process { id: id.clone(), instance, mishap, begun: now, is_ready: false, is_ending: false, told };
        self.processes.insert(pid, process);
        self.tell_at(now, host, Input::Started { id, instance, pid });
    }

    /// Every supplier that is told must be able to supply, and may be told at all.
    fn check_told(&self, host: usize, id: &ServiceId, told: &[Resolved]) {
        let service = self.fleet.service(id).expect("a service");
        for resolved in told {
            let dependency = service.dependencies.iter().find(|it| it.on == resolved.asked).expect("a dependency");
            match &resolved.actual {
                Some(actual) => {
                    assert!(self.is_met(host, actual, dependency), "{id} told to use {actual}, which it cannot");
                    assert!(self.may_supply(dependency, actual), "{actual} may not stand in for {}", dependency.on);
                }
                None => assert!(!resolved.environment.is_empty()),
            }
            if resolved.actual.as_ref() != Some(&resolved.asked) {
                assert!(self.is_given_up(host, &resolved.asked), "{} was not given up", resolved.asked);
            }
        }
    }

    /// What was told before may be away for a moment, but nobody is told who must not supply.
    fn check_reload(&self, id: &ServiceId, told: &[Resolved]) {
        let service = self.fleet.service(id).expect("a service");
        for resolved in told {
            let dependency = service.dependencies.iter().find(|it| it.on == resolved.asked).expect("a dependency");
            assert!(resolved.actual.iter().all(|actual| self.may_supply(dependency, actual)));
        }
    }

    fn check_required(&self, id: &ServiceId, told: &[Resolved]) {
        let service = self.fleet.service(id).expect("a service");
        for dependency in service.dependencies.iter().filter(|it| it.required) {
            let is_told = told.iter().any(|resolved| resolved.asked == dependency.on);
            assert!(is_told, "{id} was started without {}", dependency.on);
        }
    }

    fn is_met(&self, host: usize, on: &ServiceId, dependency: &Dependency) -> bool {
        let is_task = self.fleet.service(on).expect("a service").kind == Kind::Task;
        let condition = match dependency.condition {
            // A service that stands in for a task.
            Condition::Completed if !is_task => Condition::Ready,
            condition => condition,
        };
        if on.host == self.hosts[host].name {
            let process = self.processes.values().find(|process| process.id == *on).map(|process| process.is_ready);
            let process = process.or_else(|| self.dying.get(on).copied());
            let is_completed = self.completed.contains(on);
            return match condition {
                Condition::Started => process.is_some() || is_completed,
                Condition::Ready => process == Some(true) || is_completed,
                Condition::Completed => is_completed,
            };
        }
        match (self.hosts[host].heard.get(on).copied().flatten(), condition) {
            (Some(state), Condition::Started) => state == State::Starting || is_ready(state),
            (Some(state), Condition::Ready) => is_ready(state),
            (Some(state), Condition::Completed) => state == State::Completed,
            (None, _) => false,
        }
    }

    fn is_given_up(&self, host: usize, id: &ServiceId) -> bool {
        // Between being given up and being told so lies nothing, but a retry hides it.
        self.given_up.contains(id) || self.hosts[host].given_up.contains(id) || self.is_missing(id)
    }

    fn may_supply(&self, dependency: &Dependency, actual: &ServiceId) -> bool {
        let mut work: Vec<&[Fallback]> = vec![&dependency.fallback];
        work.extend(self.fleet.service(&dependency.on).map(|service| service.fallback.as_slice()));
        let mut seen = BTreeSet::from([&dependency.on]);
        while let Some(fallbacks) = work.pop() {
            for fallback in fallbacks {
                if let Fallback::Service(id) = fallback
                    && seen.insert(id)
                {
                    work.extend(self.fleet.service(id).map(|service| service.fallback.as_slice()));
                }
            }
        }
        seen.contains(actual)
    }

    fn pid_of(&self, id: &ServiceId, instance: u64) -> Option<u32> {
        self.processes.iter().find(|(_, it)| it.id == *id && it.instance == instance).map(|(pid, _)| *pid)
    }

    fn watch(&mut self, host: usize, id: &ServiceId, instance: u64, which: Which) {
        let Some(pid) = self.pid_of(id, instance) else { return };
        let number: usize = id.name.trim_start_matches('s').parse().expect("a number");
        let process = &self.processes[&pid];
        let ready_at = self.now.max(process.begun + ms(self.plan.services[number].start_ms));
        let probed = |outcome| Input::Probed { id: id.clone(), instance, which, outcome, took: Duration::ZERO };
        let failed = || probed(Outcome::Unhealthy("no answer".to_owned()));
        let begun = process.begun;
        match (which, process.mishap.clone()) {
            (Which::Ready, Mishap::NeverReady) => self.tell_at(ready_at, host, failed()),
            (Which::Ready, Mishap::Lie { after_ms }) => {
                let lie = ready_at.max(begun + ms(after_ms));
                self.tell_at(ready_at, host, probed(Outcome::Healthy));
                self.tell_at(lie, host, probed(Outcome::Degraded("status is error".to_owned())));
                self.tell_at(lie + ms(300), host, probed(Outcome::Healthy));
            }
            (Which::Ready, _) => self.tell_at(ready_at, host, probed(Outcome::Healthy)),
            (Which::Live, Mishap::Hang { after_ms }) => {
                let hang = self.now.max(begun + ms(after_ms));
                self.tell_at(hang, host, failed());
                self.tell_at(hang + ms(10), host, failed());
            }
            (Which::Live, _) => self.tell_at(self.now, host, probed(Outcome::Healthy)),
        }
    }

    fn note_readiness(&mut self, input: &Input) {
        if let Input::Ended { id, .. } = input {
            self.dying.remove(id);
        }
        let (id, instance) = match input {
            Input::Ended { id, end: End::Code(0), .. } => {
                if self.fleet.service(id).expect("a service").kind == Kind::Task {
                    self.completed.insert(id.clone());
                }
                return;
            }
            Input::Started { id, instance, .. } | Input::Adopted { id, instance, .. } => {
                let service = self.fleet.service(id).expect("a service");
                if service.ready.is_some() || service.kind == Kind::Task {
                    return;
                }
                (id, *instance)
            }
            Input::Probed {
                id,
                instance,
                which: Which::Ready,
                outcome: Outcome::Healthy | Outcome::Degraded(_),
                ..
            } => (id, *instance),
            _ => return,
        };
        if let Some(is_ready) = self.dying.get_mut(id) {
            *is_ready = true;
        }
        let pid = self.pid_of(id, instance);
        if let Some(process) = pid.and_then(|pid| self.processes.get_mut(&pid)) {
            process.is_ready = true;
        }
    }

    fn signal(&mut self, id: &ServiceId, instance: u64, is_kill: bool) {
        assert!(!self.is_losing, "{id} is ended because others are not heard");
        let Some(pid) = self.pid_of(id, instance) else { return };
        let number: usize = id.name.trim_start_matches('s').parse().expect("a number");
        let stop = ms(self.plan.services[number].stop_ms);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let (time, end) = if is_kill {
            (self.now, End::Signal(9))
        } else if matches!(process.mishap, Mishap::Deaf | Mishap::Hang { .. }) || process.is_ending {
            return;
        } else {
            process.is_ending = true;
            (self.now + stop, End::Signal(15))
        };
        self.at(time, Event::End { pid, end });
    }

    fn process_ends(&mut self, pid: u32, end: End) {
        let Some(process) = self.processes.remove(&pid) else { return };
        let host = self.host_of(&process.id);
        if self.hosts[host].board.is_some() {
            self.dying.insert(process.id.clone(), process.is_ready);
            self.tell_at(self.now, host, Input::Ended { id: process.id, instance: process.instance, end });
        }
    }

    fn host_of(&self, id: &ServiceId) -> usize {
        self.hosts.iter().position(|host| host.name == id.host).expect("a host")
    }

    fn chaos(&mut self, chaos: Chaos) {
        let id = |index: usize| self.fleet.services[index % self.fleet.services.len()].id.clone();
        match chaos {
            Chaos::Kill(index) => {
                let id = id(index);
                let pid = self.processes.iter().find(|(_, process)| process.id == id).map(|(pid, _)| *pid);
                pid.into_iter().for_each(|pid| self.process_ends(pid, End::Signal(9)));
            }
            Chaos::Restart(index) => self.ask(id(index), Input::Restart),
            Chaos::Down(index) => self.ask(id(index), Input::Down),
            Chaos::Up(index) => self.ask(id(index), Input::Up),
            Chaos::DownAll(host) if host < self.hosts.len() => self.tell(host, Input::Down(Selection::All)),
            Chaos::UpAll(host) if host < self.hosts.len() => self.up(host),
            Chaos::Partition if !self.is_cut => {
                self.is_cut = true;
                self.at(self.now + LEASE, Event::Lost { link_age: self.link_age });
            }
            Chaos::Heal => self.heal(),
            Chaos::Supervisor { host, gap_ms } if host < self.hosts.len() && self.hosts[host].board.is_some() => {
                self.hosts[host].board = None;
                self.hosts[host].epoch += 1;
                self.at(self.now + ms(gap_ms), Event::Takeover { host });
            }
            _ => {}
        }
    }

    fn ask(&mut self, id: ServiceId, wish: impl Fn(Selection) -> Input) {
        // A person begins anew: another alarm may follow.
        self.alarmed.remove(&id);
        let host = self.host_of(&id);
        self.tell(host, wish(Selection::Services(vec![id])));
    }

    /// Starts all of a host.
    pub(crate) fn up(&mut self, host: usize) {
        let name = self.hosts[host].name.clone();
        self.alarmed.retain(|id| id.host != name);
        self.tell(host, Input::Up(Selection::All));
    }

    /// A supervisor begins to work, perhaps after an earlier one that was killed.
    fn take_over(&mut self, host: usize) {
        let name = self.hosts[host].name.clone();
        let board = Board::new(&self.fleet, |service| service.id.host == name, self.next);
        let it = &mut self.hosts[host];
        it.board = Some(board);
        it.since = self.now;
        it.epoch += 1;
        it.shown.clear();
        it.heard.clear();
        it.given_up.clear();
        self.alarmed.retain(|id| id.host != name);
        self.given_up.retain(|id| id.host != name);
        self.dying.retain(|id, _| id.host != name);
        let running = self.processes.iter().filter(|(_, it)| it.id.host == name);
        let adopted = running.map(|(pid, it)| Input::Adopted {
            id: it.id.clone(),
            instance: it.instance,
            pid: *pid,
            ready: it.is_ready,
            told: Some(it.told.clone()),
        });
        for input in adopted.collect::<Vec<_>>() {
            self.tell(host, input);
        }
        for id in self.completed.clone().into_iter().filter(|id| id.host == name) {
            self.tell(host, Input::Adopted { id: id.clone(), instance: 1, pid: 0, ready: false, told: None });
            self.tell(host, Input::Ended { id, instance: 1, end: End::Code(0) });
        }
        let missing = self.plan.services.iter().enumerate().filter(|(_, it)| it.is_missing);
        for id in missing.map(|(number, it)| id(number, it)).collect::<Vec<_>>() {
            self.tell(host, Input::Missing { id, why: "its script is not there".to_owned() });
        }
        self.up(host);
        self.snapshots();
    }

    /// Everybody hears how everything stands with the others.
    fn snapshots(&mut self) {
        for host in 0..self.hosts.len() {
            let Some(_) = self.hosts[host].board.as_ref() else { continue };
            let own: Vec<&Service> =
                self.fleet.services.iter().filter(|it| it.id.host == self.hosts[host].name).collect();
            let shown = &self.hosts[host].shown;
            let states = own.iter().map(|it| (it.id.clone(), shown.get(&it.id).copied().unwrap_or(State::Declared)));
            for (id, state) in states.collect::<Vec<_>>() {
                self.tell_others(host, &id, state);
            }
        }
    }

    fn link_lost(&mut self, link_age: u64) {
        if !self.is_cut || link_age != self.link_age {
            return;
        }
        for host in 0..self.hosts.len() {
            let name = self.hosts[host].name.clone();
            let ids: Vec<ServiceId> =
                self.fleet.services.iter().map(|it| it.id.clone()).filter(|id| id.host != name).collect();
            // What is due anyway is no consequence of the loss.
            self.tell(host, Input::Tick);
            self.is_losing = true;
            for id in ids {
                self.tell(host, Input::Remote { id, state: None });
            }
            self.is_losing = false;
        }
    }

    /// The link works again.
    pub(crate) fn heal(&mut self) {
        if std::mem::take(&mut self.is_cut) {
            self.link_age += 1;
            self.snapshots();
        }
    }
}

fn is_ready(state: State) -> bool {
    matches!(state, State::Ready | State::Degraded | State::Completed)
}
