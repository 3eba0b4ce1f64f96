//! What is started: subjects with delays and dependencies, and how long that takes at least.

use std::{collections::BTreeMap, time::Duration};

/// One service.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    /// Milliseconds until it is ready.
    pub(crate) delay_ms: u64,
    /// Names of what must be ready before; all stand before it.
    pub(crate) needs: Vec<String>,
    /// Where it listens, when it does.
    pub(crate) port: Option<u16>,
}

/// How it is known that a service is ready and lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It says that it is ready; nobody asks it afterwards.
    Said,
    /// It says that it is ready, and its port is asked every second.
    SaidAndAsked,
    /// Its port is asked whether it is ready, and never again.
    Asked,
}

/// Services in an order in which they can be started.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) what: &'static str,
    pub(crate) probe: Probe,
    pub(crate) subjects: Vec<Subject>,
}

/// Numbers of agents in the groups of the example fleet.
const GROUPS: [usize; 16] = [6, 5, 7, 6, 7, 8, 8, 4, 2, 2, 4, 6, 5, 6, 5, 8];
/// Services that listen do so from here on.
const FIRST_PORT: u16 = 21_400;
/// How many groups in front of its own one an agent may depend on.
const REACH: usize = 3;

/// Ten services, each after the one before.
pub(crate) fn chain() -> Shape {
    let subject = |place: usize| Subject {
        name: format!("link-{place:02}"),
        delay_ms: 100,
        needs: place.checked_sub(1).map(|before| format!("link-{before:02}")).into_iter().collect(),
        port: None,
    };
    Shape { what: "a chain of ten", probe: Probe::Said, subjects: (0..10).map(subject).collect() }
}

/// The same chain, whose services are asked at their ports whether they are ready.
pub(crate) fn asked_chain() -> Shape {
    let mut shape = Shape { what: "a chain of ten that is asked by TCP", probe: Probe::Asked, ..chain() };
    shape.listen();
    shape
}

/// The fleet, whose services are asked at their ports every second.
pub(crate) fn asked_fleet() -> Shape {
    let mut shape = Shape { probe: Probe::SaidAndAsked, ..fleet() };
    shape.listen();
    shape
}

/// Eighty-nine services in sixteen groups, which depend on earlier groups.
pub(crate) fn fleet() -> Shape {
    let mut dice = Dice(0x9e37_79b9);
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut subjects = Vec::new();
    for (number, size) in GROUPS.into_iter().enumerate() {
        let mut names = Vec::new();
        for place in 0..size {
            let earlier: Vec<String> = groups.iter().rev().take(REACH).flatten().cloned().collect();
            let mut needs: Vec<String> =
                (0..dice.below(4)).filter_map(|_| earlier.get(dice.below(earlier.len())).cloned()).collect();
            needs.sort_unstable();
            needs.dedup();
            let name = format!("agent-{number:02}-{place}");
            subjects.push(Subject { name: name.clone(), delay_ms: 50 + dice.below(351) as u64, needs, port: None });
            names.push(name);
        }
        groups.push(names);
    }
    Shape { what: "89 services in 16 groups", probe: Probe::Said, subjects }
}

impl Shape {
    fn listen(&mut self) {
        for (subject, port) in self.subjects.iter_mut().zip(FIRST_PORT..) {
            subject.port = Some(port);
        }
    }

    /// The longest chain of delays: no supervisor that keeps the order can be faster.
    pub(crate) fn critical_path(&self) -> Duration {
        let mut ready: BTreeMap<&str, u64> = BTreeMap::new();
        for subject in &self.subjects {
            let after = subject.needs.iter().filter_map(|need| ready.get(need.as_str())).max().copied().unwrap_or(0);
            ready.insert(&subject.name, after + subject.delay_ms);
        }
        Duration::from_millis(ready.into_values().max().unwrap_or(0))
    }

    /// The edges, from the service to what it needs.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.subjects.iter().flat_map(|subject| subject.needs.iter().map(|need| (subject.name.as_str(), need.as_str())))
    }
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    /// A number below that bound; 0 for the bound 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0).checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_what_they_are_called() {
        assert_eq!(chain().critical_path(), Duration::from_secs(1));
        let fleet = fleet();
        assert_eq!(fleet.subjects.len(), 89);
        let place = |name: &str| fleet.subjects.iter().position(|subject| subject.name == name).unwrap();
        assert!(fleet.edges().all(|(of, need)| place(need) < place(of)));
        assert!(fleet.critical_path() > Duration::from_secs(2), "{:?}", fleet.critical_path());
    }
}
