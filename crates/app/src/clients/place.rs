//! Where each client keeps its MCP servers, and in what form.

use std::path::PathBuf;

use super::Scope;
use crate::{Error, host::Host};

/// A client whose configuration Masque can be entered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Claude Code.
    Claude,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    VsCode,
    /// Zed.
    Zed,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Goose.
    Goose,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Claude, Self::Cursor, Self::VsCode, Self::Zed, Self::Codex, Self::Gemini, Self::Goose];

    /// The name used on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Zed => "zed",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Goose => "goose",
        }
    }
}

/// How a file holds its servers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// An object of that name; `typed` when an entry says how it is reached.
    Json { servers: &'static str, typed: bool },
    /// Tables below `mcp_servers`.
    Toml,
    /// Goose's `extensions`.
    Yaml,
}

/// A file and its form.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) form: Form,
}

pub(super) fn target(host: &Host, client: Client, scope: &Scope) -> Result<Target, Error> {
    let form = match client {
        Client::Claude => Form::Json { servers: "mcpServers", typed: true },
        Client::Cursor | Client::Gemini => Form::Json { servers: "mcpServers", typed: false },
        Client::VsCode => Form::Json { servers: "servers", typed: true },
        Client::Zed => Form::Json { servers: "context_servers", typed: false },
        Client::Codex => Form::Toml,
        Client::Goose => Form::Yaml,
    };
    let path = match scope {
        Scope::User => of_user(host, client)?,
        Scope::Project(project) => project.join(of_project(client)?),
    };
    Ok(Target { path, form })
}

fn of_project(client: Client) -> Result<&'static str, Error> {
    Ok(match client {
        Client::Claude => ".mcp.json",
        Client::Cursor => ".cursor/mcp.json",
        Client::VsCode => ".vscode/mcp.json",
        Client::Zed => ".zed/settings.json",
        Client::Codex => ".codex/config.toml",
        Client::Gemini => ".gemini/settings.json",
        Client::Goose => {
            return Err(Error::usage("goose has no configuration of a project").hint("leave --project away"));
        }
    })
}

fn of_user(host: &Host, client: Client) -> Result<PathBuf, Error> {
    let home = host.variable("HOME").map(PathBuf::from);
    let home = home.ok_or_else(|| Error::environment("HOME is not set: where the client's files are is not known"))?;
    let config = host.variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.unwrap_or_else(|| home.join(".config"));
    Ok(match client {
        Client::Claude => home.join(".claude.json"),
        Client::Cursor => home.join(".cursor/mcp.json"),
        Client::VsCode => config.join("Code/User/mcp.json"),
        Client::Zed => config.join("zed/settings.json"),
        Client::Codex => {
            host.variable("CODEX_HOME").map_or_else(|| home.join(".codex"), PathBuf::from).join("config.toml")
        }
        Client::Gemini => home.join(".gemini/settings.json"),
        Client::Goose => config.join("goose/config.yaml"),
    })
}
