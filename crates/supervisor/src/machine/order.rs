//! [`Order`]: which services of a board must have ended before another one is ended.

use std::collections::HashMap;

use masque_fleet::model::{Fallback, ServiceId};

use super::unit::Unit;

/// For each service the dependants that end before it, by index.
#[derive(Debug, Default)]
pub(super) struct Order {
    dependants: Vec<Vec<usize>>,
}

impl Order {
    /// The order of these services. Dependencies that form a cycle do not count, nor do fallbacks that would close one:
    /// so everything can be ended.
    pub(super) fn of(units: &[Unit]) -> Self {
        let index: HashMap<&ServiceId, usize> =
            units.iter().enumerate().map(|(index, unit)| (&unit.service.id, index)).collect();
        let direct: Vec<Vec<usize>> = units.iter().map(|unit| suppliers(unit, &index)).collect();
        let own_fallbacks: Vec<Vec<usize>> =
            units.iter().map(|unit| services(&unit.service.fallback, &index).collect()).collect();
        let all: Vec<Vec<usize>> = units
            .iter()
            .zip(&direct)
            .map(|(unit, direct)| {
                let declared = unit.service.dependencies.iter().flat_map(|it| services(&it.fallback, &index));
                let roots: Vec<usize> = direct.iter().copied().chain(declared).collect();
                let stand_ins = reachable(&roots, &own_fallbacks);
                (0..units.len()).filter(|at| stand_ins.get(*at) == Some(&true)).collect()
            })
            .collect();
        let mut dependants = vec![Vec::new(); units.len()];
        for from in 0..units.len() {
            for to in all.get(from).into_iter().flatten().copied() {
                let is_direct = direct.get(from).is_some_and(|direct| direct.contains(&to));
                let closes_cycle = reachable(&[to], if is_direct { &direct } else { &all }).get(from) == Some(&true);
                if let Some(list) = dependants.get_mut(to).filter(|_| !closes_cycle) {
                    list.push(from);
                }
            }
        }
        Self { dependants }
    }

    /// The dependants that end before that one.
    pub(super) fn before(&self, index: usize) -> &[usize] {
        self.dependants.get(index).map_or(&[], Vec::as_slice)
    }
}

fn suppliers(unit: &Unit, index: &HashMap<&ServiceId, usize>) -> Vec<usize> {
    unit.service.dependencies.iter().filter_map(|dependency| index.get(&dependency.on).copied()).collect()
}

fn services<'a>(
    fallbacks: &'a [Fallback],
    index: &'a HashMap<&ServiceId, usize>,
) -> impl Iterator<Item = usize> + use<'a> {
    fallbacks.iter().filter_map(|fallback| match fallback {
        Fallback::Service(id) => index.get(id).copied(),
        Fallback::Environment(_) => None,
    })
}

/// What can be reached from these, themselves included.
fn reachable(from: &[usize], edges: &[Vec<usize>]) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    let mut work = from.to_vec();
    while let Some(at) = work.pop() {
        if let Some(mark) = seen.get_mut(at).filter(|mark| !**mark) {
            *mark = true;
            work.extend(edges.get(at).into_iter().flatten());
        }
    }
    seen
}
