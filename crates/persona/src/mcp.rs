//! MCP servers: `mcpServers` in the front matter, and `mcp.json` in the sibling directory.
//!
//! Both hold the standard form that other programs use, with keys of ours: `tools`, `effects`, `timeout`, `lazy`,
//! `secrets`, `forms`. Values of `env` and `headers` are kept as they are and never shown in a message. Leaves out starting the servers.

use std::{collections::BTreeMap, time::Duration};

use masque_tree::{Content, Entry, Node, Place, parse_json};
use masque_types::{
    persona::{Forms, McpServer, McpTransport},
    tool::EffectClass,
};
use serde_json::Value;

use crate::{
    file::LIMITS,
    notes::Notes,
    section::{Section, text_of},
    sibling::Sibling,
    units,
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) type Servers = BTreeMap<String, McpServer>;

/// The persona's servers. No `mcpServers` key means those of `mcp.json`; a mapping adds to them and wins; a list of
/// names chooses among them; an empty value means none.
pub(crate) fn servers(inline: Option<Node>, sibling: &mut Sibling, notes: &mut Notes) -> Servers {
    let mut servers = from_sibling(sibling, notes);
    let Some(inline) = inline else { return servers };
    match inline.content {
        Content::Null => Servers::new(),
        Content::Map(entries) if entries.is_empty() => Servers::new(),
        Content::Map(entries) => {
            servers.extend(read_all(entries, notes));
            servers
        }
        Content::List(items) => items.into_iter().flat_map(|item| chosen(item, &servers, notes)).collect(),
        _ => {
            let message = format!("`mcpServers` is {}, expected a mapping or a list", inline.kind());
            notes.error(inline.place, message, "write `mcpServers: { files: { command: my-server } }`");
            Servers::new()
        }
    }
}

/// One item of a list: the name of a server of `mcp.json`, or a server with its name.
fn chosen(item: Node, known: &Servers, notes: &mut Notes) -> Servers {
    let place = item.place;
    match item.content {
        Content::Map(entries) => read_all(entries, notes),
        content => {
            let Some(name) = text_of(Node { place, content }, "mcpServers", notes) else { return Servers::new() };
            match known.get(&name) {
                Some(server) => Servers::from([(name, server.clone())]),
                None => {
                    let message = format!("no MCP server is called `{name}`; it is left out");
                    notes.warning(place, message, "describe it in the sibling directory's `mcp.json`");
                    Servers::new()
                }
            }
        }
    }
}

fn from_sibling(sibling: &mut Sibling, notes: &mut Notes) -> Servers {
    let path = sibling.directory.as_ref().map(|directory| directory.join("mcp.json")).unwrap_or_default();
    match sibling.text("mcp.json") {
        Ok(text) => notes.of_file(&path, |notes| from_json(&text, notes)),
        Err(fault) if fault.missing => Servers::new(),
        Err(fault) => {
            let hint = fault.hint.unwrap_or("correct or remove it");
            notes.of_file(&path, |notes| notes.error(Place::FILE, format!("the file {}", fault.message), hint));
            Servers::new()
        }
    }
}

fn from_json(text: &str, notes: &mut Notes) -> Servers {
    let node = match parse_json(text, LIMITS) {
        Ok(node) => node,
        Err(error) => {
            notes.error(error.place, format!("this is not JSON: {}", error.message), "correct it at this place");
            return Servers::new();
        }
    };
    let Some(mut section) = Section::of(node, "", notes) else { return Servers::new() };
    let servers = section.section("mcpServers", notes);
    section.finish(notes);
    let Some(servers) = servers else {
        notes.warning(Place::START, "no `mcpServers` in it", "write `{ \"mcpServers\": { … } }`");
        return Servers::new();
    };
    read_all(servers.rest(), notes)
}

/// The servers of a mapping; what cannot be used is noted.
pub(crate) fn read_all(entries: Vec<Entry>, notes: &mut Notes) -> Servers {
    let mut servers = Servers::new();
    for entry in entries {
        if !is_server_name(&entry.key) {
            let hint = "use letters, digits, `-`, `_` and `.`, at most 64";
            notes.error(entry.place, "this name of an MCP server cannot be used", hint);
        } else if let Some(server) = read(entry.value, &entry.key, notes) {
            servers.insert(entry.key, server);
        }
    }
    servers
}

fn is_server_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn read(node: Node, name: &str, notes: &mut Notes) -> Option<McpServer> {
    let mut section = Section::of(node, &format!("mcpServers.{name}"), notes)?;
    if section.take("disabled").is_some_and(|value| value.content == Content::Bool(true)) {
        return None;
    }
    for restriction in ["excludeTools", "disabledTools", "disabled_tools"] {
        if let Some(value) = section.take(restriction) {
            let message = format!("`{}` is not understood and would be a restriction", section.path(restriction));
            notes.error(value.place, message, "list the tools to use under `tools`");
        }
    }
    let transport = transport(&mut section, notes);
    let mut tools = section.texts("tools", notes);
    if let Some(theirs) = section.texts("includeTools", notes) {
        tools.get_or_insert(theirs);
    }
    let server = McpServer {
        tools: tools.map(|tools| tools.into_iter().map(|(tool, _)| tool).collect()),
        effects: effects(&mut section, notes),
        timeout: timeout(&mut section, notes),
        lazy: lazy(&mut section, notes),
        secrets: secrets(&mut section, notes),
        forms: forms(&mut section, notes),
        ..McpServer::new(transport?)
    };
    section.finish(notes);
    Some(server)
}

/// `lazy: true`, or `start: lazy`.
fn lazy(section: &mut Section, notes: &mut Notes) -> bool {
    let flag = section.flag("lazy", notes).unwrap_or(false);
    let Some((start, place)) = section.text("start", notes) else { return flag };
    match start.as_str() {
        "lazy" => true,
        "eager" => flag,
        other => {
            notes.error(
                place,
                format!("`{other}` is no way to start a server"),
                "write `start: lazy` or `start: eager`",
            );
            flag
        }
    }
}

fn forms(section: &mut Section, notes: &mut Notes) -> Forms {
    let Some((answer, place)) = section.text("forms", notes) else { return Forms::Decline };
    match answer.as_str() {
        "decline" => Forms::Decline,
        "defaults" => Forms::Defaults,
        other => {
            let message = format!("`{other}` is no answer to a server's form");
            notes.error(place, message, "write `forms: decline` or `forms: defaults`");
            Forms::Decline
        }
    }
}

fn secrets(section: &mut Section, notes: &mut Notes) -> Vec<String> {
    section.texts("secrets", notes).unwrap_or_default().into_iter().map(|(name, _)| name).collect()
}

fn transport(section: &mut Section, notes: &mut Notes) -> Option<McpTransport> {
    let kind = section.text("type", notes);
    if let Some((kind, place)) = kind.filter(|(kind, _)| !matches!(kind.as_str(), "stdio" | "http" | "streamable-http"))
    {
        let message = format!("the transport `{kind}` is not supported; the server is left out");
        notes.warning(place, message, "use `stdio`, or `http` (streamable HTTP)");
        return None;
    }
    let command = section.text("command", notes);
    let args = section.texts("args", notes).unwrap_or_default();
    let env = strings(section, "env", notes);
    let theirs = section.text("httpUrl", notes);
    let url = section.text("url", notes).or(theirs);
    let headers = strings(section, "headers", notes);
    match (command, url) {
        (Some((command, place)), None) => {
            if command.trim().is_empty() {
                notes.error(place, format!("`{}` is empty", section.path("command")), "name the program to start");
            }
            Some(McpTransport::Stdio { command, args: args.into_iter().map(|(arg, _)| arg).collect(), env })
        }
        (None, Some((url, place))) => {
            if !(url.starts_with("https://") || url.starts_with("http://")) {
                let message = format!("`{}` is no address", section.path("url"));
                notes.error(place, message, "write `https://host/path`");
            }
            Some(McpTransport::Http { url, headers })
        }
        _ => {
            let message = format!("`{}` needs either `command` or `url`", section.path("").trim_end_matches('.'));
            notes.error(section.place, message, "`command` starts a program, `url` reaches a server");
            None
        }
    }
}

/// A mapping of names to texts; numbers and booleans are taken as they are written.
fn strings(section: &mut Section, key: &'static str, notes: &mut Notes) -> BTreeMap<String, String> {
    let Some(part) = section.section(key, notes) else { return BTreeMap::new() };
    let path = section.path(key);
    let mut texts = BTreeMap::new();
    for entry in part.rest() {
        let text = match entry.value.content {
            Content::Text(text) => text,
            Content::Number(number, _) => number.to_string(),
            Content::Bool(value) => value.to_string(),
            _ => {
                let message = format!("`{path}.{}` is {}, expected a text", entry.key, entry.value.kind());
                notes.error(entry.place, message, "write a text");
                continue;
            }
        };
        texts.insert(entry.key, text);
    }
    texts
}

fn effects(section: &mut Section, notes: &mut Notes) -> BTreeMap<String, EffectClass> {
    let Some(part) = section.section("effects", notes) else { return BTreeMap::new() };
    let mut effects = BTreeMap::new();
    for entry in part.rest() {
        match serde_json::from_value(entry.value.to_json()) {
            Ok(effect) => {
                effects.insert(entry.key, effect);
            }
            Err(_) => {
                let message = format!("the effect of `{}` is none of pure, keyed, probe, once", entry.key);
                notes.error(entry.value.place, message, "leave it out if in doubt: that means `once`");
            }
        }
    }
    effects
}

/// A text with a unit, or a number of milliseconds as other programs write it.
fn timeout(section: &mut Section, notes: &mut Notes) -> Duration {
    let Some(node) = section.take("timeout") else { return DEFAULT_TIMEOUT };
    let timeout = match node.to_json() {
        Value::String(text) => units::duration(&text),
        Value::Number(millis) => millis.as_u64().map(Duration::from_millis),
        _ => None,
    };
    let timeout = timeout.filter(|timeout| !timeout.is_zero());
    if timeout.is_none() {
        notes.error(
            node.place,
            format!("`{}` is no duration", section.path("timeout")),
            "write for example `timeout: 30s`",
        );
    }
    timeout.unwrap_or(DEFAULT_TIMEOUT)
}
