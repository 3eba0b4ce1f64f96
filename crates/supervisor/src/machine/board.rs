//! [`Board`]: all services of one supervisor, and what is known of those of others.
//!
//! Owns what concerns more than one service: who is to run, what starts now, what ends before what. What one service
//! does by itself is in `unit`, who meets a dependency in `roster`, what its loss means in `upkeep`.

use std::{collections::HashSet, time::Duration};

use masque_fleet::{
    model::{Condition, Fleet, Service, ServiceId},
    status::State,
};

use super::{
    Action, Input, Resolved, Selection, View,
    order::Order,
    roster::{Prospect, Purpose, Roster, Standing, Supply, resolved},
    run::{Binding, Told},
    unit::{Event, Phase, Wanted},
};

/// All services of one supervisor, and what is known of those of others.
#[derive(Debug)]
pub struct Board {
    pub(super) roster: Roster,
    order: Order,
    /// The time of the last input.
    pub(super) now: Duration,
    /// Whether anything was asked for; before that nothing is concluded from what nobody needs.
    is_asked: bool,
    /// Whether instances were adopted, and what follows was not looked at yet.
    is_adopting: bool,
    seed: u64,
    /// What can be hoped of each service, as of the last look.
    prospects: Vec<Prospect>,
}

impl Board {
    /// A board for the services for which `owned` says yes; the others of the fleet are of other supervisors. `seed`
    /// decides the random part of waits.
    #[must_use]
    pub fn new(fleet: &Fleet, owned: impl Fn(&Service) -> bool, seed: u64) -> Self {
        let roster = Roster::new(fleet, owned, seed);
        let order = Order::of(&roster.units);
        Self { roster, order, now: Duration::ZERO, is_asked: false, is_adopting: false, seed, prospects: Vec::new() }
    }

    /// Takes what happened at `now`, and says what is to be done. Everything that follows from it follows at once.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Action> {
        self.now = self.now.max(now);
        let mut out = Vec::new();
        let is_adoption = matches!(input, Input::Adopted { .. });
        let mut is_news = self.take(input, &mut out);
        if is_adoption {
            self.is_adopting = true;
            return out;
        }
        if self.next_timer().is_some_and(|time| time <= self.now) {
            for unit in &mut self.roster.units {
                unit.take(self.now, Event::Due, &mut out);
            }
            is_news = true;
        }
        let was_adopting = std::mem::take(&mut self.is_adopting);
        if is_news || was_adopting {
            self.settle(&mut out);
        }
        out
    }

    /// When [`Input::Tick`] is to be told at the latest.
    #[must_use]
    pub fn next_timer(&self) -> Option<Duration> {
        let units = self.roster.units.iter();
        let timers = units.flat_map(|unit| [unit.timer(), unit.next_loss(), self.patience_end(&unit.service.id)]);
        timers.flatten().chain(self.is_adopting.then_some(self.now)).min()
    }

    /// What is known of a service that the board owns, as of the last input; tell `Tick` before to have it fresh.
    #[must_use]
    pub fn view(&self, id: &ServiceId) -> Option<View> {
        let unit = self.roster.own(id)?;
        let is_running = unit.run.as_ref();
        Some(View {
            state: self.state(id),
            why: self.why(id),
            blocked_on: self.unmet(id).into_iter().map(|(on, _)| on).collect(),
            substituted_by: self.substituted_by(id),
            restarts: unit.starts.saturating_sub(1),
            since: unit.shown.1,
            instance: Some(unit.last_instance).filter(|number| *number > 0),
            pid: is_running.and_then(|run| run.pid),
            started: unit.started,
            ready_after: unit.ready_after,
            last_end: unit.last_end,
            last_check: unit.last_check.clone(),
        })
    }

    /// All services that the board owns, in the order of the fleet.
    #[must_use]
    pub fn views(&self) -> Vec<(ServiceId, View)> {
        let ids = self.roster.units.iter().map(|unit| &unit.service.id);
        ids.filter_map(|id| Some((id.clone(), self.view(id)?))).collect()
    }

    /// Takes an input without what follows from it, and says whether something may follow.
    fn take(&mut self, input: Input, out: &mut Vec<Action>) -> bool {
        match input {
            Input::Up(selection) => self.up(&selection),
            Input::Down(selection) => self.down(&selection),
            Input::Restart(selection) => self.restart(&selection),
            Input::Started { id, instance, pid } => return self.tell(&id, instance, Event::Started(pid), out),
            Input::NotStarted { id, instance, why } => return self.tell(&id, instance, Event::NotStarted(why), out),
            Input::Probed { id, instance, which, outcome, took } => {
                return self.tell(&id, instance, Event::Probed(which, outcome, took), out);
            }
            Input::Notified { id, instance, what } => return self.tell(&id, instance, Event::Notified(what), out),
            Input::Ended { id, instance, end } => return self.tell(&id, instance, Event::Ended(end), out),
            Input::Remote { id, state } => self.heard(&id, state),
            Input::Missing { id, why } => {
                if let Some(unit) = self.roster.own_mut(&id) {
                    unit.missing = Some(why);
                }
            }
            Input::Adopted { id, instance, pid, ready, told } => self.adopt(id, (instance, pid), ready, told, out),
            Input::Redefine(service) => self.redefine(*service),
            Input::Elsewhere(service) => self.roster.know(*service),
            Input::Tick => return false,
        }
        true
    }

    /// Moves the machine of one service, if it is about its present instance, and says whether that changed it.
    fn tell(&mut self, id: &ServiceId, instance: u64, event: Event, out: &mut Vec<Action>) -> bool {
        let now = self.now;
        let Some(unit) = self.roster.own_mut(id) else { return false };
        if unit.run.as_ref().is_none_or(|run| run.instance != instance) {
            return false;
        }
        let (before, was_to_change) = ((unit.phase, unit.condition()), unit.is_to_change());
        let is_rare = !matches!(event, Event::Probed(..) | Event::Notified(_));
        unit.take(now, event, out);
        let is_changed = before != (unit.phase, unit.condition());
        if was_to_change && !unit.is_to_change() {
            self.order = Order::of(&self.roster.units);
        }
        is_rare || is_changed
    }

    fn up(&mut self, selection: &Selection) {
        self.is_asked = true;
        let by_name = matches!(selection, Selection::Services(_));
        let mut work = self.selected(selection);
        if !by_name {
            work.retain(|index| self.roster.units.get(*index).is_some_and(|unit| !unit.is_standby()));
        }
        let standbys: Vec<usize> = if by_name { Vec::new() } else { self.selected(selection) };
        let named: HashSet<usize> = work.iter().copied().collect();
        let mut seen = named.clone();
        if let Selection::AllBut(ids) = selection {
            seen.extend(ids.iter().filter_map(|id| self.roster.own_index(id)));
        }
        while let Some(index) = work.pop() {
            let Some(unit) = self.roster.units.get_mut(index) else { continue };
            unit.is_asked_for(self.now, named.contains(&index));
            let needs: Vec<ServiceId> = unit.latest().dependencies.iter().map(|it| it.on.clone()).collect();
            let needs = needs.iter().filter_map(|id| self.roster.own_index(id));
            work.extend(needs.filter(|index| seen.insert(*index)));
        }
        for index in standbys {
            if let Some(unit) = self.roster.units.get_mut(index).filter(|unit| unit.wanted == Wanted::Down) {
                unit.wanted = Wanted::Undecided;
            }
        }
    }

    fn down(&mut self, selection: &Selection) {
        self.is_asked = true;
        for index in self.selected(selection) {
            let Some(unit) = self.roster.units.get_mut(index) else { continue };
            unit.wanted = Wanted::Down;
            unit.again = false;
        }
    }

    fn restart(&mut self, selection: &Selection) {
        let by_name = matches!(selection, Selection::Services(_));
        for index in self.selected(selection) {
            let Some(unit) = self.roster.units.get_mut(index) else { continue };
            if by_name && !unit.is_to_run() {
                unit.wanted = Wanted::Up;
            }
            if unit.is_to_run() {
                unit.start_again(self.now);
            }
        }
    }

    fn selected(&self, selection: &Selection) -> Vec<usize> {
        match selection {
            Selection::All => (0..self.roster.units.len()).collect(),
            Selection::AllBut(ids) => {
                let units = self.roster.units.iter().enumerate();
                units.filter(|(_, unit)| !ids.contains(&unit.service.id)).map(|(index, _)| index).collect()
            }
            Selection::Services(ids) => ids.iter().filter_map(|id| self.roster.own_index(id)).collect(),
            Selection::Group(name) => {
                let units = self.roster.units.iter().enumerate();
                units.filter(|(_, unit)| unit.latest().group.as_ref() == Some(name)).map(|(index, _)| index).collect()
            }
        }
    }

    fn heard(&mut self, id: &ServiceId, state: Option<State>) {
        let Some(other) = self.roster.other_mut(id) else { return };
        other.state = state;
        match state {
            Some(State::Failed | State::Substituted) => (other.given_up, other.runs) = (true, Some(true)),
            Some(State::Declared | State::Stopped) => (other.given_up, other.runs) = (false, Some(false)),
            Some(State::Ready | State::Degraded | State::Completed) => {
                (other.given_up, other.runs) = (false, Some(true));
            }
            Some(State::Blocked | State::Starting | State::Waiting) => other.runs = Some(true),
            // It may be about to start again.
            Some(State::Stopping) | None => {}
        }
    }

    fn adopt(
        &mut self,
        id: ServiceId,
        (instance, pid): (u64, u32),
        ready: bool,
        told: Option<Vec<Resolved>>,
        out: &mut Vec<Action>,
    ) {
        let now = self.now;
        match self.roster.own_mut(&id) {
            Some(unit) if !unit.is_live() => unit.adopt(now, (instance, pid), ready, told.as_deref(), out),
            // Nobody knows that service any more, or there is a second one of it.
            _ => out.push(Action::Kill { id, instance }),
        }
    }

    fn redefine(&mut self, service: Service) {
        match self.roster.own_mut(&service.id) {
            Some(unit) => {
                unit.missing = None;
                unit.redefine(service);
            }
            None => self.roster.add(service, self.seed),
        }
        self.order = Order::of(&self.roster.units);
    }

    /// Carries out what follows, until nothing follows any more.
    fn settle(&mut self, out: &mut Vec<Action>) {
        // Each service takes part in a few steps only; the bound is there in case of a mistake.
        for _ in 0..=8 * self.roster.units.len() + 8 {
            if !self.pass(out) {
                break;
            }
        }
        self.show(out);
    }

    fn pass(&mut self, out: &mut Vec<Action>) -> bool {
        let mut is_changed = self.mind_needs();
        let now = self.now;
        for unit in &mut self.roster.units {
            is_changed |= unit.align(now, out);
        }
        for index in 0..self.roster.units.len() {
            is_changed |= self.roster.mind_dependencies(now, index, &self.order, out);
        }
        self.prospects = self.roster.prospects();
        for index in 0..self.roster.units.len() {
            is_changed |= self.end_leaving(index, out);
            is_changed |= self.begin(index, out);
        }
        is_changed
    }

    /// Finds out which services others need.
    fn mind_needs(&mut self) -> bool {
        let mut needed = self.roster.needed();
        for (unit, needed) in self.roster.units.iter().zip(&mut needed) {
            let may_be_held = unit.is_live() && unit.wanted == Wanted::Undecided;
            *needed = if self.is_asked { *needed } else { unit.is_live() }
                || (may_be_held && self.roster.is_held(&unit.service.id));
        }
        let mut is_changed = false;
        for (unit, needed) in self.roster.units.iter_mut().zip(needed) {
            is_changed |= std::mem::replace(&mut unit.needed, needed) != needed;
        }
        is_changed
    }

    /// Ends a service that is to end, once all dependants that are to end have ended.
    fn end_leaving(&mut self, index: usize, out: &mut Vec<Action>) -> bool {
        let Some(unit) = self.roster.units.get(index) else { return false };
        let is_running = matches!(unit.phase, Phase::Starting | Phase::Up);
        let is_wanted = unit.phase == Phase::Stopping && unit.is_ending_for_failure();
        if !unit.is_leaving() || !(is_running || is_wanted) {
            return false;
        }
        let mut dependants = self.order.before(index).iter().filter_map(|it| self.roster.units.get(*it));
        if is_running && dependants.any(super::unit::Unit::is_leaving) {
            return false;
        }
        let why = if unit.again {
            "is to be started again"
        } else if unit.wanted == Wanted::Down {
            "is to be stopped"
        } else {
            "nobody needs it any more"
        };
        if let Some(unit) = self.roster.units.get_mut(index) {
            unit.take(self.now, Event::Stop(why.to_owned()), out);
        }
        true
    }

    /// Starts a service that waits, if all that it needs is there.
    fn begin(&mut self, index: usize, out: &mut Vec<Action>) -> bool {
        let Some(unit) = self.roster.units.get(index).filter(|unit| unit.phase == Phase::Blocked) else { return false };
        let Some((bindings, told)) = self.bindings(&unit.service.id) else { return false };
        if let Some(unit) = self.roster.units.get_mut(index) {
            unit.take(self.now, Event::Begin(bindings, told), out);
        }
        true
    }

    /// Who meets each dependency of a service that is to start; nothing if one is not met that it has to wait for.
    fn bindings(&self, id: &ServiceId) -> Option<(Vec<Binding>, Vec<Resolved>)> {
        let unit = self.roster.own(id)?;
        let mut bindings = Vec::new();
        let mut told = Vec::new();
        for dependency in &unit.latest().dependencies {
            match self.roster.supply(id, dependency, Purpose::Start) {
                Supply::Met(supplier) => {
                    told.push(resolved(dependency, &supplier));
                    bindings.push(Binding::new(Told::Supplier(supplier)));
                }
                Supply::Unmet(on, standing) if !dependency.required && self.can_do_without(id, &on, standing) => {
                    bindings.push(Binding::new(Told::Absent));
                }
                Supply::Unmet(..) => return None,
            }
        }
        Some((bindings, told))
    }

    /// Whether a service starts without an optional dependency that stands so.
    fn can_do_without(&self, id: &ServiceId, on: &ServiceId, standing: Standing) -> bool {
        if standing == Standing::Coming && self.roster.waits_for(on, id, &mut HashSet::new()) {
            return true;
        }
        match self.roster.prospect(&Supply::Unmet(on.clone(), standing), &self.prospects) {
            Prospect::Good => false,
            Prospect::Hopeless => true,
            Prospect::Uncertain => self.patience(id, on).is_none_or(|end| end <= self.now),
        }
    }

    /// Until when a service that is to start waits for an optional dependency of which nothing certain is known: as long
    /// as that one may take to become ready.
    fn patience(&self, id: &ServiceId, on: &ServiceId) -> Option<Duration> {
        let unit = self.roster.own(id).filter(|unit| unit.phase == Phase::Blocked)?;
        Some(unit.entered + self.roster.service(on)?.ready_within)
    }

    /// When the patience of a service that is to start ends next.
    fn patience_end(&self, id: &ServiceId) -> Option<Duration> {
        let unmet = self.unmet(id).into_iter();
        let ends = unmet.filter_map(|(on, _)| self.patience(id, &on));
        ends.filter(|end| *end > self.now).min()
    }

    /// What a service that is to start waits for.
    pub(super) fn unmet(&self, id: &ServiceId) -> Vec<(ServiceId, Standing)> {
        let Some(unit) = self.roster.own(id).filter(|unit| unit.phase == Phase::Blocked) else { return Vec::new() };
        let dependencies = unit.latest().dependencies.iter();
        dependencies
            .filter_map(|dependency| match self.roster.supply(id, dependency, Purpose::Start) {
                Supply::Unmet(on, standing) if dependency.required || !self.can_do_without(id, &on, standing) => {
                    Some((on, standing))
                }
                _ => None,
            })
            .collect()
    }

    /// Tells which services stand elsewhere than before.
    fn show(&mut self, out: &mut Vec<Action>) {
        for index in 0..self.roster.units.len() {
            let Some(unit) = self.roster.units.get(index) else { continue };
            let (id, from) = (unit.service.id.clone(), unit.shown.0);
            let to = self.state(&id);
            if from == to {
                continue;
            }
            let why = self.why(&id).into_iter().next().unwrap_or_default();
            if let Some(unit) = self.roster.units.get_mut(index) {
                unit.shown = (to, self.now);
            }
            out.push(Action::Changed { id, from, to, why });
        }
    }

    /// Whether what a stand-in would have to meet is met for all who need it.
    pub(super) fn dependants_are_served(&self, id: &ServiceId) -> bool {
        let dependants = self.roster.units.iter().filter(|unit| unit.is_to_run());
        let mut needs = dependants
            .flat_map(|unit| unit.latest().dependencies.iter().map(move |it| (unit, it)))
            .filter(|(_, dependency)| dependency.on == *id && dependency.condition != Condition::Completed)
            .map(|(unit, it)| matches!(self.roster.supply(&unit.service.id, it, Purpose::Keep), Supply::Met(_)))
            .peekable();
        needs.peek().is_some() && needs.all(|is_met| is_met)
    }
}
