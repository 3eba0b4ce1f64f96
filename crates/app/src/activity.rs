//! What runs leave in the activity of their persona's home: that they started, how they ended and what that cost, and
//! what they handed to other personas.
//!
//! The journal is what counts; the activity is for people, and for what outlives the store. A persona without a home
//! leaves nothing, and no run fails because its activity cannot be written. Leaves out what was said: it is not sealed.

use std::path::PathBuf;

use masque_engine::{driver::Progress, state::State};
use masque_home::{
    home::activity::{Activity, ActivityLog},
    name::Name,
};
use masque_types::{
    actor::Actor,
    event::{Event, EventBody},
    id::RunId,
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::{App, Error, host::Host};

/// Writes down what one run does.
pub(crate) struct Recorder {
    /// Masque's home.
    directory: PathBuf,
    /// None for a name that no home can have.
    persona: Option<Name>,
    run: RunId,
}

impl App {
    /// What writes down a run that is about to be driven.
    ///
    /// # Errors
    /// When there is no such run.
    pub(crate) async fn recorder(&self, run: RunId, known: Option<&State>) -> Result<Recorder, Error> {
        let pinned = known.and_then(|state| state.persona.as_deref());
        Ok(match pinned {
            Some(persona) => Recorder::new(&self.host, &persona.name, run),
            None => Recorder::new(&self.host, &self.run(run).await?.persona, run),
        })
    }
}

impl Recorder {
    pub(crate) fn new(host: &Host, persona: &str, run: RunId) -> Self {
        Self { directory: host.home.clone(), persona: Name::of_persona(persona).ok(), run }
    }

    /// The run exists; it may come from another one.
    pub(crate) fn started(&self, at: Timestamp, by: &Actor, from: Option<(&str, RunId)>) {
        let mut detail = json!({ "run": self.run, "by": by.to_string() });
        if let (Some((relation, run)), Some(detail)) = (from, detail.as_object_mut()) {
            detail.insert(relation.to_owned(), json!(run));
        }
        self.record(at, "run.start", detail);
    }

    /// An observer that writes down what it sees, and tells another one.
    pub(crate) fn beside<'a>(
        &'a self,
        observe: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    ) -> impl Fn(Progress<'_>) + Send + Sync + 'a {
        move |progress| {
            self.saw(&progress);
            observe(progress);
        }
    }

    /// Something happened in the run; what happens in runs that it called is written down for their personas.
    pub(crate) fn saw(&self, progress: &Progress<'_>) {
        let Progress::Committed(events) = progress else { return };
        for Event { at, body, .. } in *events {
            if let Some((action, detail)) = self.worth_noting(body) {
                self.record(*at, action, detail);
            }
        }
    }

    fn worth_noting(&self, body: &EventBody) -> Option<(&'static str, Value)> {
        let run = self.run;
        Some(match body {
            EventBody::RunCompleted { spend, .. } => {
                ("run.end", json!({ "run": run, "status": "completed", "spend": spend }))
            }
            EventBody::RunFailed { reason, spend, .. } => {
                ("run.end", json!({ "run": run, "status": "failed", "reason": reason, "spend": spend }))
            }
            EventBody::RunCancelled { spend, .. } => {
                ("run.end", json!({ "run": run, "status": "cancelled", "spend": spend }))
            }
            EventBody::ChildStarted { child, persona, mode, .. } => {
                ("handoff.start", json!({ "run": run, "child": child, "persona": persona, "mode": mode }))
            }
            EventBody::ChildEnded { child, status, spend, .. } => {
                ("handoff.end", json!({ "run": run, "child": child, "status": status, "spend": spend }))
            }
            _ => return None,
        })
    }

    fn record(&self, at: Timestamp, action: &str, detail: Value) {
        let Some(log) = self.persona.as_ref().and_then(|name| ActivityLog::find(&self.directory, name)) else { return };
        if let Err(error) = log.record(&Activity { at, action: action.to_owned(), detail }) {
            let run = self.run;
            tracing::warn!(%run, %error, "what the run did is missing in the activity of its persona's home");
        }
    }
}

#[cfg(test)]
mod tests {
    use masque_home::home::Homes;
    use masque_types::{
        child::ChildMode,
        cost::{Limits, Spend},
        digest::Digest,
        event::BlobRef,
        run::RunStatus,
    };

    use super::*;
    use crate::clock;

    fn event(at: i64, body: EventBody) -> Event {
        Event { seq: 1, epoch: 1, at: Timestamp(at), body }
    }

    #[test]
    fn starts_ends_and_hand_offs_are_written_and_nothing_that_was_said() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::for_tests(root.path());
        let home = Homes::open(&host.home, None).unwrap().create(&Name::of_persona("ada").unwrap()).unwrap();
        let (run, child) = (clock::new_run_id(), clock::new_run_id());
        let recorder = Recorder::new(&host, "ada", run);
        recorder.started(Timestamp(1), &Actor::System, Some(("parent", child)));
        let package = BlobRef { digest: Digest::of("package"), bytes: 7 };
        let called = EventBody::ChildStarted {
            call_id: "1".into(),
            child,
            persona: "bob".into(),
            package,
            mode: ChildMode::Handoff,
            reserved: Limits::default(),
            deadline: None,
        };
        let ended = EventBody::ChildEnded { child, status: RunStatus::Failed, spend: Spend::default(), note: vec![] };
        let text = "canary".to_owned();
        let completed = EventBody::RunCompleted { text, output: None, spend: Spend { steps: 3, ..Spend::default() } };
        let errors = vec!["canary".to_owned()];
        let events = [called, EventBody::OutputRejected { errors }, ended, completed];
        let events: Vec<Event> = (2..).zip(events).map(|(at, body)| event(at, body)).collect();
        recorder.saw(&Progress::Child { run: child, persona: "bob", progress: &Progress::Committed(&events) });
        recorder.saw(&Progress::Committed(&events));

        let seen = home.activity().newest(9).unwrap();
        let actions: Vec<(i64, &str)> = seen.iter().map(|seen| (seen.at.0, seen.action.as_str())).collect();
        assert_eq!(actions, [(1, "run.start"), (2, "handoff.start"), (4, "handoff.end"), (5, "run.end")]);
        assert_eq!(seen[0].detail, json!({ "run": run, "by": "system", "parent": child }));
        assert_eq!(seen[1].detail, json!({ "run": run, "child": child, "persona": "bob", "mode": "handoff" }));
        assert_eq!(seen[3].detail["spend"]["steps"], 3);
        assert!(!serde_json::to_string(&seen).unwrap().contains("canary"));
    }

    #[test]
    fn a_home_that_is_missing_or_cannot_be_written_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::for_tests(root.path());
        let recorder = Recorder::new(&host, "ada", clock::new_run_id());
        recorder.started(Timestamp(1), &Actor::System, None);
        assert!(!host.home.exists(), "a run makes no home");
        fs_err::create_dir_all(host.home.join("personas/ada")).unwrap();
        // A file stands where the lock's directory would be.
        fs_err::write(host.home.join("versions"), "").unwrap();
        recorder.started(Timestamp(1), &Actor::System, None);
        assert!(!host.home.join("personas/ada/activity.jsonl").exists());
        Recorder::new(&host, "../ada", clock::new_run_id()).started(Timestamp(1), &Actor::System, None);
    }
}
