//! From what a server lists to the tools that a persona sees: filtered, cleaned, with effect classes.

use std::{collections::BTreeMap, time::Duration};

use globset::{Glob, GlobSet, GlobSetBuilder};
use masque_types::{
    diagnostic::Diagnostic,
    persona::McpServer,
    tool::{EffectClass, Place, ToolSpec},
};
use rmcp::{
    Peer, RoleClient,
    model::{PaginatedRequestParams, Tool},
};
use serde_json::{Value, json};

use super::{connection::challenge, sanitise, server::CallFailure};

/// Tools of one server; more are an attack or a mistake.
const MOST_TOOLS: usize = 1_000;
/// Bytes of one input schema.
const SCHEMA_BYTES: usize = 64 * 1024;

/// Whose tools these are.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The server's name in the persona's file.
    pub(super) server: String,
    /// The persona's file, for diagnostics.
    pub(super) file: String,
    pub(super) place: Place,
    pub(super) settings: McpServer,
}

/// Tools by the server's own names.
pub(super) type Catalogue = BTreeMap<String, ToolSpec>;

/// Asks for all tools, page by page.
///
/// # Errors
/// When the server does not answer in time or lists without end.
pub(super) async fn ask(peer: &Peer<RoleClient>, limit: Duration) -> Result<Vec<Tool>, CallFailure> {
    let pages = async {
        let mut tools = Vec::new();
        let mut cursor = None;
        loop {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = peer.list_tools(Some(page)).await.map_err(|error| CallFailure {
                challenge: challenge(&error),
                ..CallFailure::new(format!("its tools could not be listed: {error}"))
            })?;
            tools.extend(page.tools);
            if tools.len() > MOST_TOOLS {
                return Err(CallFailure::new(format!("it lists more than {MOST_TOOLS} tools")));
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(tools),
            }
        }
    };
    let late = || CallFailure::new(format!("its tools were not listed within {} ms", limit.as_millis()));
    tokio::time::timeout(limit, pages).await.unwrap_or_else(|_| Err(late()))
}

/// The tools that the persona's file lets through. What cannot be used is left out with a diagnostic.
pub(super) fn catalogue(origin: &Origin, listed: Vec<Tool>) -> (Catalogue, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut catalogue = Catalogue::new();
    let filter = Filter::new(origin, &mut diagnostics);
    let mut names = Vec::new();
    for tool in listed {
        names.push(tool.name.to_string());
        if !filter.passes(&tool.name) {
            continue;
        }
        let name = tool.name.to_string();
        match spec(origin, tool) {
            Ok(_) if catalogue.contains_key(&name) => {
                diagnostics.push(warning(
                    origin,
                    &format!("lists the tool `{}` twice; the first one is used", sanitise::clean(&name, 64)),
                ));
            }
            Ok(spec) => {
                catalogue.insert(name, spec);
            }
            Err(reason) => {
                let name = sanitise::clean(&name, 64);
                diagnostics.push(warning(origin, &format!("has a tool `{name}` that is left out: {reason}")));
            }
        }
    }
    filter.unused(origin, &names, &mut diagnostics);
    (catalogue, diagnostics)
}

fn spec(origin: &Origin, tool: Tool) -> Result<ToolSpec, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/');
    if tool.name.is_empty() || tool.name.len() > 128 || !tool.name.chars().all(allowed) {
        return Err("its name is not made of letters, digits, `_`, `-`, `.` and `/`, at most 128".to_owned());
    }
    let mut input_schema = Value::Object(tool.input_schema.as_ref().clone());
    if input_schema.to_string().len() > SCHEMA_BYTES {
        return Err(format!("its input schema is larger than {SCHEMA_BYTES} bytes"));
    }
    sanitise::clean_schema(&mut input_schema);
    if let Some(object) = input_schema.as_object_mut() {
        object.entry("type").or_insert_with(|| json!("object"));
    }
    jsonschema::validator_for(&input_schema).map_err(|error| format!("its input schema is not valid: {error}"))?;
    let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or("[no description]");
    Ok(ToolSpec {
        name: format!("mcp:{}/{}", origin.server, tool.name),
        description: sanitise::clean(description, sanitise::DESCRIPTION),
        input_schema,
        output_schema: tool.output_schema.as_ref().map(|schema| Value::Object(schema.as_ref().clone())),
        effect: effect(&origin.settings, &tool),
        place: origin.place,
        depends_on: Vec::new(),
    })
}

/// The persona's file decides; else the server's promise; else the strictest class.
fn effect(settings: &McpServer, tool: &Tool) -> EffectClass {
    if let Some(effect) = settings.effects.get(tool.name.as_ref()) {
        return *effect;
    }
    let promised = |hint: Option<bool>| hint == Some(true);
    match &tool.annotations {
        Some(hints) if promised(hints.read_only_hint) => EffectClass::Pure,
        Some(hints) if promised(hints.idempotent_hint) => EffectClass::Keyed,
        _ => EffectClass::Once,
    }
}

/// The persona's choice among the tools of a server.
struct Filter {
    patterns: Vec<String>,
    set: Option<GlobSet>,
}

impl Filter {
    fn new(origin: &Origin, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let Some(wanted) = &origin.settings.tools else { return Self { patterns: Vec::new(), set: None } };
        let mut set = GlobSetBuilder::new();
        for pattern in wanted {
            match Glob::new(pattern) {
                Ok(glob) => {
                    set.add(glob);
                }
                Err(error) => diagnostics.push(warning(
                    origin,
                    &format!("is filtered by `{pattern}`, which is no pattern: {}", error.kind()),
                )),
            }
        }
        // A set that cannot be built lets nothing through.
        Self { patterns: wanted.clone(), set: Some(set.build().unwrap_or_else(|_| GlobSet::empty())) }
    }

    fn passes(&self, name: &str) -> bool {
        self.set.as_ref().is_none_or(|set| set.is_match(name))
    }

    /// A pattern that matches nothing is most often misspelt.
    fn unused(&self, origin: &Origin, names: &[String], diagnostics: &mut Vec<Diagnostic>) {
        for pattern in &self.patterns {
            let used = Glob::new(pattern).is_ok_and(|glob| {
                let matcher = glob.compile_matcher();
                names.iter().any(|name| matcher.is_match(name))
            });
            if !used {
                let hint = format!("it has: {}", sanitise::clean(&names.join(", "), 300));
                diagnostics.push(warning(origin, &format!("has no tool that matches `{pattern}`")).hint(hint));
            }
        }
    }
}

fn warning(origin: &Origin, what: &str) -> Diagnostic {
    Diagnostic::warning(&origin.file, format!("MCP server `{}` {what}", origin.server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::persona::McpTransport;

    fn origin(tools: Option<&[&str]>) -> Origin {
        let settings = McpServer {
            tools: tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect()),
            effects: BTreeMap::from([("declared".to_owned(), EffectClass::Keyed)]),
            timeout: Duration::from_secs(1),
            ..McpServer::new(McpTransport::Http { url: "http://x".into(), headers: BTreeMap::new() })
        };
        Origin { server: "s".into(), file: "p.md".into(), place: Place::Sandbox, settings }
    }

    fn tool(value: Value) -> Tool {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn effects_come_from_the_file_then_the_promise_then_once() {
        let listed = vec![
            tool(json!({"name": "declared", "inputSchema": {}, "annotations": {"readOnlyHint": true}})),
            tool(json!({"name": "reads", "inputSchema": {}, "annotations": {"readOnlyHint": true}})),
            tool(json!({"name": "repeats", "inputSchema": {}, "annotations": {"idempotentHint": true}})),
            tool(json!({"name": "silent", "inputSchema": {}})),
        ];
        let (catalogue, diagnostics) = catalogue(&origin(None), listed);
        let effects: Vec<_> = catalogue.values().map(|spec| spec.effect.name()).collect();
        assert_eq!(effects, ["keyed", "pure", "keyed", "once"]);
        assert!(diagnostics.is_empty());
        assert_eq!(catalogue["silent"].name, "mcp:s/silent");
    }

    #[test]
    fn tools_are_filtered_and_unusable_ones_left_out_with_a_reason() {
        let listed = vec![
            tool(json!({"name": "get_a", "inputSchema": {}})),
            tool(json!({"name": "put_a", "inputSchema": {}})),
            tool(json!({"name": "get_bad\u{200b}", "inputSchema": {}})),
            tool(json!({"name": "get_schema", "inputSchema": {"type": 7}})),
            tool(json!({"name": "get_a", "description": "shadow", "inputSchema": {}})),
        ];
        let (catalogue, diagnostics) = catalogue(&origin(Some(&["get_*", "no_such"])), listed);
        assert_eq!(catalogue.keys().collect::<Vec<_>>(), ["get_a"]);
        let text: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 4, "{text:#?}");
        assert!(text[3].contains("no tool that matches `no_such`") && text[3].contains("put_a"), "{text:#?}");
    }
}
