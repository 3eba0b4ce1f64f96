//! What a process remembers of jobs so that it need not be read again: bounded, and never needed to be right.

use std::{
    collections::HashMap,
    hash::Hash,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use masque_types::{id::RunId, time::Timestamp};

use super::{look::Shown, prepared::Prepared, progress::Story};

/// Beyond this many entries all are forgotten.
const MOST: usize = 1_024;

/// All that is remembered.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// By persona and workspace.
    pub(super) prepared: Remembered<(String, PathBuf), Arc<Prepared>>,
    /// What journals told.
    pub(super) stories: Remembered<RunId, Arc<Story>>,
    /// What was last shown to each caller.
    pub(super) shown: Remembered<(String, RunId), Shown>,
    /// By persona, with the time when it was learned.
    pub(super) estimates: Remembered<String, (Timestamp, Vec<u64>)>,
}

/// A map that forgets all when it gets too large.
#[derive(Debug)]
pub(super) struct Remembered<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn set(&self, key: K, value: V) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= MOST {
            map.clear();
        }
        map.insert(key, value);
    }
}
