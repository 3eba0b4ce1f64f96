//! Addresses that stand for names: each name that a program may look up gets one of its own, which exists nowhere else.

use std::{collections::HashMap, net::Ipv4Addr};

use crate::HostName;

/// The first address, behind those of the device's two ends.
const FIRST: u32 = u32::from_be_bytes([198, 18, 1, 0]);

/// How many names have an address at once. When all are given away, the oldest one goes to the next name.
const SIZE: usize = 1 << 16;

/// Which address stands for which name.
#[derive(Debug, Default)]
pub(crate) struct NamePool {
    places: HashMap<HostName, usize>,
    names: Vec<HostName>,
    next: usize,
}

impl NamePool {
    /// The address that stands for the name, the same every time.
    pub(crate) fn address_of(&mut self, name: &HostName) -> Ipv4Addr {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => self.give(name),
        };
        let offset = u32::try_from(place).unwrap_or_default();
        Ipv4Addr::from(FIRST + offset)
    }

    /// The name that an address stands for.
    pub(crate) fn name_of(&self, address: Ipv4Addr) -> Option<&HostName> {
        let offset = u32::from(address).checked_sub(FIRST)?;
        self.names.get(usize::try_from(offset).ok()?)
    }

    fn give(&mut self, name: &HostName) -> usize {
        let place = self.next;
        self.next = (place + 1) % SIZE;
        match self.names.get_mut(place) {
            Some(oldest) => {
                let oldest = std::mem::replace(oldest, name.clone());
                self.places.remove(&oldest);
            }
            None => self.names.push(name.clone()),
        }
        self.places.insert(name.clone(), place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_address_and_the_oldest_gives_way() {
        let mut pool = NamePool::default();
        let name = |number: usize| HostName::parse(&format!("h{number}.example.org")).unwrap();
        let first = pool.address_of(&name(0));
        assert_eq!(pool.address_of(&name(0)), first);
        for number in 1..SIZE {
            let address = pool.address_of(&name(number));
            assert_eq!(pool.name_of(address), Some(&name(number)));
        }
        assert_eq!(pool.name_of(first), Some(&name(0)));
        assert_eq!(pool.address_of(&name(SIZE)), first);
        assert_eq!(pool.name_of(first), Some(&name(SIZE)));
        assert_ne!(pool.address_of(&name(0)), first);
        assert_eq!(pool.name_of(Ipv4Addr::new(198, 18, 0, 1)), None);
        assert_eq!(pool.name_of(Ipv4Addr::new(8, 8, 8, 8)), None);
    }
}
