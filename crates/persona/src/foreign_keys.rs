//! Top-level keys of other programs that mean something to Masque: they say it in their own words.
//!
//! What stands under `masque:` wins over them, except where both restrict. Leaves out keys that mean nothing here.

use masque_tree::{Content, Node, Place};
use masque_types::{cost::MicroUsd, model::ModelRef, policy::Mode};

use crate::{
    notes::Notes,
    section::{Section, text_of},
    units,
};

/// Keys that are no restriction and that Masque does not use: Claude Code, goose, OpenHands.
const NOT_USED: [&str; 10] = [
    "hooks",
    "background",
    "isolation",
    "effort",
    "initialPrompt",
    "kind",
    "avatar",
    "observer",
    "omitClaudeMd",
    "condenser",
];

/// What other programs' keys said.
#[derive(Debug, Default)]
pub(crate) struct ForeignKeys {
    pub(crate) model: Option<ModelRef>,
    pub(crate) mode: Option<Mode>,
    pub(crate) steps: Option<u32>,
    pub(crate) usd: Option<MicroUsd>,
    pub(crate) memory: Option<String>,
    pub(crate) servers: Option<Node>,
}

/// Takes them out of the top level.
pub(crate) fn read(section: &mut Section, notes: &mut Notes) -> ForeignKeys {
    let turns = section.whole_u32("maxTurns", notes);
    let rounds = section.whole_u32("max_iteration_per_run", notes);
    let keys = ForeignKeys {
        model: model(section, notes),
        mode: mode(section, notes),
        steps: turns.into_iter().chain(rounds).min(),
        usd: section.number("max_budget_per_run", notes).and_then(|(amount, place)| {
            let money = units::dollars(amount);
            if money.is_none() {
                notes.error(place, "`max_budget_per_run` is no sensible amount", "write for example `0.50`");
            }
            money
        }),
        memory: memory(section, notes),
        servers: section.section("mcp_config", notes).and_then(|mut part| {
            let servers = part.take_even_empty("mcpServers");
            part.finish(notes);
            servers
        }),
    };
    section.not_used(&NOT_USED, notes);
    keys
}

fn model(section: &mut Section, notes: &mut Notes) -> Option<ModelRef> {
    let provider = section.text("provider", notes).map(|(provider, _)| provider);
    let node = section.take("model")?;
    let place = node.place;
    if matches!(node.content, Content::Map(_)) {
        notes.unused("model".to_owned(), place, &node, "`model` is a mapping", "write it under `masque.model`");
        return None;
    }
    let text = text_of(node, "model", notes)?;
    if text == "inherit" {
        return None;
    }
    let whole = match provider {
        Some(provider) if !text.contains('/') => format!("{provider}/{text}"),
        _ => text,
    };
    let parsed = whole.parse().ok();
    if parsed.is_none() {
        let message = format!("`{whole}` names no provider; the configured models are used");
        notes.warning(place, message, "write `provider/model`, for example `ollama/qwen3`");
    }
    parsed
}

fn mode(section: &mut Section, notes: &mut Notes) -> Option<Mode> {
    let claude = section.text("permissionMode", notes).map(|(text, place)| claude_mode(&text, place, notes));
    let openhands = section.text("permission_mode", notes).map(|(text, place)| openhands_mode(&text, place, notes));
    claude.into_iter().chain(openhands).flatten().min()
}

/// `permissionMode` of Claude Code and Letta.
pub(crate) fn claude_mode(text: &str, place: Place, notes: &mut Notes) -> Option<Mode> {
    let mode = match text {
        "default" | "dontAsk" | "standard" => Mode::Default,
        "plan" => Mode::Plan,
        "acceptEdits" => Mode::AcceptEdits,
        "auto" => Mode::Auto,
        "bypassPermissions" | "unrestricted" => {
            let message =
                format!("`permissionMode: {text}` is read as mode `auto`: the sandbox and all rules still hold");
            notes.warning(place, message, "write `mode: auto` under `masque:` if that is meant");
            Mode::Auto
        }
        other => {
            let message = format!("`{other}` is no permission mode that is known; the default holds");
            notes.warning(place, message, "write `mode:` under `masque:`: plan, default, accept-edits or auto");
            return None;
        }
    };
    Some(mode)
}

fn openhands_mode(text: &str, place: Place, notes: &mut Notes) -> Option<Mode> {
    match text {
        "always" | "risky" => Some(Mode::Default),
        "never" => {
            let message = "`permission_mode: never` is read as mode `auto`: the sandbox and all rules still hold";
            notes.warning(place, message, "write `mode: auto` under `masque:` if that is meant");
            Some(Mode::Auto)
        }
        other => claude_mode(other, place, notes),
    }
}

/// `memory` of Claude Code: one word.
fn memory(section: &mut Section, notes: &mut Notes) -> Option<String> {
    let node = section.take("memory")?;
    match node.as_text() {
        Some("project") => Some("project".to_owned()),
        Some("user" | "local") => Some("private".to_owned()),
        _ => {
            let hint = "write `memory: { scopes: [private] }` under `masque:`";
            notes.unused("memory".to_owned(), node.place, &node, "`memory` says nothing that is known", hint);
            None
        }
    }
}
