//! What is shown of a service: its state, what stands in for it, and why, in sentences.

use masque_fleet::{
    model::{Condition, Dependency, Kind, ServiceId},
    status::State,
};

use super::{
    Board,
    roster::{Purpose, Standing, Supply},
    run::{Binding, Supplier, Told},
    text::human,
    unit::{Phase, Unit},
};

impl Board {
    /// The state that is shown.
    pub(super) fn state(&self, id: &ServiceId) -> State {
        let Some(unit) = self.roster.own(id) else { return State::Declared };
        match unit.phase {
            Phase::Declared => State::Declared,
            // One that was given up and is to be tried again is no better than before, as long as it cannot be tried: a
            // supervisor that hears nothing but its state has others stand in for it.
            Phase::Blocked if !unit.given_up => State::Blocked,
            Phase::Starting => State::Starting,
            Phase::Up if unit.ails() => State::Degraded,
            Phase::Up => State::Ready,
            Phase::Stopping => State::Stopping,
            Phase::Completed if unit.service.kind == Kind::Task => State::Completed,
            Phase::Stopped | Phase::Completed => State::Stopped,
            Phase::Waiting { .. } => State::Waiting,
            Phase::Blocked | Phase::Failed { .. } if self.is_substituted(id) => State::Substituted,
            Phase::Blocked | Phase::Failed { .. } => State::Failed,
        }
    }

    fn is_substituted(&self, id: &ServiceId) -> bool {
        matches!(self.roster.substitute(id), Some(Supply::Met(_))) || self.dependants_are_served(id)
    }

    /// The service that stands in for one that was given up, also while that one is tried again.
    pub(super) fn substituted_by(&self, id: &ServiceId) -> Option<ServiceId> {
        let unit = self.roster.own(id).filter(|unit| unit.given_up)?;
        if let Some(Supply::Met(Supplier::Service(id))) = self.roster.substitute(&unit.service.id) {
            return Some(id);
        }
        let dependants = self.roster.units.iter().filter(|unit| unit.is_to_run());
        let mut needs = dependants.flat_map(|unit| unit.latest().dependencies.iter().map(move |it| (unit, it)));
        needs.find_map(|(unit, dependency)| match self.roster.supply(&unit.service.id, dependency, Purpose::Keep) {
            Supply::Met(Supplier::Service(actual)) if dependency.on == *id => Some(actual),
            _ => None,
        })
    }

    /// Why it stands where it stands, in sentences.
    pub(super) fn why(&self, id: &ServiceId) -> Vec<String> {
        let Some(unit) = self.roster.own(id) else { return Vec::new() };
        let mut why = match unit.phase {
            Phase::Blocked => self.why_blocked(unit),
            Phase::Starting => vec![self.why_starting(unit)],
            Phase::Up => self.why_up(unit),
            Phase::Stopping => vec![self.why_stopping(unit)],
            Phase::Waiting { until } => {
                let wait = human(until.saturating_sub(self.now));
                vec![format!("{}; starts again in {wait}", unit.note), count_of_failures(unit)]
            }
            Phase::Failed { retry } => {
                let mut why = vec![unit.note.clone()];
                why.extend(self.substitution(id));
                why.extend(
                    retry
                        .filter(|_| unit.is_to_run())
                        .map(|time| format!("is tried once more in {}", human(time.saturating_sub(self.now)))),
                );
                why
            }
            Phase::Declared => vec![self.why_declared(unit)],
            Phase::Stopped => vec!["was stopped".to_owned()],
            Phase::Completed => vec![unit.note.clone()],
        };
        why.extend(unit.run.as_ref().and_then(|run| run.status.as_ref()).map(|status| format!("says: {status}")));
        why
    }

    fn why_declared(&self, unit: &Unit) -> String {
        match (&unit.missing, unit.is_standby()) {
            (Some(what), _) => what.clone(),
            (None, true) => "stands by".to_owned(),
            (None, false) => "nobody asked for it".to_owned(),
        }
    }

    fn why_blocked(&self, unit: &Unit) -> Vec<String> {
        let id = &unit.service.id;
        let unmet = self.unmet(id);
        let mut why = Vec::new();
        for dependency in &unit.latest().dependencies {
            if let Supply::Unmet(on, standing) = self.roster.supply(id, dependency, Purpose::Start)
                && unmet.iter().any(|(it, _)| *it == on)
            {
                why.push(self.wait_for(dependency, &on, standing));
            }
        }
        if why.is_empty() {
            why.push(unit.note.clone());
        }
        why
    }

    fn wait_for(&self, dependency: &Dependency, on: &ServiceId, standing: Standing) -> String {
        let who = if *on == dependency.on {
            on.to_string()
        } else {
            format!("{on}, which is to stand in for {},", dependency.on)
        };
        let what = match dependency.condition {
            Condition::Started => "to be started",
            Condition::Ready => "to become ready",
            Condition::Completed => "to be completed",
        };
        match standing {
            Standing::Usable | Standing::Coming => format!("waits for {who} {what} ({})", self.describe(on)),
            Standing::Unheard => format!("waits for {who} {what} ({})", self.describe(on)),
            Standing::Away => format!("needs {who}, which does not run ({})", self.describe(on)),
            Standing::GivenUp if self.roster.service(on).is_none() => {
                format!("needs {who}, which the fleet does not define; nothing stands in")
            }
            Standing::GivenUp => format!("needs {who}, and nothing stands in ({})", self.describe(on)),
        }
    }

    /// Where a service stands, in a few words: `starting for 2.1 s`.
    fn describe(&self, id: &ServiceId) -> String {
        if let Some(unit) = self.roster.own(id) {
            let time = human(self.now.saturating_sub(unit.shown.1));
            return match (&unit.missing, unit.is_live()) {
                (Some(what), false) => what.clone(),
                _ if unit.again => "is to be started again".to_owned(),
                _ => format!("{} for {time}", self.state(id).word()),
            };
        }
        match self.roster.other(id).and_then(|other| other.state) {
            Some(State::Declared) => format!("{} was not told to start it yet", id.host),
            Some(state) => format!("{} on {}", state.word(), id.host),
            None => format!("the supervisor of {} is not heard", id.host),
        }
    }

    fn why_starting(&self, unit: &Unit) -> String {
        let limit = human(unit.service.ready_within);
        match (&unit.run, &unit.last_check) {
            (Some(run), _) if run.pid.is_none() => "its program is being started".to_owned(),
            (_, Some(check)) => format!("is not ready yet: {}; may take {limit}", check.detail),
            _ if unit.service.kind == Kind::Task && unit.service.ready.is_none() => "does its work".to_owned(),
            _ => format!("is not ready yet; may take {limit}"),
        }
    }

    fn why_stopping(&self, unit: &Unit) -> String {
        let ending = unit.run.as_ref().and_then(|run| run.ending.as_ref());
        match ending.and_then(|ending| Some((ending.killed, ending.kill_at?))) {
            Some((true, _)) => format!("{}; was killed and has not ended yet", unit.note),
            Some((false, time)) => {
                format!("{}; is killed in {}", unit.note, human(time.saturating_sub(self.now)))
            }
            None => unit.note.clone(),
        }
    }

    fn why_up(&self, unit: &Unit) -> Vec<String> {
        let mut why: Vec<String> = Vec::new();
        let run = unit.run.as_ref();
        why.extend(run.and_then(|run| run.readiness.unwell.clone()));
        why.extend(run.and_then(|run| run.announced).map(str::to_owned));
        let bindings = run.iter().flat_map(|run| &run.bindings);
        let pairs: Vec<_> = unit.service.dependencies.iter().zip(bindings).collect();
        let (bad, fine): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(it, binding)| ails(it, binding));
        why.extend(bad.iter().map(|(dependency, binding)| self.ailment(unit, dependency, binding)));
        if why.is_empty() {
            why.push(unit.note.clone());
        }
        let (stale, told): (Vec<_>, Vec<_>) = fine.into_iter().partition(|(_, binding)| binding.stale);
        why.extend(stale.iter().map(|(dependency, binding)| self.ailment(unit, dependency, binding)));
        why.extend(told.iter().filter_map(|(dependency, binding)| stand_in(dependency, binding)));
        why
    }

    fn ailment(&self, unit: &Unit, dependency: &Dependency, binding: &Binding) -> String {
        let on = &dependency.on;
        if binding.stale {
            return self.staleness(unit, dependency, binding);
        }
        if binding.unheard {
            return format!("needs {on}, and {}", self.describe(on));
        }
        let since = binding.away_since.map(|time| human(self.now.saturating_sub(time)));
        format!("needs {on}, which is away for {} ({})", since.unwrap_or_default(), self.describe(on))
    }

    /// What a service was told is not what it would be told now.
    fn staleness(&self, unit: &Unit, dependency: &Dependency, binding: &Binding) -> String {
        let on = &dependency.on;
        let was_told = match &binding.told {
            Told::Supplier(Supplier::Service(id)) => format!("still uses {id}"),
            _ => "still does without".to_owned(),
        };
        let now = match self.roster.supply(&unit.service.id, dependency, Purpose::Keep) {
            Supply::Met(Supplier::Service(id)) if id == *on => format!("{on} is there again"),
            Supply::Met(Supplier::Service(id)) => format!("{id} stands in for {on} now"),
            _ => format!("another one meets {on} now"),
        };
        format!("{now}; it is told at its next start, and {was_told}")
    }

    fn substitution(&self, id: &ServiceId) -> Option<String> {
        if !self.is_substituted(id) {
            return None;
        }
        Some(match self.substituted_by(id) {
            Some(other) => format!("{other} stands in for it"),
            None => "those who need it are told to do without".to_owned(),
        })
    }
}

impl Unit {
    /// Whether it runs, but not well.
    pub(super) fn ails(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.readiness.unwell.is_some() || run.announced.is_some())
            || self.ailing().next().is_some()
    }
}

/// What stands in for a dependency of a running service.
fn stand_in(dependency: &Dependency, binding: &Binding) -> Option<String> {
    let on = &dependency.on;
    match &binding.told {
        Told::Supplier(Supplier::Service(id)) if id == on => None,
        Told::Supplier(Supplier::Service(id)) => Some(format!("uses {id}, which stands in for {on}")),
        Told::Supplier(Supplier::Environment(_)) => Some(format!("was told to do without {on}")),
        Told::Absent | Told::Unsure => None,
    }
}

fn ails(dependency: &Dependency, binding: &Binding) -> bool {
    dependency.required && (binding.lost || binding.unheard)
}

fn count_of_failures(unit: &Unit) -> String {
    let (count, window) = (unit.failures.count(), human(unit.service.restart.window));
    match unit.service.restart.limit {
        Some(limit) => format!("failure {count} of {limit} within {window}, after which it is given up"),
        None => "is started again as often as it fails".to_owned(),
    }
}
