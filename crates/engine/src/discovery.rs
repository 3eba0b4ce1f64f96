//! Which of a run's tools the model sees where there are too many to show.
//!
//! Where [`TOOL_SEARCH`] is among the pinned tools, the model sees Masque's own tools, and of the tools of MCP servers those
//! that it asked for by [`TOOL_DESCRIBE`] or called by name. All that follows from the journal: the pinned tools and the
//! calls. What is not shown may be called all the same; whether it may is for the policy to say. Leaves out finding tools.

use masque_types::{
    message::ToolCall,
    tool::{TOOL_DESCRIBE, TOOL_SEARCH, ToolSpec},
};
use serde_json::Value;

/// What the names of servers' tools begin with.
const OF_SERVERS: &str = "mcp:";

/// Whether the model has to ask for tools.
pub(crate) fn is_active(tools: &[ToolSpec]) -> bool {
    tools.iter().any(|tool| tool.name == TOOL_SEARCH)
}

/// Whether the model sees a tool without asking.
pub(crate) fn is_core(tools: &[ToolSpec], tool: &ToolSpec) -> bool {
    !tool.name.starts_with(OF_SERVERS) || !is_active(tools)
}

/// The tools that the model sees: the core, then what it asked for, in that order, so that providers find the beginning
/// of the request unchanged.
pub(crate) fn shown<'a>(tools: &'a [ToolSpec], discovered: &'a [String]) -> impl Iterator<Item = &'a ToolSpec> {
    let core = tools.iter().filter(|tool| is_core(tools, tool));
    core.chain(discovered.iter().filter_map(|name| tools.iter().find(|tool| tool.name == *name)))
}

/// The tools that a call wants described.
pub(crate) fn described(call: &ToolCall) -> impl Iterator<Item = &str> {
    let names = call.arguments.get("names").filter(|_| call.tool == TOOL_DESCRIBE).and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// What a tool takes of the context, in bytes.
pub(crate) fn weight(tool: &ToolSpec) -> u64 {
    (tool.description.len() + tool.input_schema.to_string().len()) as u64
}

#[cfg(test)]
mod tests {
    use masque_types::tool::{EffectClass, Place};
    use serde_json::json;

    use super::*;

    fn tools(names: &[&str]) -> Vec<ToolSpec> {
        let tool = |name: &&str| ToolSpec {
            name: (*name).to_owned(),
            description: String::new(),
            input_schema: json!({}),
            output_schema: None,
            effect: EffectClass::Pure,
            place: Place::Remote,
            depends_on: Vec::new(),
        };
        names.iter().map(tool).collect()
    }

    fn names(tools: &[ToolSpec], discovered: &[&str]) -> Vec<String> {
        let discovered: Vec<String> = discovered.iter().map(|name| (*name).to_owned()).collect();
        shown(tools, &discovered).map(|tool| tool.name.clone()).collect()
    }

    #[test]
    fn servers_tools_are_hidden_until_asked_for_where_there_is_a_search() {
        let all = tools(&["fs.read", "mcp:a/one", "mcp:a/two", "tool.describe", "tool.search"]);
        assert_eq!(names(&all, &[]), ["fs.read", "tool.describe", "tool.search"]);
        let asked = ["fs.read", "tool.describe", "tool.search", "mcp:a/two", "mcp:a/one"];
        assert_eq!(names(&all, &["mcp:a/two", "mcp:a/one"]), asked);
        let few = tools(&["fs.read", "mcp:a/one"]);
        assert_eq!(names(&few, &[]), ["fs.read", "mcp:a/one"]);
    }

    #[test]
    fn only_a_call_of_describe_describes() {
        let call =
            |tool: &str, arguments| ToolCall { id: "1".to_owned(), tool: tool.to_owned(), arguments, signature: None };
        let wanted = |call: &ToolCall| described(call).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(wanted(&call(TOOL_DESCRIBE, json!({ "names": ["mcp:a/one", 3] }))), ["mcp:a/one"]);
        assert!(wanted(&call(TOOL_DESCRIBE, json!({ "names": "mcp:a/one" }))).is_empty());
        assert!(wanted(&call(TOOL_SEARCH, json!({ "names": ["mcp:a/one"] }))).is_empty());
    }
}
