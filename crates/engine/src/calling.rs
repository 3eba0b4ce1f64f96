//! Calls of other personas, as pure decisions: may this one be made, what is reserved for it, what goes with it, and
//! what becomes of called runs when the caller ends.

use masque_types::{
    child::{self, AgentCall, Ancestor, CallMode, ChildMode, ChildStop, DEFAULT_DEPTH, HistoryShare},
    cost::{Limits, MicroUsd},
    event::EventBody,
    message::Message,
    policy::is_among,
};

use crate::{
    children::{Caller, ChildRequest, StartChild},
    compaction,
    state::{CallState, ChildState, Phase, State},
};

/// Why a call cannot be made, whatever the policy says; for the model.
pub(crate) fn refusal(state: &State, call: &CallState) -> Option<String> {
    let arguments = match read(call) {
        Ok(arguments) => arguments,
        Err(error) => return Some(format!("The arguments cannot be used: {error}.")),
    };
    if let Some(problem) = arguments.problem() {
        return Some(format!("The arguments cannot be used: {problem}."));
    }
    let (caller, name) = (caller(state)?, &arguments.persona);
    let delegate = &caller.persona.delegate;
    if !is_among(&delegate.to, name) {
        let may = if delegate.to.is_empty() { "nobody".to_owned() } else { delegate.to.join(", ") };
        return Some(format!("`{name}` cannot be called: this persona may call {may}."));
    }
    if caller.lineage.iter().any(|ancestor| ancestor.persona == *name) {
        return Some(format!("`{name}` waits for this answer already: a persona cannot be called in a circle."));
    }
    if allowed_depth(state) == 0 {
        return Some(format!("`{name}` cannot be called: no further generation of calls is allowed here."));
    }
    if arguments.history != HistoryShare::None && !delegate.history {
        return Some("This conversation does not leave this persona: put what is needed into the task.".to_owned());
    }
    let Limits { tokens, micro_usd, .. } = share(state, mode(call, &arguments));
    if tokens == Some(0) || micro_usd == Some(MicroUsd(0)) {
        return Some(format!("`{name}` cannot be called: nothing of the budget is left for it."));
    }
    None
}

fn read(call: &CallState) -> Result<AgentCall, serde_json::Error> {
    serde_json::from_value(call.call.arguments.clone())
}

fn mode(call: &CallState, arguments: &AgentCall) -> ChildMode {
    match arguments.mode {
        _ if call.call.tool == child::HANDOFF => ChildMode::Handoff,
        CallMode::Blocking => ChildMode::Blocking,
        CallMode::Async => ChildMode::Async,
    }
}

/// How many generations may still come, as the file and the callers say.
fn allowed_depth(state: &State) -> u32 {
    let own = state.persona.as_ref().and_then(|persona| persona.delegate.depth).unwrap_or(DEFAULT_DEPTH);
    state.called.as_ref().map_or(own, |called| own.min(called.depth_left))
}

/// This run as a caller; absent before its persona is known.
pub(crate) fn caller(state: &State) -> Option<Caller> {
    let persona = state.persona.clone()?;
    let mut lineage = state.called.as_ref().map(|called| called.lineage.clone()).unwrap_or_default();
    lineage.push(Ancestor { run: state.run, persona: persona.name.clone(), digest: persona.digest });
    Some(Caller {
        run: state.run,
        spec: state.spec.clone(),
        persona,
        policy: state.policy.clone(),
        lineage,
        depth_left: allowed_depth(state).saturating_sub(1),
    })
}

/// What is asked of another persona.
pub(crate) fn request(state: &State, call: &CallState) -> Option<ChildRequest> {
    let arguments = read(call).ok()?;
    // The answer that makes the call is not part of what happened before it.
    let before = state.messages.get(..state.messages.len().saturating_sub(1)).unwrap_or_default();
    let history = match arguments.history {
        HistoryShare::None => Vec::new(),
        HistoryShare::Summary => vec![Message::user(compaction::summary(before, &state.decisions, &state.summary))],
        HistoryShare::Recent => before.iter().map(|message| (**message).clone()).collect(),
    };
    Some(ChildRequest { call_id: call.call.id.clone(), mode: mode(call, &arguments), call: arguments, history })
}

/// Tokens and money that are reserved for called runs.
pub(crate) fn held(state: &State) -> (u64, u64) {
    state.children.iter().fold((0, 0), |(tokens, money), ChildState { reserved, .. }| {
        let its = reserved.micro_usd.unwrap_or_default().0;
        (tokens.saturating_add(reserved.tokens.unwrap_or(0)), money.saturating_add(its))
    })
}

/// What a called run may use of what is left: an equal part for each call that waits to be made, and for the caller
/// itself when it goes on meanwhile. Model calls and time are limited run by run.
fn share(state: &State, mode: ChildMode) -> Limits {
    let waiting = |call: &&CallState| {
        matches!(call.phase, Phase::Proposed | Phase::Asked(_) | Phase::Cleared) && state.calls_persona(call)
    };
    let waiting = state.calls.iter().filter(waiting).count().max(1) as u64;
    let parts = waiting + u64::from(mode == ChildMode::Async);
    let (tokens, money) = held(state);
    let (limits, spend) = (&state.spec.limits, &state.spend);
    let left = |limit: u64, used: u64, held: u64| limit.saturating_sub(used).saturating_sub(held) / parts;
    Limits {
        tokens: limits.tokens.map(|limit| left(limit, spend.usage.total(), tokens)),
        micro_usd: limits.micro_usd.map(|limit| MicroUsd(left(limit.0, spend.micro_usd.0, money))),
        ..Limits::default()
    }
}

/// What is reserved for a call of a persona with that budget.
pub(crate) fn reserved(state: &State, mode: ChildMode, budget: Limits) -> Limits {
    let Limits { tokens, micro_usd, .. } = share(state, mode);
    // A limit that only the persona's file sets is the called run's own affair.
    Limits {
        tokens: tokens.map(|left| budget.tokens.map_or(left, |own| own.min(left))),
        micro_usd: micro_usd.map(|left| budget.micro_usd.map_or(left, |own| own.min(left))),
        ..Limits::default()
    }
}

/// What is needed to make sure that a called run exists.
pub(crate) fn start(child: &ChildState) -> StartChild {
    StartChild {
        child: child.child,
        call_id: child.call_id.clone(),
        persona: child.persona.clone(),
        package: child.package,
        reserved: child.reserved,
    }
}

/// A called run that has to stop before this run ends, or before its turn does: then only one whose call waits.
pub(crate) fn stopped(state: &State, turn_only: bool) -> Option<EventBody> {
    let open = |child: &&ChildState| !(child.stopping || turn_only && child.mode == ChildMode::Async);
    let child = state.children.iter().find(open)?.child;
    Some(EventBody::ChildCancelled { child, reason: ChildStop::Caller })
}
