//! Golden journals: what a released version stored is read by every later one.
//!
//! `golden/v1` holds journals line by line as the store keeps them: position, epoch, time, version, and the body as
//! text. The files of a released version are never written again.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by a panic")]

use std::{collections::BTreeSet, path::Path, time::Duration};

use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, ApprovalTerms, Question, Ruling},
    child::{Ancestor, Called, ChildMode, ChildStop},
    cost::{Limits, MicroUsd, Price, Spend, Usage},
    digest::Digest,
    event::{BlobRef, DecodeError, EVENT_VERSION, EventBody, FailReason, Refusal, TurnFailure, decode},
    id::{ApprovalId, RunId},
    message::{AssistantMessage, Part, ToolCall},
    model::{Attempt, Failure, FailureKind, FinishReason, Receipt, Route},
    persona::{McpServer, McpTransport, ModelPreference, Persona, SandboxLimits, SandboxSpec},
    policy::{Mode, Policy, Rule, ToolSelection, Verdict},
    run::{ModelChoice, RunSpec, RunStatus, SandboxMode},
    time::Timestamp,
    tool::{EffectClass, Place, ToolSpec},
};
use serde_json::{Value, json};

const JOURNALS: [&str; 5] = ["completed", "failed", "forked", "conversation", "calling"];

/// Names the kinds; a new one does not compile before it stands here, and then wants a place in a golden journal.
const fn number(body: &EventBody) -> usize {
    match body {
        EventBody::RunCreated { .. } => 0,
        EventBody::PersonaPinned { .. } => 1,
        EventBody::ToolsPinned { .. } => 2,
        EventBody::Forked { .. } => 3,
        EventBody::Recovered { .. } => 4,
        EventBody::ModelCallStarted { .. } => 5,
        EventBody::ModelCallFinished { .. } => 6,
        EventBody::ModelCallFailed { .. } => 7,
        EventBody::ModelCallLost { .. } => 8,
        EventBody::ToolCallStarted { .. } => 9,
        EventBody::ToolCallFinished { .. } => 10,
        EventBody::ToolCallRefused { .. } => 11,
        EventBody::ToolCallInDoubt { .. } => 12,
        EventBody::ApprovalRequested { .. } => 13,
        EventBody::ApprovalDecided { .. } => 14,
        EventBody::ContextCompacted { .. } => 15,
        EventBody::OutputRejected { .. } => 16,
        EventBody::CancelRequested { .. } => 17,
        EventBody::RunCompleted { .. } => 18,
        EventBody::RunFailed { .. } => 19,
        EventBody::RunCancelled { .. } => 20,
        EventBody::TurnEnded { .. } => 21,
        EventBody::UserSaid { .. } => 22,
        EventBody::InterruptRequested { .. } => 23,
        EventBody::FinishRequested { .. } => 24,
        EventBody::PolicyChanged { .. } => 25,
        EventBody::ChildStarted { .. } => 26,
        EventBody::ChildCancelled { .. } => 27,
        EventBody::ChildEnded { .. } => 28,
    }
}
const KINDS: usize = 29;

fn file(version: u32, name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}/{name}.jsonl"))
}

/// The stored texts of a golden journal.
#[expect(clippy::disallowed_methods, reason = "this crate has no other files and no library for them")]
fn bodies(version: u32, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file(version, name)).unwrap();
    let stored = |line: &str| {
        let envelope: Value = serde_json::from_str(line).unwrap();
        assert_eq!(envelope["version"], version, "{line}");
        line.split_once("\"body\":").unwrap().1.strip_suffix('}').unwrap().to_owned()
    };
    text.lines().map(stored).collect()
}

#[test]
fn every_kind_is_read_and_written_as_it_was_stored() {
    let mut kinds = BTreeSet::new();
    for name in JOURNALS {
        for body in bodies(1, name) {
            let event = decode(1, &body).unwrap_or_else(|error| panic!("{name}: {error}\n{body}"));
            kinds.insert(number(&event));
            if EVENT_VERSION == 1 {
                assert_eq!(serde_json::to_string(&event).unwrap(), body, "{name}");
            }
        }
    }
    assert_eq!(kinds, (0..KINDS).collect(), "every kind stands in a golden journal");
}

#[test]
fn a_newer_version_and_damage_are_told_apart() {
    let newer = decode(EVENT_VERSION + 1, "{}").unwrap_err();
    assert!(matches!(newer, DecodeError::Newer { found } if found == EVENT_VERSION + 1));
    assert!(newer.to_string().contains("install a newer Masque"), "{newer}");
    for body in ["", "{}", r#"{"type":"no_such_kind"}"#, r#"{"type":"recovered"}"#] {
        assert!(matches!(decode(EVENT_VERSION, body), Err(DecodeError::Damaged(_))), "{body}");
    }
}

#[test]
#[ignore = "writes the golden files that are not there yet"]
#[expect(clippy::disallowed_methods, reason = "this crate has no other files and no library for them")]
fn write_the_golden_files_of_this_version() {
    for (name, bodies) in JOURNALS.into_iter().zip([completed(), failed(), forked(), conversation(), calling()]) {
        let line = |(place, body): (usize, &EventBody)| {
            let (seq, epoch, body) = (place + 1, u64::from(place > 1), serde_json::to_string(body).unwrap());
            let at = 1_800_000_000_000_u64 + 1_000 * place as u64;
            format!("{{\"seq\":{seq},\"epoch\":{epoch},\"at\":{at},\"version\":{EVENT_VERSION},\"body\":{body}}}\n")
        };
        let path = file(EVENT_VERSION, name);
        if path.exists() {
            continue;
        }
        std::fs::write(path, bodies.iter().enumerate().map(line).collect::<String>()).unwrap();
    }
}

fn beginning() -> Vec<EventBody> {
    vec![
        EventBody::RunCreated { spec: Box::new(spec()) },
        EventBody::PersonaPinned { persona: Box::new(persona()) },
        EventBody::ToolsPinned { tools: tools() },
        EventBody::ModelCallStarted {
            step: 1,
            messages: 1,
            reserved_tokens: 1_500,
            reserved_micro_usd: MicroUsd(4_500),
        },
    ]
}

fn completed() -> Vec<EventBody> {
    let mail = ApprovalId::derive(&Digest::of("mail"));
    let doubt = ApprovalId::derive(&Digest::of("doubt"));
    let question = ApprovalId::derive(&Digest::of("question"));
    let mut bodies = beginning();
    bodies.extend([
        answer(
            1,
            "I look.",
            vec![call("c1", "fs.read"), call("c2", "fly"), call("c3", "mail.send"), call("c4", "human.ask")],
        ),
        started("c1", EffectClass::Pure, 1),
        EventBody::ToolCallRefused {
            call_id: "c2".into(),
            reason: Refusal::UnknownTool,
            message: "There is no tool `fly`.".into(),
        },
        asked(
            mail,
            "c3",
            Question::ToolCall {
                tool: "mail.send".into(),
                arguments: json!({ "path": "a" }),
                reason: "rule: ask mail.*".into(),
            },
        ),
        asked(question, "c4", Question::Input { question: "Which?".into(), choices: vec!["a".into(), "b".into()] }),
        EventBody::ToolCallFinished {
            call_id: "c1".into(),
            content: vec![Part::text("é\n"), Part::Image { media_type: "image/png".into(), data: "AAAA".into() }],
            is_error: false,
            whole: Some(BlobRef { digest: Digest::of("whole"), bytes: 40_000 }),
            duration_ms: 12,
        },
        decided(mail, Answer::Approve),
        started("c3", EffectClass::Once, 1),
        EventBody::Recovered { worker: "host:2".into() },
        EventBody::ToolCallInDoubt { call_id: "c3".into() },
        asked(
            doubt,
            "c3",
            Question::InDoubt {
                tool: "mail.send".into(),
                arguments: json!({ "path": "a" }),
                announced_at: Timestamp(1_800_000_011_000),
            },
        ),
        decided(doubt, Answer::Happened { result: Some("sent".into()) }),
        decided(question, Answer::Reply { text: "a".into() }),
        EventBody::ModelCallStarted {
            step: 2,
            messages: 6,
            reserved_tokens: 2_000,
            reserved_micro_usd: MicroUsd(6_000),
        },
        EventBody::Recovered { worker: "host:3".into() },
        EventBody::ModelCallLost {
            step: 2,
            usage: Usage { input_tokens: 2_000, ..Usage::default() },
            micro_usd: MicroUsd(6_000),
        },
        EventBody::ModelCallStarted {
            step: 2,
            messages: 6,
            reserved_tokens: 2_000,
            reserved_micro_usd: MicroUsd(6_000),
        },
        EventBody::ModelCallFailed { step: 2, failure: failure(FailureKind::ContextTooLong), receipt: receipt() },
        EventBody::ContextCompacted {
            elided: 6,
            dropped: 5,
            summary: "[Earlier turns were shortened.]".into(),
            tokens_before: 900,
            tokens_after: 300,
        },
        EventBody::ModelCallStarted {
            step: 2,
            messages: 4,
            reserved_tokens: 1_400,
            reserved_micro_usd: MicroUsd(4_200),
        },
        answer(2, "no JSON", vec![]),
        EventBody::OutputRejected { errors: vec!["the answer is not one JSON value".into()] },
        EventBody::ModelCallStarted {
            step: 3,
            messages: 6,
            reserved_tokens: 1_400,
            reserved_micro_usd: MicroUsd(4_200),
        },
        answer(3, "{\"title\":\"x\"}", vec![]),
        EventBody::RunCompleted {
            text: "{\"title\":\"x\"}".into(),
            output: Some(json!({ "title": "x" })),
            spend: spend(),
        },
    ]);
    bodies
}

fn failed() -> Vec<EventBody> {
    let mut bodies = beginning();
    bodies.extend([
        EventBody::ModelCallFailed { step: 1, failure: failure(FailureKind::Auth), receipt: receipt() },
        EventBody::RunFailed {
            reason: FailReason::Model,
            message: "auth: no key".into(),
            partial: String::new(),
            spend: spend(),
        },
    ]);
    bodies
}

fn forked() -> Vec<EventBody> {
    let mut bodies = beginning();
    bodies.extend([
        EventBody::Forked {
            parent: RunId::derive(&Digest::of("parent")),
            parent_seq: 4,
            effects_after: vec![("mail.send".into(), "c3".into())],
            instruction: vec![Part::text("Try again.")],
            route: Some(Route { models: vec!["ollama/qwen3".parse().unwrap()], ..spec().route }),
        },
        EventBody::ModelCallStarted { step: 1, messages: 2, reserved_tokens: 1_500, reserved_micro_usd: MicroUsd(0) },
        answer(1, "I write.", vec![call("c1", "fs.write")]),
        started("c1", EffectClass::Keyed, 1),
        EventBody::CancelRequested { by: Actor::User("ada".into()) },
        EventBody::ToolCallInDoubt { call_id: "c1".into() },
        EventBody::RunCancelled { partial: "I write.".into(), interrupted: vec!["fs.write c1".into()], spend: spend() },
    ]);
    bodies
}

fn call(id: &str, tool: &str) -> ToolCall {
    let arguments = json!({ "path": "a", "deep": { "list": [1, 2.5, null, true] } });
    ToolCall { id: id.into(), tool: tool.into(), arguments, signature: Some("signed".into()) }
}

fn started(call_id: &str, effect: EffectClass, attempt: u32) -> EventBody {
    EventBody::ToolCallStarted { call_id: call_id.into(), effect, attempt }
}

fn asked(approval: ApprovalId, call_id: &str, question: Question) -> EventBody {
    let deadline = (!matches!(question, Question::InDoubt { .. })).then_some(Timestamp(1_900_000_000_000));
    EventBody::ApprovalRequested { approval, call_id: call_id.into(), question, digest: Digest::of(call_id), deadline }
}

fn decided(approval: ApprovalId, answer: Answer) -> EventBody {
    let ruling = Ruling { answer, by: Actor::User("ada".into()), channel: Channel::Cli };
    EventBody::ApprovalDecided { approval, ruling }
}

fn answer(step: u32, text: &str, calls: Vec<ToolCall>) -> EventBody {
    let finish = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
    let message = AssistantMessage {
        text: text.into(),
        reasoning: Some("hm".into()),
        calls,
        opaque: Some(json!({ "anthropic": [{ "signature": "s" }] })),
    };
    EventBody::ModelCallFinished { step, message, finish, receipt: receipt() }
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: "no".into(), retry_after_ms: Some(2_000) }
}

fn receipt() -> Receipt {
    let attempt =
        |model: &str, failure| Attempt { model: model.parse().unwrap(), failure, latency: Duration::from_millis(7) };
    Receipt {
        attempts: vec![
            attempt("anthropic/claude", Some(failure(FailureKind::RateLimit))),
            attempt("openrouter/meta-llama/llama-4", None),
        ],
        served: Some("openrouter/meta-llama/llama-4".parse().unwrap()),
        reported_model: Some("llama-4-maverick".into()),
        response_id: Some("r1".into()),
        usage: Usage { input_tokens: 400, output_tokens: 20, cache_read_tokens: 300, cache_write_tokens: 10 },
        usage_reported: true,
        micro_usd: Some(MicroUsd(700)),
        latency: Duration::from_millis(1_234),
    }
}

fn spend() -> Spend {
    let usage = Usage { input_tokens: 3_600, output_tokens: 80, cache_read_tokens: 1_200, cache_write_tokens: 40 };
    Spend { steps: 5, usage, micro_usd: MicroUsd(8_800) }
}

/// Two turns of a conversation: one that the person interrupts and one that fails.
fn conversation() -> Vec<EventBody> {
    let mut bodies = beginning();
    let by = || Actor::User("ada".into());
    if let Some(EventBody::RunCreated { spec }) = bodies.first_mut() {
        spec.conversation = true;
        spec.parent = None;
    }
    let choice = ModelChoice { route: spec().route, price: Price::default(), context_tokens: 50_000 };
    let failure = TurnFailure { reason: FailReason::Limit, message: "the limit of 50 model calls is used up".into() };
    bodies.extend([
        EventBody::InterruptRequested { by: by(), partial: "I look".into() },
        EventBody::ModelCallLost {
            step: 1,
            usage: Usage { input_tokens: 2_000, ..Usage::default() },
            micro_usd: MicroUsd(70_000),
        },
        EventBody::TurnEnded { text: "I look".into(), failure: None, interrupted: vec!["mail.send c9".into()] },
        EventBody::PolicyChanged { mode: Some(Mode::Plan), narrow: vec![Rule::new("web.*", Verdict::Deny)], by: by() },
        EventBody::UserSaid { parts: vec![Part::text("Look again.")], by: by(), model: Some(Box::new(choice)) },
        EventBody::TurnEnded { text: String::new(), failure: Some(failure), interrupted: vec![] },
        EventBody::FinishRequested { by: by() },
        EventBody::RunCompleted { text: "I look".into(), output: None, spend: Spend::default() },
    ]);
    bodies
}

/// A run that was called, and that calls others: one waits, one is told to stop, one brings its result later.
fn calling() -> Vec<EventBody> {
    let mut bodies = beginning();
    if let Some(EventBody::RunCreated { spec }) = bodies.first_mut() {
        let ancestor = Ancestor {
            run: RunId::derive(&Digest::of("caller")),
            persona: "architect".into(),
            digest: Digest::of("architect"),
        };
        let package = BlobRef { digest: Digest::of("package"), bytes: 300 };
        spec.called = Some(Called { call_id: "c0".into(), lineage: vec![ancestor], depth_left: 1, package });
    }
    let child = |name: &str| RunId::derive_at(Timestamp(1_800_000_000_000), &Digest::of(name));
    let started = |call_id: &str, mode, deadline| EventBody::ChildStarted {
        call_id: call_id.into(),
        child: child(call_id),
        persona: "engineer".into(),
        package: BlobRef { digest: Digest::of("package"), bytes: 300 },
        mode,
        reserved: Limits { tokens: Some(50_000), micro_usd: Some(MicroUsd(10_000)), ..Limits::default() },
        deadline,
    };
    let ended = |call_id: &str, status, note| EventBody::ChildEnded {
        child: child(call_id),
        status,
        spend: Spend { steps: 2, usage: Usage { input_tokens: 900, ..Usage::default() }, micro_usd: MicroUsd(40) },
        note,
    };
    let finished = |call_id: &str, text: &str, is_error| EventBody::ToolCallFinished {
        call_id: call_id.into(),
        content: vec![Part::text(text)],
        is_error,
        whole: None,
        duration_ms: 900,
    };
    let call = |id: &str, tool: &str| ToolCall {
        id: id.into(),
        tool: tool.into(),
        arguments: json!({ "persona": "engineer", "task": "Mend it." }),
        signature: None,
    };
    bodies.extend([
        EventBody::ModelCallFinished {
            step: 1,
            message: AssistantMessage {
                calls: vec![call("c1", "agent.call"), call("c2", "agent.call"), call("c3", "agent.handoff")],
                ..AssistantMessage::default()
            },
            finish: FinishReason::ToolCalls,
            receipt: Receipt::default(),
        },
        EventBody::ToolCallRefused {
            call_id: "c3".into(),
            reason: Refusal::NotCallable,
            message: "`engineer` waits for this answer already".into(),
        },
        started("c1", ChildMode::Blocking, Some(Timestamp(1_800_000_010_000))),
        started("c2", ChildMode::Async, None),
        finished("c2", "engineer works on it", false),
        EventBody::ChildCancelled { child: child("c1"), reason: ChildStop::Timeout },
        finished("c1", "engineer did not answer in time", true),
        ended("c1", RunStatus::Cancelled, vec![]),
        ended("c2", RunStatus::Completed, vec![Part::text("[The result of engineer]")]),
        EventBody::RunCompleted { text: "Mended.".into(), output: None, spend: Spend::default() },
    ]);
    bodies
}

fn spec() -> RunSpec {
    RunSpec {
        task: vec![Part::text("Write a report.")],
        route: Route {
            models: vec!["anthropic/claude".parse().unwrap(), "openrouter/meta-llama/llama-4".parse().unwrap()],
            fallback_on: FailureKind::default_fallback(),
            temperature: Some(0.5),
            max_output_tokens: 1_000,
        },
        price: Price {
            input: MicroUsd(3_000_000),
            output: MicroUsd(15_000_000),
            cache_read: Some(MicroUsd(300_000)),
            cache_write: None,
        },
        context_tokens: 100_000,
        limits: Limits {
            steps: Some(50),
            tokens: Some(1_000_000),
            micro_usd: Some(MicroUsd(2_000_000)),
            wall: Some(Duration::from_secs(3_600)),
        },
        policy: Policy {
            tools: ToolSelection::Only(vec!["fs.*".into(), "mail.send".into()]),
            rules: vec![Rule { tool: "fs.write".into(), path: Some("data/**".into()), effect: Verdict::Deny }],
            ceiling: vec![Rule::new("mail.*", Verdict::Ask)],
            ..Policy::default()
        },
        approvals: ApprovalTerms { ttl_ms: Some(86_400_000) },
        workspace: "/home/ada/project".into(),
        sandbox: SandboxMode::Process,
        started_by: Actor::User("ada".into()),
        parent: Some(RunId::derive(&Digest::of("caller"))),
        called: None,
        conversation: false,
    }
}

fn persona() -> Persona {
    let server = |transport| McpServer {
        tools: Some(vec!["list".into()]),
        effects: [("list".to_owned(), EffectClass::Pure)].into(),
        timeout: Duration::from_secs(30),
        ..McpServer::new(transport)
    };
    let stdio = McpTransport::Stdio {
        command: "hdf5-mcp".into(),
        args: vec!["--stdio".into()],
        env: [("MODE".to_owned(), "read".to_owned())].into(),
    };
    let http = McpTransport::Http { url: "https://example.org/mcp".into(), headers: [].into() };
    Persona {
        description: "Looks at data.".into(),
        prompt: "You look at data.".into(),
        tools: ToolSelection::Default,
        rules: vec![Rule::new("shell.exec", Verdict::Deny)],
        mcp_servers: [("hdf5".to_owned(), server(stdio)), ("web".to_owned(), server(http))].into(),
        model: ModelPreference {
            prefer: vec!["anthropic/claude".parse().unwrap()],
            fallback_on: Some(vec![FailureKind::Unavailable]),
            temperature: Some(0.25),
            max_output_tokens: Some(1_000),
        },
        sandbox: SandboxSpec {
            rw: Some(vec!["out".into()]),
            ro: vec!["/usr/share/data".into()],
            deny: vec!["*.key".into()],
            network: true,
            limits: SandboxLimits { memory_bytes: Some(1 << 30), pids: Some(64), tmp_bytes: Some(1 << 20) },
            ..SandboxSpec::default()
        },
        budget: Limits { steps: Some(50), ..Limits::default() },
        output_schema: Some(json!({ "type": "object", "required": ["title"] })),
        digest: Digest::of("persona"),
        source: ".masque/personas/analyst.md".into(),
        ..Persona::new("analyst")
    }
}

fn tools() -> Vec<ToolSpec> {
    let tool = |name: &str, effect, place| ToolSpec {
        name: name.into(),
        description: format!("The tool {name}."),
        input_schema: json!({ "type": "object", "properties": { "path": { "type": "string" } } }),
        output_schema: Some(json!({ "type": "string" })),
        effect,
        place,
        depends_on: vec!["fs.list".into()],
    };
    vec![
        tool("fs.read", EffectClass::Pure, Place::Sandbox),
        tool("fs.write", EffectClass::Keyed, Place::Sandbox),
        tool("mail.send", EffectClass::Once, Place::Host),
        tool("mcp:hdf5/list", EffectClass::Probe, Place::Remote),
        tool("human.ask", EffectClass::Pure, Place::Human),
    ]
}
