//! Taking events into a state: what each one changes. Leaves out deciding what comes next.

use std::{sync::Arc, time::Duration};

use masque_types::{
    actor::Actor,
    approval::{Answer, Approval, Question, Ruling},
    child::ChildMode,
    cost::{MicroUsd, Spend, Usage},
    digest::Digest,
    event::{Event, EventBody, Refusal},
    id::ApprovalId,
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage},
    model::{FinishReason, Route},
    persona::Persona,
    policy::{Mode, Rule},
    run::{ModelChoice, RunStatus},
    time::Timestamp,
    tool::{EffectClass, ToolSpec},
};

use super::{CallState, ChildState, OpenModelCall, Outcome, Phase, Repeats, State};
use crate::{compaction, discovery, output};

impl State {
    /// Takes one event into the state.
    pub fn apply(&mut self, event: &Event) {
        self.last_seq = event.seq;
        self.last_at = event.at;
        self.apply_body(event);
        self.absorb_settled_calls();
        self.count_active_time(event.at);
    }

    fn apply_body(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunCreated { .. } => {}
            EventBody::PersonaPinned { persona } => self.pin_persona(persona),
            EventBody::ToolsPinned { tools } => self.pin_tools(tools),
            EventBody::Forked { instruction, route, .. } => self.fork(instruction, route.as_ref()),
            EventBody::Recovered { .. } => self.recover(),
            EventBody::ModelCallStarted { step, reserved_tokens, reserved_micro_usd, .. } => {
                self.model_failure = None;
                self.model_call = Some(OpenModelCall {
                    step: *step,
                    reserved_tokens: *reserved_tokens,
                    reserved_micro_usd: *reserved_micro_usd,
                });
            }
            EventBody::ModelCallFinished { step, message, finish, receipt } => {
                self.step = *step;
                self.end_model_call(receipt.usage, receipt.micro_usd.unwrap_or_default());
                self.take_answer(message, *finish);
            }
            EventBody::ModelCallFailed { failure, receipt, .. } => {
                self.end_model_call(receipt.usage, receipt.micro_usd.unwrap_or_default());
                self.model_failure = Some((failure.kind, failure.message.clone()));
            }
            EventBody::ModelCallLost { usage, micro_usd, .. } => self.end_model_call(*usage, *micro_usd),
            EventBody::ToolCallStarted { call_id, effect, attempt } => {
                let running = Phase::Running { effect: *effect, since: event.at };
                self.with_call(call_id, |call| (call.phase, call.attempts) = (running, *attempt));
            }
            EventBody::ToolCallFinished { call_id, content, is_error, .. } => {
                self.count_repeat(call_id, content);
                self.take_handoff(call_id, content, *is_error);
                if !is_error {
                    self.take_described(call_id);
                }
                self.settle(call_id, content.clone(), *is_error);
            }
            EventBody::ToolCallRefused { call_id, message, reason } => {
                let content = vec![Part::text(message)];
                if *reason == Refusal::Loop {
                    self.count_loop(call_id);
                } else {
                    self.count_repeat(call_id, &content);
                }
                self.settle(call_id, content, true);
            }
            EventBody::ToolCallInDoubt { call_id } => self.with_call(call_id, |call| {
                let since = match call.phase {
                    Phase::Running { since, .. } | Phase::Interrupted { since } => since,
                    Phase::Cleared => event.at,
                    _ => return,
                };
                call.phase = Phase::InDoubt { since };
            }),
            EventBody::ApprovalRequested { approval, call_id, question, digest, deadline } => {
                let asked = Approval {
                    id: *approval,
                    run: self.run,
                    call_id: call_id.clone(),
                    question: question.clone(),
                    digest: *digest,
                    asked_at: event.at,
                    deadline: *deadline,
                    ruling: None,
                };
                self.with_call(call_id, |call| call.phase = Phase::Asked(Box::new(asked)));
            }
            EventBody::ApprovalDecided { approval, ruling } => self.rule(*approval, ruling),
            EventBody::ContextCompacted { elided, dropped, summary, tokens_after, .. } => {
                self.summary.clone_from(summary);
                compaction::apply(&mut self.messages, &self.spec.task, *elided, *dropped, summary);
                self.context_tokens = *tokens_after;
                self.model_failure = None;
            }
            EventBody::OutputRejected { errors } => {
                self.repairs += 1;
                self.unjudged = None;
                self.say(Message::user(output::repair_request(errors)));
            }
            EventBody::CancelRequested { by } => self.cancelled_by = Some(by.clone()),
            EventBody::RunCompleted { text, output, .. } => {
                self.outcome = Some(Outcome::Completed { text: text.clone(), output: output.clone() });
            }
            EventBody::RunFailed { reason, message, partial, .. } => {
                self.outcome =
                    Some(Outcome::Failed { reason: *reason, message: message.clone(), partial: partial.clone() });
            }
            EventBody::RunCancelled { partial, interrupted, .. } => {
                self.outcome = Some(Outcome::Cancelled { partial: partial.clone(), interrupted: interrupted.clone() });
            }
            _ => self.apply_exchange(event),
        }
    }

    /// What is exchanged with a person and with other runs.
    fn apply_exchange(&mut self, event: &Event) {
        match &event.body {
            EventBody::ChildStarted { call_id, child, persona, package, mode, reserved, deadline } => {
                let called = ChildState {
                    child: *child,
                    call_id: call_id.clone(),
                    persona: persona.clone(),
                    package: *package,
                    mode: *mode,
                    reserved: *reserved,
                    deadline: *deadline,
                    stopping: false,
                };
                self.children.push(called);
                if *mode != ChildMode::Async {
                    let handoff = *mode == ChildMode::Handoff;
                    let phase = Phase::Child { child: *child, handoff, since: event.at };
                    self.with_call(call_id, |call| call.phase = phase);
                }
            }
            EventBody::ChildCancelled { child, .. } => {
                let stopped = self.children.iter_mut().filter(|open| open.child == *child);
                stopped.for_each(|open| open.stopping = true);
            }
            EventBody::ChildEnded { child, spend, note, .. } => {
                self.children.retain(|open| open.child != *child);
                self.spend.usage += spend.usage;
                self.spend.micro_usd = MicroUsd(self.spend.micro_usd.0.saturating_add(spend.micro_usd.0));
                self.queued.extend_from_slice(note);
            }
            EventBody::TurnEnded { .. } => self.end_turn(),
            EventBody::UserSaid { parts, model, .. } => self.hear(parts, model.as_deref()),
            EventBody::InterruptRequested { by, partial } => self.interrupt(by, partial),
            EventBody::FinishRequested { by } => self.finished_by = Some(by.clone()),
            EventBody::PolicyChanged { mode, narrow, .. } => self.change_policy(*mode, narrow),
            _ => {}
        }
    }

    fn pin_persona(&mut self, persona: &Persona) {
        self.context_tokens += (persona.prompt.len() as u64).div_ceil(4);
        self.persona = Some(Arc::new(persona.clone()));
    }

    fn pin_tools(&mut self, tools: &[ToolSpec]) {
        let shown = tools.iter().filter(|tool| discovery::is_core(tools, tool));
        self.context_tokens += shown.map(discovery::weight).sum::<u64>().div_ceil(4);
        self.tools = Some(tools.into());
    }

    /// A fork starts its own account, asks its own questions, and treats work that was under way as interrupted.
    fn fork(&mut self, instruction: &[Part], route: Option<&Route>) {
        self.spend = Spend::default();
        self.model_call = None;
        self.model_failure = None;
        // What the parent called answers to the parent.
        self.children.clear();
        self.called = None;
        self.steps_before_turn = 0;
        self.interrupted_by = None;
        self.finished_by = None;
        self.cancelled_by = None;
        self.turn_over &= instruction.is_empty();
        self.outcome = None;
        self.active = Duration::ZERO;
        self.active_since = (!self.turn_over).then_some(self.last_at);
        for call in &mut self.calls {
            call.phase = match &call.phase {
                Phase::Asked(approval) => match approval.question {
                    Question::InDoubt { announced_at, .. } => Phase::InDoubt { since: announced_at },
                    _ => Phase::Proposed,
                },
                Phase::Child { since, .. } => Phase::InDoubt { since: *since },
                _ => continue,
            };
        }
        if let Some(route) = route {
            self.route = Arc::new(route.clone());
        }
        if !instruction.is_empty() {
            self.unjudged = None;
            self.queued.extend_from_slice(instruction);
        }
    }

    /// Calls that are not settled are given up: the next turn begins without them.
    fn end_turn(&mut self) {
        self.turn_over = true;
        self.interrupted_by = None;
        self.aborted = false;
        self.model_failure = None;
        self.unjudged = None;
        self.repairs = 0;
        self.repeats.clear();
        self.handed_off = None;
        for call in &mut self.calls {
            let text = match &call.phase {
                Phase::Settled(_) => continue,
                Phase::InDoubt { .. } | Phase::Child { .. } => output::GIVEN_UP_UNKNOWN,
                _ => output::GIVEN_UP,
            };
            call.phase = Phase::Settled(ToolMessage {
                call_id: call.call.id.clone(),
                tool: call.call.tool.clone(),
                content: vec![Part::text(text)],
                is_error: true,
            });
        }
    }

    /// The person's words begin a turn, or join the one that is under way.
    fn hear(&mut self, parts: &[Part], model: Option<&ModelChoice>) {
        if let Some(ModelChoice { route, price, context_tokens }) = model {
            self.route = Arc::new(route.clone());
            self.price = *price;
            self.context_limit = *context_tokens;
        }
        self.queued.extend_from_slice(parts);
        if self.turn_over {
            self.turn_over = false;
            self.steps_before_turn = self.spend.steps;
            self.active = Duration::ZERO;
        }
    }

    /// What the model had said so far stays in the conversation.
    fn interrupt(&mut self, by: &Actor, partial: &str) {
        self.interrupted_by = Some(by.clone());
        if self.model_call.is_some() && !partial.trim().is_empty() {
            let text = partial.to_owned();
            self.say(Message::Assistant(AssistantMessage { text, ..AssistantMessage::default() }));
        }
    }

    fn change_policy(&mut self, mode: Option<Mode>, narrow: &[Rule]) {
        let mut policy = (*self.policy).clone();
        policy.mode = mode.unwrap_or(policy.mode);
        narrow.iter().cloned().for_each(|rule| policy.narrow(rule));
        self.policy = Arc::new(policy);
    }

    /// What was announced and not confirmed is sorted by what a crash means for it.
    fn recover(&mut self) {
        for call in &mut self.calls {
            if let Phase::Running { effect, since } = call.phase {
                call.phase = match effect {
                    EffectClass::Pure | EffectClass::Keyed => Phase::Cleared,
                    EffectClass::Probe => Phase::Interrupted { since },
                    // The event `tool_call_in_doubt` follows.
                    EffectClass::Once => Phase::Running { effect, since },
                };
            }
        }
    }

    fn end_model_call(&mut self, usage: Usage, micro_usd: MicroUsd) {
        self.model_call = None;
        self.spend.steps += 1;
        self.spend.usage += usage;
        self.spend.micro_usd = MicroUsd(self.spend.micro_usd.0.saturating_add(micro_usd.0));
    }

    fn take_answer(&mut self, message: &AssistantMessage, finish: FinishReason) {
        let proposed = |call: &ToolCall| CallState { call: call.clone(), phase: Phase::Proposed, attempts: 0 };
        self.calls = message.calls.iter().map(proposed).collect();
        self.unjudged = message.calls.is_empty().then_some(finish);
        message.calls.iter().for_each(|call| self.discover(std::iter::once(call.tool.as_str())));
        self.say(Message::Assistant(message.clone()));
    }

    /// The tools that a call asked to be described are the model's from now on.
    fn take_described(&mut self, call_id: &str) {
        let Some(call) = self.calls.iter().find(|call| call.call.id == call_id) else { return };
        let names: Vec<String> = discovery::described(&call.call).map(str::to_owned).collect();
        self.discover(names.iter().map(String::as_str));
    }

    fn discover<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let Some(tools) = self.tools.clone() else { return };
        for name in names {
            let hidden = tools.iter().find(|tool| tool.name == name && !discovery::is_core(&tools, tool));
            if let Some(tool) = hidden.filter(|tool| !self.discovered.contains(&tool.name)) {
                self.context_tokens += discovery::weight(tool).div_ceil(4);
                self.discovered.push(tool.name.clone());
            }
        }
    }

    fn rule(&mut self, approval: ApprovalId, ruling: &Ruling) {
        let asked = |call: &&mut CallState| matches!(&call.phase, Phase::Asked(asked) if asked.id == approval);
        let Some(call) = self.calls.iter_mut().find(asked) else { return };
        let Phase::Asked(question) = std::mem::replace(&mut call.phase, Phase::Proposed) else { return };
        let result = |text: String, is_error| {
            Phase::Settled(ToolMessage {
                call_id: call.call.id.clone(),
                tool: call.call.tool.clone(),
                content: vec![Part::text(text)],
                is_error,
            })
        };
        let by = &ruling.by;
        call.phase = match &ruling.answer {
            Answer::Approve | Answer::Retry => Phase::Cleared,
            Answer::Deny { reason } => result(output::denied(by, reason.as_deref()), true),
            Answer::Reply { text } => result(text.clone(), false),
            Answer::Happened { result: known } => result(output::happened(known.as_deref()), false),
            Answer::Abort => {
                self.aborted = true;
                match question.question {
                    Question::InDoubt { announced_at, .. } if self.spec.conversation => {
                        Phase::InDoubt { since: announced_at }
                    }
                    _ => Phase::Asked(question.clone()),
                }
            }
        };
        self.decisions.push(output::decision_line(&question.question, &ruling.answer, by));
    }

    /// The answer of a persona that the task was left to is the run's own, unless that has a form of its own to satisfy.
    fn take_handoff(&mut self, call_id: &str, content: &[Part], is_error: bool) {
        let handed =
            |call: &CallState| call.call.id == call_id && matches!(call.phase, Phase::Child { handoff: true, .. });
        let has_form = self.persona.as_ref().is_some_and(|persona| persona.output_schema.is_some());
        if !is_error && (self.spec.conversation || !has_form) && self.calls.iter().any(handed) {
            self.handed_off = Some(masque_types::message::joined_text(content));
        }
    }

    fn settle(&mut self, call_id: &str, content: Vec<Part>, is_error: bool) {
        self.with_call(call_id, |call| {
            let tool = call.call.tool.clone();
            call.phase = Phase::Settled(ToolMessage { call_id: call_id.to_owned(), tool, content, is_error });
        });
    }

    fn count_repeat(&mut self, call_id: &str, content: &[Part]) {
        let Some(call) = self.calls.iter().find(|call| call.call.id == call_id) else { return };
        let text = masque_types::message::joined_text(content);
        let result = Digest::of(text);
        let entry = self.repeats.entry(call.call.digest()).or_insert(Repeats { result, count: 0 });
        entry.count = if entry.result == result { entry.count + 1 } else { 1 };
        entry.result = result;
    }

    /// A call refused as a repetition is one repetition more.
    fn count_loop(&mut self, call_id: &str) {
        let digest = self.calls.iter().find(|call| call.call.id == call_id).map(|call| call.call.digest());
        if let Some(repeats) = digest.and_then(|digest| self.repeats.get_mut(&digest)) {
            repeats.count += 1;
        }
    }

    fn with_call(&mut self, call_id: &str, change: impl FnOnce(&mut CallState)) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.call.id == call_id) {
            change(call);
        }
    }

    /// When the last call of an answer is settled, the results enter the conversation together, in order.
    fn absorb_settled_calls(&mut self) {
        if !self.calls.is_empty() && self.calls.iter().all(|call| matches!(call.phase, Phase::Settled(_))) {
            for call in std::mem::take(&mut self.calls) {
                if let Phase::Settled(message) = call.phase {
                    self.say(Message::Tool(message));
                }
            }
            if let Some(text) = self.handed_off.take().filter(|_| !self.turn_over) {
                self.say(Message::Assistant(AssistantMessage { text, ..AssistantMessage::default() }));
                self.unjudged = Some(FinishReason::Stop);
            }
        }
        if self.calls.is_empty() && self.model_call.is_none() && !self.queued.is_empty() {
            let content = std::mem::take(&mut self.queued);
            // An answer after which more was said is not the last one.
            self.unjudged = None;
            self.say(Message::User { content });
        }
    }

    fn say(&mut self, message: Message) {
        self.context_tokens += message.estimated_tokens();
        self.messages.push(Arc::new(message));
    }

    fn count_active_time(&mut self, at: Timestamp) {
        match (self.status(), self.active_since) {
            (RunStatus::Waiting, Some(since)) => {
                self.active += at.since(since);
                self.active_since = None;
            }
            (RunStatus::Running, None) => self.active_since = Some(at),
            _ => {}
        }
    }
}
