//! What happened at the border of one environment, in the audit log: which hosts programs reached, what they were
//! refused, where secrets went. Never a value.
//!
//! The first time of each kind is written at once, the number of times when the environment closes. The kinds that are
//! kept apart are bounded; what is beyond counts together.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use masque_egress::Event;
use masque_store::Store;
use masque_types::{actor::Actor, id::RunId};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{audit, clock::SystemClock};

/// Events that wait to be written; more are only counted.
const WAITING: usize = 1_024;
/// Kinds of events that are kept apart for one environment.
const MOST_KINDS: usize = 200;
/// Characters of a refused target: programs choose it.
const TARGET_CHARACTERS: usize = 200;

/// Characters of a reason, for the same cause.
const WHY_CHARACTERS: usize = 400;

/// Who writes the audit log for one environment.
pub(crate) struct Border {
    sender: mpsc::Sender<Told>,
    lost: Arc<AtomicU64>,
    writing: JoinSet<()>,
}

/// What the writer is told.
enum Told {
    Event(Event),
    /// Nothing more comes.
    End,
}

/// Where entries go, and in whose name.
pub(crate) struct Log {
    pub(crate) store: Store,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) run: RunId,
    pub(crate) persona: String,
}

/// One kind of event: action, target, detail.
type Kind = (&'static str, String, String);

impl Border {
    pub(crate) fn open(log: Log) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let mut writing = JoinSet::new();
        writing.spawn(write(log, receiver, Arc::clone(&lost)));
        Self { sender, lost, writing }
    }

    /// What the broker tells; never blocks.
    pub(crate) fn observer(&self) -> Arc<dyn Fn(Event) + Send + Sync> {
        let (sender, lost) = (self.sender.clone(), Arc::clone(&self.lost));
        Arc::new(move |event| {
            if sender.try_send(Told::Event(event)).is_err() {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// Writes the numbers and ends. What is told later is lost.
    pub(crate) async fn close(self) {
        let Self { sender, mut writing, .. } = self;
        // Fails when the writer broke down, and then there is nothing to wait for.
        let _ = sender.send(Told::End).await;
        while writing.join_next().await.is_some() {}
    }
}

async fn write(log: Log, mut events: mpsc::Receiver<Told>, lost: Arc<AtomicU64>) {
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    let mut beyond = 0_u64;
    while let Some(Told::Event(event)) = events.recv().await {
        let Some(kind) = kind(event) else { continue };
        if let Some(times) = kinds.get_mut(&kind) {
            *times += 1;
        } else if kinds.len() < MOST_KINDS {
            log.audit(kind.0, &kind.1, detail(&kind, None)).await;
            kinds.insert(kind, 1);
        } else {
            beyond += 1;
        }
    }
    for (kind, times) in kinds.into_iter().filter(|(_, times)| *times > 1) {
        log.audit(kind.0, &kind.1, detail(&kind, Some(times))).await;
    }
    let beyond = beyond + lost.load(Ordering::Relaxed);
    if beyond > 0 {
        log.audit("network.more", &log.persona, json!({ "times": beyond })).await;
    }
}

impl Log {
    async fn audit(&self, action: &str, target: &str, detail: Value) {
        let actor = Actor::Persona(self.persona.clone());
        let entry = audit::entry(self.clock.now(), &actor, action, Some(self.run), target, detail);
        if let Err(error) = self.store.audit(entry).await {
            tracing::warn!(%error, "what happened at the border could not be audited");
        }
    }
}

fn kind(event: Event) -> Option<Kind> {
    match event {
        Event::Connected { host, port, .. } => Some(("network.connect", format!("{host}:{port}"), String::new())),
        Event::Refused { what, why } => {
            let what: String = what.escape_debug().take(TARGET_CHARACTERS).collect();
            Some(("network.refuse", what, plain(&why.to_string())))
        }
        Event::SecretUsed { name, host } => Some(("secret.use", name, host)),
        Event::SecretScrubbed { host } => Some(("secret.scrub", host, String::new())),
        Event::Closed { .. } => None,
    }
}

/// A reason, which may hold what a program or a host said, bounded and without control characters.
fn plain(why: &str) -> String {
    let shown = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    why.chars().take(WHY_CHARACTERS).map(shown).collect()
}

fn detail((action, _, more): &Kind, times: Option<u64>) -> Value {
    let mut detail = serde_json::Map::new();
    if !more.is_empty() {
        let key = if *action == "secret.use" { "host" } else { "why" };
        detail.insert(key.to_owned(), more.clone().into());
    }
    if let Some(times) = times {
        detail.insert("times".to_owned(), times.into());
    }
    Value::Object(detail)
}

#[cfg(test)]
mod tests {
    use masque_egress::Refusal;

    use super::*;

    #[test]
    fn what_programs_say_is_bounded_and_harmless() {
        let why = Refusal::OtherName { asked: format!("\u{9b}2J{}", "x".repeat(100_000)) };
        let (_, what, why) = kind(Event::Refused { what: "\u{1b}[2J".repeat(1_000), why }).unwrap();
        assert_eq!((what.chars().count(), why.chars().count()), (TARGET_CHARACTERS, WHY_CHARACTERS));
        assert!(!what.chars().chain(why.chars()).any(char::is_control), "{why}");
    }
}
