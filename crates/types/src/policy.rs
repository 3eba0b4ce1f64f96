//! What a persona may do: rules over tools and paths, and the one function that decides.
//!
//! The most specific rule wins; among equally specific rules deny beats ask beats allow. The result does not depend
//! on the order of the rules. Leaves out enforcement of files and network, which is the sandbox's.

use std::str::Chars;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    child,
    message::ToolCall,
    persona::Persona,
    tool::{EffectClass, TOOL_DESCRIBE, TOOL_SEARCH},
};

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

impl Verdict {
    /// The name used in files and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
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
        let path = self.path.as_ref().map(|path| format!(" path={path}")).unwrap_or_default();
        format!("{} {}{path}", self.effect.name(), self.tool)
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

/// What a persona does where no rule speaks. A mode is a macro over rules: it stands below every rule of the file, and
/// [`Mode::Plan`] above them as well.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Looks and plans: whatever is not a pure reading is denied, also where a rule allows it.
    Plan,
    /// Asks before what can change something or reach out.
    #[default]
    Default,
    /// Edits files in the workspace without asking.
    AcceptEdits,
    /// Asks only where a rule says so.
    Auto,
}

impl Mode {
    /// All modes, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Plan, Self::Default, Self::AcceptEdits, Self::Auto];

    /// The name used in files and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Default => "default",
            Self::AcceptEdits => "accept-edits",
            Self::Auto => "auto",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

/// What one run's persona may do: its own policy, what its callers hand on, and the ceiling of the run.
///
/// The verdict on a call is the strictest of all layers, so it never exceeds any of them, and taking something away
/// from a layer never allows more.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Which tools exist for the persona.
    pub tools: ToolSelection,
    /// The persona's rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What is done where no rule speaks.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// One list for each call that led here, from the first run on: the tools that the caller hands on, by name or
    /// pattern. Empty for a run that a person started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Vec<String>>,
    /// The ceiling set when the first run started: these can deny or ask, never allow what the persona may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ceiling: Vec<Rule>,
    /// Part of the ceiling: programs of this run, and of all runs below it, get neither network nor secrets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offline: bool,
}

/// A part of a policy that has a say in every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The list of tools in the persona's file.
    Tools,
    /// The rules of the persona's file, or what holds without one.
    Rules,
    /// What a caller hands on.
    Grant,
    /// The mode, where it narrows.
    Mode,
    /// The ceiling of the run.
    Ceiling,
}

impl Layer {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Rules => "rules",
            Self::Grant => "grant",
            Self::Mode => "mode",
            Self::Ceiling => "ceiling",
        }
    }
}

/// What one layer says about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerDecision {
    /// The layer.
    pub layer: Layer,
    /// What it says.
    #[serde(flatten)]
    pub decision: Decision,
}

/// Tools that need no question: they only read what is the project's or the persona's own, or ask the human anyway.
const READ_ONLY_DEFAULTS: [&str; 12] = [
    "fs.read",
    "fs.list",
    "fs.glob",
    "fs.search",
    "result.read",
    "human.ask",
    "skill.use",
    "memory.search",
    "standard.search",
    "standard.proposals",
    TOOL_SEARCH,
    TOOL_DESCRIBE,
];

/// What [`Mode::AcceptEdits`] does without asking.
const EDITS: [&str; 2] = ["fs.write", "fs.edit"];

/// Tools that every selection and grant includes: reading on in a stored result gives nothing that the first part did
/// not, a skill is text of the persona itself, and whoever looks for tools finds those that it has.
const ALWAYS_SELECTED: [&str; 4] = ["result.read", "skill.use", TOOL_SEARCH, TOOL_DESCRIBE];

impl Policy {
    /// The policy of a persona that a person starts.
    #[must_use]
    pub fn of(persona: &Persona) -> Self {
        Self {
            tools: persona.tools.clone(),
            rules: persona.rules.clone(),
            mode: persona.mode,
            grants: Vec::new(),
            ceiling: Vec::new(),
            offline: false,
        }
    }

    /// The policy of a persona that a run with this policy calls: its own, under the ceiling and the mode of the caller,
    /// with the tools that the caller hands on. The caller's own rules do not matter: one that may not write can call
    /// one that may.
    #[must_use]
    pub fn for_callee(&self, persona: &Persona, grant: Option<&[String]>) -> Self {
        let mut grants = self.grants.clone();
        grants.extend(grant.map(<[String]>::to_vec));
        let (mode, ceiling) = (persona.mode.min(self.mode), self.ceiling.clone());
        Self { mode, grants, ceiling, offline: self.offline, ..Self::of(persona) }
    }

    /// Takes something away: adds a rule to the ceiling, unless the ceiling is as strict there already. Among rules the
    /// more specific one wins, so that a mild new one could otherwise lift a stricter pattern.
    pub fn narrow(&mut self, rule: Rule) {
        let standing = strongest(self.ceiling.iter(), &rule.tool, None);
        if standing.is_none_or(|standing| standing.effect < rule.effect) {
            self.ceiling.push(rule);
        }
    }

    /// Whether the persona has a tool at all; a tool without is invisible to the model and refused at call.
    #[must_use]
    pub fn has_tool(&self, tool: &str, effect: EffectClass) -> bool {
        let denied = |rules: &[Rule]| {
            strongest(rules.iter().filter(|rule| rule.path.is_none()), tool, None)
                .is_some_and(|rule| rule.effect == Verdict::Deny && !has_path_exception(rules, tool))
        };
        self.selects(tool)
            && self.grants.iter().all(|grant| grants(grant, tool))
            && !self.is_planned_away(tool, effect)
            && !denied(&self.rules)
            && !denied(&self.ceiling)
    }

    /// Decides about one call: the strictest layer wins, the first one of equals gives the reason.
    #[must_use]
    pub fn decide(&self, call: &ToolCall, effect: EffectClass) -> Decision {
        let strictest = self
            .layers(call, effect)
            .reduce(|one, other| if other.decision.verdict > one.decision.verdict { other } else { one });
        let nothing = || Decision { verdict: Verdict::Deny, reason: "no layer allows it".to_owned() };
        strictest.map_or_else(nothing, |strictest| strictest.decision)
    }

    /// Decides about a call in a workspace. A path that is written from the root on is judged as one of the workspace as
    /// well, for rules are written so: the stricter decision holds, and no other spelling talks around it.
    #[must_use]
    pub fn decide_in(&self, workspace: &str, call: &ToolCall, effect: EffectClass) -> Decision {
        let decision = self.decide(call, effect);
        let Some(inside) = path_argument(&call.arguments).and_then(|path| inside(workspace, &path)) else {
            return decision;
        };
        let mut call = call.clone();
        if let Some(path) = call.arguments.get_mut("path") {
            *path = Value::String(inside);
        }
        let other = self.decide(&call, effect);
        if other.verdict > decision.verdict { other } else { decision }
    }

    /// What every layer that has a say says, for explanations.
    #[must_use]
    pub fn explain(&self, call: &ToolCall, effect: EffectClass) -> Vec<LayerDecision> {
        self.layers(call, effect).collect()
    }

    fn layers(&self, call: &ToolCall, effect: EffectClass) -> impl Iterator<Item = LayerDecision> {
        let path = path_argument(&call.arguments);
        let own = strongest(self.rules.iter(), &call.tool, path.as_deref());
        let own = own.map_or_else(|| self.unruled(call), decided_by);
        let ceiling = strongest(self.ceiling.iter(), &call.tool, path.as_deref());
        let refusing = self.grants.iter().find(|grant| !grants(grant, &call.tool));
        let tool = call.tool.clone();
        let deny = |reason: String| Decision { verdict: Verdict::Deny, reason };
        [
            (!self.selects(&tool)).then(|| (Layer::Tools, deny(format!("`{tool}` is not among the persona's tools")))),
            Some((Layer::Rules, own)),
            refusing.map(|grant| (Layer::Grant, deny(format!("the calling persona hands on only: {}", listed(grant))))),
            self.is_planned_away(&tool, effect)
                .then(|| (Layer::Mode, deny("mode plan: only what reads is allowed".to_owned()))),
            ceiling.map(|rule| {
                let reason = format!("ceiling of the run: {}", rule.describe());
                (Layer::Ceiling, Decision { verdict: rule.effect, reason })
            }),
        ]
        .into_iter()
        .flatten()
        .map(|(layer, decision)| LayerDecision { layer, decision })
    }

    fn selects(&self, tool: &str) -> bool {
        match &self.tools {
            ToolSelection::Default => true,
            ToolSelection::Only(names) => ALWAYS_SELECTED.contains(&tool) || is_among(names, tool),
        }
    }

    fn is_planned_away(&self, tool: &str, effect: EffectClass) -> bool {
        self.mode == Mode::Plan
            && effect != EffectClass::Pure
            && !READ_ONLY_DEFAULTS.contains(&tool)
            // A called persona is in this mode too.
            && ![child::CALL, child::HANDOFF].contains(&tool)
    }

    /// Without a rule: a tool that the file lists by name is allowed, reading is allowed, and the mode says what of the
    /// rest is asked.
    fn unruled(&self, call: &ToolCall) -> Decision {
        let listed = matches!(&self.tools, ToolSelection::Only(_)) && self.selects(&call.tool);
        let reads = READ_ONLY_DEFAULTS.contains(&call.tool.as_str());
        let edits = EDITS.contains(&call.tool.as_str());
        let (verdict, reason) = match (listed, reads, self.mode) {
            (true, ..) => (Verdict::Allow, "the persona's file lists the tool and no rule restricts it"),
            (_, true, _) => (Verdict::Allow, "only reads what belongs to the project or the persona"),
            (.., Mode::Auto) => (Verdict::Allow, "mode auto: nothing is asked without a rule"),
            (.., Mode::AcceptEdits) if edits => (Verdict::Allow, "mode accept-edits: edits are not asked"),
            _ => (Verdict::Ask, "default: what can change something or reach out is asked"),
        };
        Decision { verdict, reason: reason.to_owned() }
    }
}

fn grants(grant: &[String], tool: &str) -> bool {
    ALWAYS_SELECTED.contains(&tool) || is_among(grant, tool)
}

/// Whether one of the names or patterns means the tool. Patterns take `*` for any text and `?` for one letter.
#[must_use]
pub fn is_among(names: &[String], tool: &str) -> bool {
    names.iter().any(|name| matches_name(name, tool))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
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

/// A plain path from the root on, as one of the workspace; none when it is none.
fn inside(workspace: &str, path: &str) -> Option<String> {
    let below = path.strip_prefix(normal_path(workspace).trim_end_matches('/'))?;
    below.strip_prefix('/').map(str::to_owned)
}

/// `*` stands for any text, slashes included, `?` for one letter.
fn matches_name(pattern: &str, name: &str) -> bool {
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

/// `*` and `?` stop at slashes, `**` does not. Without compiling: a decision must not cost more than what it guards.
fn matches_path(pattern: &str, path: &str) -> bool {
    fast_glob::glob_match(pattern, path)
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
    fn narrowing_never_lifts_a_stricter_pattern() {
        let fetch = call("web.fetch", "");
        for (before, expected) in [(vec![], Verdict::Ask), (vec![rule("web.*", None, Verdict::Deny)], Verdict::Deny)] {
            let rules = vec![rule("web.fetch", None, Verdict::Allow)];
            let mut policy = Policy { rules, ceiling: before, ..Policy::default() };
            policy.narrow(Rule::new("web.fetch", Verdict::Ask));
            assert_eq!(policy.decide(&fetch, EffectClass::Pure).verdict, expected);
        }
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
        assert!(policy.has_tool("fs.write", EffectClass::Keyed), "an exception for a path keeps the tool visible");
    }

    #[test]
    fn a_path_from_the_root_on_is_judged_as_one_of_the_workspace() {
        let rules = vec![rule("fs.*", Some(".git/**"), Verdict::Deny), rule("fs.*", Some("/srv/x/**"), Verdict::Ask)];
        let tools = ToolSelection::Only(vec!["fs.*".to_owned()]);
        let policy = Policy { tools, rules, ..Policy::default() };
        let verdict =
            |workspace, path| policy.decide_in(workspace, &call("fs.write", path), EffectClass::Keyed).verdict;
        for path in [".git/x", "/ws/.git/x", "//ws//.git/x", "/ws/a/../.git/x", "/ws/./.git/x"] {
            assert_eq!(verdict("/ws", path), Verdict::Deny, "{path}");
            assert_eq!(verdict("/ws/", path), Verdict::Deny, "{path}");
        }
        assert_eq!(verdict("/", "/.git/x"), Verdict::Deny);
        for path in ["/wsx/.git/x", "/other/.git/x", "/ws/a", "/ws"] {
            assert_eq!(verdict("/ws", path), Verdict::Allow, "{path}");
        }
        assert_eq!(verdict("/srv", "/srv/x/a"), Verdict::Ask, "a rule may be written from the root on");
    }

    #[test]
    fn absent_tools_are_the_default_set_and_an_empty_list_is_none() {
        let none = Policy { tools: ToolSelection::Only(vec![]), ..Policy::default() };
        assert!(!none.has_tool("fs.read", EffectClass::Pure));
        assert_eq!(none.decide(&call("fs.read", "a"), EffectClass::Pure).verdict, Verdict::Deny);
        let default = Policy::default();
        assert_eq!(default.decide(&call("fs.read", "a"), EffectClass::Pure).verdict, Verdict::Allow);
        assert_eq!(default.decide(&call("shell.exec", "a"), EffectClass::Once).verdict, Verdict::Ask);
    }

    #[test]
    fn one_who_may_not_write_can_call_one_who_may() {
        let coordinator = Policy { rules: vec![rule("fs.write", None, Verdict::Deny)], ..Policy::default() };
        let writer = Persona { tools: ToolSelection::Only(vec!["fs.*".into()]), ..Persona::new("writer") };
        let decide = |policy: &Policy| policy.decide(&call("fs.write", "a"), EffectClass::Keyed);
        assert_eq!(decide(&coordinator.for_callee(&writer, None)).verdict, Verdict::Allow);
        let granted = coordinator.for_callee(&writer, Some(&["fs.read".to_owned()]));
        assert_eq!(decide(&granted).reason, "the calling persona hands on only: fs.read");
        let planning = Policy { mode: Mode::Plan, ..coordinator };
        assert_eq!(decide(&planning.for_callee(&writer, None)).reason, "mode plan: only what reads is allowed");
    }

    #[test]
    fn modes_change_what_no_rule_says() {
        let ruled = |mode| Policy { mode, rules: vec![rule("web.fetch", None, Verdict::Ask)], ..Policy::default() };
        let verdicts = |mode| {
            ["fs.read", "fs.write", "shell.exec", "web.fetch"].map(|tool| {
                let effect = if tool == "fs.read" { EffectClass::Pure } else { EffectClass::Once };
                ruled(mode).decide(&call(tool, "a"), effect).verdict
            })
        };
        let (allow, ask, deny) = (Verdict::Allow, Verdict::Ask, Verdict::Deny);
        assert_eq!(verdicts(Mode::Plan), [allow, deny, deny, deny]);
        assert_eq!(verdicts(Mode::Default), [allow, ask, ask, ask]);
        assert_eq!(verdicts(Mode::AcceptEdits), [allow, allow, ask, ask]);
        assert_eq!(verdicts(Mode::Auto), [allow, allow, allow, ask]);
    }

    const TOOLS: [&str; 4] = ["fs.write", "fs.read", "shell.exec", "mcp:data/list"];
    const PATTERNS: [&str; 6] = ["fs.write", "fs.*", "*", "shell.exec", "mcp:data/*", "mcp:*"];

    /// A step of a pattern as the loader takes it.
    fn any_step() -> impl Strategy<Value = String> {
        prop_oneof![Just("**".to_owned()), "[ab?]{0,2}[*]?[ab?]{1,2}", "[ab?]{1,2}[*]?"]
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let tool = prop::sample::select(PATTERNS.to_vec());
        let path = prop::option::of(prop::sample::select(vec!["a/**", "**", "a/b"]));
        let effect = prop::sample::select(vec![Verdict::Allow, Verdict::Ask, Verdict::Deny]);
        (tool, path, effect).prop_map(|(tool, path, effect)| rule(tool, path, effect))
    }

    fn any_names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(prop::sample::select(PATTERNS.to_vec()).prop_map(str::to_owned), 0..4)
    }

    fn any_mode() -> impl Strategy<Value = Mode> {
        prop::sample::select(Mode::ALL.to_vec())
    }

    fn any_policy() -> impl Strategy<Value = Policy> {
        let tools = prop::option::of(any_names());
        let tools = tools.prop_map(|names| names.map_or(ToolSelection::Default, ToolSelection::Only));
        let rules = || prop::collection::vec(any_rule(), 0..5);
        (tools, rules(), any_mode(), prop::collection::vec(any_names(), 0..3), rules()).prop_map(
            |(tools, rules, mode, grants, ceiling)| Policy { tools, rules, mode, grants, ceiling, offline: false },
        )
    }

    fn any_call() -> impl Strategy<Value = (ToolCall, EffectClass)> {
        let tool = prop::sample::select(TOOLS.to_vec());
        let path = prop::sample::select(vec!["a/b", "a/c", "x", "../x"]);
        let effect = prop::sample::select(vec![EffectClass::Pure, EffectClass::Keyed, EffectClass::Once]);
        (tool, path, effect).prop_map(|(tool, path, effect)| (call(tool, path), effect))
    }

    proptest! {
        #[test]
        fn paths_match_as_the_compiled_pattern_does(
            steps in prop::collection::vec(any_step(), 1..5),
            path in "[ab]{1,3}(/[ab]{1,2}){0,3}",
        ) {
            let pattern = steps.join("/");
            let compiled = globset::GlobBuilder::new(&pattern).literal_separator(true).build().unwrap();
            prop_assert_eq!(matches_path(&pattern, &path), compiled.compile_matcher().is_match(&path));
        }

        #[test]
        fn the_verdict_never_exceeds_a_layer((call, effect) in any_call(), policy in any_policy()) {
            let verdict = policy.decide(&call, effect).verdict;
            for layer in policy.explain(&call, effect) {
                prop_assert!(verdict >= layer.decision.verdict, "{layer:?}");
            }
            if !policy.has_tool(&call.tool, effect) {
                prop_assert_eq!(verdict, Verdict::Deny, "what is invisible is refused as well");
            }
        }

        #[test]
        fn the_order_of_rules_grants_and_names_does_not_matter((call, effect) in any_call(), policy in any_policy()) {
            let mut turned = policy.clone();
            turned.rules.reverse();
            turned.ceiling.reverse();
            turned.grants.reverse();
            if let ToolSelection::Only(names) = &mut turned.tools {
                names.reverse();
            }
            prop_assert_eq!(policy.decide(&call, effect).verdict, turned.decide(&call, effect).verdict);
        }

        #[test]
        fn shrinking_never_allows_more(
            (call, effect) in any_call(),
            policy in any_policy(),
            stricter in any_rule(),
            fewer in any_names(),
            mode in any_mode(),
        ) {
            let before = policy.decide(&call, effect).verdict;
            let mut lowered = policy.clone();
            lowered.ceiling.push(Rule { effect: Verdict::Deny, ..stricter });
            prop_assert!(lowered.decide(&call, effect).verdict >= before);
            let mut granted = policy.clone();
            granted.grants.push(fewer);
            prop_assert!(granted.decide(&call, effect).verdict >= before);
            let narrowed = Policy { mode: policy.mode.min(mode), ..policy.clone() };
            prop_assert!(narrowed.decide(&call, effect).verdict >= before);
        }

        #[test]
        fn a_callee_stays_under_the_ceiling_and_the_grants(
            (call, effect) in any_call(),
            caller in any_policy(),
            callee in any_policy(),
            grant in prop::option::of(any_names()),
        ) {
            let persona = Persona {
                tools: callee.tools.clone(), rules: callee.rules.clone(), mode: callee.mode, ..Persona::new("callee")
            };
            let effective = caller.for_callee(&persona, grant.as_deref()).decide(&call, effect).verdict;
            prop_assert!(effective >= Policy::of(&persona).decide(&call, effect).verdict, "its own policy");
            let ceiling = strongest(caller.ceiling.iter(), &call.tool, path_argument(&call.arguments).as_deref());
            prop_assert!(ceiling.is_none_or(|rule| effective >= rule.effect), "the ceiling");
            let all = caller.grants.iter().chain(&grant);
            prop_assert!(all.into_iter().all(|grant| grants(grant, &call.tool) || effective == Verdict::Deny), "grants");
        }
    }
}
