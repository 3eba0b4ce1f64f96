//! The world of the measured runs: a model in this process that follows a script, and one tool of class `once` whose
//! result has a fixed size. Everything else is what real runs use: engine, store, leases, heartbeats.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use masque_engine::{
    children::NoChildren,
    driver::{DriveOptions, Driven, Engine, WhenWaiting},
    environment::{Activation, ActiveEnvironment, Environments},
};
use masque_store::{NewRun, Store};
use masque_types::{
    BoxFuture,
    actor::Actor,
    approval::ApprovalTerms,
    cost::{Limits, MicroUsd, Price, Usage},
    diagnostic::Diagnostic,
    event::{Event, EventBody},
    id::RunId,
    message::{AssistantMessage, Part, ToolCall},
    model::{
        Attempt, FinishReason, Model, ModelDelta, ModelError, ModelFacts, ModelRef, ModelReply, ModelRequest, Receipt,
        Route,
    },
    persona::Persona,
    policy::{Policy, Rule, ToolSelection, Verdict},
    run::{RunSpec, RunStatus, SandboxMode},
    time::Timestamp,
    tool::{EffectClass, Invocation, Place, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The tool's name.
const TOOL: &str = "work";
/// The largest conversation: no compaction, as the peers do none.
const CONTEXT_TOKENS: u64 = 1 << 40;

/// How a run is to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    /// Tool calls, one per model call.
    pub(crate) steps: u32,
    /// Bytes of each result.
    pub(crate) payload: usize,
    /// Whether each call waits for a human first.
    pub(crate) asks: bool,
}

/// An engine over a store whose runs follow a script.
pub(crate) fn engine(store: &Store, script: Script, worker: &str) -> Engine {
    let model: ModelRef = ModelRef { provider: "scripted".to_owned(), model: "bench".to_owned() };
    Engine {
        store: store.clone(),
        model: Arc::new(ScriptModel { steps: script.steps, model }),
        children: Arc::new(NoChildren),
        environments: Arc::new(Tools { specs: Arc::from([tool()]), payload: script.payload }),
        clock: Arc::new(now),
        worker: worker.to_owned(),
        lease: Duration::from_secs(10),
    }
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "the clock of the measured runs")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// Creates a run.
pub(crate) async fn create(store: &Store, script: Script) -> anyhow::Result<RunId> {
    let (id, at) = (RunId::from_uuid(Uuid::now_v7()), now());
    let bodies = [
        EventBody::RunCreated { spec: Box::new(spec(script)) },
        EventBody::PersonaPinned { persona: Box::new(persona()) },
    ];
    let events = (1..).zip(bodies).map(|(seq, body)| Event { seq, epoch: 0, at, body }).collect();
    let new = NewRun {
        id,
        persona: "bench".to_owned(),
        title: "Work step by step".to_owned(),
        sandbox: SandboxMode::Process,
        created_at: at,
        status: RunStatus::Running,
        events,
        forked_from: None,
        parent: None,
        conversation: false,
        job: None,
        audit: Vec::new(),
    };
    store.create_run(new).await?;
    Ok(id)
}

/// Drives a run until it ends or waits.
pub(crate) async fn drive(engine: &Engine, run: RunId) -> anyhow::Result<Driven> {
    Ok(engine.drive(run, options()).await?)
}

/// To drive quietly, and to leave a run that waits.
pub(crate) fn options() -> DriveOptions<'static> {
    DriveOptions {
        when_waiting: &|_| WhenWaiting::Park,
        between_turns: WhenWaiting::Park,
        observe: &|_| {},
        stop: CancellationToken::new(),
        dead_worker: None,
        known: None,
    }
}

/// Creates runs and drives them, so many at once. Runs that go one after the other are driven as `masque run` does it,
/// without a task of their own.
pub(crate) async fn drive_all(engine: &Engine, script: Script, runs: u32, at_once: u32) -> anyhow::Result<()> {
    if at_once == 1 {
        return drive_share(engine, script, runs).await;
    }
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..at_once {
        let engine = Engine { worker: format!("bench-{worker}"), ..engine.clone() };
        let share = runs / at_once + u32::from(worker < runs % at_once);
        workers.spawn(async move { drive_share(&engine, script, share).await });
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker of the benchmark")??;
    }
    Ok(())
}

async fn drive_share(engine: &Engine, script: Script, runs: u32) -> anyhow::Result<()> {
    for _ in 0..runs {
        let run = create(&engine.store, script).await?;
        drive(engine, run).await?;
    }
    Ok(())
}

fn spec(script: Script) -> RunSpec {
    let rules = if script.asks { vec![Rule::new(TOOL, Verdict::Ask)] } else { Vec::new() };
    let model = ModelRef { provider: "scripted".to_owned(), model: "bench".to_owned() };
    RunSpec {
        task: vec![Part::text("Work step by step.")],
        route: Route { models: vec![model], fallback_on: Vec::new(), temperature: None, max_output_tokens: 1_000 },
        price: Price::default(),
        context_tokens: CONTEXT_TOKENS,
        limits: Limits::default(),
        policy: Policy { tools: ToolSelection::Only(vec!["*".to_owned()]), rules, ..Policy::default() },
        approvals: ApprovalTerms { ttl_ms: None },
        workspace: "/tmp".to_owned(),
        sandbox: SandboxMode::Process,
        started_by: Actor::User("bench".to_owned()),
        parent: None,
        called: None,
        conversation: false,
    }
}

fn persona() -> Persona {
    Persona {
        description: "Works step by step".to_owned(),
        prompt: "You work step by step.".to_owned(),
        tools: ToolSelection::Only(vec!["*".to_owned()]),
        source: "bundled".to_owned(),
        ..Persona::new("bench")
    }
}

fn tool() -> ToolSpec {
    ToolSpec {
        name: TOOL.to_owned(),
        description: "Does one piece of work.".to_owned(),
        input_schema: json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] }),
        output_schema: None,
        effect: EffectClass::Once,
        place: Place::Host,
        depends_on: Vec::new(),
    }
}

/// Calls the tool in each step, then is done.
struct ScriptModel {
    steps: u32,
    model: ModelRef,
}

impl ScriptModel {
    fn answer(&self, request: &ModelRequest) -> AssistantMessage {
        if request.step > self.steps {
            return AssistantMessage { text: "done".to_owned(), ..AssistantMessage::default() };
        }
        let call = ToolCall {
            id: format!("call_{}", request.step),
            tool: TOOL.to_owned(),
            arguments: json!({ "n": request.step }),
            signature: None,
        };
        AssistantMessage { calls: vec![call], ..AssistantMessage::default() }
    }

    fn receipt(&self) -> Receipt {
        let latency = Duration::ZERO;
        Receipt {
            attempts: vec![Attempt { model: self.model.clone(), failure: None, latency }],
            served: Some(self.model.clone()),
            usage: Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() },
            usage_reported: true,
            micro_usd: Some(MicroUsd(0)),
            latency,
            ..Receipt::default()
        }
    }
}

impl Model for ScriptModel {
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        _show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>> {
        Box::pin(async move {
            let message = self.answer(request);
            let finish = if message.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
            Ok(ModelReply { message, finish, receipt: self.receipt() })
        })
    }

    fn facts(&self, _: &ModelRef) -> ModelFacts {
        ModelFacts::default()
    }
}

/// The tool, and what activates it.
#[derive(Clone)]
struct Tools {
    specs: Arc<[ToolSpec]>,
    payload: usize,
}

impl Toolbox for Tools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { ToolOutput::text(random_text(&invocation.idempotency_key, self.payload)) })
    }

    fn probe<'a>(&'a self, _: &'a Invocation) -> BoxFuture<'a, ProbeAnswer> {
        Box::pin(async { ProbeAnswer::Unknown })
    }
}

impl ActiveEnvironment for Tools {
    fn diagnostics(&self) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Environments for Tools {
    fn activate(&self, _: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>> {
        Box::pin(async { Ok(Arc::new(self.clone()) as Arc<dyn ActiveEnvironment>) })
    }
}

/// Letters that do not compress, another text for each seed.
fn random_text(seed: &str, bytes: usize) -> String {
    let mut state = seed
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).unwrap_or(0))
    };
    (0..bytes).map(|_| letter()).collect()
}
