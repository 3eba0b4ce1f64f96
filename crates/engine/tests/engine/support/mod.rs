//! A small world for the engine's tests: a model that follows a script and checks what it is sent, and tools of each
//! effect class whose effects can be counted.

pub(crate) mod durable;
pub(crate) mod helpers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use masque_engine::{
    children::NoChildren,
    driver::{DriveOptions, Driven, Engine, Progress, WhenWaiting},
    environment::{Activation, ActiveEnvironment, Environments},
};
use masque_store::{ApprovalFilter, NewRun, Store};
use masque_types::{
    BoxFuture,
    actor::{Actor, Channel},
    approval::{Answer, Approval, ApprovalTerms, Ruling},
    cost::{Limits, MicroUsd, Price, Usage},
    diagnostic::Diagnostic,
    digest::Digest,
    event::{Event, EventBody},
    id::{CommandId, RunId},
    message::{AssistantMessage, Message, Part, ToolCall},
    model::{
        FinishReason, Model, ModelDelta, ModelError, ModelFacts, ModelRef, ModelReply, ModelRequest, Receipt, Route,
    },
    persona::Persona,
    policy::{Policy, Rule, ToolSelection, Verdict},
    run::{Command, RunSpec, RunStatus, SandboxMode},
    time::Timestamp,
    tool::{EffectClass, Invocation, Place, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// One answer of the scripted model.
pub(crate) type Turn = Vec<(&'static str, Value)>;

/// Answers by `request.step`; after the last turn it finishes. Panics when a request breaks a rule that every provider
/// has: calls and results pair up, and the conversation starts with the user.
pub(crate) struct ScriptModel {
    pub(crate) turns: Vec<Turn>,
    /// What the ids of its calls begin with.
    pub(crate) name: &'static str,
    pub(crate) seen: Mutex<Vec<usize>>,
}

impl ScriptModel {
    pub(crate) fn new(turns: Vec<Turn>) -> Arc<Self> {
        Self::named("call", turns)
    }

    pub(crate) fn named(name: &'static str, turns: Vec<Turn>) -> Arc<Self> {
        Arc::new(Self { turns, name, seen: Mutex::new(Vec::new()) })
    }

    pub(crate) fn reply(&self, request: &ModelRequest) -> ModelReply {
        let message = self.answer(request);
        let finish = if message.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        let usage = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
        let receipt = Receipt { usage, micro_usd: Some(MicroUsd(12)), ..Receipt::default() };
        ModelReply { message, finish, receipt }
    }

    fn answer(&self, request: &ModelRequest) -> AssistantMessage {
        check_protocol(&request.messages);
        self.seen.lock().unwrap().push(request.messages.len());
        let place = request.step as usize - 1;
        let Some(turn) = self.turns.get(place) else {
            return AssistantMessage { text: "done".into(), ..AssistantMessage::default() };
        };
        let calls = turn.iter().enumerate().map(|(nth, (tool, arguments))| ToolCall {
            id: format!("{}_{place}_{nth}", self.name),
            tool: (*tool).into(),
            arguments: arguments.clone(),
            signature: None,
        });
        AssistantMessage { text: format!("turn {place}"), calls: calls.collect(), ..AssistantMessage::default() }
    }
}

fn check_protocol(messages: &[Arc<Message>]) {
    assert!(matches!(&*messages[0], Message::User { .. }), "the conversation starts with the user");
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        match &**message {
            Message::Tool(result) => {
                let place = open.iter().position(|id| *id == result.call_id);
                assert!(place.is_some(), "a tool result answers an open call");
                place.map(|place| open.remove(place));
            }
            other => {
                assert!(open.is_empty(), "calls without result: {open:?}");
                if let Message::Assistant(said) = other {
                    open = said.calls.iter().map(|call| call.id.clone()).collect();
                }
            }
        }
    }
    assert!(open.is_empty(), "calls without result: {open:?}");
}

impl Model for ScriptModel {
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>> {
        Box::pin(async move {
            let reply = self.reply(request);
            show(ModelDelta::Text(reply.message.text.clone()));
            Ok(reply)
        })
    }

    fn facts(&self, _: &ModelRef) -> ModelFacts {
        ModelFacts::default()
    }
}

/// The outcome of a model call.
pub(crate) type Answered = Result<ModelReply, Box<ModelError>>;

/// A model that is a function.
pub(crate) struct FnModel<F>(pub(crate) F);

impl<F: Fn(&ModelRequest) -> BoxFuture<'static, Answered> + Send + Sync> Model for FnModel<F> {
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Answered> {
        (self.0)(request)
    }

    fn facts(&self, _: &ModelRef) -> ModelFacts {
        ModelFacts::default()
    }
}

/// What the tools did, by call.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) reads: u32,
    pub(crate) notes: BTreeMap<String, u32>,
    pub(crate) mails: BTreeMap<String, u32>,
    pub(crate) patches: BTreeMap<String, u32>,
    pub(crate) active: u32,
}

/// Tools of each class over a shared [`World`].
pub(crate) struct Tools {
    world: Arc<Mutex<World>>,
    specs: Arc<[ToolSpec]>,
    before_call: Before<Invocation>,
}

pub(crate) fn spec(name: &str, effect: EffectClass, place: Place) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: format!("the tool {name}"),
        input_schema: json!({ "type": "object", "properties": { "n": { "type": "integer" } } }),
        output_schema: None,
        effect,
        place,
        depends_on: Vec::new(),
    }
}

pub(crate) fn specs() -> Vec<ToolSpec> {
    vec![
        spec("read", EffectClass::Pure, Place::Sandbox),
        spec("note", EffectClass::Keyed, Place::Sandbox),
        spec("patch", EffectClass::Probe, Place::Sandbox),
        spec("mail", EffectClass::Once, Place::Host),
        spec("ask", EffectClass::Pure, Place::Human),
    ]
}

impl Toolbox for Tools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move {
            (self.before_call)(invocation.clone()).await;
            if !self.specs.iter().any(|spec| spec.name == invocation.call.tool) {
                return ToolOutput::error(format!("there is no tool {} any more", invocation.call.tool));
            }
            let mut world = self.world.lock().unwrap();
            let id = invocation.call.id.clone();
            match invocation.call.tool.as_str() {
                "read" => world.reads += 1,
                "note" => *world.notes.entry(invocation.idempotency_key.clone()).or_default() += 1,
                "patch" => *world.patches.entry(id).or_default() += 1,
                "mail" => *world.mails.entry(id).or_default() += 1,
                other if other.starts_with("mcp:") || other.starts_with("tool.") => {}
                other => return ToolOutput::error(format!("no tool {other}")),
            }
            ToolOutput::text(format!("{} {}", invocation.call.tool, invocation.call.arguments))
        })
    }

    fn probe<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ProbeAnswer> {
        Box::pin(async move {
            let happened = self.world.lock().unwrap().patches.contains_key(&invocation.call.id);
            if happened { ProbeAnswer::Happened(ToolOutput::text("patched")) } else { ProbeAnswer::DidNotHappen }
        })
    }
}

impl ActiveEnvironment for Tools {
    fn diagnostics(&self) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.world.lock().unwrap().active -= 1 })
    }
}

/// What a test wants to happen first.
pub(crate) type Before<T> = Arc<dyn Fn(T) -> BoxFuture<'static, ()> + Send + Sync>;

/// Activates [`Tools`] over one world.
pub(crate) struct TestEnvironments {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) specs: Vec<ToolSpec>,
    pub(crate) before_activation: Before<()>,
    pub(crate) before_call: Before<Invocation>,
}

impl TestEnvironments {
    pub(crate) fn new(world: &Arc<Mutex<World>>) -> Self {
        Self {
            world: Arc::clone(world),
            specs: specs(),
            before_activation: Arc::new(|()| Box::pin(async {})),
            before_call: Arc::new(|_| Box::pin(async {})),
        }
    }
}

impl Environments for TestEnvironments {
    fn activate(&self, _: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>> {
        Box::pin(async {
            (self.before_activation)(()).await;
            self.world.lock().unwrap().active += 1;
            let tools = Tools {
                world: Arc::clone(&self.world),
                specs: self.specs.clone().into(),
                before_call: Arc::clone(&self.before_call),
            };
            Ok(Arc::new(tools) as Arc<dyn ActiveEnvironment>)
        })
    }
}

pub(crate) fn persona() -> Persona {
    Persona {
        description: "tests".into(),
        prompt: "You test.".into(),
        tools: ToolSelection::Only(vec!["*".into()]),
        digest: Digest::of("persona"),
        source: "test".into(),
        ..Persona::new("tester")
    }
}

pub(crate) fn run_spec() -> RunSpec {
    RunSpec {
        task: vec![Part::text("do it")],
        route: Route {
            models: vec!["test/model".parse().unwrap()],
            fallback_on: vec![],
            temperature: None,
            max_output_tokens: 100,
        },
        price: Price { input: MicroUsd(1_000_000), output: MicroUsd(1_000_000), ..Price::default() },
        context_tokens: 100_000,
        limits: Limits { steps: Some(1_000), ..Limits::default() },
        policy: Policy { tools: ToolSelection::Only(vec!["*".into()]), ..Policy::default() },
        approvals: ApprovalTerms { ttl_ms: None },
        workspace: "/tmp".into(),
        sandbox: SandboxMode::Process,
        started_by: Actor::User("test".into()),
        parent: None,
        called: None,
        conversation: false,
    }
}

pub(crate) fn ask_rule(tool: &str) -> Rule {
    Rule::new(tool, Verdict::Ask)
}

/// Creates a run in a store.
pub(crate) async fn create(store: &Store, spec: RunSpec, persona: Persona) -> RunId {
    let id = RunId::from_uuid(uuid::Uuid::now_v7());
    try_create(store, id, spec, persona).await.unwrap();
    id
}

pub(crate) async fn try_create(
    store: &Store,
    id: RunId,
    spec: RunSpec,
    persona: Persona,
) -> Result<(), masque_store::Error> {
    let event = |seq, body| Event { seq, epoch: 0, at: Timestamp(1), body };
    let (parent, conversation) = (spec.parent, spec.conversation);
    let events = vec![
        event(1, EventBody::RunCreated { spec: Box::new(spec) }),
        event(2, EventBody::PersonaPinned { persona: Box::new(persona) }),
    ];
    store
        .create_run(NewRun {
            id,
            persona: "tester".into(),
            title: "do it".into(),
            sandbox: SandboxMode::Process,
            created_at: Timestamp(1),
            status: RunStatus::Running,
            events,
            forked_from: None,
            parent,
            conversation,
            job: None,
            audit: vec![],
        })
        .await
}

/// The time of the machine.
pub(crate) fn real_time() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the clock of the tests")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// An engine over a store, a model and a world, with the real clock.
pub(crate) fn engine(store: &Store, model: Arc<dyn Model>, world: &Arc<Mutex<World>>, worker: &str) -> Engine {
    Engine {
        store: store.clone(),
        model,
        environments: Arc::new(TestEnvironments::new(world)),
        children: Arc::new(NoChildren),
        clock: Arc::new(real_time),
        worker: worker.into(),
        lease: Duration::from_secs(10),
    }
}

/// Drives until the run ends or waits.
pub(crate) async fn drive(
    engine: &Engine,
    run: RunId,
    dead_worker: Option<&str>,
) -> Result<Driven, masque_engine::Error> {
    engine.drive(run, DriveOptions { dead_worker, ..options() }).await
}

/// Waits for nobody and tells nobody.
pub(crate) fn options<'a>() -> DriveOptions<'a> {
    let quiet: &(dyn Fn(Progress<'_>) + Send + Sync) = &|_| {};
    DriveOptions {
        when_waiting: &|_| WhenWaiting::Park,
        between_turns: WhenWaiting::Park,
        observe: quiet,
        stop: CancellationToken::new(),
        dead_worker: None,
        known: None,
    }
}

pub(crate) async fn journal(store: &Store, run: RunId) -> Vec<Event> {
    store.journal(run, 0).await.unwrap()
}

/// The open questions of a run.
pub(crate) async fn open_questions(store: &Store, run: RunId) -> Vec<Approval> {
    store.approvals(&ApprovalFilter { open_only: true, run: Some(run), limit: 10 }).await.unwrap()
}

/// Answers the oldest open question.
pub(crate) async fn answer(store: &Store, run: RunId, answer: Answer) {
    let approval = open_questions(store, run).await.remove(0);
    answer_one(store, &approval, answer).await;
}

pub(crate) async fn answer_one(store: &Store, approval: &Approval, answer: Answer) {
    let ruling = Ruling { answer, by: Actor::User("ada".into()), channel: Channel::Cli };
    let command = Command::Answer { approval: approval.id, digest: approval.digest, ruling };
    send(store, approval.run, command).await;
}

/// Sends a command whose id follows from a name: it is sent once.
pub(crate) async fn send_as(store: &Store, name: &str, run: RunId, command: Command) {
    store.send(CommandId::derive(&Digest::of(name)), run, &command, Timestamp(1)).await.unwrap();
}

pub(crate) async fn send(store: &Store, run: RunId, command: Command) {
    store.send(CommandId::from_uuid(uuid::Uuid::now_v7()), run, &command, Timestamp(1)).await.unwrap();
}
