//! The top-level keys of a persona file, in Masque's spelling and in Claude Code's.
//!
//! Owns name, description, tools, the order of the other parts. Leaves out what stands under `masque:`, the MCP servers,
//! the skills, and keys that only other programs have.

use std::collections::BTreeMap;

use masque_tree::{Content, Node, Place};
use masque_types::{
    digest::Digest,
    persona::{McpServer, Persona, SecretGrant},
    policy::{Rule, ToolSelection, Verdict},
};

use crate::{
    display_keys, foreign_keys,
    masque_keys::{self, MasqueKeys},
    mcp,
    notes::Notes,
    section::{Section, texts_of},
    sibling::Sibling,
    skills,
    tool_names::{self, Use},
};

/// What surrounds the file that is read.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The file's name without `.md`.
    pub(crate) stem: &'a str,
    /// The sibling directory, with what it adds to the persona's digest.
    pub(crate) sibling: &'a mut Sibling,
}

/// Bundled personas stay below this; longer prompts of users are warned about.
pub(crate) const PROMPT_TOKENS: usize = 1_500;

/// The persona in front matter and prompt. Its digest is still to be made: see [`digest`].
pub(crate) fn read(
    front: Node,
    prompt: &str,
    prompt_line: u32,
    around: &mut Surroundings<'_>,
    notes: &mut Notes,
) -> Option<Persona> {
    let mut section = Section::of(front, "", notes)?;
    let name = name(&mut section, around.stem, notes);
    let description = description(&mut section, notes);
    check_prompt(prompt, prompt_line, notes);
    let tools = tools(&mut section, notes).unwrap_or_default();
    let denied = denied(&mut section, notes);
    let color = display_keys::plain_color(&mut section, notes);
    let foreign = foreign_keys::read(&mut section, notes);
    let inline_servers = section.take_even_empty("mcpServers").or(foreign.servers);
    let named_skills = section.take("skills");
    let masque = section.section("masque", notes);
    section.finish(notes);

    let mut keys = match masque {
        Some(masque) => masque_keys::read(masque, around, notes),
        None => MasqueKeys { display: display_keys::read(None, around.sibling, notes), ..MasqueKeys::default() },
    };
    keys.rules.extend(denied);
    keys.budget.steps = keys.budget.steps.into_iter().chain(foreign.steps).min();
    keys.budget.micro_usd = keys.budget.micro_usd.into_iter().chain(foreign.usd).min();
    keys.display.color = keys.display.color.or(color);
    if keys.model.prefer.is_empty() {
        keys.model.prefer.extend(foreign.model);
    }
    if keys.memory.scopes.is_empty() {
        keys.memory.scopes.extend(foreign.memory);
    }
    let mcp_servers = mcp::servers(inline_servers, around.sibling, notes);
    check_servers(&tools, &mcp_servers, notes);
    check_secrets(&mcp_servers, &keys.secrets, notes);
    Some(Persona {
        name,
        description,
        prompt: prompt.trim().to_owned(),
        tools,
        rules: keys.rules,
        mcp_servers,
        model: keys.model,
        mode: keys.mode.or(foreign.mode).unwrap_or_default(),
        sandbox: keys.sandbox,
        secrets: keys.secrets,
        hooks: keys.hooks,
        skills: skills::read(named_skills, around.sibling, notes),
        delegate: keys.delegate,
        memory: keys.memory,
        callable: keys.callable,
        display: keys.display,
        budget: keys.budget,
        output_schema: keys.output_schema,
        ..Persona::new("")
    })
}

/// The digest of everything that a persona was loaded from.
pub(crate) fn digest(stem: &str, file: &[u8], sibling: &Sibling) -> Digest {
    Digest::of_parts([stem.as_bytes(), file].into_iter().chain(sibling.read.iter().map(Vec::as_slice)))
}

fn name(section: &mut Section, stem: &str, notes: &mut Notes) -> String {
    let (name, place) = section.text("name", notes).unwrap_or_else(|| {
        notes.warning(section.place, "`name` is missing; the file name is used", format!("add `name: {stem}`"));
        (stem.to_owned(), section.place)
    });
    if !is_name(&name) {
        let message = "`name` may hold 1 to 64 lower-case letters, digits and `-`";
        notes.error(place, message, format!("write `name: {}`", slug(&name)));
    } else if name != stem {
        let message = format!("the name is `{name}`, but the file is called `{stem}.md`");
        notes.warning(place, message, format!("rename the file to `{name}.md`"));
    }
    name
}

/// Whether this can be the name of a persona or skill.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The name itself where it can be one, else the nearest that can.
pub(crate) fn fitting(name: &str) -> String {
    if is_name(name) { name.to_owned() } else { slug(name) }
}

/// The nearest name that a persona can have.
pub(crate) fn slug(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    let short: String = plain.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    if short.is_empty() { "my-persona".to_owned() } else { short.chars().take(64).collect() }
}

fn description(section: &mut Section, notes: &mut Notes) -> String {
    match section.text("description", notes) {
        Some((text, _)) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => {
            let hint = "add `description:` with what the persona does and when to use it";
            notes.warning(section.place, "`description` is missing or empty", hint);
            String::new()
        }
    }
}

fn check_prompt(prompt: &str, line: u32, notes: &mut Notes) {
    let place = Place { line, column: 1 };
    if prompt.trim().is_empty() {
        notes.error(place, "the prompt is empty", "write the persona's instructions below the front matter");
        return;
    }
    let tokens = prompt.trim().len().div_ceil(4);
    if tokens > PROMPT_TOKENS {
        let message =
            format!("the prompt has about {tokens} tokens, more than {PROMPT_TOKENS}; each model call pays for it");
        notes.warning(place, message, "move what is rarely needed into files that the persona can read");
    }
}

fn tools(section: &mut Section, notes: &mut Notes) -> Option<ToolSelection> {
    let node = section.take_even_empty("tools")?;
    let place = node.place;
    let names = match node.content {
        // Claude Code writes `tools: Read, Grep`.
        Content::Text(text) => split_commas(&text).map(|name| (name, place)).collect(),
        Content::Null => {
            let hint = "write `tools: []` for none, or remove the key for the default set";
            notes.warning(place, "`tools` has no value, which is read as none", hint);
            Vec::new()
        }
        content => texts_of(Node { place, content }, "tools", notes)?,
    };
    Some(ToolSelection::Only(
        names.into_iter().map(|(name, place)| tool_names::canonical(&name, place, Use::Grant, notes)).collect(),
    ))
}

/// Splits at the commas outside of parentheses.
pub(crate) fn split_commas(text: &str) -> impl Iterator<Item = String> {
    let mut depth = 0_u32;
    text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(|name| name.trim().to_owned())
    .filter(|name| !name.is_empty())
}

/// `disallowedTools` of Claude Code: a restriction, so it becomes rules.
fn denied(section: &mut Section, notes: &mut Notes) -> Vec<Rule> {
    let Some(node) = section.take("disallowedTools") else { return Vec::new() };
    let place = node.place;
    let names = match node.content {
        Content::Text(text) => split_commas(&text).map(|name| (name, place)).collect(),
        content => texts_of(Node { place, content }, "disallowedTools", notes).unwrap_or_default(),
    };
    // The restriction of `Bash(rm *)` cannot be kept as it is: the whole tool is denied.
    let whole = |name: &str| name.split_once('(').map_or(name, |(tool, _)| tool).to_owned();
    names
        .into_iter()
        .map(|(name, place)| {
            Rule::new(tool_names::canonical(&whole(&name), place, Use::ForeignRestriction, notes), Verdict::Deny)
        })
        .collect()
}

fn check_servers(tools: &ToolSelection, servers: &BTreeMap<String, McpServer>, notes: &mut Notes) {
    let ToolSelection::Only(names) = tools else { return };
    let declared = |server: &str| server.contains(['*', '?']) || servers.contains_key(server);
    for name in names {
        let server = name.strip_prefix("mcp:").and_then(|rest| rest.split_once('/')).map(|(server, _)| server);
        if let Some(server) = server.filter(|server| !declared(server)) {
            let message = format!("`{name}` is listed, but no MCP server is called `{server}`");
            notes.warning(Place::FILE, message, "add it under `mcpServers` or in the sibling directory's `mcp.json`");
        }
    }
}

fn check_secrets(servers: &BTreeMap<String, McpServer>, secrets: &[SecretGrant], notes: &mut Notes) {
    for (server, name) in servers.iter().flat_map(|(server, spec)| spec.secrets.iter().map(move |name| (server, name)))
    {
        if !secrets.iter().any(|secret| secret.name == *name) {
            let message = format!("the MCP server `{server}` uses the secret `{name}`, which the persona is not given");
            notes.error(Place::FILE, message, format!("add `{{ name: {name}, hosts: […] }}` under `masque.secrets`"));
        }
    }
}
