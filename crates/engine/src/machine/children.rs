//! What becomes of called runs: they are found, end, or take too long.

use masque_types::{
    child::{ChildMode, ChildStop, child_run},
    cost::Spend,
    digest::Digest,
    event::{BlobRef, EventBody, Refusal},
    id::RunId,
    message::Part,
    run::RunStatus,
    time::Timestamp,
    tool::ToolOutput,
};

use super::{Machine, Step};
use crate::{
    calling,
    children::Resolved,
    output::{self, Bounded},
    state::{CallState, ChildState, Phase},
};

/// How a called run ended.
pub(super) struct Ended {
    pub(super) status: RunStatus,
    pub(super) text: String,
    pub(super) problem: Option<String>,
}

impl Machine {
    /// Called runs whose time is over are told to stop; their calls fail at once.
    pub(super) fn late_children(&self, now: Timestamp) -> impl Iterator<Item = EventBody> {
        let late = move |child: &&ChildState| !child.stopping && child.deadline.is_some_and(|deadline| deadline <= now);
        self.state.children.iter().filter(late).flat_map(move |open| {
            let cancelled = EventBody::ChildCancelled { child: open.child, reason: ChildStop::Timeout };
            let told = self.waiting_call(open.child).map(|(call_id, since)| EventBody::ToolCallFinished {
                call_id,
                content: vec![Part::text(output::child_late(&open.persona))],
                is_error: true,
                whole: None,
                duration_ms: millis_between(since, now),
            });
            std::iter::once(cancelled).chain(told)
        })
    }

    /// The call that waits for a called run, and since when.
    fn waiting_call(&self, run: RunId) -> Option<(String, Timestamp)> {
        self.state.calls.iter().find_map(|call| match call.phase {
            Phase::Child { child, since, .. } if child == run => Some((call.call.id.clone(), since)),
            _ => None,
        })
    }

    pub(super) fn child_resolved(
        &mut self,
        call_id: String,
        resolved: Result<Resolved, String>,
        now: Timestamp,
        step: &mut Step,
    ) -> Vec<EventBody> {
        self.resolving.remove(&call_id);
        let open =
            |call: &&CallState| call.call.id == call_id && matches!(call.phase, Phase::Proposed | Phase::Cleared);
        let Some(call) = self.state.calls.iter().find(open) else { return Vec::new() };
        let Some(request) = calling::request(&self.state, call) else { return Vec::new() };
        let Resolved { budget, package, .. } = match resolved {
            Ok(resolved) => resolved,
            Err(message) => {
                return vec![EventBody::ToolCallRefused { call_id, reason: Refusal::NotCallable, message }];
            }
        };
        let child = child_run(self.state.run, &call_id, now);
        let persona = request.call.persona.clone();
        let mut events = vec![EventBody::ChildStarted {
            call_id: call_id.clone(),
            child,
            persona: persona.clone(),
            package: BlobRef { digest: Digest::of(&package), bytes: package.len() as u64 },
            mode: request.mode,
            reserved: calling::reserved(&self.state, request.mode, budget),
            deadline: request.call.deadline(now),
        }];
        step.blobs.push(package);
        if request.mode == ChildMode::Async {
            events.push(EventBody::ToolCallFinished {
                call_id,
                content: vec![Part::text(output::child_started(&persona, child))],
                is_error: false,
                whole: None,
                duration_ms: 0,
            });
        }
        events
    }

    /// The one end of a called run: its spend counts, and whoever waits for its result gets it.
    pub(super) fn child_ended(
        &self,
        child: RunId,
        ended: Ended,
        spend: Spend,
        now: Timestamp,
        step: &mut Step,
    ) -> Vec<EventBody> {
        let Some(open) = self.state.children.iter().find(|open| open.child == child) else { return Vec::new() };
        let status = ended.status;
        let text = output::child_result(&open.persona, status, &ended.text, ended.problem.as_deref());
        if open.mode == ChildMode::Async {
            let text = output::child_note(&open.persona, child, &text);
            let Bounded { content: note, whole, .. } = output::bounded(ToolOutput::text(text));
            step.blobs.extend(whole.map(|(_, bytes)| bytes));
            return vec![EventBody::ChildEnded { child, status, spend, note }];
        }
        let mut events = vec![EventBody::ChildEnded { child, status, spend, note: Vec::new() }];
        let Some((call_id, since)) = self.waiting_call(child) else { return events };
        let is_error = status != RunStatus::Completed;
        let Bounded { content, whole, .. } = match open.mode {
            // It becomes the run's own result, which is whole.
            ChildMode::Handoff => Bounded { content: vec![Part::text(text)], is_error, whole: None },
            _ => output::bounded(ToolOutput { content: vec![Part::text(text)], is_error }),
        };
        let whole = whole.map(|(reference, bytes)| {
            step.blobs.push(bytes);
            reference
        });
        let duration_ms = millis_between(since, now);
        events.push(EventBody::ToolCallFinished { call_id, content, is_error, whole, duration_ms });
        events
    }
}

fn millis_between(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
}
