//! What a persona may do: rules over tools and paths, and the one function that decides.
//!
//! The most specific rule wins; among equally specific rules deny beats ask beats allow. The result does not depend
//! on the order of the rules. Leaves out enforcement of files and network, which is the sandbox's.

use std::str::Chars;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{message::ToolCall, tool::EffectClass};

/// The outcome of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go ahead.
    Allow,
    /// Ask a human first.
    Ask,
    /// Refuse.
    Deny,
}

/// One rule of a persona's file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Canonical tool name, or a pattern with `*`: `fs.*`, `mcp:hdf5/*`.
    pub tool: String,
    /// Pattern over the call's `path` argument; without it the rule holds for every call of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What to do.
    pub effect: Verdict,
}

impl Rule {
    /// A rule without path.
    pub fn new(tool: impl Into<String>, effect: Verdict) -> Self {
        Self { tool: tool.into(), path: None, effect }
    }

    /// One line for people: `deny fs.write path=data/**`.
    #[must_use]
    pub fn describe(&self) -> String {
        let effect = match self.effect {
            Verdict::Allow => "allow",
            Verdict::Ask => "ask",
            Verdict::Deny => "deny",
        };
        let path = self.path.as_ref().map(|path| format!(" path={path}")).unwrap_or_default();
        format!("{effect} {}{path}", self.tool)
    }

    /// The order in which matching rules win: path rules over tool rules, exact over pattern, longer over shorter
    /// literal text, and at last the stricter verdict.
    fn rank(&self) -> (bool, usize, bool, usize, Verdict) {
        let literal = |text: &str| text.chars().filter(|letter| !matches!(letter, '*' | '?')).count();
        let path = self.path.as_deref().unwrap_or("");
        (self.path.is_some(), literal(path), !self.tool.contains(['*', '?']), literal(&self.tool), self.effect)
    }
}

/// Which tools a persona has. Absent is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolSelection {
    /// No `tools` key in the file: the default set.
    #[default]
    Default,
    /// Exactly the tools that match one of these names or patterns; an empty list means none.
    Only(Vec<String>),
}

/// A decision and the rule that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Why: the deciding rule or default, for people.
    pub reason: String,
}

/// What one run's persona may do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Which tools exist for the persona.
    pub tools: ToolSelection,
    /// The persona's rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The ceiling set when the run started: these can deny or ask, never allow what the persona may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ceiling: Vec<Rule>,
}

/// Tools of the default set that need no question: they only read the workspace or ask the human anyway.
const READ_ONLY_DEFAULTS: [&str; 6] = ["fs.read", "fs.list", "fs.glob", "fs.search", "result.read", "human.ask"];

impl Policy {
    /// Whether the persona has a tool at all; a tool without is invisible to the model and refused at call.
    #[must_use]
    pub fn has_tool(&self, tool: &str) -> bool {
        let selected = match &self.tools {
            ToolSelection::Default => true,
            // Reading on in a stored result grants nothing that the first part did not.
            ToolSelection::Only(names) => tool == "result.read" || names.iter().any(|name| matches_name(name, tool)),
        };
        let denied = |rules: &[Rule]| {
            strongest(rules.iter().filter(|rule| rule.path.is_none()), tool, None)
                .is_some_and(|rule| rule.effect == Verdict::Deny && !has_path_exception(rules, tool))
        };
        selected && !denied(&self.rules) && !denied(&self.ceiling)
    }

    /// Decides about one call.
    #[must_use]
    pub fn decide(&self, call: &ToolCall, effect: EffectClass) -> Decision {
        let selected = match &self.tools {
            ToolSelection::Default => true,
            ToolSelection::Only(names) => {
                call.tool == "result.read" || names.iter().any(|name| matches_name(name, &call.tool))
            }
        };
        if !selected {
            return Decision {
                verdict: Verdict::Deny,
                reason: format!("`{}` is not among the persona's tools", call.tool),
            };
        }
        let path = path_argument(&call.arguments);
        let own = strongest(self.rules.iter(), &call.tool, path.as_deref())
            .map_or_else(|| self.unruled(call, effect), decided_by);
        match strongest(self.ceiling.iter(), &call.tool, path.as_deref()) {
            Some(rule) if rule.effect > own.verdict => {
                Decision { verdict: rule.effect, reason: format!("ceiling of the run: {}", rule.describe()) }
            }
            _ => own,
        }
    }

    /// Without a rule: a tool that the file lists by name is allowed, reading is allowed, anything else is asked.
    fn unruled(&self, call: &ToolCall, effect: EffectClass) -> Decision {
        let listed = matches!(&self.tools, ToolSelection::Only(_));
        let reads = READ_ONLY_DEFAULTS.contains(&call.tool.as_str());
        let (verdict, reason) = match (listed, reads, effect) {
            (true, ..) => (Verdict::Allow, "the persona's file lists the tool and no rule restricts it"),
            (_, true, _) => (Verdict::Allow, "reads only the workspace"),
            _ => (Verdict::Ask, "default: what can change something or reach out is asked"),
        };
        Decision { verdict, reason: reason.to_owned() }
    }
}

fn decided_by(rule: &Rule) -> Decision {
    Decision { verdict: rule.effect, reason: format!("rule: {}", rule.describe()) }
}

fn has_path_exception(rules: &[Rule], tool: &str) -> bool {
    rules.iter().any(|rule| rule.path.is_some() && rule.effect != Verdict::Deny && matches_name(&rule.tool, tool))
}

fn strongest<'a>(rules: impl Iterator<Item = &'a Rule>, tool: &str, path: Option<&str>) -> Option<&'a Rule> {
    rules
        .filter(|rule| matches_name(&rule.tool, tool))
        .filter(|rule| rule.path.as_deref().is_none_or(|pattern| path.is_some_and(|path| matches_path(pattern, path))))
        .max_by_key(|rule| rule.rank())
}

fn path_argument(arguments: &Value) -> Option<String> {
    arguments.get("path").and_then(Value::as_str).map(normal_path)
}

/// The path without `.` and `..` steps, so that `data/../secret` is judged as `secret`. The sandbox decides what can
/// really be reached; this only keeps rules from being talked around.
fn normal_path(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." if steps.last().is_some_and(|last| *last != "..") => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", steps.join("/"))
}

fn matches_name(pattern: &str, name: &str) -> bool {
    if pattern.contains(['[', '{', '\\']) {
        return pattern == name || glob(pattern, false).is_some_and(|glob| glob.is_match(name));
    }
    matches_wildcards(pattern, name)
}

/// What nearly all patterns over names need: `*` for any text, `?` for one letter. Compiling a pattern takes a thousand
/// times longer, and names are matched for every tool and every call.
fn matches_wildcards(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // What follows the last star, and the rest of the name that it is tried on next.
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let mut after = pattern.clone();
        match (after.next(), name.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((after.clone(), name.clone()));
                pattern = after;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                name.next();
                pattern = after;
            }
            _ => {
                let Some((after_star, rest)) = &mut retry else { return false };
                if rest.next().is_none() {
                    return false;
                }
                (pattern, name) = (after_star.clone(), rest.clone());
            }
        }
    }
}

fn matches_path(pattern: &str, path: &str) -> bool {
    glob(pattern, true).is_some_and(|glob| glob.is_match(path))
}

fn glob(pattern: &str, literal_separator: bool) -> Option<GlobMatcher> {
    GlobBuilder::new(pattern).literal_separator(literal_separator).build().ok().map(|glob| glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn call(tool: &str, path: &str) -> ToolCall {
        ToolCall { id: "c".into(), tool: tool.into(), arguments: json!({ "path": path }), signature: None }
    }

    fn rule(tool: &str, path: Option<&str>, effect: Verdict) -> Rule {
        Rule { tool: tool.into(), path: path.map(Into::into), effect }
    }

    #[test]
    fn the_most_specific_rule_wins_and_ties_are_deny() {
        let policy = Policy {
            rules: vec![
                rule("fs.write", None, Verdict::Deny),
                rule("fs.write", Some("data/**"), Verdict::Allow),
                rule("fs.write", Some("data/raw/**"), Verdict::Ask),
                rule("fs.*", Some("data/**"), Verdict::Deny),
            ],
            ..Policy::default()
        };
        let verdict = |path| policy.decide(&call("fs.write", path), EffectClass::Keyed).verdict;
        assert_eq!(verdict("notes.md"), Verdict::Deny);
        assert_eq!(verdict("data/a/b.csv"), Verdict::Allow);
        assert_eq!(verdict("data/raw/x"), Verdict::Ask);
        assert_eq!(verdict("data/../notes.md"), Verdict::Deny);
        assert!(policy.has_tool("fs.write"), "an exception for a path keeps the tool visible");
    }

    #[test]
    fn absent_tools_are_the_default_set_and_an_empty_list_is_none() {
        let none = Policy { tools: ToolSelection::Only(vec![]), ..Policy::default() };
        assert!(!none.has_tool("fs.read"));
        assert_eq!(none.decide(&call("fs.read", "a"), EffectClass::Pure).verdict, Verdict::Deny);
        let default = Policy::default();
        assert_eq!(default.decide(&call("fs.read", "a"), EffectClass::Pure).verdict, Verdict::Allow);
        assert_eq!(default.decide(&call("shell.exec", "a"), EffectClass::Once).verdict, Verdict::Ask);
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let tool = prop::sample::select(vec!["fs.write", "fs.*", "*", "shell.exec"]);
        let path = prop::option::of(prop::sample::select(vec!["a/**", "**", "a/b"]));
        let effect = prop::sample::select(vec![Verdict::Allow, Verdict::Ask, Verdict::Deny]);
        (tool, path, effect).prop_map(|(tool, path, effect)| rule(tool, path, effect))
    }

    proptest! {
        #[test]
        fn wildcards_match_what_the_compiled_pattern_matches(pattern in "[ab.:/*?]{0,9}", name in "[ab.:/*]{0,12}") {
            let compiled = glob(&pattern, false).unwrap();
            prop_assert_eq!(matches_name(&pattern, &name), compiled.is_match(&name));
        }

        #[test]
        fn order_does_not_matter_and_a_ceiling_never_widens(
            rules in prop::collection::vec(any_rule(), 0..6),
            ceiling in prop::collection::vec(any_rule(), 0..4),
            path in prop::sample::select(vec!["a/b", "a/c", "x"]),
        ) {
            let call = call("fs.write", path);
            let decide = |rules: &[Rule], ceiling: &[Rule]| {
                let policy = Policy { rules: rules.to_vec(), ceiling: ceiling.to_vec(), ..Policy::default() };
                policy.decide(&call, EffectClass::Keyed).verdict
            };
            let reversed: Vec<Rule> = rules.iter().rev().cloned().collect();
            prop_assert_eq!(decide(&rules, &ceiling), decide(&reversed, &ceiling));
            prop_assert!(decide(&rules, &ceiling) >= decide(&rules, &[]));
        }
    }
}
