//! A persona as Masque uses it: who it is, which model it prefers, what it may use and touch.
//!
//! Leaves out files and dialects: reading them is the persona crate's work.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cost::Limits,
    digest::Digest,
    model::{FailureKind, ModelRef},
    policy::{Mode, Rule, ToolSelection},
    tool::EffectClass,
};

/// An agent's definition, loaded and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Persona {
    /// Unique name: lower-case letters, digits, `-`; at most 64.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// The system prompt: the Markdown body of the file.
    pub prompt: String,
    /// Which tools it has.
    pub tools: ToolSelection,
    /// Rules over tools and paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Its MCP servers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mcp_servers: BTreeMap<String, McpServer>,
    /// Which models it prefers.
    #[serde(default)]
    pub model: ModelPreference,
    /// What it does without a rule.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// Its sandbox.
    #[serde(default)]
    pub sandbox: SandboxSpec,
    /// The secrets that its programs may use without seeing them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretGrant>,
    /// Programs of the persona that run when something happens.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// Skills that come with the persona, in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<Skill>,
    /// Whom it may call.
    #[serde(default, skip_serializing_if = "Delegation::is_empty")]
    pub delegate: Delegation,
    /// What it remembers.
    #[serde(default, skip_serializing_if = "MemorySpec::is_default")]
    pub memory: MemorySpec,
    /// Whether editors and other agents may call it directly.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub callable: bool,
    /// How it is shown.
    #[serde(default, skip_serializing_if = "Display::is_empty")]
    pub display: Display,
    /// What a run of it may use.
    #[serde(default)]
    pub budget: Limits,
    /// JSON Schema that its final answer must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// Digest of everything that the persona was loaded from.
    pub digest: Digest,
    /// Where it came from: a path, or `bundled`.
    pub source: String,
}

impl Persona {
    /// A persona of that name that says nothing about anything else.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            digest: Digest::of(&name),
            source: format!("{name}.md"),
            name,
            description: String::new(),
            prompt: String::new(),
            tools: ToolSelection::Default,
            rules: Vec::new(),
            mcp_servers: BTreeMap::new(),
            model: ModelPreference::default(),
            mode: Mode::Default,
            sandbox: SandboxSpec::default(),
            secrets: Vec::new(),
            hooks: Hooks::default(),
            skills: Vec::new(),
            delegate: Delegation::default(),
            memory: MemorySpec::default(),
            callable: false,
            display: Display::default(),
            budget: Limits::default(),
            output_schema: None,
        }
    }
}

/// A persona's model preference. Empty means: whatever the user configured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelPreference {
    /// Candidates in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<ModelRef>,
    /// Failures after which the next candidate is tried; absent means the default set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_on: Option<Vec<FailureKind>>,
    /// Sampling temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Largest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

/// How to reach an MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServer {
    /// The transport.
    pub transport: McpTransport,
    /// Tools of the server that the persona sees, by the server's own names or patterns; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Effect classes by the server's tool names; what is not named is `once`, or what its annotations promise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub effects: BTreeMap<String, EffectClass>,
    /// How long starting may take and how long one call may take.
    #[serde(default = "default_mcp_timeout", rename = "timeout_ms", with = "crate::time::millis")]
    pub timeout: Duration,
    /// Whether it is started on its first call instead of on activation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lazy: bool,
    /// Which of the persona's secrets it may use, by name. No other program of the persona sees even their placeholders,
    /// unless it names them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What is answered when it shows a form.
    #[serde(default, skip_serializing_if = "Forms::is_decline")]
    pub forms: Forms,
}

/// What is answered when an MCP server shows a form to fill in: nobody sits at a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forms {
    /// It is declined; the server may go on without.
    #[default]
    Decline,
    /// It is accepted with the server's own default for each field; a form with another required field is declined.
    Defaults,
}

impl Forms {
    const fn is_decline(&self) -> bool {
        matches!(self, Self::Decline)
    }
}

impl McpServer {
    /// A server with that transport and nothing else said.
    #[must_use]
    pub const fn new(transport: McpTransport) -> Self {
        Self {
            transport,
            tools: None,
            effects: BTreeMap::new(),
            timeout: DEFAULT_MCP_TIMEOUT,
            lazy: false,
            secrets: Vec::new(),
            forms: Forms::Decline,
        }
    }
}

/// A minute: long enough for a first start that installs something, short enough to notice.
const DEFAULT_MCP_TIMEOUT: Duration = Duration::from_secs(60);

const fn default_mcp_timeout() -> Duration {
    DEFAULT_MCP_TIMEOUT
}

/// The transport of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum McpTransport {
    /// A program that speaks MCP on its standard streams, started inside the sandbox.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        #[serde(default)]
        args: Vec<String>,
        /// Its environment; nothing else is inherited.
        #[serde(default)]
        env: BTreeMap<String, String>,
    },
    /// A server reached by streamable HTTP.
    Http {
        /// Its address.
        url: String,
        /// Headers sent with each request.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
}

/// How a persona's tools are confined.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Directories, relative to the workspace, that tools may write; absent means the whole workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rw: Option<Vec<String>>,
    /// Further absolute paths that tools may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ro: Vec<String>,
    /// Paths or globs, relative to the workspace, that do not exist for tools; adds to the built-in list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Whether programs in the sandbox have the whole network of this machine: `net.allow: ["*"]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Hosts and ports that programs in the sandbox reach, through a broker that refuses everything else:
    /// `zenodo.org:443`, `*.example.org:443`. A host without port means port 443.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What confines the programs.
    #[serde(default, skip_serializing_if = "Backend::is_auto")]
    pub backend: Backend,
    /// The container, for the container backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerSpec>,
    /// Limits of the processes.
    #[serde(default)]
    pub limits: SandboxLimits,
}

/// Limits of the processes in a sandbox. Absent means the default of the backend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxLimits {
    /// Memory of the whole tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Size of private temporary storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmp_bytes: Option<u64>,
}

/// What confines a persona's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A container where the file describes one, else processes.
    #[default]
    Auto,
    /// Namespaces, seccomp and limits on this machine.
    Process,
    /// A container of Podman or Docker.
    Container,
}

impl Backend {
    const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}

/// The container of a persona.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The image, by name or digest. It is not pulled unless the user asks for it.
    pub image: String,
    /// Whether one container serves all personas that name this image and the same workspace, each in its own exec
    /// session; otherwise each persona has its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// The OCI runtime, `runsc` for example; the engine's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

/// A secret that a persona's programs may use. They see a placeholder; the value replaces it on the way out, for the
/// named hosts only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretGrant {
    /// Its name in the sealed store, and the environment variable that holds the placeholder.
    pub name: String,
    /// How it is put in.
    #[serde(default)]
    pub inject: Injection,
    /// The hosts that it may be sent to, exact names only. Empty for [`Injection::Environment`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// How a secret reaches where it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Injection {
    /// Replaced in the headers of HTTP requests, outside the sandbox.
    #[default]
    Header,
    /// Put into the program's environment as it is: the program sees it. For servers that do not speak HTTP.
    Environment,
}

/// Programs that run in the persona's sandbox when something happens. Paths are relative to the persona's sibling
/// directory. A program gets JSON on standard input; exit code 2 of a guard blocks, with its standard error as the reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hooks {
    /// After the environment stands, before the first call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_activate: Option<Hook>,
    /// Before the environment is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_deactivate: Option<Hook>,
    /// Before each tool call; a guard. A guard that times out or cannot run blocks the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_tool_use: Option<Hook>,
    /// After each tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_tool_use: Option<Hook>,
}

impl Hooks {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self { on_activate: None, on_deactivate: None, pre_tool_use: None, post_tool_use: None })
    }
}

/// One hook, with its content: a run keeps the hook that it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where it stands in the persona's sibling directory.
    pub path: String,
    /// The program's text; it begins with `#!`.
    pub content: String,
}

/// A skill: instructions that are loaded when they are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skill {
    /// Its name: lower-case letters, digits, `-`; at most 64.
    pub name: String,
    /// What it is for and when to use it; always in the context.
    pub description: String,
    /// The instructions; in the context once the skill is used.
    pub content: String,
    /// The directory that it came from, for the files that it names.
    pub source: String,
}

/// Whom a persona may call, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delegation {
    /// Personas that it may call, by name or pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// How many generations below it there may be; absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// How many of its calls may be under way at once; absent means 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// The tools that a called persona may use of its own, by name or pattern; absent means all of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
    /// Whether a called persona may be given the conversation; without it only the task travels.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub history: bool,
}

impl Delegation {
    /// Whether it may call nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a persona remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemorySpec {
    /// Namespaces that it reads: `private`, `project`, `room:<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// How many memories are put into the context of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<u32>,
}

impl MemorySpec {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a persona is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Display {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The icon: cleaned SVG text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// A colour as `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

impl Display {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
