//! What comes next, as a pure function of the state: the events to write and the actions that they announce.
//!
//! The order of the questions asked here is the order of the run: is it to be stopped, is its time over, are its
//! tools there, what becomes of the calls of the last answer, is that answer the final one, may another model call
//! be made.

use std::sync::Arc;

use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Question, Ruling},
    cost::{MicroUsd, Usage},
    digest::Digest,
    event::{EventBody, FailReason, Refusal, TurnFailure},
    id::ApprovalId,
    model::{FailureKind, FinishReason, ModelRequest},
    policy::Verdict,
    time::Timestamp,
    tool::{EffectClass, Invocation, Place, ToolSpec},
};
use serde_json::Value;

use crate::{
    calling, compaction, discovery,
    machine::Action,
    schema::Schemas,
    state::{CallState, OpenModelCall, Phase, State},
};

/// Calls of one answer that run beside each other at most.
const PARALLEL: usize = 8;
/// How often the same call may have the same result before it is refused.
const REPEATS_REFUSED: u32 = 3;
/// How often it may be refused or repeated before the run is given up.
const REPEATS_FATAL: u32 = 6;
/// Share of the context budget that a compaction aims at, in percent: room for some turns before the next one.
const COMPACT_TO_PERCENT: u64 = 60;

/// What comes next.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) events: Vec<EventBody>,
    pub(crate) actions: Vec<Action>,
}

impl Plan {
    fn event(event: EventBody) -> Self {
        Self { events: vec![event], actions: Vec::new() }
    }
}

/// Plans the next events and actions; both empty when the run waits for something under way or for a human.
pub(crate) fn plan(state: &State, schemas: &mut Schemas, now: Timestamp) -> Plan {
    let mut plan = next(state, schemas, now);
    if let [end] = plan.events.as_mut_slice()
        && let Some(first) = before_end(state, end)
    {
        *end = first;
    }
    plan
}

/// What has to be said before a run or a turn ends, one event at a time: what becomes of all that is open.
fn before_end(state: &State, end: &EventBody) -> Option<EventBody> {
    match end {
        EventBody::TurnEnded { .. } => {
            lost_work(state).or_else(|| closed_question(state)).or_else(|| calling::stopped(state, true))
        }
        EventBody::RunCompleted { .. } | EventBody::RunFailed { .. } | EventBody::RunCancelled { .. } => {
            lost_work(state).or_else(|| calling::stopped(state, false))
        }
        _ => None,
    }
}

fn next(state: &State, schemas: &mut Schemas, now: Timestamp) -> Plan {
    if let Some(end) = ending(state, now) {
        return Plan::event(end);
    }
    if state.turn_over {
        return Plan::default();
    }
    if state.tools.is_none() {
        return Plan { events: Vec::new(), actions: vec![Action::Activate] };
    }
    if !state.calls.is_empty() {
        return plan_calls(state, schemas, now);
    }
    if state.model_call.is_some() {
        return Plan::default();
    }
    if state.awaits_children() {
        return Plan::default();
    }
    if let Some(finish) = state.unjudged {
        return Plan::event(judge(state, schemas, finish));
    }
    plan_model_call(state)
}

/// What is under way when the run is stopped: the provider may bill the model call, and nobody knows whether the tool
/// call happens. One event at a time; none when nothing is under way any more.
fn lost_work(state: &State) -> Option<EventBody> {
    let unknown = |call: &&CallState| match call.phase {
        Phase::Running { effect, .. } => effect != EffectClass::Pure,
        Phase::Interrupted { .. } => true,
        // Announced by a worker that died, and not made again so far.
        Phase::Cleared => {
            call.attempts > 0 && state.tool(&call.call.tool).is_some_and(|tool| tool.effect == EffectClass::Keyed)
        }
        _ => false,
    };
    let in_doubt = |call: &CallState| EventBody::ToolCallInDoubt { call_id: call.call.id.clone() };
    lost_model_call(state).or_else(|| state.calls.iter().find(unknown).map(in_doubt))
}

/// A model call whose answer nobody will take stays counted at what was reserved for it.
pub(crate) fn lost_model_call(state: &State) -> Option<EventBody> {
    let OpenModelCall { step, reserved_tokens, reserved_micro_usd } = state.model_call.clone()?;
    let usage = Usage { input_tokens: reserved_tokens, ..Usage::default() };
    Some(EventBody::ModelCallLost { step, usage, micro_usd: reserved_micro_usd })
}

/// A question that nobody needs to answer any more when a turn ends. The end of the whole run closes its questions by
/// itself.
fn closed_question(state: &State) -> Option<EventBody> {
    let asked = state.questions().next()?;
    let answer = match asked.question {
        Question::InDoubt { .. } => Answer::Abort,
        _ => Answer::Deny { reason: Some("the turn was stopped".to_owned()) },
    };
    let (by, channel) = match &state.interrupted_by {
        Some(by) => (by.clone(), Channel::Cli),
        None => (Actor::System, Channel::Timeout),
    };
    Some(EventBody::ApprovalDecided { approval: asked.id, ruling: Ruling { answer, by, channel } })
}

/// The reasons to stop that do not depend on what is under way.
fn ending(state: &State, now: Timestamp) -> Option<EventBody> {
    if state.cancelled_by.is_some() {
        return Some(cancelled(state));
    }
    if state.finished_by.is_some() {
        return Some(EventBody::RunCompleted { text: state.last_text(), output: None, spend: state.spend });
    }
    if state.interrupted_by.is_some() {
        return Some(turn_ended(state, None));
    }
    if state.aborted {
        let message = "an interrupted call was given up: nobody knows whether it happened".to_owned();
        return Some(failed(state, FailReason::Aborted, message));
    }
    let wall = state.spec.limits.wall?;
    (state.active_since.is_some() && state.active_time(now) >= wall)
        .then(|| failed(state, FailReason::Limit, format!("the time limit of {} s is used up", wall.as_secs())))
}

fn cancelled(state: &State) -> EventBody {
    EventBody::RunCancelled { partial: state.last_text(), interrupted: interrupted(state), spend: state.spend }
}

fn turn_ended(state: &State, failure: Option<TurnFailure>) -> EventBody {
    EventBody::TurnEnded { text: state.turn_text(), failure, interrupted: interrupted(state) }
}

/// The calls that had begun and whose outcome nobody knows.
fn interrupted(state: &State) -> Vec<String> {
    let unknown = |call: &&CallState| match &call.phase {
        Phase::InDoubt { .. } => true,
        Phase::Asked(asked) => matches!(asked.question, Question::InDoubt { .. }),
        _ => false,
    };
    let name = |call: &CallState| format!("{} {}", call.call.tool, call.call.id);
    state.calls.iter().filter(unknown).map(name).collect()
}

/// The end of a run that cannot go on; of a conversation only the turn ends.
pub(crate) fn failed(state: &State, reason: FailReason, message: String) -> EventBody {
    if state.spec.conversation {
        return turn_ended(state, Some(TurnFailure { reason, message }));
    }
    EventBody::RunFailed { reason, message, partial: state.last_text(), spend: state.spend }
}

/// Announces a call and makes the action for it.
pub(crate) fn start(state: &State, call: &CallState, effect: EffectClass) -> (EventBody, Action) {
    let attempt = call.attempts + 1;
    let event = EventBody::ToolCallStarted { call_id: call.call.id.clone(), effect, attempt };
    (event, Action::CallTool { invocation: invocation(state, call, attempt), effect })
}

fn invocation(state: &State, call: &CallState, attempt: u32) -> Invocation {
    Invocation {
        run: state.run,
        idempotency_key: format!("{}:{}", state.run, call.call.id),
        call: call.call.clone(),
        attempt,
    }
}

/// Calls: refuse or ask all that need it at once, then start what may start.
fn plan_calls(state: &State, schemas: &mut Schemas, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if let Some(call) = state.calls.iter().find(|call| repeats(state, call) >= REPEATS_FATAL) {
        let message = format!("the model keeps repeating the same call of {}", call.call.tool);
        return Plan::event(failed(state, FailReason::Loop, message));
    }
    let mut running = state.calls.iter().filter(|call| matches!(call.phase, Phase::Running { .. })).count();
    let mut free = state.free_calls();
    for (place, call) in state.calls.iter().enumerate() {
        match &call.phase {
            Phase::Proposed => match examine(state, schemas, call, now) {
                Examined::Event(event) => plan.events.push(*event),
                Examined::Clear(_) if state.calls_persona(call) => resolve_if_free(state, place, &mut free, &mut plan),
                Examined::Clear(effect) => start_if_free(state, place, effect, &mut running, &mut plan),
            },
            Phase::Cleared if state.calls_persona(call) => resolve_if_free(state, place, &mut free, &mut plan),
            Phase::Cleared => {
                let effect = state.tool(&call.call.tool).map_or(EffectClass::Once, |tool| tool.effect);
                start_if_free(state, place, effect, &mut running, &mut plan);
            }
            Phase::Interrupted { .. } => plan.actions.push(Action::Probe(invocation(state, call, call.attempts))),
            Phase::InDoubt { since } => plan.events.push(ask_about_doubt(state, call, *since)),
            Phase::Asked(_) | Phase::Running { .. } | Phase::Child { .. } | Phase::Settled(_) => {}
        }
    }
    plan
}

fn resolve_if_free(state: &State, place: usize, free: &mut usize, plan: &mut Plan) {
    if *free == 0 || state.blocked(place) {
        return;
    }
    let Some(request) = state.calls.get(place).and_then(|call| calling::request(state, call)) else { return };
    *free -= 1;
    plan.actions.push(Action::ResolveChild(Box::new(request)));
}

fn start_if_free(state: &State, place: usize, effect: EffectClass, running: &mut usize, plan: &mut Plan) {
    let Some(call) = state.calls.get(place) else { return };
    if *running >= PARALLEL || state.blocked(place) {
        return;
    }
    *running += 1;
    let (event, action) = start(state, call, effect);
    plan.events.push(event);
    plan.actions.push(action);
}

enum Examined {
    Event(Box<EventBody>),
    Clear(EffectClass),
}

/// Looks at a proposed call: does the tool exist, do the arguments fit, is it a loop, what does the policy say.
fn examine(state: &State, schemas: &mut Schemas, call: &CallState, now: Timestamp) -> Examined {
    let refuse = |reason, message: String| {
        let call_id = call.call.id.clone();
        Examined::Event(Box::new(EventBody::ToolCallRefused { call_id, reason, message }))
    };
    let name = &call.call.tool;
    let Some(tool) = state.tool(name) else {
        return refuse(Refusal::UnknownTool, unknown_tool(state, name));
    };
    let problems = argument_problems(schemas, tool, &call.call.arguments);
    if !problems.is_empty() {
        let message = format!("The arguments of {name} do not fit its schema:\n{}", problems.join("\n"));
        return refuse(Refusal::BadArguments, message);
    }
    if repeats(state, call) >= REPEATS_REFUSED {
        let message = format!(
            "This exact call of {name} was made {REPEATS_REFUSED} times with the same result. Do something else or \
             finish with what you know."
        );
        return refuse(Refusal::Loop, message);
    }
    if tool.place == Place::Run
        && let Some(problem) = calling::refusal(state, call)
    {
        return refuse(Refusal::NotCallable, problem);
    }
    let decision = state.policy.decide_in(&state.spec.workspace, &call.call, tool.effect);
    match decision.verdict {
        Verdict::Deny => {
            let message = format!("{name} is not permitted ({}). Go on without it.", decision.reason);
            refuse(Refusal::Policy, message)
        }
        _ if tool.place == Place::Human => Examined::Event(Box::new(ask(state, call, input_question(call), now))),
        Verdict::Ask => {
            let (tool, arguments) = (name.clone(), call.call.arguments.clone());
            let question = Question::ToolCall { tool, arguments, reason: decision.reason };
            Examined::Event(Box::new(ask(state, call, question, now)))
        }
        Verdict::Allow => Examined::Clear(tool.effect),
    }
}

fn unknown_tool(state: &State, name: &str) -> String {
    let tools = state.tools.as_deref().unwrap_or_default();
    let names: Vec<&str> = discovery::shown(tools, &state.discovered).map(|tool| tool.name.as_str()).collect();
    let more = if discovery::is_active(tools) { "; tool.search finds more" } else { "" };
    format!("There is no tool `{name}`. Your tools: {}{more}", names.join(", "))
}

fn argument_problems(schemas: &mut Schemas, tool: &ToolSpec, arguments: &Value) -> Vec<String> {
    match arguments {
        Value::String(text) => vec![format!(
            "the arguments are not JSON: {}",
            serde_json::from_str::<Value>(text).err().map_or_else(|| "a text".to_owned(), |error| error.to_string())
        )],
        arguments => schemas.findings(&tool.name, &tool.input_schema, arguments),
    }
}

fn repeats(state: &State, call: &CallState) -> u32 {
    state.repeats.get(&call.call.digest()).map_or(0, |repeats| repeats.count)
}

fn input_question(call: &CallState) -> Question {
    let text = |name: &str| call.call.arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let choices = call.call.arguments.get("choices").and_then(Value::as_array).into_iter().flatten();
    let choices = choices.filter_map(Value::as_str).map(str::to_owned).collect();
    Question::Input { question: text("question"), choices }
}

fn ask(state: &State, call: &CallState, question: Question, now: Timestamp) -> EventBody {
    let digest = call_digest(state, call);
    // The number of the next event makes a second question about the same call another question.
    let id = Digest::of_parts([&digest.as_bytes()[..], &state.last_seq.to_be_bytes()]);
    EventBody::ApprovalRequested {
        approval: ApprovalId::derive(&id),
        call_id: call.call.id.clone(),
        question,
        digest,
        deadline: state.spec.approvals.deadline(now),
    }
}

/// A doubt has no deadline: no default would be safe.
fn ask_about_doubt(state: &State, call: &CallState, announced_at: Timestamp) -> EventBody {
    let (tool, arguments) = (call.call.tool.clone(), call.call.arguments.clone());
    let mut event = ask(state, call, Question::InDoubt { tool, arguments, announced_at }, announced_at);
    if let EventBody::ApprovalRequested { deadline, .. } = &mut event {
        *deadline = None;
    }
    event
}

/// What an answer is bound to: the run, the call, the tool and its exact arguments.
fn call_digest(state: &State, call: &CallState) -> Digest {
    let run = state.run.to_string();
    Digest::of_parts([run.as_bytes(), call.call.id.as_bytes(), call.call.digest().as_bytes()])
}

/// Judges an answer without calls: is it the result?
fn judge(state: &State, schemas: &mut Schemas, finish: FinishReason) -> EventBody {
    let text = if state.spec.conversation { state.turn_text() } else { state.last_text() };
    let incomplete = |why: &str| failed(state, FailReason::Incomplete, why.to_owned());
    match finish {
        FinishReason::Length => {
            return incomplete("the answer was cut off by the output limit: raise `max_output_tokens`");
        }
        FinishReason::ContentFilter => return incomplete("the provider's content filter stopped the answer"),
        FinishReason::Stop | FinishReason::ToolCalls => {}
    }
    if state.spec.conversation && !text.trim().is_empty() {
        return turn_ended(state, None);
    }
    let schema = state.persona.as_ref().and_then(|persona| persona.output_schema.as_ref());
    let Some(schema) = schema.filter(|_| !state.spec.conversation) else {
        if text.trim().is_empty() {
            return incomplete("the model answered nothing");
        }
        return EventBody::RunCompleted { text, output: None, spend: state.spend };
    };
    match structured(schemas, schema, &text) {
        Ok(output) => EventBody::RunCompleted { text, output: Some(output), spend: state.spend },
        Err(errors) if state.repairs == 0 => EventBody::OutputRejected { errors },
        Err(errors) => failed(
            state,
            FailReason::Output,
            format!("the answer does not satisfy the output schema, also after a repair: {}", errors.join("; ")),
        ),
    }
}

fn structured(schemas: &mut Schemas, schema: &Value, text: &str) -> Result<Value, Vec<String>> {
    let output: Value = serde_json::from_str(json_part(text))
        .map_err(|error| vec![format!("the answer is not one JSON value: {error}")])?;
    let findings = schemas.findings("output", schema, &output);
    if findings.is_empty() { Ok(output) } else { Err(findings) }
}

/// The content of the answer's first fenced block, or the whole answer.
fn json_part(text: &str) -> &str {
    let fenced = text.split_once("```").and_then(|(_, rest)| rest.split_once("```")).map(|(block, _)| block);
    let block = fenced.map_or(text, |block| block.strip_prefix("json").unwrap_or(block));
    block.trim()
}

/// The next model call, if the budget allows one; a compaction first, if the context asks for one.
fn plan_model_call(state: &State) -> Plan {
    if let Some((kind, message)) = &state.model_failure {
        let shorter = (*kind == FailureKind::ContextTooLong).then(|| shorten(state, state.context_tokens)).flatten();
        let give_up = || failed(state, FailReason::Model, format!("{}: {message}", kind.name()));
        return Plan::event(shorter.unwrap_or_else(give_up));
    }
    if state.context_tokens > state.context_limit
        && let Some(shorter) = shorten(state, state.context_limit)
    {
        return Plan::event(shorter);
    }
    match reserve(state) {
        Err(message) => Plan::event(failed(state, FailReason::Limit, message)),
        Ok((tokens, micro_usd)) => Plan {
            events: vec![EventBody::ModelCallStarted {
                step: state.step + 1,
                messages: u32::try_from(state.messages.len()).unwrap_or(u32::MAX),
                reserved_tokens: tokens,
                reserved_micro_usd: micro_usd,
            }],
            actions: vec![Action::CallModel(Box::new(request(state)))],
        },
    }
}

/// A compaction to a share of `limit`, if anything can be shortened.
fn shorten(state: &State, limit: u64) -> Option<EventBody> {
    let target = limit.saturating_mul(COMPACT_TO_PERCENT) / 100;
    let plan = compaction::plan(
        &state.messages,
        &state.spec.task,
        &state.decisions,
        &state.summary,
        state.context_tokens,
        target,
    )?;
    Some(EventBody::ContextCompacted {
        elided: plan.elided,
        dropped: plan.dropped,
        summary: plan.summary,
        tokens_before: state.context_tokens,
        tokens_after: plan.tokens_after,
    })
}

/// Reserves the largest cost of the next call, or says which limit it would pass.
fn reserve(state: &State) -> Result<(u64, MicroUsd), String> {
    let (limits, spend) = (&state.spec.limits, &state.spend);
    let answer = u64::from(state.route.max_output_tokens);
    let tokens = state.context_tokens.saturating_add(answer);
    let (held_tokens, held_money) = calling::held(state);
    let usage = Usage { input_tokens: state.context_tokens, output_tokens: answer, ..Usage::default() };
    let micro_usd = state.price.cost(&usage);
    if let Some(limit) = limits.steps.filter(|limit| spend.steps.saturating_sub(state.steps_before_turn) >= *limit) {
        return Err(format!("the limit of {limit} model calls is used up"));
    }
    if let Some(limit) =
        limits.tokens.filter(|limit| spend.usage.total().saturating_add(held_tokens).saturating_add(tokens) > *limit)
    {
        return Err(format!(
            "the next model call may take {tokens} tokens, {used} of {limit} are used",
            used = spend.usage.total()
        ));
    }
    let money = |limit: &MicroUsd| spend.micro_usd.0.saturating_add(held_money).saturating_add(micro_usd.0) > limit.0;
    if let Some(limit) = limits.micro_usd.filter(money) {
        return Err(format!("the next model call may cost {micro_usd}, {} of {limit} are spent", spend.micro_usd));
    }
    Ok((tokens, micro_usd))
}

/// The tools that the model sees: of a conversation those that its policy has now, and where it has to ask for tools
/// those that it asked for.
fn shown_tools(state: &State) -> Arc<[ToolSpec]> {
    let Some(tools) = &state.tools else { return Arc::from([]) };
    if !state.spec.conversation && !discovery::is_active(tools) {
        return Arc::clone(tools);
    }
    let has = |tool: &&ToolSpec| !state.spec.conversation || state.policy.has_tool(&tool.name, tool.effect);
    discovery::shown(tools, &state.discovered).filter(has).cloned().collect()
}

fn request(state: &State) -> ModelRequest {
    let persona = state.persona.as_ref();
    ModelRequest {
        run: state.run,
        step: state.step + 1,
        route: Arc::clone(&state.route),
        system: persona.map_or_else(|| Arc::from(""), |persona| persona.prompt.as_str().into()),
        messages: state.messages.clone(),
        tools: shown_tools(state),
        output_schema: persona
            .filter(|_| !state.spec.conversation)
            .and_then(|persona| persona.output_schema.clone())
            .map(Arc::new),
    }
}
