//! [`Cycle`]: services that wait for each other for ever.

use std::{collections::VecDeque, fmt};

use petgraph::{algo::kosaraju_scc, graph::DiGraph};
use serde::{Deserialize, Serialize};

use super::{Edge, Graph};
use crate::model::ServiceId;

/// Services each of which needs the next one, and the last one the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// The way round, each service once. It starts with the one that the fleet names first.
    pub path: Vec<ServiceId>,
    /// How many services wait for each other here; more than those of the path when several circles meet.
    pub entangled: usize,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in &self.path {
            write!(f, "{id} → ")?;
        }
        self.path.first().map_or(Ok(()), |first| write!(f, "{first}"))
    }
}

impl Graph {
    /// One shortest circle for each set of services that wait for each other. Empty when the fleet can start.
    #[must_use]
    pub fn cycles(&self) -> Vec<Cycle> {
        self.cycles_of(self.edges.iter())
    }

    /// Circles that close only when some service stands in for another one.
    #[must_use]
    pub fn cycles_through_fallbacks(&self) -> Vec<Cycle> {
        let own = self.cycles();
        let mut all = self.cycles_of(self.edges.iter().chain(&self.fallback_edges));
        all.retain(|cycle| !own.iter().any(|known| known.path == cycle.path));
        all
    }

    fn cycles_of<'a>(&self, edges: impl Iterator<Item = &'a Edge>) -> Vec<Cycle> {
        let mut next = vec![Vec::new(); self.services.len()];
        for edge in edges {
            let (Some(from), Some(to)) = (self.number(&edge.from), self.number(&edge.to)) else { continue };
            if let Some(list) = next.get_mut(from) {
                list.push(to);
            }
        }
        let pairs = next.iter().enumerate().flat_map(|(from, to)| to.iter().map(move |to| (from, *to)));
        let mut graph = DiGraph::<(), (), usize>::default();
        self.services.iter().for_each(|_| {
            graph.add_node(());
        });
        graph.extend_with_edges(pairs);
        let components = kosaraju_scc(&graph).into_iter().map(|nodes| nodes.iter().map(|node| node.index()).collect());
        let mut cycles: Vec<_> = components.filter_map(|nodes: Vec<usize>| shortest(&nodes, &next)).collect();
        cycles.sort();
        let named =
            |path: Vec<usize>| path.into_iter().filter_map(|number| self.services.get(number).cloned()).collect();
        cycles.into_iter().map(|(path, entangled)| Cycle { path: named(path), entangled }).collect()
    }
}

/// The shortest way round in a strongly connected component, and the component's size; none when nothing is a circle.
fn shortest(component: &[usize], next: &[Vec<usize>]) -> Option<(Vec<usize>, usize)> {
    let mut nodes = component.to_vec();
    nodes.sort_unstable();
    let ways = nodes.iter().filter_map(|start| way_round(*start, &nodes, next));
    let mut way = ways.min_by_key(Vec::len)?;
    let first = way.iter().enumerate().min_by_key(|(_, number)| **number).map_or(0, |(place, _)| place);
    way.rotate_left(first);
    Some((way, nodes.len()))
}

/// The shortest way from a service back to itself, within its component.
fn way_round(start: usize, component: &[usize], next: &[Vec<usize>]) -> Option<Vec<usize>> {
    let place = |number: usize| component.binary_search(&number).ok();
    let mut came_from: Vec<Option<usize>> = vec![None; component.len()];
    let mut open = VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        for to in next.get(at).into_iter().flatten().copied() {
            if to == start {
                let back = std::iter::successors(Some(at), |at| came_from.get(place(*at)?).copied().flatten());
                let mut way: Vec<_> = back.collect();
                way.reverse();
                return Some(way);
            }
            if let Some(seen) = place(to).and_then(|place| came_from.get_mut(place))
                && seen.is_none()
            {
                *seen = Some(at);
                open.push_back(to);
            }
        }
    }
    None
}
