//! From a persona to a file of another program, with what is lost on the way.

use masque_tree::{Content, Entry, Node, Place};
use masque_types::persona::{Hook, Persona};

use super::{
    Dialect,
    fields::{Loss, Risk},
    import::OriginRecord,
    source::Source,
    writer::Writer,
};
use crate::notes::Notes;

/// A file beside an exported one: path and text.
pub type Beside = (String, String);

/// A persona in another dialect.
#[derive(Debug, Clone)]
pub struct Export {
    /// The file.
    pub text: String,
    /// Files of the persona's own directory that belong to it, by their paths there.
    pub beside: Vec<Beside>,
    /// What the file does not say, the most dangerous first.
    pub losses: Vec<Loss>,
}

impl Export {
    /// The restrictions that are gone.
    pub fn weaker(&self) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(|loss| loss.risk == Risk::Security)
    }
}

/// Writes a persona in a dialect. `origin` is where it was imported from: what that dialect alone can say comes back.
#[must_use]
pub fn export(persona: &Persona, dialect: &Dialect, origin: Option<&OriginRecord>) -> Export {
    let mut writer = Writer::new(persona, dialect.title, dialect.says);
    let text = (dialect.write)(&mut writer);
    let mut losses = writer.losses;
    losses.sort_by_key(|loss| (std::cmp::Reverse(loss.risk), loss.field, loss.reason.clone()));
    let kept = origin.filter(|origin| origin.dialect == dialect.id && !origin.kept.is_empty());
    let text = kept.and_then(|origin| with_kept(&text, dialect, persona, origin)).unwrap_or(text);
    let beside = if dialect.id == "agents" { beside(persona) } else { Vec::new() };
    Export { text, beside, losses }
}

/// The written file with the keys that only its dialect has. What the persona says now wins.
fn with_kept(text: &str, dialect: &Dialect, persona: &Persona, origin: &OriginRecord) -> Option<String> {
    let place = dialect.place_of(&persona.name);
    let source = Source { path: place.as_ref(), text };
    let extension = source.extension();
    let mut tree = source.tree()?;
    let entries = match &mut tree.content {
        Content::Map(entries) if dialect.id == "opencode-json" => agent_entries(entries, &persona.name)?,
        Content::Map(entries) => entries,
        _ => return None,
    };
    for (key, value) in &origin.kept {
        // A card says anew how the agent is reached; the original knows it better.
        let standing = entries.iter().position(|entry| entry.key == *key);
        let value = Node::json(value.clone());
        match standing.and_then(|at| entries.get_mut(at)) {
            Some(entry) if dialect.id == "a2a" => entry.value = value,
            Some(_) => {}
            None => entries.push(Entry { key: key.clone(), place: Place::FILE, value }),
        }
    }
    Some(match extension.as_str() {
        "toml" => super::toml(&tables_last(tree)),
        "json" => super::json(&tree),
        "yaml" => super::yaml(&tree),
        _ => {
            let mut quiet = Notes::new("");
            let (_, parts) = source.markdown_node(&mut quiet)?;
            super::markdown(tree, parts.prompt)
        }
    })
}

fn agent_entries<'a>(entries: &'a mut [Entry], name: &str) -> Option<&'a mut Vec<Entry>> {
    let agents = entries.iter_mut().find(|entry| entry.key == "agent")?;
    let Content::Map(agents) = &mut agents.value.content else { return None };
    let agent = agents.iter_mut().find(|entry| entry.key == name)?;
    match &mut agent.value.content {
        Content::Map(entries) => Some(entries),
        _ => None,
    }
}

/// In TOML, plain keys stand before the tables.
fn tables_last(tree: Node) -> Node {
    let Content::Map(entries) = tree.content else { return tree };
    let (tables, plain): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| matches!(entry.value.content, Content::Map(_)));
    Node { place: tree.place, content: Content::Map(plain.into_iter().chain(tables).collect()) }
}

/// The icon, the hooks and the skills of a persona as files.
fn beside(persona: &Persona) -> Vec<Beside> {
    let icon = persona.display.icon.iter().map(|icon| ("icon.svg".to_owned(), icon.clone()));
    let hooks = &persona.hooks;
    let hooks = [&hooks.on_activate, &hooks.on_deactivate, &hooks.pre_tool_use, &hooks.post_tool_use];
    let hooks = hooks.into_iter().flatten().map(|hook: &Hook| (hook.path.clone(), hook.content.clone()));
    let skills = persona.skills.iter().map(|skill| {
        let front = Node::map([
            ("name", Some(Node::text(skill.name.clone()))),
            ("description", Some(Node::text(skill.description.clone()))),
        ]);
        (format!("skills/{}/SKILL.md", skill.name), super::markdown(front, &skill.content))
    });
    let mut files: Vec<Beside> = icon.chain(hooks).chain(skills).collect();
    files.sort();
    files.dedup();
    files
}
