//! A tool on one line: its name with its arguments, and the first sentence about it.

use masque_types::tool::ToolSpec;
use serde_json::Value;

/// A summary is cut here, in letters.
const LONGEST: usize = 160;

/// Name and arguments: `mcp:github/create_issue(owner, repo, title, body?)`. Those with `?` may be left out.
#[must_use]
pub fn signature(tool: &ToolSpec) -> String {
    let arguments = arguments(tool).map(|(name, is_required)| if is_required { name } else { format!("{name}?") });
    format!("{}({})", tool.name, arguments.collect::<Vec<_>>().join(", "))
}

/// The arguments by name, those that are needed first, and whether they are.
pub(super) fn arguments(tool: &ToolSpec) -> impl Iterator<Item = (String, bool)> {
    let required: Vec<String> = tool
        .input_schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    let optional: Vec<String> = properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| !required.contains(name))
        .collect();
    let required = required.into_iter().map(|name| (name, true));
    required.chain(optional.into_iter().map(|name| (name, false)))
}

/// The first sentence of a tool's description, on one line.
#[must_use]
pub fn summary(tool: &ToolSpec) -> String {
    let line = tool.description.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = line.split_once(". ").map_or(line.as_str(), |(first, _)| first).trim_end_matches('.');
    if first.chars().count() <= LONGEST {
        return first.to_owned();
    }
    first.chars().take(LONGEST - 1).chain(['…']).collect()
}
