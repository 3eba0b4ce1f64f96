//! What is stored or told beside a run's events: questions, audit entries, commands for other runs; and what its
//! environment is set up for.

use std::sync::Arc;

use masque_store::{NewAudit, Sent};
use masque_types::{
    actor::Actor,
    approval::Approval,
    digest::Digest,
    event::{Event, EventBody},
    id::{CommandId, RunId},
    policy::Mode,
    run::{Command, RunSpec},
};
use serde_json::json;

use crate::state::{Phase, State};

/// What an environment is set up for. A conversation may leave the mode `plan`, so its tools are there from the start;
/// which of them may be called now is decided at each call.
pub(super) fn activated(state: &State) -> Arc<RunSpec> {
    if !state.spec.conversation || state.spec.policy.mode != Mode::Plan {
        return Arc::clone(&state.spec);
    }
    let mut spec = (*state.spec).clone();
    spec.policy.mode = Mode::Default;
    Arc::new(spec)
}

/// What other runs are told with an event: that the caller gave them up, or that a called run ended.
pub(super) fn sent(state: &State, event: &Event) -> Option<Sent> {
    let id = |what: &str, child: RunId| {
        CommandId::derive(&Digest::of_parts([what.as_bytes(), child.to_string().as_bytes()]))
    };
    let (text, problem, spend) = match &event.body {
        EventBody::ChildCancelled { child, .. } => {
            let command = Command::Cancel { by: actor(state) };
            return Some(Sent { id: id("cancel", *child), run: *child, command });
        }
        EventBody::RunCompleted { text, output, spend } => {
            (output.as_ref().map_or_else(|| text.clone(), ToString::to_string), None, spend)
        }
        EventBody::RunFailed { message, partial, spend, .. } => (partial.clone(), Some(message.clone()), spend),
        EventBody::RunCancelled { partial, spend, .. } => (partial.clone(), None, spend),
        _ => return None,
    };
    state.called.as_ref()?;
    let (run, child) = (state.spec.parent?, state.run);
    let command = Command::ChildEnded { child, status: state.status(), text, problem, spend: *spend };
    Some(Sent { id: id("child ended", child), run, command })
}

/// The persona as somebody who acts.
fn actor(state: &State) -> Actor {
    state.persona.as_ref().map_or(Actor::System, |persona| Actor::Persona(persona.name.clone()))
}

pub(super) fn asked(state: &State, event: &Event) -> Option<Approval> {
    let EventBody::ApprovalRequested { approval, .. } = &event.body else { return None };
    let asked = |phase: &Phase| match phase {
        Phase::Asked(asked) if asked.id == *approval => Some((**asked).clone()),
        _ => None,
    };
    state.calls.iter().find_map(|call| asked(&call.phase))
}

/// What of a journal belongs into the audit log: what people decided, what was refused, how it ended.
pub(super) fn audited(state: &State, event: &Event) -> Option<NewAudit> {
    let persona = actor(state);
    let (actor, action, target, detail) = match &event.body {
        EventBody::ApprovalDecided { approval, ruling } => {
            (ruling.by.clone(), "approval.decided", approval.to_string(), json!({ "answer": ruling.answer.name() }))
        }
        EventBody::ToolCallRefused { call_id, reason, .. } => {
            (persona, "tool.refused", call_id.clone(), json!({ "reason": reason }))
        }
        EventBody::ChildStarted { call_id, child, persona: called, .. } => {
            (persona, "run.call", child.to_string(), json!({ "persona": called, "call": call_id }))
        }
        EventBody::ToolCallInDoubt { call_id } => (Actor::System, "tool.in_doubt", call_id.clone(), json!({})),
        EventBody::CancelRequested { by } => (by.clone(), "run.cancel", state.run.to_string(), json!({})),
        EventBody::FinishRequested { by } => (by.clone(), "run.finish", state.run.to_string(), json!({})),
        EventBody::PolicyChanged { mode, narrow, by } => {
            let detail = json!({ "mode": mode, "narrow": narrow });
            (by.clone(), "run.policy", state.run.to_string(), detail)
        }
        EventBody::RunCompleted { spend, .. }
        | EventBody::RunFailed { spend, .. }
        | EventBody::RunCancelled { spend, .. } => {
            let detail = json!({ "status": state.status(), "spend": spend });
            (persona, "run.ended", state.run.to_string(), detail)
        }
        _ => return None,
    };
    Some(NewAudit { at: event.at, actor, action: action.to_owned(), run: Some(state.run), target, detail })
}
