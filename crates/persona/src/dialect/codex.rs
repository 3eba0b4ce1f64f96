//! Codex: `.codex/agents/*.toml`, a layer of its configuration with instructions. Keys that it does not know are errors.

use masque_tree::{Content, Node};
use masque_types::policy::Mode;

use super::{
    Dialect,
    draft::Draft,
    fields::{
        DESCRIPTION, MODE, MODEL, NAME, NETWORK, PROMPT, SERVER_EFFECTS, SERVER_FORMS, SERVER_LAZY, SERVER_SECRETS,
        SERVER_TIMEOUT, SERVER_TOOLS, SERVERS,
    },
    servers::{self, Form},
    source::Source,
    writer::{Writer, text},
};
use crate::{notes::Notes, section::Section};

pub(super) const CODEX: Dialect = Dialect {
    id: "codex",
    title: "Codex",
    place: ".codex/agents/{name}.toml",
    extensions: &["toml"],
    strict: true,
    says: &[
        NAME,
        DESCRIPTION,
        PROMPT,
        MODE,
        MODEL,
        NETWORK,
        SERVERS,
        SERVER_TOOLS,
        SERVER_TIMEOUT,
        SERVER_EFFECTS,
        SERVER_FORMS,
        SERVER_LAZY,
        SERVER_SECRETS,
    ],
    is_here: |source| source.is_below(".codex") && source.is_below("agents"),
    is_this: |tree| tree.get("developer_instructions").is_some(),
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write,
};

fn read(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut front = Section::of(source.toml(notes)?, "", notes)?;
    let (name, place) = front.text("name", notes).unwrap_or_else(|| (source.stem(), front.place));
    let instructions = front.text("developer_instructions", notes);
    let Some((prompt, prompt_place)) = instructions else {
        notes.error(front.place, "`developer_instructions` is missing", "it holds the agent's instructions");
        return None;
    };
    let mut draft = Draft::new(&name, place, &prompt, prompt_place.line, notes);
    draft.set_some("description", front.take("description"));
    if let Some(node) = front.take("mcp_servers") {
        let (servers, forbidden) = super::usual_servers(Form::Codex, node, "mcp_servers", notes);
        draft.set_some("mcpServers", servers);
        draft.add("masque.rules", forbidden);
    }
    model(&mut front, &mut draft, notes);
    sandbox(&mut front, &mut draft, notes);
    draft.keep_rest(front, notes);
    Some(draft)
}

fn model(front: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    let provider = front.text("model_provider", notes).map_or_else(|| "openai".to_owned(), |(provider, _)| provider);
    if let Some((model, place)) = front.text("model", notes) {
        let model = Node { place, content: Content::Text(format!("{provider}/{model}")) };
        draft.set("masque.model.prefer", Node { place, content: Content::List(vec![model]) });
    }
}

fn sandbox(front: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    if let Some((mode, place)) = front.text("sandbox_mode", notes) {
        match mode.as_str() {
            "read-only" => draft.set("masque.mode", Node { place, content: Content::Text("plan".to_owned()) }),
            "workspace-write" => {}
            other => {
                let message = format!("`sandbox_mode = \"{other}\"` is not taken over: a persona always has a sandbox");
                notes.warning(place, message, "whoever starts a run may say `--sandbox none`");
            }
        }
    }
    let Some(mut part) = front.section("sandbox_workspace_write", notes) else { return };
    if part.flag("network_access", notes) == Some(true) {
        draft.set("masque.sandbox.net.allow", Node::texts(["*"]));
    }
    draft.keep_rest(part, notes);
}

fn write(writer: &mut Writer<'_>) -> String {
    let persona = writer.persona;
    let mode = match persona.mode {
        Mode::Plan => Some("read-only"),
        Mode::Default => None,
        Mode::AcceptEdits | Mode::Auto => {
            writer.lose(MODE, "approvals are a setting of the session in Codex");
            None
        }
    };
    let named = writer.model("Codex", |model| Some(model.to_string()));
    let (provider, model) = named.as_deref().and_then(|name| name.split_once('/')).unzip();
    let provider = provider.filter(|provider| *provider != "openai");
    let network =
        persona.sandbox.network.then(|| Node::map([("network_access", Some(Node::new(Content::Bool(true))))]));
    let file = Node::map([
        ("name", text(&persona.name)),
        ("description", text(&persona.description)),
        ("model", model.map(Node::text)),
        ("model_provider", provider.map(Node::text)),
        ("sandbox_mode", mode.map(Node::text)),
        ("developer_instructions", text(&persona.prompt)),
        ("sandbox_workspace_write", network),
        ("mcp_servers", servers::write_all(Form::Codex, writer)),
    ]);
    super::toml(&file)
}
