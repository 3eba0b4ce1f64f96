//! What happens to a running service when its dependencies go away, come back, or are met by another one.

use std::time::Duration;

use masque_fleet::model::{Dependency, OnLoss, ServiceId};

use super::{
    Action, Resolved,
    order::Order,
    roster::{Purpose, Roster, Standing, Supply, resolved},
    run::{Binding, Run, Supplier, Told},
    unit::{Event, Phase, Unit},
};

/// What a dependency of a running service asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    Nothing,
    /// It is met by another one than was told.
    Reload,
    /// The service is to be ended, and started when it has again what it needs.
    End,
}

impl Roster {
    /// Looks at the dependencies of a running service, and says whether something was done.
    pub(super) fn mind_dependencies(
        &mut self,
        now: Duration,
        index: usize,
        order: &Order,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(unit) = self.units.get(index) else { return false };
        let Some(run) = unit.run.as_ref().filter(|_| is_minded(unit)) else { return false };
        let mut bindings = run.bindings.clone();
        let mut consequence = Consequence::Nothing;
        let mut why = String::new();
        for (dependency, binding) in unit.service.dependencies.iter().zip(&mut bindings) {
            let policy = self.policy(index, dependency, binding, order);
            match self.mind(now, unit, (dependency, policy), binding) {
                Consequence::Nothing => {}
                Consequence::Reload if consequence == Consequence::End => {}
                next => {
                    consequence = next;
                    why = format!("{} {}", dependency.on, if binding.lost { "was lost" } else { "was away" });
                }
            }
        }
        let reload = (consequence == Consequence::Reload).then(|| self.told(unit, &bindings));
        let Some(unit) = self.units.get_mut(index) else { return false };
        let Some(run) = unit.run.as_mut() else { return false };
        run.bindings = bindings;
        if let Some(dependencies) = reload {
            out.push(Action::Reload { id: unit.service.id.clone(), instance: run.instance, dependencies });
        } else if consequence == Consequence::End {
            unit.take(now, Event::Stop(why), out);
        }
        consequence != Consequence::Nothing
    }

    /// What the loss of a dependency means. Of one that is met by a service which needs this one itself, over others
    /// and by their fallbacks, it means nothing: else both would restart each other for ever.
    fn policy(&self, index: usize, dependency: &Dependency, binding: &Binding, order: &Order) -> OnLoss {
        let supplier = match &binding.told {
            Told::Supplier(Supplier::Service(id)) => self.own_index(id),
            Told::Supplier(Supplier::Environment(_)) => None,
            Told::Absent | Told::Unsure => return OnLoss::Ignore,
        };
        if supplier.is_some_and(|supplier| !order.before(supplier).contains(&index)) {
            return OnLoss::Ignore;
        }
        dependency.on_loss
    }

    fn mind(
        &self,
        now: Duration,
        unit: &Unit,
        (dependency, policy): (&Dependency, OnLoss),
        binding: &mut Binding,
    ) -> Consequence {
        let was_lost = binding.lost && policy != OnLoss::Ignore;
        match self.supply(&unit.service.id, dependency, Purpose::Keep) {
            Supply::Met(_) if was_lost => Consequence::End,
            Supply::Met(supplier) => self.mind_supplier(unit, (dependency, policy), binding, supplier),
            Supply::Unmet(..) if self.has_what_was_told(dependency, binding) => {
                binding.is_there();
                Consequence::Nothing
            }
            Supply::Unmet(_, Standing::Unheard) => {
                // What is not known is no loss; one that was known before stays one.
                binding.unheard = true;
                binding.away_since = None;
                Consequence::Nothing
            }
            Supply::Unmet(..) => mind_absence(now, (dependency, policy), binding),
        }
    }

    /// The dependency is met, perhaps by another one than was told.
    fn mind_supplier(
        &self,
        unit: &Unit,
        (dependency, policy): (&Dependency, OnLoss),
        binding: &mut Binding,
        supplier: Supplier,
    ) -> Consequence {
        let is_same = matches!(&binding.told, Told::Supplier(told) if *told == supplier);
        if is_same || binding.told == Told::Unsure {
            binding.is_there();
            binding.told = Told::Supplier(supplier);
            return Consequence::Nothing;
        }
        if unit.service.reload_signal.is_some() {
            // A program that is still starting may not be able to take the signal yet.
            if unit.phase != Phase::Up {
                binding.is_there();
                return Consequence::Nothing;
            }
            binding.is_there();
            binding.told = Told::Supplier(supplier);
            return Consequence::Reload;
        }
        let has_it = self.has_what_was_told(dependency, binding);
        let is_unheard = self.told_standing(dependency, binding) == Some(Standing::Unheard);
        if !has_it && !is_unheard && policy != OnLoss::Ignore {
            return Consequence::End;
        }
        binding.is_there();
        binding.stale = true;
        binding.unheard = is_unheard;
        binding.lost = !has_it && !is_unheard;
        Consequence::Nothing
    }

    /// Whether what the instance was told still holds.
    fn has_what_was_told(&self, dependency: &Dependency, binding: &Binding) -> bool {
        match &binding.told {
            // What a task did stays done while it does it again.
            Told::Supplier(Supplier::Service(id)) if self.is_task(id) => true,
            Told::Supplier(Supplier::Service(_)) => self.told_standing(dependency, binding) == Some(Standing::Usable),
            Told::Supplier(Supplier::Environment(_)) | Told::Absent => true,
            Told::Unsure => false,
        }
    }

    /// How the service stands that the instance was told.
    fn told_standing(&self, dependency: &Dependency, binding: &Binding) -> Option<Standing> {
        let Told::Supplier(Supplier::Service(id)) = &binding.told else { return None };
        let condition = self.condition_for(id, dependency.condition);
        Some(self.standing(id, condition, Purpose::Keep))
    }

    /// What a running service is told about its dependencies.
    fn told(&self, unit: &Unit, bindings: &[Binding]) -> Vec<Resolved> {
        let pairs = unit.service.dependencies.iter().zip(bindings);
        pairs
            .filter_map(|(dependency, binding)| match &binding.told {
                Told::Supplier(supplier) => Some(resolved(dependency, supplier)),
                Told::Absent | Told::Unsure => None,
            })
            .collect()
    }
}

/// A known absence: it counts as a loss after its grace.
fn mind_absence(now: Duration, (dependency, policy): (&Dependency, OnLoss), binding: &mut Binding) -> Consequence {
    binding.unheard = false;
    let since = *binding.away_since.get_or_insert(now);
    if binding.lost || now < since + dependency.grace {
        return Consequence::Nothing;
    }
    binding.lost = true;
    if policy == OnLoss::Stop { Consequence::End } else { Consequence::Nothing }
}

/// Whether a service runs and is to run on.
fn is_minded(unit: &Unit) -> bool {
    matches!(unit.phase, Phase::Starting | Phase::Up) && !unit.is_leaving()
}

impl Unit {
    /// When one of its dependencies that are away counts as lost.
    pub(super) fn next_loss(&self) -> Option<Duration> {
        let run = self.run.as_ref().filter(|_| is_minded(self))?;
        let pairs = self.service.dependencies.iter().zip(&run.bindings);
        pairs.filter(|(_, it)| !it.lost).filter_map(|(dependency, it)| Some(it.away_since? + dependency.grace)).min()
    }

    /// Whether its running instance was told to use that one, which it is not to name itself, and cannot be told
    /// otherwise.
    pub(super) fn uses(&self, id: &ServiceId) -> bool {
        let is_told = |binding: &Binding| matches!(&binding.told, Told::Supplier(Supplier::Service(it)) if it == id);
        self.run.as_ref().is_some_and(|run: &Run| run.bindings.iter().any(is_told))
    }

    /// The dependencies because of which it is not well.
    pub(super) fn ailing(&self) -> impl Iterator<Item = (&Dependency, &Binding)> {
        let bindings = self.run.iter().flat_map(|run| &run.bindings);
        self.service
            .dependencies
            .iter()
            .zip(bindings)
            .filter(|(dependency, it)| dependency.required && (it.lost || it.unheard))
    }
}
