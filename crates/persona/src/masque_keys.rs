//! The keys under `masque:`, which only Masque understands.
//!
//! Owns model, rules, mode, budget, output. Leaves out the larger parts, each of which has its own file.

use globset::Glob;
use masque_tree::{Content, Node, Place, parse_json};
use masque_types::{
    cost::Limits,
    model::{FailureKind, ModelRef},
    persona::{Delegation, Display, Hooks, MemorySpec, ModelPreference, SandboxSpec, SecretGrant},
    policy::{Mode, Rule, Verdict},
};
use serde_json::Value;

use crate::{
    delegate_keys, display_keys,
    file::LIMITS,
    front_matter::Surroundings,
    hooks,
    notes::Notes,
    sandbox_keys, secret_keys,
    section::{Section, nearest},
    sibling::Sibling,
    tool_names::{self, Use},
    units,
};

/// What stands under `masque:`.
#[derive(Debug, Default)]
pub(crate) struct MasqueKeys {
    pub(crate) display: Display,
    pub(crate) model: ModelPreference,
    pub(crate) mode: Option<Mode>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) sandbox: SandboxSpec,
    pub(crate) secrets: Vec<SecretGrant>,
    pub(crate) budget: Limits,
    pub(crate) delegate: Delegation,
    pub(crate) memory: MemorySpec,
    pub(crate) output_schema: Option<Value>,
    pub(crate) hooks: Hooks,
    pub(crate) callable: bool,
}

/// The version of the format that this reads.
pub(crate) const SCHEMA: &str = "masque.persona/v1";

/// Reads the section.
pub(crate) fn read(mut section: Section, around: &mut Surroundings<'_>, notes: &mut Notes) -> MasqueKeys {
    check_schema(&mut section, notes);
    let display = section.section("display", notes);
    let sandbox =
        section.section("sandbox", notes).map_or_else(SandboxSpec::default, |part| sandbox_keys::read(part, notes));
    let keys = MasqueKeys {
        display: display_keys::read(display, around.sibling, notes),
        model: model(&mut section, notes),
        mode: mode(&mut section, notes),
        rules: rules(&mut section, notes),
        secrets: secret_keys::read(&mut section, &sandbox, notes),
        sandbox,
        budget: section.section("budget", notes).map_or_else(Limits::default, |part| budget(part, notes)),
        delegate: section
            .section("delegate", notes)
            .map_or_else(Delegation::default, |part| delegate_keys::delegate(part, notes)),
        memory: section
            .section("memory", notes)
            .map_or_else(MemorySpec::default, |part| delegate_keys::memory(part, notes)),
        output_schema: section.section("output", notes).and_then(|part| output(part, around.sibling, notes)),
        hooks: section
            .section("hooks", notes)
            .map_or_else(Hooks::default, |part| hooks::read(part, around.sibling, notes)),
        callable: section.flag("callable", notes).unwrap_or(false),
    };
    section.finish(notes);
    keys
}

fn mode(section: &mut Section, notes: &mut Notes) -> Option<Mode> {
    let (text, place) = section.text("mode", notes)?;
    let mode = Mode::from_name(&text);
    if mode.is_none() {
        let near = nearest(&text, Mode::ALL.iter().map(|mode| mode.name()));
        let hint = near.map_or_else(
            || "write `plan`, `default`, `accept-edits` or `auto`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        notes.error(place, format!("there is no mode `{text}`"), hint);
    }
    mode
}

fn check_schema(section: &mut Section, notes: &mut Notes) {
    if let Some((schema, place)) = section.text("schema", notes)
        && schema != SCHEMA
    {
        let message = format!("the file has the schema `{schema}`, this Masque reads `{SCHEMA}`");
        notes.error(place, message, format!("install a newer Masque, or write `schema: {SCHEMA}`"));
    }
}

fn model(section: &mut Section, notes: &mut Notes) -> ModelPreference {
    let Some(node) = section.take("model") else { return ModelPreference::default() };
    if let Content::Text(text) = node.content {
        return ModelPreference {
            prefer: model_ref(&text, node.place, notes).into_iter().collect(),
            ..Default::default()
        };
    }
    let Some(mut part) = Section::of(node, &section.path("model"), notes) else { return ModelPreference::default() };
    let preference = ModelPreference {
        prefer: part
            .texts("prefer", notes)
            .unwrap_or_default()
            .iter()
            .filter_map(|(text, place)| model_ref(text, *place, notes))
            .collect(),
        fallback_on: part
            .texts("fallback_on", notes)
            .map(|kinds| kinds.iter().filter_map(|(kind, place)| failure_kind(kind, *place, notes)).collect()),
        temperature: temperature(&mut part, notes),
        max_output_tokens: part.whole_u32("max_output_tokens", notes),
    };
    part.finish(notes);
    preference
}

fn model_ref(text: &str, place: Place, notes: &mut Notes) -> Option<ModelRef> {
    let parsed = text.parse::<ModelRef>();
    if let Err(error) = &parsed {
        notes.error(place, error.to_string(), "name provider and model, with a slash between them");
    }
    parsed.ok()
}

fn failure_kind(text: &str, place: Place, notes: &mut Notes) -> Option<FailureKind> {
    let kind = serde_json::from_value(Value::from(text)).ok();
    if kind.is_none() {
        let known = "unavailable, rate_limit, timeout, context_too_long, auth, bad_request, protocol, not_found";
        notes.error(place, format!("`{text}` is no kind of failure"), format!("write one of {known}"));
    }
    kind
}

fn temperature(part: &mut Section, notes: &mut Notes) -> Option<f64> {
    let (value, place) = part.number("temperature", notes)?;
    if !(0.0..=2.0).contains(&value) {
        notes.error(place, "`masque.model.temperature` is not between 0 and 2", "write for example `temperature: 0.2`");
        return None;
    }
    Some(value)
}

fn rules(section: &mut Section, notes: &mut Notes) -> Vec<Rule> {
    let path = section.path("rules");
    let Some(node) = section.take("rules") else { return Vec::new() };
    let Content::List(items) = node.content else {
        let hint = "write `- { tool: shell.exec, effect: ask }` lines below it";
        notes.error(node.place, format!("`{path}` is {}, expected a list", node.kind()), hint);
        return Vec::new();
    };
    items.into_iter().filter_map(|item| rule(item, &path, notes)).collect()
}

fn rule(node: Node, path: &str, notes: &mut Notes) -> Option<Rule> {
    let place = node.place;
    let mut part = Section::of(node, path, notes)?;
    let tool = part.text("tool", notes);
    let pattern = part.text("path", notes);
    let effect = part.text("effect", notes);
    // A key that is not understood could have been a restriction: the rule would then say more than it should.
    for entry in part.rest() {
        let hint = "a rule has `tool`, `path` and `effect`";
        notes.error(entry.place, format!("a rule has no key `{}`", entry.key), hint);
    }
    let (Some((tool, tool_place)), Some((effect, effect_place))) = (tool, effect) else {
        notes.error(place, "a rule needs `tool` and `effect`", "write `{ tool: shell.exec, effect: ask }`");
        return None;
    };
    let effect = verdict(&effect, effect_place, notes)?;
    let usage = if effect == Verdict::Allow { Use::Grant } else { Use::Restriction };
    let tool = tool_names::canonical(&tool, tool_place, usage, notes);
    check_glob(&tool, tool_place, notes);
    if let Some((_, place)) = pattern.as_ref().filter(|_| !tool_names::may_have_path(&tool)) {
        let hint = "remove `path`; `masque.sandbox.fs.deny` hides files from every tool";
        notes.error(*place, format!("calls of `{tool}` have no path: the rule would never hold"), hint);
    }
    let path = pattern.map(|(pattern, place)| rule_path(pattern, place, notes));
    Some(Rule { tool, path, effect })
}

fn verdict(text: &str, place: Place, notes: &mut Notes) -> Option<Verdict> {
    let verdict = match text {
        "allow" => Verdict::Allow,
        "ask" => Verdict::Ask,
        "deny" => Verdict::Deny,
        other => {
            let near = nearest(other, ["allow", "ask", "deny"].into_iter());
            let hint = near
                .map_or_else(|| "write `allow`, `ask` or `deny`".to_owned(), |near| format!("did you mean `{near}`?"));
            notes.error(place, format!("`{other}` is no effect of a rule"), hint);
            return None;
        }
    };
    Some(verdict)
}

/// Calls are judged by paths without `.` and `..` steps: a pattern with such a step would match nothing, and a
/// deny that matches nothing is a hole.
fn rule_path(pattern: String, place: Place, notes: &mut Notes) -> String {
    check_glob(&pattern, place, notes);
    let stray =
        pattern.split('/').any(|step| step == "." || step == "..") || pattern.ends_with('/') || pattern.contains("//");
    if stray {
        let message = format!("the path pattern `{pattern}` can match no path");
        notes.error(
            place,
            message,
            "write it from the workspace on, without `.`, `..` and a slash at the end: `data/**`",
        );
    }
    pattern
}

/// Notes a pattern that is none: it would match nothing.
pub(crate) fn check_glob(pattern: &str, place: Place, notes: &mut Notes) {
    if pattern.contains(['*', '?', '[', ']', '{', '}', '\\'])
        && let Err(error) = Glob::new(pattern)
    {
        notes.error(place, format!("`{pattern}` is no pattern: {}", error.kind()), "escape special letters with `\\`");
    }
}

fn budget(mut part: Section, notes: &mut Notes) -> Limits {
    let usd = part.number("usd", notes).and_then(|(amount, place)| {
        let money = units::dollars(amount);
        if money.is_none() {
            notes.error(place, "`masque.budget.usd` is no sensible amount", "write for example `usd: 0.50`");
        }
        money
    });
    let limits = Limits {
        steps: part.whole_u32("steps", notes),
        tokens: part.whole("tokens", notes),
        micro_usd: usd,
        wall: part.text("wall", notes).and_then(|(text, place)| {
            let wall = units::duration(&text);
            if wall.is_none() {
                notes.error(place, format!("`{text}` is no duration"), "write a number with its unit: `wall: 20m`");
            }
            wall
        }),
    };
    // A misspelt limit would be no limit at all.
    for entry in part.rest() {
        let near = nearest(&entry.key, ["usd", "tokens", "steps", "wall"].into_iter());
        let hint = near.map_or_else(
            || "a budget has `usd`, `tokens`, `steps` and `wall`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        notes.error(entry.place, format!("a budget has no key `{}`", entry.key), hint);
    }
    limits
}

fn output(mut part: Section, sibling: &mut Sibling, notes: &mut Notes) -> Option<Value> {
    let node = part.take("schema");
    part.finish(notes);
    let node = node?;
    let place = node.place;
    let (schema, own_file) = match node.content {
        Content::Text(path) => (schema_file(&path, place, sibling, notes)?, Some(path)),
        _ => (node.to_json(), None),
    };
    if let Err(error) = jsonschema::validator_for(&schema) {
        let of = own_file.map(|path| format!(" in `{path}`")).unwrap_or_default();
        let message = format!("the output schema{of} is no JSON Schema at `{}`: {error}", error.instance_path());
        notes.error(place, message, "correct the schema; references to other files or addresses are not followed");
        return None;
    }
    Some(schema)
}

fn schema_file(path: &str, place: Place, sibling: &mut Sibling, notes: &mut Notes) -> Option<Value> {
    let text = sibling.named(path, "the schema", place, notes)?;
    match parse_json(&text, LIMITS) {
        Ok(node) => Some(node.to_json()),
        Err(error) => {
            let whole = sibling.directory.as_ref().map(|directory| directory.join(path)).unwrap_or_default();
            notes.of_file(&whole, |notes| {
                notes.error(error.place, format!("this is not JSON: {}", error.message), "correct it at this place");
            });
            None
        }
    }
}
