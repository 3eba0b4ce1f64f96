//! In which order tools are called: what a tool depends on comes before it.

use std::collections::{BTreeMap, BTreeSet};

use masque_types::tool::ToolSpec;

/// What usually comes before a tool, in the order of the calls, without itself. What is not among `tools` is left out, and
/// a circle is cut where it closes.
#[must_use]
pub fn dependencies(tools: &[ToolSpec], name: &str) -> Vec<String> {
    let by_name: BTreeMap<&str, &ToolSpec> = tools.iter().map(|tool| (tool.name.as_str(), tool)).collect();
    let (mut before, mut seen) = (Vec::new(), BTreeSet::new());
    visit(&by_name, name, &mut seen, &mut before);
    before.retain(|tool| tool != name);
    before
}

fn visit<'a>(
    tools: &BTreeMap<&'a str, &'a ToolSpec>,
    name: &str,
    seen: &mut BTreeSet<&'a str>,
    before: &mut Vec<String>,
) {
    let Some((&name, &tool)) = tools.get_key_value(name).filter(|(name, _)| !seen.contains(**name)) else { return };
    seen.insert(name);
    for first in &tool.depends_on {
        visit(tools, first, seen, before);
    }
    before.push(name.to_owned());
}
