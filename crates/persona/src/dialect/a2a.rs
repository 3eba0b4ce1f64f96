//! A2A agent cards, 1.0: what an agent says of itself to others.
//!
//! A card describes, it does not configure: whoever calls the agent reaches the one that Masque runs, with all of its
//! restrictions. So no loss of a card is one of security.

use masque_tree::{Content, Entry, Node};

use super::{
    Dialect,
    draft::Draft,
    fields::{DESCRIPTION, NAME, PROMPT, Risk},
    source::Source,
    writer::{Writer, text},
};
use crate::{notes::Notes, section::Section};

pub(super) const CARD: Dialect = Dialect {
    id: "a2a",
    title: "A2A agent card",
    place: "{name}.agent-card.json",
    extensions: &["json"],
    strict: true,
    says: &[NAME, DESCRIPTION],
    is_here: |source| source.path.file_name().is_some_and(|name| name == "agent-card.json" || name == "agent.json"),
    is_this: |tree| {
        let has = |key: &str| tree.get(key).is_some();
        has("name") && has("skills") && (has("supportedInterfaces") || has("capabilities") || has("protocolVersion"))
    },
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write,
};

fn read(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut card = Section::of(source.json(notes)?, "", notes)?;
    let Some((name, place)) = card.text("name", notes) else {
        notes.error(card.place, "a card needs `name`", "write the agent's name");
        return None;
    };
    let description = card.take("description");
    let about = description.as_ref().and_then(Node::as_text).unwrap_or_default();
    let prompt = prompt(&name, about, card.take("skills"));
    let hint = "replace it by the agent's real instructions";
    notes.warning(place, "a card has no prompt; one is made from its description and skills", hint);
    let mut draft = Draft::new(&name, place, &prompt, place.line, notes);
    draft.set_some("description", description);
    // They say where and how the agent is reached, which is not part of a persona.
    for key in ["version", "capabilities", "defaultInputModes", "defaultOutputModes", "supportedInterfaces"] {
        let node_place = card.place_of(key);
        if let Some(value) = card.take(key) {
            draft.kept.push(Entry { key: key.to_owned(), place: node_place, value });
        }
    }
    draft.keep_rest(card, notes);
    Some(draft)
}

fn prompt(name: &str, description: &str, skills: Option<Node>) -> String {
    let mut prompt = format!("You are {name}. {description}\n");
    if let Some(Content::List(skills)) = skills.map(|node| node.content)
        && !skills.is_empty()
    {
        prompt.push_str("\n# What you do\n\n");
        for skill in skills {
            let text_at = |key: &str| skill.get(key).and_then(Node::as_text).unwrap_or_default();
            prompt.push_str(&format!("- **{}**: {}\n", text_at("name"), text_at("description")));
        }
    }
    prompt
}

fn write(writer: &mut Writer<'_>) -> String {
    let persona = writer.persona;
    writer.lose_at(Risk::Behaviour, PROMPT, "a card has no prompt");
    for loss in &mut writer.losses {
        if loss.risk == Risk::Security {
            loss.risk = Risk::Cosmetic;
            "a card only describes: Masque still enforces it".clone_into(&mut loss.reason);
        }
    }
    let skill = |id: &str, name: &str, description: &str| {
        Node::map([
            ("id", Some(Node::text(id))),
            ("name", Some(Node::text(name))),
            ("description", Some(Node::text(description))),
            ("tags", Some(Node::texts(["persona"]))),
        ])
    };
    let own = skill(&persona.name, &persona.name, &persona.description);
    let further = persona.skills.iter().map(|known| skill(&known.name, &known.name, &known.description));
    let answers = if persona.output_schema.is_some() { "application/json" } else { "text/plain" };
    let card = Node::map([
        ("name", text(&persona.name)),
        ("description", Some(Node::text(persona.description.clone()))),
        // The version of a persona is its content.
        ("version", Some(Node::text(format!("1.0.0+{}", persona.digest.short())))),
        ("supportedInterfaces", Some(Node::new(Content::List(Vec::new())))),
        ("capabilities", Some(Node::map([("streaming", Some(Node::new(Content::Bool(false))))]))),
        ("defaultInputModes", Some(Node::texts(["text/plain"]))),
        ("defaultOutputModes", Some(Node::texts([answers]))),
        ("skills", Some(Node::new(Content::List(std::iter::once(own).chain(further).collect())))),
    ]);
    writer.lose_at(Risk::Behaviour, "supportedInterfaces", "whoever serves the agent fills in its addresses");
    super::json(&card)
}
