//! In which order services start and end.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::{Cycle, Graph};
use crate::model::ServiceId;

impl Graph {
    /// All services, each after everything that it needs; among those that may come next, the one that the fleet names
    /// first.
    ///
    /// # Errors
    /// The circles, when there are any.
    pub fn order(&self) -> Result<Vec<ServiceId>, Vec<Cycle>> {
        Ok(self.numbered_order()?.into_iter().filter_map(|number| self.services.get(number).cloned()).collect())
    }

    /// All services, each before everything that it needs.
    ///
    /// # Errors
    /// The circles, when there are any.
    pub fn stop_order(&self) -> Result<Vec<ServiceId>, Vec<Cycle>> {
        let mut order = self.order()?;
        order.reverse();
        Ok(order)
    }

    /// Services that can start together: the first need nothing, the second only some of the first, and so on.
    ///
    /// # Errors
    /// The circles, when there are any.
    pub fn waves(&self) -> Result<Vec<Vec<ServiceId>>, Vec<Cycle>> {
        let mut waves: Vec<Vec<ServiceId>> = Vec::new();
        let numbers = self.wave_numbers()?;
        for id in &self.services {
            let wave = numbers.get(id).copied().unwrap_or_default();
            if waves.len() <= wave {
                waves.resize(wave + 1, Vec::new());
            }
            if let Some(members) = waves.get_mut(wave) {
                members.push(id.clone());
            }
        }
        Ok(waves)
    }

    /// For each service the number of its wave, from 0.
    pub(super) fn wave_numbers(&self) -> Result<BTreeMap<ServiceId, usize>, Vec<Cycle>> {
        let mut waves = BTreeMap::new();
        for id in self.order()? {
            let before = self.needs(&id).filter_map(|edge| waves.get(&edge.to)).max();
            let wave = before.map_or(0, |wave: &usize| wave + 1);
            waves.insert(id, wave);
        }
        Ok(waves)
    }

    fn numbered_order(&self) -> Result<Vec<usize>, Vec<Cycle>> {
        let mut waits: Vec<usize> = self.out.iter().map(Vec::len).collect();
        let free = waits.iter().enumerate().filter(|(_, needs)| **needs == 0);
        let mut open: BinaryHeap<Reverse<usize>> = free.map(|(number, _)| Reverse(number)).collect();
        let mut order = Vec::with_capacity(self.services.len());
        while let Some(Reverse(number)) = open.pop() {
            order.push(number);
            let edges = self.into.get(number).into_iter().flatten().filter_map(|edge| self.edges.get(*edge));
            for from in edges.filter_map(|edge| self.number(&edge.from)) {
                if let Some(needs) = waits.get_mut(from) {
                    *needs -= 1;
                    if *needs == 0 {
                        open.push(Reverse(from));
                    }
                }
            }
        }
        if order.len() == self.services.len() { Ok(order) } else { Err(self.cycles()) }
    }
}
