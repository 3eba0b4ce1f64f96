//! Tool names: the canonical ones, and how a name in a file becomes one.
//!
//! What no table maps stays as it is; no tool has that name, so it grants nothing, and the reader of the file is told.
//! Leaves out what other programs call the tools.

use masque_tree::Place;
use masque_types::tool::{TOOL_DESCRIBE, TOOL_SEARCH};

use crate::{aliases, notes::Notes, section::nearest};

/// The tools that Masque has.
pub(crate) const TOOLS: [&str; 18] = [
    "fs.read",
    "fs.list",
    "fs.glob",
    "fs.search",
    "fs.write",
    "fs.edit",
    "shell.exec",
    "web.fetch",
    "human.ask",
    "result.read",
    "skill.use",
    "agent.call",
    "agent.handoff",
    "memory.search",
    "memory.add",
    "standard.search",
    "standard.propose",
    "standard.proposals",
];

/// Canonical names of tools that do not exist yet.
const LATER: [&str; 1] = ["web.search"];

/// Tools that a run has where it has too many others: no file needs to name them.
const DISCOVERY: [&str; 2] = [TOOL_SEARCH, TOOL_DESCRIBE];

/// Whether this is the name of a tool of ours.
pub(crate) fn is_canonical(name: &str) -> bool {
    TOOLS.contains(&name) || LATER.contains(&name) || DISCOVERY.contains(&name)
}

/// Whether a name stands for several tools.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// The tools of ours that a pattern means.
pub(crate) fn matching(pattern: &str) -> impl Iterator<Item = &'static str> {
    let glob = globset::Glob::new(pattern).ok().map(|glob| glob.compile_matcher());
    TOOLS.into_iter().filter(move |tool| glob.as_ref().is_some_and(|glob| glob.is_match(tool)))
}

/// The canonical form of a name, without a word about what is doubtful.
pub(crate) fn plain(name: &str) -> String {
    let name = name.trim();
    alias(name).unwrap_or_else(|| name.to_owned())
}

/// What a name is used for: that decides how bad an unknown one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It gives a tool: an unknown one gives nothing.
    Grant,
    /// It takes a tool away: an unknown one is a hole in the restriction.
    Restriction,
    /// It takes a tool of another program away, which Masque may not have.
    ForeignRestriction,
}

/// The canonical form of a name or pattern; what is doubtful about it is noted.
pub(crate) fn canonical(name: &str, place: Place, usage: Use, notes: &mut Notes) -> String {
    let name = name.trim();
    let mapped = alias(name).unwrap_or_else(|| name.to_owned());
    if is_known(&mapped) || (usage != Use::Grant && LATER.contains(&mapped.as_str())) {
        return mapped;
    }
    let hint = hint(name, &mapped);
    match usage {
        Use::Grant => notes.warning(place, format!("no tool is called `{name}`; it is kept and grants nothing"), hint),
        Use::Restriction => notes.error(place, format!("no tool is called `{name}`: the rule restricts nothing"), hint),
        Use::ForeignRestriction => {
            notes.warning(place, format!("no tool is called `{name}`; there is nothing to deny"), hint);
        }
    }
    mapped
}

/// Whether calls of a tool can be judged by their `path`.
pub(crate) fn may_have_path(tool: &str) -> bool {
    tool.starts_with("fs.") || !TOOLS.contains(&tool)
}

fn alias(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("mcp__") {
        return Some(match rest.split_once("__") {
            Some((server, tool)) => format!("mcp:{server}/{tool}"),
            None => format!("mcp:{rest}/*"),
        });
    }
    aliases::ours(name).map(str::to_owned)
}

fn is_known(name: &str) -> bool {
    if let Some(rest) = name.strip_prefix("mcp:") {
        return rest.split_once('/').is_some_and(|(server, tool)| !server.is_empty() && !tool.is_empty());
    }
    TOOLS.contains(&name) || (name.contains(['*', '?']) && matches_any(name))
}

fn matches_any(pattern: &str) -> bool {
    globset::Glob::new(pattern).is_ok_and(|glob| {
        let glob = glob.compile_matcher();
        TOOLS.iter().any(|tool| glob.is_match(tool)) || glob.is_match("mcp:server/tool")
    })
}

fn hint(name: &str, mapped: &str) -> String {
    if LATER.contains(&mapped) {
        return format!("`{mapped}` does not exist yet");
    }
    if let Some((tool, _)) = name.split_once('(') {
        return format!("a name cannot hold arguments: list `{tool}` and add a rule under `masque.rules`");
    }
    if name.starts_with("mcp:") {
        return "write `mcp:<server>/<tool>` or `mcp:<server>/*`".to_owned();
    }
    let names =
        TOOLS.iter().copied().chain(aliases::ALL.iter().flat_map(|table| table.names().map(|(theirs, _)| theirs)));
    nearest(name, names).map_or_else(
        || "`masque tool list` shows the tools".to_owned(),
        |near| format!("did you mean `{}`?", alias(near).unwrap_or_else(|| near.to_owned())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_become_ours() {
        let mut notes = Notes::new("a.md");
        for (theirs, ours) in [
            ("Read", "fs.read"),
            ("run_shell_command", "shell.exec"),
            ("mcp__hdf5__list", "mcp:hdf5/list"),
            ("mcp__hdf5", "mcp:hdf5/*"),
            ("fs.*", "fs.*"),
            ("*", "*"),
        ] {
            assert_eq!(canonical(theirs, Place::FILE, Use::Grant, &mut notes), ours);
        }
        assert!(notes.diagnostics.is_empty(), "{:?}", notes.diagnostics);
        for (raw, hint) in [
            ("Bash(git *)", "list `Bash` and add a rule"),
            ("fs.raed", "`fs.read`"),
            ("WebSearch", "not exist yet"),
            ("mcp:x", "mcp:<server>"),
            ("[", "tool list"),
        ] {
            canonical(raw, Place::FILE, Use::Grant, &mut notes);
            let found = notes.diagnostics.pop().and_then(|diagnostic| diagnostic.hint).unwrap();
            assert!(found.contains(hint), "{raw}: {found}");
        }
    }
}
