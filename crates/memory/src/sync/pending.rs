//! What changed and was not looked at yet. Leaves out who says so.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use tokio::sync::Notify;

use super::scope::Scope;

/// More changed paths than this are a reason to look at everything once: a checkout changes thousands.
const MOST: usize = 256;

/// Changed paths from the root on, until they are taken.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changed: Mutex<Changed>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Changed {
    all: bool,
    paths: HashSet<String>,
}

impl Pending {
    /// Adds changes; none means that anything may have changed.
    pub(super) fn add(&self, paths: Option<Vec<String>>) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        match paths {
            Some(paths) if !changed.all => changed.paths.extend(paths),
            Some(_) => {}
            None => changed.all = true,
        }
        if changed.all || changed.paths.len() > MOST {
            *changed = Changed { all: true, paths: HashSet::new() };
        }
        drop(changed);
        self.notify.notify_one();
    }

    /// Waits for a change since the last wait.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// What is to be looked at; nothing is left.
    pub(super) fn take(&self) -> Option<Scope> {
        let changed = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        match changed {
            Changed { all: true, .. } => Some(Scope::All),
            Changed { paths, .. } if paths.is_empty() => None,
            Changed { paths, .. } => Some(Scope::below(paths)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changes_become_one_look_at_everything() {
        let pending = Pending::default();
        assert_eq!(pending.take(), None);
        pending.add(Some(vec!["a".to_owned()]));
        pending.add(Some(vec!["b/c".to_owned()]));
        assert_eq!(pending.take(), Some(Scope::below(["a".to_owned(), "b/c".to_owned()])));
        pending.add(Some((0..=MOST).map(|number| number.to_string()).collect()));
        pending.add(Some(vec!["a".to_owned()]));
        assert_eq!(pending.take(), Some(Scope::All));
        pending.add(None);
        assert_eq!(pending.take(), Some(Scope::All));
        assert_eq!(pending.take(), None);
    }
}
