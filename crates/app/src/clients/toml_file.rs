//! Entering a server in a TOML file: everything else stays as it is written.

use toml_edit::{Array, DocumentMut, Item, Table, Value, value};

use super::Server;

const SERVERS: &str = "mcp_servers";

/// The text with the server as a table below `mcp_servers`. The error begins with the line, as `:3: …`.
pub(super) fn entered(text: &str, server: &Server) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        format!(":{line}: it is no TOML: {}", error.message())
    })?;
    let mut hidden = Table::new();
    hidden.set_implicit(true);
    let servers = document.entry(SERVERS).or_insert(Item::Table(hidden));
    let servers = servers.as_table_like_mut().ok_or_else(|| format!(": `{SERVERS}` is no table"))?;
    let entry = servers.entry(&server.name).or_insert(Item::Table(Table::new()));
    let entry = entry.as_table_like_mut().ok_or_else(|| format!(": `{SERVERS}.{}` is no table", server.name))?;
    let arguments: Array = server.arguments.iter().map(String::as_str).collect();
    if entry.get("command").and_then(Item::as_str) != Some(server.command.as_str()) {
        entry.insert("command", value(server.command.as_str()));
    }
    let known = entry.get("args").and_then(Item::as_array);
    let same = known.is_some_and(|known| {
        known.len() == server.arguments.len()
            && known.iter().zip(&server.arguments).all(|(one, two)| one.as_str() == Some(two))
    });
    if !same {
        entry.insert("args", Item::Value(Value::Array(arguments)));
    }
    Ok(document.to_string())
}
