//! Removing old versions, and giving back the space of pieces that none of the others needs.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use masque_types::{digest::Digest, time::Timestamp};

use super::{Versions, chunks::Chunks, pack};
use crate::{Error, files};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which versions stay. A version stays when any of these says so; the newest one always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest ones.
    pub last: usize,
    /// The newest of each day, for so many days that have one.
    pub daily: usize,
    /// The newest of each week, for so many weeks that have one.
    pub weekly: usize,
}

impl Retention {
    /// The numbers that stay, of versions given oldest first.
    #[must_use]
    pub fn kept(&self, versions: &[(u64, Timestamp)]) -> BTreeSet<u64> {
        let newest_first = || versions.iter().rev();
        let mut kept: BTreeSet<u64> = newest_first().take(self.last.max(1)).map(|(number, _)| *number).collect();
        for (count, length) in [(self.daily, DAY), (self.weekly, 7 * DAY)] {
            let mut periods = BTreeSet::new();
            for (number, at) in newest_first() {
                let period = at.0.div_euclid(i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
                if periods.len() < count && periods.insert(period) {
                    kept.insert(*number);
                }
            }
        }
        kept
    }
}

impl Versions {
    /// Removes the versions that a retention does not keep; gives their numbers.
    ///
    /// # Errors
    /// When a manifest or pack is damaged, or a file cannot be removed.
    pub fn prune(&self, retention: &Retention) -> Result<Vec<u64>, Error> {
        let _lock = self.lock()?;
        self.settle()?;
        let mut versions = Vec::new();
        let mut live: HashSet<Digest> = HashSet::new();
        let manifests =
            self.numbers()?.into_iter().map(|number| self.manifest(number)).collect::<Result<Vec<_>, _>>()?;
        versions.extend(manifests.iter().map(|manifest| (manifest.number, manifest.at)));
        let kept = retention.kept(&versions);
        let (stay, go): (Vec<_>, Vec<_>) = manifests.iter().partition(|manifest| kept.contains(&manifest.number));
        live.extend(stay.iter().flat_map(|manifest| manifest.chunks()).copied());
        for manifest in &go {
            files::remove_if_there(&self.manifest_path(manifest.number))?;
        }
        if !go.is_empty() {
            files::sync_directory(&self.manifests())?;
        }
        self.collect(&live)?;
        Ok(go.iter().map(|manifest| manifest.number).collect())
    }

    /// Removes packs that nothing needs, and rewrites those of which less than half is needed.
    fn collect(&self, live: &HashSet<Digest>) -> Result<(), Error> {
        let mut chunks = Chunks::open(self)?;
        let mut gone = Vec::new();
        let mut moved = Vec::new();
        for pack in chunks.packs() {
            let needed: Vec<_> = pack.places.iter().filter(|place| live.contains(&place.digest)).collect();
            let bytes = |places: &mut dyn Iterator<Item = u64>| places.sum::<u64>();
            let needed_bytes = bytes(&mut needed.iter().map(|place| place.size));
            if needed_bytes * 2 < bytes(&mut pack.places.iter().map(|place| place.size)) || needed.is_empty() {
                gone.push(pack.id().to_owned());
                moved.extend(needed.iter().map(|place| place.digest));
            }
        }
        for digest in moved {
            let piece = chunks.read(&digest)?;
            chunks.add_again(digest, &piece)?;
        }
        chunks.finish()?;
        drop(chunks);
        gone.iter().try_for_each(|id| pack::remove(&self.packs(), id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_period_stays() {
        let hour = 3_600_000;
        let versions: Vec<(u64, Timestamp)> =
            (0..240).map(|n| (n, Timestamp(i64::try_from(n).unwrap() * hour))).collect();
        let kept = Retention { last: 2, daily: 3, weekly: 2 }.kept(&versions);
        assert_eq!(kept, BTreeSet::from([167, 191, 215, 238, 239]));
        assert_eq!(Retention { last: 0, daily: 0, weekly: 0 }.kept(&versions), BTreeSet::from([239]));
    }
}
