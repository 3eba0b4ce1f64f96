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
    policy::{Rule, ToolSelection},
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
    /// Its sandbox.
    #[serde(default)]
    pub sandbox: SandboxSpec,
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
}

/// A minute: long enough for a first start that installs something, short enough to notice.
fn default_mcp_timeout() -> Duration {
    Duration::from_secs(60)
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
    /// Whether programs in the sandbox reach the network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
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
