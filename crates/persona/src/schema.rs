//! The JSON Schema of a persona file's front matter.
//!
//! These structures say what may stand where, for editors and other programs; the reader of persona files is the other
//! statement of the same, and tests hold the two together. Keys that other programs have at the top are allowed, as the
//! reader allows them; a part that restricts is closed, as it is there.
#![expect(dead_code, reason = "the structures are never filled: only their schema is used")]

use std::collections::BTreeMap;

use masque_types::{
    model::FailureKind,
    persona::Forms,
    persona::{Backend, Injection},
    policy::{Mode, Verdict},
    tool::EffectClass,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The front matter of a persona file of Masque.
#[derive(JsonSchema)]
#[schemars(rename = "Persona", rename_all = "camelCase")]
struct Front {
    /// Unique name: lower-case letters, digits and `-`. The file's name when absent.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9-]+$"))]
    name: Option<String>,
    /// What the persona does and when to use it.
    description: Option<String>,
    /// The tools that it has, by our names or those of other programs. Absent: the default set; empty: none.
    tools: Option<Names>,
    /// Tools that it does not have, as Claude Code writes it.
    disallowed_tools: Option<Names>,
    /// MCP servers by name, or a choice of names from `mcp.json`. Empty: none.
    mcp_servers: Option<Servers>,
    /// Skills by name, from the project's or the user's.
    skills: Option<Names>,
    /// A model as `provider/model`; `masque.model` says more.
    model: Option<String>,
    /// The provider of `model`, as goose writes it.
    provider: Option<String>,
    /// A colour as `#rrggbb` or by its usual name.
    color: Option<String>,
    /// The mode, as Claude Code writes it.
    permission_mode: Option<String>,
    /// Most model calls of a run, as Claude Code writes it.
    max_turns: Option<u32>,
    /// Most model calls of a run, as OpenHands writes it.
    #[schemars(rename = "max_iteration_per_run")]
    max_iteration_per_run: Option<u32>,
    /// Most dollars of a run, as OpenHands writes it.
    #[schemars(rename = "max_budget_per_run")]
    max_budget_per_run: Option<f64>,
    /// The mode, as OpenHands writes it.
    #[schemars(rename = "permission_mode")]
    openhands_permission_mode: Option<String>,
    /// What only Masque understands.
    masque: Option<Masque>,
}

/// Names in a list, or in one text between commas.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Names {
    List(Vec<String>),
    Text(String),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Servers {
    Named(BTreeMap<String, Server>),
    Chosen(Vec<Chosen>),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Chosen {
    Name(String),
    Server(BTreeMap<String, Server>),
}

/// A server: a program on standard streams, or an address.
#[derive(JsonSchema)]
#[schemars(rename = "McpServer")]
struct Server {
    /// `stdio`, or `http` for streamable HTTP.
    #[schemars(rename = "type")]
    kind: Option<String>,
    /// The program; it runs in the sandbox.
    command: Option<String>,
    /// Its arguments.
    args: Option<Vec<String>>,
    /// Its environment; nothing else is inherited.
    env: Option<BTreeMap<String, Scalar>>,
    /// The address of a server.
    url: Option<String>,
    /// Headers of each request.
    headers: Option<BTreeMap<String, Scalar>>,
    /// Tools that the persona sees, by the server's own names or patterns.
    tools: Option<Vec<String>>,
    /// Effect classes by the server's tool names.
    effects: Option<BTreeMap<String, EffectClass>>,
    /// How long starting and each call may take: `30s`, or a number of milliseconds.
    timeout: Option<Duration>,
    /// Whether it is started on its first call.
    lazy: Option<bool>,
    /// `lazy` or `eager`.
    start: Option<Start>,
    /// The persona's secrets that it may use, by name.
    secrets: Option<Vec<String>>,
    /// What is answered when it shows a form.
    forms: Option<Forms>,
    /// Whether it is left out.
    disabled: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum Start {
    Lazy,
    Eager,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Duration {
    Text(#[schemars(regex(pattern = r"^\s*[0-9.]+\s*(ms|s|m|h|d|MS|S|M|H|D)\s*$"))] String),
    Milliseconds(#[schemars(range(min = 1))] u64),
}

/// What only Masque understands.
#[derive(JsonSchema)]
struct Masque {
    /// The version of this format.
    schema: Option<Version>,
    /// How the persona is shown.
    display: Option<Display>,
    /// Which models it prefers; a text is one model.
    model: Option<Model>,
    /// What it does where no rule speaks.
    mode: Option<Mode>,
    /// Rules over tools and paths; the most specific wins, among equals deny over ask over allow.
    rules: Option<Vec<Rule>>,
    /// How its programs are confined.
    sandbox: Option<Sandbox>,
    /// Secrets that its programs may use.
    secrets: Option<Vec<Secret>>,
    /// What a run of it may use.
    budget: Option<Budget>,
    /// Whom it may call.
    delegate: Option<Delegate>,
    /// What it remembers.
    memory: Option<Memory>,
    /// What its final answer must satisfy.
    output: Option<Output>,
    /// Programs of its own directory that run when something happens.
    hooks: Option<Hooks>,
    /// Whether editors and other agents may call it directly.
    callable: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(inline)]
enum Version {
    #[schemars(rename = "masque.persona/v1")]
    V1,
}

/// How the persona is shown.
#[derive(JsonSchema)]
struct Display {
    /// A name for people.
    #[schemars(length(max = 80))]
    title: Option<String>,
    /// An SVG file of its own directory; `icon.svg` when absent.
    icon: Option<String>,
    /// `#rrggbb`, in quotes.
    #[schemars(regex(pattern = r"^\s*(#[0-9A-Fa-f]{6}|[A-Za-z]+)\s*$"))]
    color: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Model {
    One(#[schemars(regex(pattern = r"\S\s*/\s*\S"))] String),
    Several(Models),
}

/// Which models it prefers.
#[derive(JsonSchema)]
struct Models {
    /// Candidates in order, each as `provider/model`.
    #[schemars(inner(regex(pattern = r"\S\s*/\s*\S")))]
    prefer: Option<Vec<String>>,
    /// Failures after which the next candidate is tried.
    fallback_on: Option<Vec<FailureKind>>,
    /// Sampling temperature.
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: Option<f64>,
    /// Largest answer in tokens.
    max_output_tokens: Option<u32>,
}

/// What happens when a tool is called.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rule {
    /// A tool's name or a pattern: `fs.*`, `mcp:hdf5/*`.
    tool: String,
    /// A pattern over the call's path, from the workspace on: `data/**`.
    path: Option<String>,
    /// What to do.
    effect: Verdict,
}

/// How its programs are confined.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Sandbox {
    /// What confines them.
    backend: Option<Backend>,
    /// The container, for the container backend.
    container: Option<Container>,
    /// Files.
    fs: Option<Files>,
    /// Network of its programs.
    net: Option<Net>,
    /// Limits of its processes.
    limits: Option<Limits>,
}

/// The container of a persona.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Container {
    /// The image, by name or digest.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9._/:@][A-Za-z0-9._/:@-]*$"))]
    image: String,
    /// Whether one container serves all personas with this image and workspace.
    shared: Option<bool>,
    /// The OCI runtime, such as `runsc`.
    runtime: Option<String>,
}

/// Files that its programs see.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Files {
    /// Directories of the workspace that may be written; absent: all of it.
    rw: Option<Vec<String>>,
    /// Further absolute paths that may be read.
    #[schemars(inner(regex(pattern = r"^/")))]
    ro: Option<Vec<String>>,
    /// Paths and patterns of the workspace that do not exist for them.
    deny: Option<Vec<String>>,
}

/// The network of its programs.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Net {
    /// Hosts with ports (`zenodo.org:443`, `*.example.org`), or `*` for the whole network.
    allow: Option<Vec<String>>,
}

/// Limits of its processes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Limits {
    /// Memory of all of them: `2GiB`, or bytes.
    memory: Option<Size>,
    /// Processes and threads.
    pids: Option<u32>,
    /// Private temporary storage.
    tmp: Option<Size>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Size {
    Text(#[schemars(regex(pattern = r"^\s*[0-9.]+\s*[A-Za-z]*\s*$"))] String),
    Bytes(#[schemars(range(min = 1))] u64),
}

/// A secret that its programs may use without seeing it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Secret {
    /// Its name in the sealed store, and the variable that holds the placeholder.
    #[schemars(length(max = 64), regex(pattern = r"^[A-Z][A-Z0-9_]*$"))]
    name: String,
    /// How it is put in.
    inject: Option<Injection>,
    /// The hosts that it may be sent to, exact names.
    hosts: Option<Vec<String>>,
}

/// What a run may use.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Budget {
    /// Dollars.
    #[schemars(range(min = 0.0))]
    usd: Option<f64>,
    /// Input and output tokens together.
    tokens: Option<u64>,
    /// Model calls.
    steps: Option<u32>,
    /// Active time: `20m`.
    #[schemars(regex(pattern = r"^\s*[0-9.]+\s*(ms|s|m|h|d|MS|S|M|H|D)\s*$"))]
    wall: Option<String>,
}

/// Whom it may call.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Delegate {
    /// Personas by name or pattern.
    to: Option<Vec<String>>,
    /// Generations below it.
    #[schemars(range(min = 1, max = 16))]
    depth: Option<u32>,
    /// Calls under way at once.
    #[schemars(range(min = 1, max = 64))]
    parallel: Option<u32>,
    /// Tools that a called persona may use of its own; absent: all of its own.
    grants: Option<Vec<String>>,
    /// Whether a called persona may be given the conversation.
    history: Option<bool>,
}

/// What it remembers.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Memory {
    /// `private`, `project`, `room:<name>`.
    #[schemars(inner(regex(pattern = r"^(private|project|room:[a-z0-9-]{1,64})$")))]
    scopes: Option<Vec<String>>,
    /// How many memories are put into a run's context.
    inject: Option<u32>,
}

/// What its final answer must satisfy.
#[derive(JsonSchema)]
struct Output {
    /// A JSON Schema, or its file in the persona's own directory.
    schema: Option<OutputSchema>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum OutputSchema {
    File(String),
    Schema(BTreeMap<String, Value>),
    Flag(bool),
}

/// Programs of its own directory.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Hooks {
    /// After the environment stands.
    on_activate: Option<String>,
    /// Before the environment is closed.
    on_deactivate: Option<String>,
    /// Before each tool call; exit code 2 blocks it.
    pre_tool_use: Option<String>,
    /// After each tool call.
    post_tool_use: Option<String>,
}

/// The schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Front>();
    schema.insert("$id".to_owned(), Value::from("urn:masque:persona:v1"));
    schema.into()
}
