//! Every option, declared once: key, kind, default, documentation, and what a project's file may do with it.

use super::value::Kind;

/// What a project's file may do with an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectRule {
    /// Set it.
    Free,
    /// Make it smaller.
    Tighten,
    /// Nothing.
    Never,
}

/// The declaration of an option.
#[derive(Debug)]
pub struct OptionSpec {
    /// `section.name` in files.
    pub key: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The built-in value, written as a user would.
    pub default: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// What a project's file may do.
    pub project: ProjectRule,
    /// Whether its value may hold a password.
    pub secret: bool,
}

impl OptionSpec {
    /// The environment variable that sets it: `MASQUE_RUN_STEPS` for `run.steps`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("MASQUE_{}", self.key.replace('.', "_").to_uppercase())
    }
}

const fn option(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    project: ProjectRule,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec { key, kind, default, doc, project, secret: false }
}

/// All options, in the order that they are shown.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "model.default",
        Kind::Models,
        "",
        ProjectRule::Never,
        "Models to ask, first choice first: provider/model, …",
    ),
    option("model.max_output_tokens", Kind::Count, "4096", ProjectRule::Tighten, "Largest answer of one model call"),
    option(
        "model.context_tokens",
        Kind::Count,
        "100000",
        ProjectRule::Tighten,
        "Conversation size that triggers compaction",
    ),
    option(
        "model.prices",
        Kind::Text,
        "",
        ProjectRule::Never,
        "YAML file with prices that override the built-in table",
    ),
    option(
        "model.probe_local",
        Kind::Choice(&["on", "off"]),
        "on",
        ProjectRule::Never,
        "Look for Ollama and LM Studio on this machine",
    ),
    option("run.steps", Kind::Count, "50", ProjectRule::Tighten, "Model calls that a run may make"),
    option("run.tokens", Kind::Count, "unlimited", ProjectRule::Tighten, "Tokens that a run may use"),
    option("run.usd", Kind::Money, "unlimited", ProjectRule::Tighten, "Dollars that a run may spend"),
    option(
        "run.wall",
        Kind::Duration,
        "1h",
        ProjectRule::Tighten,
        "Active time of a run; waiting for people does not count",
    ),
    option(
        "run.mode",
        Kind::Choice(&["persona", "plan", "default", "accept-edits", "auto"]),
        "persona",
        ProjectRule::Never,
        "What a run does where no rule speaks; `persona` is as the persona's file says",
    ),
    option(
        "run.network",
        Kind::Choice(&["persona", "none"]),
        "persona",
        ProjectRule::Never,
        "What programs of a run reach; `none` takes network and secrets from it and from all that it calls",
    ),
    option("run.lease", Kind::Duration, "10s", ProjectRule::Never, "How long a dead worker blocks its run"),
    option(
        "approvals.ttl",
        Kind::Duration,
        "24h",
        ProjectRule::Tighten,
        "How long a question waits before the call is denied",
    ),
    option(
        "approvals.decide",
        Kind::Choice(&["cli", "elicitation"]),
        "cli",
        ProjectRule::Never,
        "Where questions of runs are answered; `elicitation` takes an editor's form for a person's answer",
    ),
    option(
        "mcp.tools",
        Kind::Choice(&["core", "all"]),
        "core",
        ProjectRule::Never,
        "Personas with a tool of their own: the six core ones and twelve others, or all; `invoke_persona` calls any",
    ),
    option(
        "sandbox.mode",
        Kind::Choice(&["process", "container", "none"]),
        "process",
        ProjectRule::Never,
        "How tools are confined",
    ),
    option(
        "sandbox.engine",
        Kind::Text,
        "",
        ProjectRule::Never,
        "Socket of the container engine; empty looks for Podman, then Docker, then starts Podman's service",
    ),
    option(
        "sandbox.landlock",
        Kind::Choice(&["auto", "off"]),
        "auto",
        ProjectRule::Never,
        "Landlock as a second layer, where the kernel has it",
    ),
    option(
        "home.backup_every",
        Kind::Duration,
        "1d",
        ProjectRule::Never,
        "Time between two backups of each home that a worker makes; `unlimited` makes none",
    ),
    option(
        "home.keep",
        Kind::Count,
        "50",
        ProjectRule::Never,
        "Newest versions of a home that stay when a worker made one; the newest of each week stays for a year",
    ),
    option(
        "tools.discovery",
        Kind::Choice(&["auto", "on", "off"]),
        "auto",
        ProjectRule::Never,
        "Look for tools of MCP servers instead of showing all; `auto` does where there are more than 40",
    ),
    option(
        "memory.embedder",
        Kind::Text,
        "auto",
        ProjectRule::Never,
        "What embeds: minilm, none, provider/model, or URL#model; `auto` is minilm once it was fetched",
    ),
    option(
        "memory.chunk_tokens",
        Kind::Count,
        "512",
        ProjectRule::Never,
        "Estimated tokens of the parts that documents are cut into",
    ),
    option(
        "memory.curate_every",
        Kind::Duration,
        "unlimited",
        ProjectRule::Never,
        "Time between two rounds of summaries that workers have a model write; `unlimited` writes none",
    ),
    option(
        "standards.directory",
        Kind::Text,
        ".masque/standards",
        ProjectRule::Free,
        "Where a project keeps its standards: a directory below the project",
    ),
    option(
        "standards.decide",
        Kind::Choice(&["cli", "elicitation"]),
        "cli",
        ProjectRule::Never,
        "Where standards are decided about; `elicitation` takes an editor's form for a person's decision too",
    ),
    option(
        "standards.ttl",
        Kind::Duration,
        "30d",
        ProjectRule::Tighten,
        "How long a proposed standard can be approved",
    ),
    option(
        "jobs.parallel",
        Kind::Count,
        "4",
        ProjectRule::Never,
        "Jobs that one process drives at a time; 0 leaves them to other processes",
    ),
    option(
        "jobs.keep",
        Kind::Duration,
        "30d",
        ProjectRule::Never,
        "How long jobs are kept after their end; `unlimited` keeps all",
    ),
    option(
        "fleet.metrics",
        Kind::Text,
        "",
        ProjectRule::Never,
        "Loopback address and port at which supervisors of fleets tell metrics; empty tells none",
    ),
    OptionSpec {
        key: "store.url",
        kind: Kind::Text,
        default: "",
        doc: "SQLite file or postgres:// URL; empty is masque.db in Masque's home",
        project: ProjectRule::Never,
        secret: true,
    },
];

/// The option of a key.
#[must_use]
pub(super) fn find(key: &str) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|option| option.key == key)
}
