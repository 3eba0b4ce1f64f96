//! Faults that tests inject: a commit that fails, or one that becomes durable although its writer is told it failed.
//!
//! The second kind is what a crash right after the flush looks like to the caller.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::Error;

/// Where a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Nothing of it is stored.
    BeforeCommit,
    /// All of it is stored, and the caller gets an error.
    AfterCommit,
}

/// A plan of faults, shared with the test that made it. Commits count from 1; each fault strikes once.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    faults: BTreeMap<u64, FaultPoint>,
}

impl Faults {
    /// No faults yet; counts commits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One fault, at a commit from 1 to `commits`, both chosen by the seed.
    #[must_use]
    pub fn seeded(seed: u64, commits: u64) -> Self {
        let chosen = scramble(seed);
        let point = if chosen & 1 == 0 { FaultPoint::BeforeCommit } else { FaultPoint::AfterCommit };
        let faults = Self::new();
        faults.fail(1 + (chosen >> 1) % commits.max(1), point);
        faults
    }

    /// Adds a fault at a commit, counted from the store's first one on.
    pub fn fail(&self, commit: u64, point: FaultPoint) {
        self.lock().faults.insert(commit, point);
    }

    /// Adds a fault at the next commit.
    pub fn fail_next(&self, point: FaultPoint) {
        let mut plan = self.lock();
        let next = plan.commits + 1;
        plan.faults.insert(next, point);
    }

    /// How many commits were begun so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// Faults that have not struck yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.lock().faults.len()
    }

    /// Counts a commit and strikes when the plan says so.
    pub(crate) fn before_commit(&self) -> Result<(), Error> {
        let mut plan = self.lock();
        plan.commits += 1;
        plan.strike(FaultPoint::BeforeCommit)
    }

    /// Strikes after the commit that was counted last.
    pub(crate) fn after_commit(&self) -> Result<(), Error> {
        self.lock().strike(FaultPoint::AfterCommit)
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn strike(&mut self, point: FaultPoint) -> Result<(), Error> {
        let commit = self.commits;
        if self.faults.get(&commit) == Some(&point) {
            self.faults.remove(&commit);
            return Err(Error::Injected { commit });
        }
        Ok(())
    }
}

/// The finalizer of `SplitMix64`: neighbouring seeds give unrelated numbers.
const fn scramble(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
