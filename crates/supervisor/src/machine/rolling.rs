//! [`Rolling`]: replaces services wave by wave, dependants before what they need, and puts them back when that harms.
//!
//! Pure as the rest of the machine: it looks at views and says what the board is to be told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use masque_fleet::{
    model::{Service, ServiceId},
    status::State,
};

use super::{Input, Selection, View};

/// What is to be replaced, and how.
#[derive(Debug, Clone)]
pub struct RollingSpec {
    /// All services of the board as they are defined now.
    pub current: Vec<Service>,
    /// Those to start anew.
    pub restart: Vec<ServiceId>,
    /// Those that are defined otherwise from now on; they are started anew too, where they run.
    pub replacements: Vec<Service>,
    /// How many may be away at the same time; at least one is.
    pub max_unavailable: usize,
    /// How long a wave may take beyond what its services are given to end and to become ready.
    pub patience: Duration,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollingReport {
    /// The services that were replaced, wave by wave; the last wave is the one that did harm, if one did.
    pub waves: Vec<Vec<ServiceId>>,
    /// Why it was halted; absent when it came to its end.
    pub halted: Option<String>,
    /// Those that were put back to what they were.
    pub rolled_back: Vec<ServiceId>,
}

/// What is next.
#[derive(Debug, Clone, PartialEq)]
pub enum RollingStep {
    /// The board is to be told this, in this order; nothing as long as a wave goes on.
    Tell(Vec<Input>),
    /// It is over.
    Done(RollingReport),
}

/// A replacement that goes on.
#[derive(Debug)]
pub struct Rolling {
    spec: RollingSpec,
    /// The waves that are still to come, the next one last.
    waves: Vec<Vec<ServiceId>>,
    /// Where each service stood before.
    before: BTreeMap<ServiceId, State>,
    wave: Option<Wave>,
    is_rolling_back: bool,
    report: RollingReport,
}

/// The services that are being replaced.
#[derive(Debug)]
struct Wave {
    /// Each with the instance that is replaced.
    services: BTreeMap<ServiceId, Option<u64>>,
    deadline: Duration,
}

/// How a wave stands.
enum Progress {
    GoesOn,
    Good,
    Harm(String),
}

impl Rolling {
    /// A replacement, with where the services stand before it.
    #[must_use]
    pub fn new(spec: RollingSpec, views: &[(ServiceId, View)]) -> Self {
        let before = views.iter().map(|(id, view)| (id.clone(), view.state)).collect();
        let mut waves = waves(&spec);
        waves.reverse();
        Self { spec, waves, before, wave: None, is_rolling_back: false, report: RollingReport::default() }
    }

    /// Looks at where the services stand now. To be asked at first, after each input of the board, and at
    /// [`Self::next_timer`].
    pub fn step(&mut self, now: Duration, views: &[(ServiceId, View)]) -> RollingStep {
        let views: BTreeMap<&ServiceId, &View> = views.iter().map(|(id, view)| (id, view)).collect();
        if let Some(wave) = &self.wave {
            match self.progress(now, wave, &views) {
                Progress::GoesOn => return RollingStep::Tell(Vec::new()),
                Progress::Good => {}
                Progress::Harm(why) if self.is_rolling_back => self.add_to_halt(&why),
                Progress::Harm(why) => return self.roll_back(now, why, &views),
            }
        }
        while let Some(wave) = self.waves.pop().filter(|_| !self.is_rolling_back) {
            self.report.waves.push(wave.clone());
            let inputs = self.begin(now, wave, &views, &self.spec.replacements.clone());
            // Of a wave in which nothing runs and nothing changes there is nothing to wait for.
            if !inputs.is_empty() {
                return RollingStep::Tell(inputs);
            }
        }
        RollingStep::Done(self.report.clone())
    }

    /// When [`Self::step`] is to be asked at the latest.
    #[must_use]
    pub fn next_timer(&self) -> Option<Duration> {
        self.wave.as_ref().map(|wave| wave.deadline)
    }

    /// Begins a wave: tells new definitions, and starts anew what runs.
    fn begin(
        &mut self,
        now: Duration,
        wave: Vec<ServiceId>,
        views: &BTreeMap<&ServiceId, &View>,
        definitions: &[Service],
    ) -> Vec<Input> {
        let mut inputs: Vec<Input> = definitions
            .iter()
            .filter(|service| wave.contains(&service.id))
            .map(|service| Input::Redefine(Box::new(service.clone())))
            .collect();
        let rests =
            |id: &ServiceId| views.get(id).is_none_or(|view| matches!(view.state, State::Declared | State::Stopped));
        let services: Vec<ServiceId> = wave.into_iter().filter(|id| !rests(id)).collect();
        let deadline = now + self.time_for(&services);
        let instances = services.iter().map(|id| (id.clone(), views.get(id).and_then(|view| view.instance)));
        self.wave = Some(Wave { services: instances.collect(), deadline });
        if !services.is_empty() {
            inputs.push(Input::Restart(Selection::Services(services)));
        }
        inputs
    }

    fn time_for(&self, services: &[ServiceId]) -> Duration {
        let definitions = self.spec.current.iter().chain(&self.spec.replacements);
        let times = definitions.filter(|it| services.contains(&it.id)).map(|it| it.stop.grace + it.ready_within);
        times.max().unwrap_or_default() + self.spec.patience
    }

    fn progress(&self, now: Duration, wave: &Wave, views: &BTreeMap<&ServiceId, &View>) -> Progress {
        let mut goes_on: Option<&ServiceId> = None;
        for (id, view) in views {
            let progress = match wave.services.get(*id) {
                Some(instance) => self.of_wave(id, *instance, view),
                None => self.of_others(id, view),
            };
            match progress {
                Progress::Good => {}
                // What was broken before may stay so: that is no harm.
                Progress::GoesOn if wave.deadline <= now && self.was_broken(id) => {}
                Progress::GoesOn => goes_on = Some(id),
                Progress::Harm(why) => return Progress::Harm(why),
            }
        }
        match goes_on {
            None => Progress::Good,
            Some(id) if wave.deadline <= now => {
                let state = views.get(id).map_or("gone", |view| view.state.word());
                Progress::Harm(format!("{id} is {state} and did not become ready in time"))
            }
            Some(_) => Progress::GoesOn,
        }
    }

    /// How a service stands that is being replaced.
    fn of_wave(&self, id: &ServiceId, replaced: Option<u64>, view: &View) -> Progress {
        if is_broken(view.state) && self.was_broken(id) {
            return Progress::Good;
        }
        if view.instance == replaced {
            return Progress::GoesOn;
        }
        let was_degraded = self.before.get(id) == Some(&State::Degraded);
        match view.state {
            State::Ready | State::Completed => Progress::Good,
            State::Degraded if was_degraded => Progress::Good,
            State::Waiting | State::Failed | State::Substituted | State::Stopped => {
                Progress::Harm(format!("{id} did not become ready: {}", view.why.join("; ")))
            }
            _ if view.instance > Some(replaced.unwrap_or_default() + 1) => {
                Progress::Harm(format!("{id} was started more than once"))
            }
            _ => Progress::GoesOn,
        }
    }

    fn was_broken(&self, id: &ServiceId) -> bool {
        self.before.get(id).is_some_and(|state| is_broken(*state))
    }

    /// How a service stands that is not being replaced now: it must be usable again if it was.
    fn of_others(&self, id: &ServiceId, view: &View) -> Progress {
        let was_usable = self.before.get(id).is_some_and(|state| state.is_usable());
        match view.state {
            state if !was_usable || state.is_usable() => Progress::Good,
            // Somebody ended it meanwhile, on purpose.
            State::Stopped | State::Declared => Progress::Good,
            State::Waiting | State::Failed => {
                Progress::Harm(format!("{id} is {} now: {}", view.state.word(), view.why.join("; ")))
            }
            _ => Progress::GoesOn,
        }
    }

    /// Halts, and puts back what was defined otherwise.
    fn roll_back(&mut self, now: Duration, why: String, views: &BTreeMap<&ServiceId, &View>) -> RollingStep {
        self.is_rolling_back = true;
        self.report.halted = Some(why);
        let replaced: BTreeSet<&ServiceId> = self.spec.replacements.iter().map(|service| &service.id).collect();
        let changed = self.report.waves.iter().flatten().filter(|id| replaced.contains(id)).cloned();
        let changed: Vec<ServiceId> = changed.filter(|id| self.spec.current.iter().any(|it| it.id == *id)).collect();
        if changed.is_empty() {
            return RollingStep::Done(self.report.clone());
        }
        self.report.rolled_back.clone_from(&changed);
        let current = self.spec.current.clone();
        RollingStep::Tell(self.begin(now, changed, views, &current))
    }

    fn add_to_halt(&mut self, why: &str) {
        if let Some(halted) = &mut self.report.halted {
            *halted = format!("{halted}; after it was put back: {why}");
        }
    }
}

const fn is_broken(state: State) -> bool {
    matches!(state, State::Waiting | State::Failed | State::Substituted)
}

/// The services to be replaced: dependants before what they need, no more at once than may be away.
fn waves(spec: &RollingSpec) -> Vec<Vec<ServiceId>> {
    let mut rest: BTreeSet<&ServiceId> = spec.restart.iter().collect();
    rest.extend(spec.replacements.iter().map(|service| &service.id));
    let mut waves = Vec::new();
    while !rest.is_empty() {
        let is_needed = |id: &ServiceId| {
            let mut dependants = spec.current.iter().filter(|service| rest.contains(&service.id) && service.id != *id);
            dependants.any(|service| service.dependencies.iter().any(|it| it.on == *id))
        };
        let mut free: Vec<ServiceId> = rest.iter().filter(|id| !is_needed(id)).map(|id| (*id).clone()).collect();
        if free.is_empty() {
            // Services that need each other in a circle are taken together.
            free = rest.iter().map(|id| (*id).clone()).collect();
        }
        rest.retain(|id| !free.contains(id));
        waves.extend(free.chunks(spec.max_unavailable.max(1)).map(<[ServiceId]>::to_vec));
    }
    waves
}
