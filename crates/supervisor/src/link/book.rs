//! [`Book`]: what each peer told, and what follows from all of it together. Pure.

use std::collections::{BTreeMap, BTreeSet};

use masque_fleet::{model::ServiceId, status::State};

/// Services that one peer may tell of.
const MOST_SERVICES: usize = 20_000;

/// What the peers told, by their place in the list of peers.
#[derive(Debug)]
pub(super) struct Book(Vec<BTreeMap<ServiceId, State>>);

/// A change of what is known; none: it is not known any more.
pub(super) type Changes = BTreeMap<ServiceId, Option<State>>;

impl Book {
    pub(super) fn new(peers: usize) -> Self {
        Self(vec![BTreeMap::new(); peers])
    }

    /// A peer told everything, or with an empty map: it is lost.
    pub(super) fn replace(&mut self, peer: usize, states: BTreeMap<ServiceId, State>) -> Result<Changes, String> {
        if states.len() > MOST_SERVICES {
            return Err(too_many());
        }
        let old = self.0.get(peer).into_iter().flat_map(BTreeMap::keys);
        let touched = old.chain(states.keys()).cloned().collect();
        Ok(self.apply(peer, &touched, |told| *told = states))
    }

    /// A peer told what changed.
    pub(super) fn change(
        &mut self,
        peer: usize,
        states: BTreeMap<ServiceId, State>,
        gone: &[ServiceId],
    ) -> Result<Changes, String> {
        let known = self.0.get(peer).map_or(0, BTreeMap::len);
        if known + states.len() > MOST_SERVICES + gone.len() {
            return Err(too_many());
        }
        let touched = states.keys().chain(gone).cloned().collect();
        Ok(self.apply(peer, &touched, |told| {
            told.extend(states);
            told.retain(|id, _| !gone.contains(id));
        }))
    }

    /// What those peers told, all together.
    pub(super) fn told_by(&self, peers: impl Iterator<Item = usize>) -> BTreeMap<ServiceId, State> {
        let told = peers.filter_map(|peer| self.0.get(peer));
        told.flat_map(|told| told.iter().map(|(id, state)| (id.clone(), *state))).collect()
    }

    fn apply(
        &mut self,
        peer: usize,
        touched: &BTreeSet<ServiceId>,
        write: impl FnOnce(&mut BTreeMap<ServiceId, State>),
    ) -> Changes {
        let before: Vec<Option<State>> = touched.iter().map(|id| self.state(id)).collect();
        if let Some(told) = self.0.get_mut(peer) {
            write(told);
        }
        let after = touched.iter().map(|id| (id, self.state(id)));
        let changed = after.zip(before).filter(|((_, after), before)| after != before);
        changed.map(|((id, after), _)| (id.clone(), after)).collect()
    }

    /// Where a service stands. Where two peers tell of it, the first one in the list is believed.
    fn state(&self, id: &ServiceId) -> Option<State> {
        self.0.iter().find_map(|told| told.get(id).copied())
    }
}

fn too_many() -> String {
    format!("it tells of more than {MOST_SERVICES} services")
}

/// What has to be told so that somebody who knows `old` knows `new`: states, and what is gone.
pub(super) fn difference(
    old: &BTreeMap<ServiceId, State>,
    new: &BTreeMap<ServiceId, State>,
) -> (BTreeMap<ServiceId, State>, Vec<ServiceId>) {
    let states = new.iter().filter(|(id, state)| old.get(id) != Some(state));
    let gone = old.keys().filter(|id| !new.contains_key(id));
    (states.map(|(id, state)| (id.clone(), *state)).collect(), gone.cloned().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn states() -> impl Strategy<Value = BTreeMap<ServiceId, State>> {
        let state = prop_oneof![Just(State::Ready), Just(State::Failed), Just(State::Waiting)];
        proptest::collection::btree_map((0..6_u8).prop_map(|name| ServiceId::new("pc2", name.to_string())), state, 0..6)
    }

    proptest! {
        /// Whoever applies the changes that are told knows what the book knows, whoever told what in which way.
        #[test]
        fn changes_lead_to_what_is_known(told in proptest::collection::vec((0..3_usize, states(), any::<bool>()), 1..20)) {
            let (mut book, mut known) = (Book::new(3), BTreeMap::new());
            for (peer, new, whole) in told {
                let changes = if whole {
                    book.replace(peer, new).unwrap()
                } else {
                    let old = book.told_by(std::iter::once(peer));
                    let (states, gone) = difference(&old, &new);
                    let changes = book.change(peer, states, &gone).unwrap();
                    prop_assert_eq!(book.told_by(std::iter::once(peer)), new);
                    changes
                };
                for (id, state) in changes {
                    let before = match state {
                        Some(state) => known.insert(id, state),
                        None => known.remove(&id),
                    };
                    prop_assert_ne!(before, state, "only what changed is told");
                }
                let expected: BTreeMap<_, _> = book.told_by((0..3).rev());
                prop_assert_eq!(&known, &expected);
            }
        }
    }

    #[test]
    fn the_number_of_services_is_bounded() {
        let many = |from: usize, to: usize| {
            (from..to).map(|name| (ServiceId::new("a", name.to_string()), State::Ready)).collect::<BTreeMap<_, _>>()
        };
        let mut book = Book::new(1);
        assert!(book.replace(0, many(0, MOST_SERVICES + 1)).is_err());
        assert!(book.replace(0, many(0, MOST_SERVICES)).is_ok());
        assert!(book.change(0, many(MOST_SERVICES, MOST_SERVICES + 1), &[]).is_err());
    }
}
