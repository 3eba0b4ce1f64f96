//! The pure machine under random interleavings: models that answer anything, tools and probes that end in any order,
//! people who answer or do not, time that passes, and workers that die at any point.

use std::{collections::BTreeMap, time::Duration};

use crate::support::{ask_rule, persona, run_spec, spec, specs};
use masque_engine::{
    children::{ChildRequest, Resolved, StartChild},
    machine::{Action, Input, Machine, Probed, Step},
    output,
    replay::replay,
    state::{Phase, State, Waits},
};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Ruling},
    child::{CALL, HANDOFF},
    cost::{Limits, MicroUsd, Spend, Usage},
    digest::Digest,
    event::{Event, EventBody},
    id::RunId,
    message::{AssistantMessage, Part, ToolCall},
    model::{Failure, FailureKind, FinishReason, ModelError, ModelReply, Receipt},
    persona::{Delegation, Persona},
    policy::{Mode, Rule, Verdict},
    run::{Command, ModelChoice, RunSpec, RunStatus},
    time::Timestamp,
    tool::{EffectClass, Invocation, Place, ProbeAnswer, ToolOutput, ToolSpec},
};
use proptest::prelude::*;
use serde_json::json;

/// One thing that may happen; it happens when it can.
#[derive(Debug, Clone)]
enum Happening {
    ToolsReady,
    EnvironmentFails,
    ModelAnswers {
        calls: Vec<(usize, u8)>,
        share: u8,
        finish: u8,
    },
    ModelFails {
        kind: usize,
        share: u8,
    },
    ToolEnds {
        which: usize,
        output: u8,
    },
    ProbeEnds {
        which: usize,
        answer: u8,
    },
    PersonAnswers {
        which: usize,
        answer: usize,
        fits: bool,
    },
    Cancelled,
    /// The person speaks, between turns or within one.
    Says {
        models: bool,
    },
    Interrupts {
        partial: bool,
    },
    Finishes,
    ChangesPolicy {
        plan: bool,
    },
    TimePasses {
        by_ms: i64,
    },
    ChildResolves {
        which: usize,
        fits: bool,
    },
    ChildStarts {
        which: usize,
        works: bool,
    },
    /// A called run ends, whoever drove it; what it says waits in the inbox.
    ChildEnds {
        which: usize,
        status: usize,
        share: u8,
    },
    /// What a called run said arrives; with `again`, something that arrived before.
    MailArrives {
        which: usize,
        again: bool,
    },
    /// The worker dies; with `uncommitted`, before the last step was durable.
    WorkerDies {
        uncommitted: bool,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let call = (0usize..9, 0u8..6);
    prop_oneof![
        4 => Just(Happening::ToolsReady),
        1 => (0u8..40).prop_map(|n| if n == 0 { Happening::EnvironmentFails } else { Happening::ToolsReady }),
        20 => (prop::collection::vec(call, 0..6), 0u8..=100, 0u8..12)
            .prop_map(|(calls, share, finish)| Happening::ModelAnswers { calls, share, finish }),
        2 => (0usize..4, 0u8..=100).prop_map(|(kind, share)| Happening::ModelFails { kind, share }),
        30 => (any::<usize>(), 0u8..5).prop_map(|(which, output)| Happening::ToolEnds { which, output }),
        8 => (any::<usize>(), 0u8..3).prop_map(|(which, answer)| Happening::ProbeEnds { which, answer }),
        20 => (any::<usize>(), 0usize..6, prop::bool::weighted(0.9))
            .prop_map(|(which, answer, fits)| Happening::PersonAnswers { which, answer, fits }),
        1 => (0u8..4).prop_map(|n| if n == 0 { Happening::Cancelled } else { Happening::TimePasses { by_ms: 0 } }),
        10 => (any::<usize>(), prop::bool::weighted(0.9))
            .prop_map(|(which, fits)| Happening::ChildResolves { which, fits }),
        10 => (any::<usize>(), prop::bool::weighted(0.9))
            .prop_map(|(which, works)| Happening::ChildStarts { which, works }),
        6 => (any::<usize>(), 0usize..3, 0u8..=100)
            .prop_map(|(which, status, share)| Happening::ChildEnds { which, status, share }),
        8 => (any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(which, again)| Happening::MailArrives { which, again }),
        6 => any::<bool>().prop_map(|models| Happening::Says { models }),
        3 => any::<bool>().prop_map(|partial| Happening::Interrupts { partial }),
        1 => (0u8..8, any::<bool>()).prop_map(|(n, plan)| {
            if n == 0 { Happening::Finishes } else { Happening::ChangesPolicy { plan } }
        }),
        6 => (-400i64..400).prop_map(|by_ms| Happening::TimePasses { by_ms }),
        5 => any::<bool>().prop_map(|uncommitted| Happening::WorkerDies { uncommitted }),
    ]
}

fn a_spec() -> impl Strategy<Value = RunSpec> {
    let limit = |range: std::ops::Range<u64>| prop::option::weighted(0.3, range);
    let rules = prop::collection::vec(
        (prop::sample::select(vec!["read", "note", "mail", "patch"]), any::<bool>())
            .prop_map(|(tool, deny)| if deny { Rule::new(tool, Verdict::Deny) } else { ask_rule(tool) }),
        0..3,
    );
    let limits = (limit(3..30), limit(500..20_000), limit(500..20_000), limit(50..2_000));
    (limits, limit(50..1_000), rules, 400u64..4_000, any::<bool>()).prop_map(
        |((steps, tokens, money, wall), ttl_ms, rules, context_tokens, conversation)| {
            let mut spec = run_spec();
            spec.conversation = conversation;
            spec.limits = Limits {
                steps: steps.map(|steps| u32::try_from(steps).unwrap()),
                tokens,
                micro_usd: money.map(MicroUsd),
                wall: wall.map(Duration::from_millis),
            };
            spec.approvals.ttl_ms = ttl_ms;
            spec.policy.rules = rules;
            spec.context_tokens = context_tokens;
            spec
        },
    )
}

/// A run whose worker, model, tools and people are the test.
struct Play {
    run: RunId,
    events: Vec<Event>,
    /// How many events were durable before the last step.
    durable: usize,
    machine: Machine,
    epoch: u64,
    now: Timestamp,
    activating: bool,
    asked: bool,
    calls: Vec<(Invocation, EffectClass)>,
    probes: Vec<Invocation>,
    resolving: Vec<ChildRequest>,
    starting: Vec<StartChild>,
    /// The called runs that exist, with what they may use, until they end.
    world: BTreeMap<RunId, Limits>,
    mail: Vec<Command>,
    read_mail: Vec<Command>,
    /// Whether the last mail was taken in the last step.
    mail_in_last_step: bool,
    answered: u32,
    /// Starts of each call, and the retries that people asked for.
    starts: BTreeMap<String, u32>,
    retries: BTreeMap<String, u32>,
}

impl Play {
    fn new(spec: RunSpec) -> Self {
        let run = RunId::derive(&Digest::of("the run"));
        let event = |seq, body| Event { seq, epoch: 0, at: Timestamp(1_000), body };
        let events = vec![
            event(1, EventBody::RunCreated { spec: Box::new(spec) }),
            event(2, EventBody::PersonaPinned { persona: Box::new(caller()) }),
        ];
        let machine = Machine::new(State::fold(run, &events).unwrap(), 0);
        let mut play = Self {
            run,
            durable: events.len(),
            events,
            machine,
            epoch: 0,
            now: Timestamp(1_000),
            activating: false,
            asked: false,
            calls: Vec::new(),
            probes: Vec::new(),
            resolving: Vec::new(),
            starting: Vec::new(),
            world: BTreeMap::new(),
            mail: Vec::new(),
            read_mail: Vec::new(),
            mail_in_last_step: false,
            answered: 0,
            starts: BTreeMap::new(),
            retries: BTreeMap::new(),
        };
        play.take_over();
        play
    }

    /// A worker claims the run and folds its journal.
    fn take_over(&mut self) {
        self.epoch += 1;
        let state = State::fold(self.run, &self.events).unwrap();
        self.machine = Machine::new(state, self.epoch);
        (self.activating, self.asked) = (false, false);
        self.calls.clear();
        self.probes.clear();
        self.resolving.clear();
        self.starting.clear();
        let worker = format!("w{}", self.epoch);
        let open = self.machine.state().has_open_work();
        self.input(if open { Input::Recovered { worker } } else { Input::Claimed });
    }

    fn input(&mut self, input: Input) {
        let ended = self.machine.state().outcome.is_some();
        let Step { events, actions, .. } = self.machine.handle(input, self.now);
        assert!(!ended || (events.is_empty() && actions.is_empty()), "nothing happens after the outcome");
        self.durable = self.events.len();
        self.mail_in_last_step = false;
        for event in &events {
            self.check_event(event);
            self.events.push(event.clone());
        }
        for action in actions {
            match action {
                Action::Activate => self.activating = true,
                Action::CallModel(_) => self.asked = true,
                Action::CallTool { invocation, effect } => self.calls.push((invocation, effect)),
                Action::Probe(invocation) => self.probes.push(invocation),
                Action::ResolveChild(request) => self.resolving.push(*request),
                Action::StartChild(start) => self.starting.push(start),
                Action::DriveChild(child) => assert!(self.world.contains_key(&child) || self.ended(child)),
                Action::Abandon => {
                    self.asked = false;
                    self.calls.clear();
                    self.probes.clear();
                    self.resolving.clear();
                }
            }
        }
        self.check_state();
    }

    fn check_event(&mut self, event: &Event) {
        let last = self.events.last().unwrap();
        assert_eq!(event.seq, last.seq + 1, "no gap");
        assert!(event.at >= last.at, "times do not decrease");
        assert_eq!(event.epoch, self.epoch);
        match &event.body {
            EventBody::ToolCallStarted { call_id, effect: EffectClass::Once, .. } => {
                *self.starts.entry(call_id.clone()).or_default() += 1;
            }
            EventBody::ApprovalDecided { approval, ruling: Ruling { answer: Answer::Retry, .. } } => {
                let asked = self.events.iter().find_map(|event| match &event.body {
                    EventBody::ApprovalRequested { approval: id, call_id, .. } if id == approval => Some(call_id),
                    _ => None,
                });
                *self.retries.entry(asked.unwrap().clone()).or_default() += 1;
            }
            _ => {}
        }
    }

    fn check_state(&self) {
        let state = self.machine.state();
        assert_eq!(State::fold(self.run, &self.events).unwrap(), *state, "the fold is the state");
        if state.outcome.is_none() {
            self.check_actions(state);
            self.check_status(state);
        }
        let effects: Vec<_> = running(state).map(|(_, effect)| effect).collect();
        let alone = effects.len() <= 1 || effects.iter().all(|effect| *effect == EffectClass::Pure);
        assert!(alone, "only pure calls run beside each other: {effects:?}");
        let limits = &state.spec.limits;
        let (tokens, money) =
            state.model_call.as_ref().map_or((0, 0), |call| (call.reserved_tokens, call.reserved_micro_usd.0));
        let spend = state.spend;
        let steps = spend.steps - state.steps_before_turn + u32::from(state.model_call.is_some());
        let held = |part: fn(&Limits) -> u64| state.children.iter().map(|child| part(&child.reserved)).sum::<u64>();
        let tokens = tokens + held(|reserved| reserved.tokens.unwrap_or(0));
        let money = money + held(|reserved| reserved.micro_usd.unwrap_or_default().0);
        assert!(limits.steps.is_none_or(|limit| steps <= limit));
        assert!(limits.tokens.is_none_or(|limit| spend.usage.total() + tokens <= limit), "{spend:?} + {tokens}");
        assert!(limits.micro_usd.is_none_or(|limit| spend.micro_usd.0 + money <= limit.0), "{spend:?} + {money}");
        for (call, starts) in &self.starts {
            let allowed = 1 + self.retries.get(call).copied().unwrap_or(0);
            assert!(*starts <= allowed, "{call} was begun {starts} times");
        }
    }

    /// A run with nothing under way says that it waits, so that nobody claims it for nothing.
    fn check_status(&self, state: &State) {
        let idle = !self.asked
            && !self.activating
            && self.calls.is_empty()
            && self.probes.is_empty()
            && self.resolving.is_empty()
            && self.starting.is_empty();
        if idle {
            assert_eq!(state.status(), RunStatus::Waiting, "{:?}", state.calls);
        }
        let called = state.children.iter().filter(|child| !child.stopping).count();
        assert!(called <= PARALLEL, "{called} runs were called at once");
    }

    fn ended(&self, child: RunId) -> bool {
        let says = |command: &Command| matches!(command, Command::ChildEnded { child: ended, .. } if *ended == child);
        self.mail.iter().chain(&self.read_mail).any(says)
    }

    /// What the state says is under way is what this worker was told to do.
    fn check_actions(&self, state: &State) {
        assert_eq!(state.model_call.is_some(), self.asked);
        let mut told: Vec<&str> = self.calls.iter().map(|(invocation, _)| invocation.call.id.as_str()).collect();
        let mut said: Vec<&str> = running(state).map(|(id, _)| id).collect();
        told.sort_unstable();
        said.sort_unstable();
        assert_eq!(told, said);
        let interrupted = state.calls.iter().filter(|call| matches!(call.phase, Phase::Interrupted { .. })).count();
        assert_eq!(interrupted, self.probes.len());
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ToolsReady if self.activating => {
                self.activating = false;
                self.input(Input::ToolsReady(tools()));
            }
            Happening::EnvironmentFails if self.activating => {
                self.activating = false;
                self.input(Input::EnvironmentFailed("no sandbox".into()));
            }
            Happening::ModelAnswers { calls, share, finish } if self.asked => self.answer(&calls, share, finish),
            Happening::ModelFails { kind, share } if self.asked => self.fail(kind, share),
            Happening::ToolEnds { which, output } if !self.calls.is_empty() => {
                let (invocation, _) = self.calls.swap_remove(which % self.calls.len());
                let output = output::bounded(tool_output(output));
                self.input(Input::Tool { call_id: invocation.call.id, output, duration_ms: 1 });
            }
            Happening::ProbeEnds { which, answer } if !self.probes.is_empty() => {
                let invocation = self.probes.swap_remove(which % self.probes.len());
                let answer = match answer {
                    0 => ProbeAnswer::Happened(ToolOutput::text("it did")),
                    1 => ProbeAnswer::DidNotHappen,
                    _ => ProbeAnswer::Unknown,
                };
                self.input(Input::Probed { call_id: invocation.call.id, answer: Probed::from_answer(answer) });
            }
            Happening::PersonAnswers { which, answer, fits } => self.person_answers(which, answer, fits),
            Happening::ChildResolves { which, fits } => self.resolve_child(which, fits),
            Happening::ChildStarts { which, works } => self.start_child(which, works),
            Happening::ChildEnds { which, status, share } => self.end_child(which, status, share),
            Happening::MailArrives { which, again } => self.read_mail(which, again),
            Happening::Says { models } => self.say(models),
            Happening::Interrupts { partial } => {
                let partial = if partial { "as far as".to_owned() } else { String::new() };
                self.input(Input::Interrupted { by: ada(), partial });
            }
            Happening::Finishes => self.input(Input::Command(Command::Finish { by: ada() })),
            Happening::ChangesPolicy { plan } => {
                let mode = Some(if plan { Mode::Plan } else { Mode::Default });
                let narrow = vec![Rule::new(if plan { "web.*" } else { "mail" }, Verdict::Ask)];
                self.input(Input::Command(Command::SetPolicy { mode, narrow, by: ada() }));
            }
            Happening::Cancelled => self.input(Input::Command(Command::Cancel { by: Actor::System })),
            Happening::TimePasses { by_ms } => {
                self.now = Timestamp(self.now.0 + by_ms);
                self.input(Input::Tick);
            }
            Happening::WorkerDies { uncommitted } => {
                // What is not pure is begun after the commit only, so losing a commit loses no effect.
                if uncommitted {
                    self.lose_last_step();
                }
                self.take_over();
            }
            _ => {}
        }
    }

    fn say(&mut self, models: bool) {
        let model = models.then(|| {
            let RunSpec { route, price, .. } = run_spec();
            Box::new(ModelChoice { route, price, context_tokens: 2_000 })
        });
        let waits = self.machine.state().turn_over && self.machine.state().outcome.is_none();
        self.input(Input::Command(Command::Say { parts: vec![Part::text("and now?")], by: ada(), model }));
        let begun = self.events.iter().any(|event| matches!(event.body, EventBody::UserSaid { .. }));
        assert!(!waits || begun, "what a person says begins a turn");
    }

    fn resolve_child(&mut self, which: usize, fits: bool) {
        if self.resolving.is_empty() {
            return;
        }
        let request = self.resolving.swap_remove(which % self.resolving.len());
        let package = request.call_id.clone().into_bytes();
        let budget = Limits { tokens: Some(3_000), ..Limits::default() };
        let resolved = Resolved { digest: Digest::of("helper"), budget, package };
        let resolved = if fits { Ok(resolved) } else { Err("there is no such persona".to_owned()) };
        self.input(Input::ChildResolved { call_id: request.call_id, resolved });
    }

    fn start_child(&mut self, which: usize, works: bool) {
        if self.starting.is_empty() {
            return;
        }
        let start = self.starting.swap_remove(which % self.starting.len());
        let exists = self.world.contains_key(&start.child) || self.ended(start.child);
        let started = if works || exists { Ok(()) } else { Err("no model".to_owned()) };
        if started.is_ok() && !exists {
            self.world.insert(start.child, start.reserved);
        }
        self.input(Input::ChildReady { child: start.child, started });
    }

    fn end_child(&mut self, which: usize, status: usize, share: u8) {
        let Some((child, reserved)) = self.world.iter().cycle().nth(which % 16).map(|(id, limits)| (*id, *limits))
        else {
            return;
        };
        self.world.remove(&child);
        let part = |whole: u64| whole * u64::from(share) / 100;
        let usage = Usage { input_tokens: part(reserved.tokens.unwrap_or(100)), ..Usage::default() };
        let micro_usd = MicroUsd(part(reserved.micro_usd.map_or(100, |money| money.0)));
        let status = [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled][status];
        let spend = Spend { steps: 1, usage, micro_usd };
        self.mail.push(Command::ChildEnded { child, status, text: "so".into(), problem: None, spend });
    }

    fn read_mail(&mut self, which: usize, again: bool) {
        if again && !self.read_mail.is_empty() {
            let ends = |play: &Self| play.events.iter().filter(|event| event.body.kind() == "child_ended").count();
            let before = ends(self);
            let old = self.read_mail[which % self.read_mail.len()].clone();
            self.input(Input::Command(old));
            assert_eq!(ends(self), before, "a called run ends once");
        } else if !self.mail.is_empty() {
            let new = self.mail.swap_remove(which % self.mail.len());
            self.read_mail.push(new.clone());
            self.input(Input::Command(new));
            self.mail_in_last_step = true;
        }
    }

    fn lose_last_step(&mut self) {
        if self.mail_in_last_step {
            self.mail.extend(self.read_mail.pop());
        }
        for event in self.events.drain(self.durable..) {
            if let EventBody::ToolCallStarted { call_id, effect: EffectClass::Once, .. } = &event.body {
                *self.starts.get_mut(call_id).unwrap() -= 1;
            }
        }
        // A retry that was asked for in the lost step is counted though it is asked for again: that only allows more.
    }

    fn receipt(&self, share: u8) -> Receipt {
        // An answer may also come after the run was stopped.
        let call = self.machine.state().model_call.clone();
        let (tokens, money) = call.map_or((0, 0), |call| (call.reserved_tokens, call.reserved_micro_usd.0));
        let part = |whole: u64| whole * u64::from(share) / 100;
        let usage = Usage { input_tokens: part(tokens), ..Usage::default() };
        Receipt { usage, micro_usd: Some(MicroUsd(part(money))), ..Receipt::default() }
    }

    fn answer(&mut self, wanted: &[(usize, u8)], share: u8, finish: u8) {
        let receipt = self.receipt(share);
        self.asked = false;
        self.answered += 1;
        let tools = ["read", "note", "patch", "mail", "ask", "read", "fly", CALL, HANDOFF];
        let calls = wanted.iter().enumerate().map(|(nth, (tool, arguments))| ToolCall {
            id: format!("call_{}_{nth}", self.answered),
            tool: tools[*tool].into(),
            arguments: match arguments {
                0 => json!("{ not JSON"),
                1 => json!({ "n": "not a number" }),
                n if *tool > 6 => {
                    let mode = if *n == 2 { "async" } else { "blocking" };
                    let history = if *n == 3 { "recent" } else { "summary" };
                    json!({ "persona": "helper", "task": "help", "mode": mode, "history": history, "timeout_s": n })
                }
                n => json!({ "n": n, "pad": "x".repeat(usize::from(*n) * 40) }),
            },
            signature: None,
        });
        let message =
            AssistantMessage { text: "x".repeat(finish.into()), calls: calls.collect(), ..Default::default() };
        let finish = match finish {
            0 => FinishReason::Length,
            1 => FinishReason::ContentFilter,
            _ if message.calls.is_empty() => FinishReason::Stop,
            _ => FinishReason::ToolCalls,
        };
        self.input(Input::Model(Ok(ModelReply { message, finish, receipt })));
    }

    fn fail(&mut self, kind: usize, share: u8) {
        let receipt = self.receipt(share);
        self.asked = false;
        let long = FailureKind::ContextTooLong;
        let failure = Failure {
            kind: [long, long, long, FailureKind::Unavailable][kind],
            message: "no".into(),
            retry_after_ms: None,
        };
        self.input(Input::Model(Err(Box::new(ModelError { failure, receipt }))));
    }

    fn person_answers(&mut self, which: usize, answer: usize, fits: bool) {
        let questions: Vec<_> = self.machine.state().questions().cloned().collect();
        if questions.is_empty() {
            return;
        }
        let question = &questions[which % questions.len()];
        let all = [
            Answer::Approve,
            Answer::Deny { reason: None },
            Answer::Happened { result: None },
            Answer::Retry,
            Answer::Reply { text: "so".into() },
            Answer::Abort,
        ];
        let accepted = |answer: &&Answer| question.question.accepts(answer);
        let fitting = all.iter().cycle().skip(answer).find(accepted).unwrap().clone();
        let answer = if fits { fitting } else { all[answer].clone() };
        let digest = if fits { question.digest } else { Digest::of("something else") };
        let ruling = Ruling { answer, by: ada(), channel: Channel::Cli };
        self.input(Input::Command(Command::Answer { approval: question.id, digest, ruling }));
    }

    /// From here on all goes well, so that the run ends.
    fn end(&mut self) {
        for _ in 0..1_000 {
            if self.machine.state().outcome.is_some() {
                return;
            }
            if self.activating {
                self.happen(Happening::ToolsReady);
            } else if self.asked {
                self.happen(Happening::ModelAnswers { calls: vec![], share: 50, finish: 5 });
            } else if !self.calls.is_empty() {
                self.happen(Happening::ToolEnds { which: 0, output: 0 });
            } else if !self.probes.is_empty() {
                self.happen(Happening::ProbeEnds { which: 0, answer: 0 });
            } else if !self.resolving.is_empty() {
                self.happen(Happening::ChildResolves { which: 0, fits: true });
            } else if !self.starting.is_empty() {
                self.happen(Happening::ChildStarts { which: 0, works: true });
            } else if !self.mail.is_empty() {
                self.happen(Happening::MailArrives { which: 0, again: false });
            } else if self.machine.state().turn_over {
                assert_eq!(self.machine.state().status(), RunStatus::Waiting);
                let called = !self.machine.state().children.is_empty();
                assert!(called || self.machine.state().wake_at().is_none(), "waiting for words costs nothing");
                assert!(self.machine.state().calls.is_empty());
                self.happen(Happening::Finishes);
            } else if self.machine.state().waits() == Waits::Runs {
                self.happen(Happening::ChildEnds { which: 0, status: 0, share: 50 });
            } else {
                self.happen(Happening::PersonAnswers { which: 0, answer: 2, fits: true });
            }
        }
        panic!("the run does not end: {:?}", self.machine.state());
    }

    /// What must hold of the whole journal.
    fn check_journal(&self) {
        let ends = ["run_completed", "run_failed", "run_cancelled"];
        let ended = self.events.iter().position(|event| ends.contains(&event.body.kind()));
        assert_eq!(ended, Some(self.events.len() - 1), "the outcome is the last event");
        assert_eq!(replay(self.run, &self.events).unwrap().differs_at, None);
        for (place, event) in self.events.iter().enumerate() {
            let settled = match &event.body {
                EventBody::ModelCallStarted { .. } => self.events[place..].iter().any(|later| {
                    matches!(later.body.kind(), "model_call_finished" | "model_call_failed" | "model_call_lost")
                }),
                EventBody::ToolCallStarted { call_id, effect, .. } => {
                    self.is_settled(place, call_id) || (*effect == EffectClass::Pure && self.was_stopped(place))
                }
                EventBody::ChildStarted { child: called, .. } => self.events[place..].iter().any(|later| {
                    matches!(&later.body, EventBody::ChildEnded { child, .. } | EventBody::ChildCancelled { child, .. } if child == called)
                }),
                EventBody::ChildEnded { child: called, .. } => !self.events[..place].iter().any(|earlier| {
                    matches!(&earlier.body, EventBody::ChildEnded { child, .. } if child == called)
                }),
                _ => true,
            };
            assert!(settled, "event {} is not settled: {:?}", event.seq, event.body);
        }
    }

    fn is_settled(&self, from: usize, call_id: &str) -> bool {
        self.events[from..].iter().any(|later| {
            matches!(later.body.kind(), "tool_call_finished" | "tool_call_in_doubt")
                && later.body.call_id() == Some(call_id)
        })
    }

    /// Reading that a stopped run or turn cut off changes nothing and is not told.
    fn was_stopped(&self, from: usize) -> bool {
        let stops = ["run_failed", "run_cancelled", "turn_ended", "finish_requested"];
        self.events[from..].iter().any(|later| stops.contains(&later.body.kind()))
    }
}

const PARALLEL: usize = 2;

/// A persona that may call others.
fn caller() -> Persona {
    let delegate = Delegation { to: vec!["*".into()], parallel: Some(2), history: true, ..Delegation::default() };
    Persona { delegate, ..persona() }
}

fn tools() -> Vec<ToolSpec> {
    let calls = [CALL, HANDOFF].map(|name| spec(name, EffectClass::Keyed, Place::Run));
    specs().into_iter().chain(calls).collect()
}

fn ada() -> Actor {
    Actor::User("ada".into())
}

fn running(state: &State) -> impl Iterator<Item = (&str, EffectClass)> {
    state.calls.iter().filter_map(|call| match &call.phase {
        Phase::Running { effect, .. } => Some((call.call.id.as_str(), *effect)),
        _ => None,
    })
}

fn tool_output(which: u8) -> ToolOutput {
    match which {
        0 => ToolOutput::text("one"),
        1 => ToolOutput::text("two"),
        2 => ToolOutput::error("it failed"),
        3 => ToolOutput::text("y".repeat(900)),
        _ => ToolOutput::text("z".repeat(30_000)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_journal_is_the_run(
        spec in a_spec(),
        happenings in prop::collection::vec(happening(), 0..160),
    ) {
        let mut play = Play::new(spec);
        for happening in happenings {
            play.happen(happening);
        }
        play.end();
        play.check_journal();
    }
}
