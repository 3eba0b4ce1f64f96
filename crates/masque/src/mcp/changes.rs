//! What tells connected clients that a list or a resource changed.
//!
//! Owns comparing and spreading the news. Leaves out what is compared: whoever serves gives a function that takes a
//! picture of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use masque_types::{BoxFuture, digest::Digest};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a picture is taken while somebody wants to know.
const LOOK: Duration = Duration::from_secs(2);

/// A part of what is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// One resource, by its URI.
    Resource(String),
}

/// What is offered at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Of the list of tools.
    pub(crate) tools: Option<Digest>,
    /// Of the list of prompts.
    pub(crate) prompts: Option<Digest>,
    /// Of each resource, by its URI.
    pub(crate) resources: BTreeMap<String, Digest>,
}

impl Picture {
    /// What is different in a later picture.
    fn changed(&self, later: &Self) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.tools != later.tools {
            parts.push(Part::Tools);
        }
        if self.prompts != later.prompts {
            parts.push(Part::Prompts);
        }
        if !self.resources.keys().eq(later.resources.keys()) {
            parts.push(Part::Resources);
        }
        let updated = later.resources.iter().filter(|(uri, digest)| {
            // A new one is news of the list; one that a client subscribed before it was there is news too.
            self.resources.get(*uri) != Some(*digest)
        });
        let gone = self.resources.keys().filter(|uri| !later.resources.contains_key(*uri));
        parts.extend(updated.map(|(uri, _)| uri).chain(gone).cloned().map(Part::Resource));
        parts
    }
}

/// Where clients hear of changes.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    said: Arc<watch::Sender<Picture>>,
}

/// Takes the pictures; runs until it is stopped.
pub(crate) struct Looking<F> {
    take: F,
    said: Arc<watch::Sender<Picture>>,
}

/// Makes both ends: the one that clients follow, and the one that has to be run.
pub(crate) fn changes<F>(take: F) -> (Changes, Looking<F>)
where
    F: Fn() -> BoxFuture<'static, Option<Picture>>,
{
    let said = Arc::new(watch::Sender::new(Picture::default()));
    (Changes { said: Arc::clone(&said) }, Looking { take, said })
}

impl<F: Fn() -> BoxFuture<'static, Option<Picture>>> Looking<F> {
    /// Looks until it is stopped. Nobody listening, nothing is looked at.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            if self.said.receiver_count() > 0
                && let Some(picture) = (self.take)().await
            {
                self.said.send_if_modified(|said| {
                    let changed = *said != picture;
                    *said = picture;
                    changed
                });
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

impl Changes {
    /// Follows what changes from now on.
    pub(crate) fn follow(&self) -> Following {
        let picture = self.said.subscribe();
        let seen = picture.borrow().clone();
        Following { seen: (seen != Picture::default()).then_some(seen), picture }
    }
}

/// One client that follows.
pub(crate) struct Following {
    /// The last picture; absent until there is a first one, which is no news.
    seen: Option<Picture>,
    picture: watch::Receiver<Picture>,
}

impl Following {
    /// Waits for the next changes.
    pub(crate) async fn next(&mut self) -> Vec<Part> {
        loop {
            if self.picture.changed().await.is_err() {
                // Nobody looks any more: there will be no news.
                return std::future::pending().await;
            }
            let now = self.picture.borrow_and_update().clone();
            let before = self.seen.replace(now.clone());
            let parts = before.map(|before| before.changed(&now)).unwrap_or_default();
            if !parts.is_empty() {
                return parts;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(tools: &str, resources: &[(&str, &str)]) -> Picture {
        let resources = resources.iter().map(|(uri, text)| ((*uri).to_owned(), Digest::of(text))).collect();
        Picture { tools: Some(Digest::of(tools)), prompts: None, resources }
    }

    #[test]
    fn what_changed_is_named_once() {
        let before = picture("a", &[("s://1", "x"), ("s://2", "x")]);
        assert_eq!(before.changed(&before), []);
        assert_eq!(before.changed(&picture("b", &[("s://1", "x"), ("s://2", "x")])), [Part::Tools]);
        let edited = picture("a", &[("s://1", "y"), ("s://2", "x")]);
        assert_eq!(before.changed(&edited), [Part::Resource("s://1".into())]);
        let moved = picture("a", &[("s://1", "x"), ("s://3", "x")]);
        let expected = [Part::Resources, Part::Resource("s://3".into()), Part::Resource("s://2".into())];
        assert_eq!(before.changed(&moved), expected);
    }
}
