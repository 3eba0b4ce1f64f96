//! Branching a run off: the fork reads its parent's beginning, copies nothing, and makes nothing of it happen again.

use std::collections::HashMap;

use masque_engine::state::State;
use masque_store::NewRun;
use masque_types::{
    actor::Actor,
    event::{Event, EventBody},
    id::{RunId, Seq},
    message::{Part, ToolCall},
    model::{ModelRef, Route},
    run::RunStatus,
    tool::EffectClass,
};
use serde_json::json;

use crate::{App, Error, activity::Recorder, audit, clock};

/// Events before the branch that are read at first; further back only while no model's answer is among them.
const WINDOW: Seq = 64;

/// Where to branch a run off, and how it goes on.
#[derive(Debug, Clone, Default)]
pub struct Fork {
    /// The last event of the parent that belongs to the fork too; its last event when absent.
    pub at: Option<Seq>,
    /// What is added to the conversation.
    pub instruction: Vec<Part>,
    /// The models to ask from there on.
    pub models: Vec<ModelRef>,
}

/// A run that was branched off.
#[derive(Debug, Clone)]
pub struct Forked {
    /// The new run.
    pub run: RunId,
    /// The parent's last event that belongs to it too.
    pub at: Seq,
    /// What the parent did after that event and what stays done: tool and call.
    pub effects_after: Vec<(String, String)>,
}

impl App {
    /// Branches a run off. Nothing is copied, and nothing of the parent runs again.
    ///
    /// # Errors
    /// When there is no such event, or nothing would be left to do.
    pub async fn fork(&self, actor: &Actor, parent: RunId, fork: Fork) -> Result<Forked, Error> {
        let summary = self.run(parent).await?;
        let at = fork.at.unwrap_or(summary.last_seq);
        if at < 2 || at > summary.last_seq {
            return Err(Error::usage(format!("{parent} has no event {at} to fork at"))
                .hint(format!("events 2 to {}: masque runs show {parent}", summary.last_seq)));
        }
        let events = self.events_around(parent, at).await?;
        let (before, after) = events.split_at(events.partition_point(|event| event.seq <= at));
        let instructed = !fork.instruction.is_empty();
        if is_finished(before) && !instructed && !summary.conversation {
            return Err(Error::usage(format!("nothing is left to do in {parent} after event {at}"))
                .hint("add an instruction with -p, or fork at an earlier event with --at"));
        }
        let effects_after = effects(before, after);
        let run = clock::new_run_id();
        let now = before.last().map_or(self.now(), |last| self.now().max(last.at));
        let body = EventBody::Forked {
            parent,
            parent_seq: at,
            effects_after: effects_after.clone(),
            instruction: fork.instruction,
            route: self.forked_route(parent, fork.models).await?,
        };
        let entry = audit::entry(now, actor, "run.fork", Some(run), parent, json!({ "at": at }));
        let recorder = Recorder::new(&self.host, &summary.persona, run);
        self.store
            .create_run(NewRun {
                id: run,
                persona: summary.persona,
                title: summary.title,
                sandbox: summary.sandbox,
                created_at: now,
                status: if waits_for_words(before) && !instructed { RunStatus::Waiting } else { RunStatus::Running },
                events: vec![Event { seq: at + 1, epoch: 0, at: now, body }],
                forked_from: Some((parent, at)),
                parent: None,
                conversation: summary.conversation,
                job: None,
                audit: vec![entry],
            })
            .await?;
        recorder.started(now, actor, Some(("forked_from", parent)));
        Ok(Forked { run, at, effects_after })
    }

    /// The journal from the model's answer before an event on: all that a fork there has to know.
    async fn events_around(&self, parent: RunId, at: Seq) -> Result<Vec<Event>, Error> {
        let mut window = WINDOW;
        loop {
            let after = at.saturating_sub(window);
            let events = self.store.journal(parent, after).await?;
            let answered = |event: &Event| event.seq <= at && is_answer(event);
            if after == 0 || events.iter().any(answered) {
                return Ok(events);
            }
            window = window.saturating_mul(8);
        }
    }

    /// The parent's route with other models; absent when it stays as it is.
    async fn forked_route(&self, parent: RunId, mut models: Vec<ModelRef>) -> Result<Option<Route>, Error> {
        if models.is_empty() {
            return Ok(None);
        }
        self.make_absolute(&mut models);
        let state = State::fold(parent, &self.store.journal(parent, 0).await?)?;
        Ok(Some(Route { models, ..(*state.route).clone() }))
    }
}

/// Whether a conversation stands between two turns there.
fn waits_for_words(before: &[Event]) -> bool {
    let decisive = before.iter().rev().find_map(|event| match &event.body {
        EventBody::TurnEnded { .. } => Some(true),
        EventBody::UserSaid { .. } | EventBody::ModelCallFinished { .. } => Some(false),
        _ => None,
    });
    decisive.unwrap_or(false)
}

const fn is_answer(event: &Event) -> bool {
    matches!(event.body, EventBody::ModelCallFinished { .. })
}

/// Whether the last answer was the final one, and nobody wanted more of it.
fn is_finished(before: &[Event]) -> bool {
    let decisive = before.iter().rev().find_map(|event| match &event.body {
        EventBody::ModelCallFinished { message, .. } => Some(message.calls.is_empty()),
        EventBody::OutputRejected { .. } => Some(false),
        EventBody::Forked { instruction, .. } if !instruction.is_empty() => Some(false),
        _ => None,
    });
    decisive.unwrap_or(false)
}

/// What changed the world after the branch: every call that began and is not pure, by tool and call.
fn effects(before: &[Event], after: &[Event]) -> Vec<(String, String)> {
    let name = |call: &ToolCall| (call.id.clone(), call.tool.clone());
    let tools: HashMap<String, String> =
        before.iter().chain(after).flat_map(|event| event.body.calls()).map(name).collect();
    let begun = after.iter().filter_map(|event| match &event.body {
        EventBody::ToolCallStarted { call_id, effect, .. } if *effect != EffectClass::Pure => Some(call_id),
        // What a called run did stays done.
        EventBody::ChildStarted { call_id, .. } => Some(call_id),
        _ => None,
    });
    begun.map(|call_id| (tools.get(call_id).cloned().unwrap_or_default(), call_id.clone())).collect()
}
