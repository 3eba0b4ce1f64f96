//! Entries of MCP servers in the dialects of other programs, to the usual form and back.
//!
//! Leaves out what an entry means: the reader of `mcpServers` knows. Keys that only one program has stay in the entry.

use masque_tree::{Content, Entry, Node};
use masque_types::persona::{Forms, McpServer, McpTransport, Persona};

use super::{
    fields::{SERVER_EFFECTS, SERVER_FORMS, SERVER_LAZY, SERVER_SECRETS, SERVER_TIMEOUT, SERVER_TOOLS},
    writer::Writer,
};

/// How a program writes a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `mcpServers` of Claude Code and most others.
    Usual,
    /// `servers` of VS Code: the same entries, always with `type`.
    VsCode,
    /// `mcp_servers` of Codex.
    Codex,
    /// `mcpServers` in the settings of Gemini CLI.
    Gemini,
    /// `mcp_servers` in an agent file of Gemini CLI.
    GeminiAgent,
    /// `mcp` of opencode.
    Opencode,
    /// An item of `extensions` of goose.
    Goose,
    /// Ours, with everything.
    Ours,
}

/// Keys with another name: theirs and the usual one.
fn renamed(form: Form) -> &'static [(&'static str, &'static str)] {
    match form {
        Form::Usual | Form::VsCode | Form::Ours => &[],
        Form::Codex => &[("http_headers", "headers"), ("enabled_tools", "tools"), ("disabled_tools", "disabledTools")],
        Form::Gemini => &[("httpUrl", "url"), ("includeTools", "tools")],
        Form::GeminiAgent => {
            &[("http_url", "url"), ("httpUrl", "url"), ("include_tools", "tools"), ("exclude_tools", "excludeTools")]
        }
        Form::Opencode => &[("environment", "env")],
        Form::Goose => &[
            ("cmd", "command"),
            ("envs", "env"),
            ("env_keys", "secrets"),
            ("uri", "url"),
            ("available_tools", "tools"),
        ],
    }
}

/// An entry in the usual form, and the tools that it forbids by the server's own names.
pub(crate) fn read(form: Form, node: Node) -> (Node, Vec<Node>) {
    let place = node.place;
    let Content::Map(entries) = node.content else { return (node, Vec::new()) };
    let mut forbidden = Vec::new();
    let mut usual: Vec<Entry> = Vec::new();
    for mut entry in entries {
        if let Some((_, name)) = renamed(form).iter().find(|(theirs, _)| *theirs == entry.key) {
            (*name).clone_into(&mut entry.key);
        }
        match (entry.key.as_str(), &entry.value.content) {
            ("excludeTools" | "disabledTools", Content::List(tools)) => forbidden.extend(tools.iter().cloned()),
            _ => usual.extend(shaped(form, entry)),
        }
    }
    (Node { place, content: Content::Map(usual) }, forbidden)
}

/// One entry, or the entries that it stands for.
fn shaped(form: Form, entry: Entry) -> Vec<Entry> {
    let with = |key: &str, value: Node| Entry { key: key.to_owned(), place: entry.place, value };
    match (form, entry.key.as_str(), &entry.value.content) {
        (Form::Opencode, "command", Content::List(words)) => {
            let mut words = words.iter().cloned();
            let program = words.next().map(|program| with("command", program));
            let rest: Vec<Node> = words.collect();
            let place = entry.value.place;
            let rest = (!rest.is_empty()).then(|| with("args", Node { place, content: Content::List(rest) }));
            program.into_iter().chain(rest).collect()
        }
        // What these name are transports that the other keys tell as well.
        (Form::Opencode, "type", _) => Vec::new(),
        (Form::Goose, "type", Content::Text(kind)) if matches!(kind.as_str(), "stdio" | "streamable_http") => {
            Vec::new()
        }
        (Form::Goose, "name" | "description" | "bundled" | "display_name", _) => Vec::new(),
        (Form::Codex | Form::Opencode, "enabled", Content::Bool(enabled)) => {
            let place = entry.value.place;
            vec![with("disabled", Node { place, content: Content::Bool(!enabled) })]
        }
        (Form::Codex, "tool_timeout_sec", Content::Number(seconds, _)) => in_seconds(&entry, seconds),
        (Form::Goose, "timeout", Content::Number(seconds, _)) => in_seconds(&entry, seconds),
        _ => vec![entry],
    }
}

fn in_seconds(entry: &Entry, seconds: &serde_json::Number) -> Vec<Entry> {
    let place = entry.value.place;
    let value = Node { place, content: Content::Text(format!("{seconds}s")) };
    vec![Entry { key: "timeout".to_owned(), place: entry.place, value }]
}

/// All servers of a persona as a mapping of a dialect.
pub(crate) fn write_all(form: Form, writer: &mut Writer<'_>) -> Option<Node> {
    let persona: &Persona = writer.persona;
    if persona.mcp_servers.is_empty() {
        return None;
    }
    let entries: Vec<_> = persona
        .mcp_servers
        .iter()
        .map(|(name, server)| (name.clone(), Some(write(form, name, server, writer))))
        .collect();
    Some(Node::map(entries))
}

/// One server in a dialect.
pub(crate) fn write(form: Form, name: &str, server: &McpServer, writer: &mut Writer<'_>) -> Node {
    let mut entries = match &server.transport {
        McpTransport::Stdio { command, args, env } => program(form, name, command, args, texts(env)),
        McpTransport::Http { url, headers } => address(form, name, url, texts(headers)),
    };
    entries.push(timeout(form, server, writer));
    entries.push(tools(form, server, writer));
    if form == Form::Ours {
        let effects = server.effects.iter().map(|(tool, effect)| (tool.clone(), effect.name().to_owned()));
        entries.push(("effects", texts(&effects.collect())));
        entries.push(("lazy", server.lazy.then(|| Node::new(Content::Bool(true)))));
        let forms = (server.forms == Forms::Defaults).then(|| Node::text("defaults"));
        entries.push(("forms", forms));
        entries.push(("secrets", (!server.secrets.is_empty()).then(|| Node::texts(server.secrets.clone()))));
    } else {
        if !server.effects.is_empty() {
            writer.lose(SERVER_EFFECTS, "no place for the effect classes of single tools");
        }
        if server.lazy {
            writer.lose(SERVER_LAZY, "no place for a late start");
        }
        if server.forms != Forms::Decline {
            writer.lose(SERVER_FORMS, "no place for answers to a server's forms");
        }
        if !server.secrets.is_empty() && form == Form::Goose {
            entries.push(("env_keys", Some(Node::texts(server.secrets.clone()))));
        } else if !server.secrets.is_empty() {
            writer.lose(SERVER_SECRETS, "no place for secrets of a single server");
        }
    }
    Node::map(entries)
}

type Entries = Vec<(&'static str, Option<Node>)>;

fn program(form: Form, name: &str, command: &str, args: &[String], env: Option<Node>) -> Entries {
    let arguments = (!args.is_empty()).then(|| Node::texts(args.to_vec()));
    match form {
        Form::Opencode => {
            let words = std::iter::once(command.to_owned()).chain(args.iter().cloned());
            vec![("type", Some(Node::text("local"))), ("command", Some(Node::texts(words))), ("environment", env)]
        }
        Form::Goose => vec![
            ("type", Some(Node::text("stdio"))),
            ("name", Some(Node::text(name))),
            ("cmd", Some(Node::text(command))),
            ("args", arguments),
            ("envs", env),
        ],
        Form::VsCode => vec![
            ("type", Some(Node::text("stdio"))),
            ("command", Some(Node::text(command))),
            ("args", arguments),
            ("env", env),
        ],
        _ => vec![("command", Some(Node::text(command))), ("args", arguments), ("env", env)],
    }
}

fn address(form: Form, name: &str, url: &str, headers: Option<Node>) -> Entries {
    let url = Some(Node::text(url));
    let kind = |kind: &str| ("type", Some(Node::text(kind)));
    match form {
        Form::Usual | Form::VsCode => vec![kind("http"), ("url", url), ("headers", headers)],
        Form::Codex => vec![("url", url), ("http_headers", headers)],
        Form::Gemini => vec![("httpUrl", url), ("headers", headers)],
        Form::GeminiAgent => vec![("http_url", url), ("headers", headers)],
        Form::Opencode => vec![kind("remote"), ("url", url), ("headers", headers)],
        Form::Goose => {
            vec![kind("streamable_http"), ("name", Some(Node::text(name))), ("uri", url), ("headers", headers)]
        }
        Form::Ours => vec![("url", url), ("headers", headers)],
    }
}

fn texts(map: &std::collections::BTreeMap<String, String>) -> Option<Node> {
    (!map.is_empty()).then(|| Node::map(map.iter().map(|(key, value)| (key.clone(), Some(Node::text(value.clone()))))))
}

fn timeout(form: Form, server: &McpServer, writer: &mut Writer<'_>) -> (&'static str, Option<Node>) {
    let usual = McpServer::new(server.transport.clone()).timeout;
    if server.timeout == usual {
        return ("timeout", None);
    }
    let millis = u64::try_from(server.timeout.as_millis()).unwrap_or(u64::MAX);
    let seconds = (millis % 1000 == 0).then_some(millis / 1000);
    match form {
        Form::Ours => ("timeout", Some(Node::text(format!("{millis}ms")))),
        Form::Gemini | Form::GeminiAgent | Form::Opencode => ("timeout", Some(Node::number(millis))),
        Form::Codex | Form::Goose if seconds.is_some() => {
            let key = if form == Form::Codex { "tool_timeout_sec" } else { "timeout" };
            (key, seconds.map(Node::number))
        }
        _ => {
            writer.lose(SERVER_TIMEOUT, "no place for this time limit of a server");
            ("timeout", None)
        }
    }
}

fn tools(form: Form, server: &McpServer, writer: &mut Writer<'_>) -> (&'static str, Option<Node>) {
    let Some(tools) = &server.tools else { return ("tools", None) };
    let key = match form {
        Form::Codex => "enabled_tools",
        Form::Gemini => "includeTools",
        Form::GeminiAgent => "include_tools",
        Form::Goose => "available_tools",
        Form::Ours => "tools",
        Form::Usual | Form::VsCode | Form::Opencode => {
            writer.lose(SERVER_TOOLS, "no place for a choice among a server's tools");
            return ("tools", None);
        }
    };
    (key, Some(Node::texts(tools.clone())))
}
