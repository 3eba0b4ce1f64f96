//! Lists of agents in YAML: `startup_config.yaml` and the files of single groups.
//!
//! Owns the keys of such lists and what they take for granted: Python scripts, a JSON health check over ZeroMQ. Each
//! agent becomes keys of `fleet.toml`.

use std::path::Path;

use super::{
    draft::{Draft, ServiceDraft},
    fleet_file::Included,
    node::{Content, Entry, Node, Place, kind},
    notes::{Notes, nearest},
    resolve::is_name,
    shapes::Placed,
};

/// The keys of an agent, and what they are called in `fleet.toml`.
const KEYS: [(&str, &str); 16] = [
    ("script_path", "script"),
    ("script", "script"),
    ("port", "port"),
    ("required", "required"),
    ("dependencies", "dependencies"),
    ("depends_on", "dependencies"),
    ("env", "environment"),
    ("environment", "environment"),
    ("env_vars", "environment"),
    ("args", "args"),
    ("description", "description"),
    ("fallback", "fallback"),
    ("health_check_port", "health"),
    ("health_port", "health"),
    ("params", "params"),
    ("host", "host"),
];

/// Keys of a file beside its lists that are settings of all agents.
const SHARED: [&str; 3] = ["environment", "env", "env_vars"];
/// Names of files that say nothing about a group.
const PLAIN_STEMS: [&str; 6] = ["startup_config", "startup", "agents", "config", "fleet", "services"];

/// Whether a tree is such a file.
pub(super) fn is_agents(node: &Node) -> bool {
    node.entries().iter().any(|entry| entry.key == "agent_groups" || is_list(&entry.value))
}

fn is_list(node: &Node) -> bool {
    node.items().iter().any(is_agent)
}

fn is_agent(node: &Node) -> bool {
    node.get("script_path").is_some() || (node.get("name").is_some() && node.get("script").is_some())
}

/// Reads a file into the draft.
pub(super) fn read_into(draft: &mut Draft, node: &Node, from: &Included, notes: &mut Notes) {
    let shared = node.entries().iter().find(|entry| SHARED.contains(&entry.key.as_str()) && entry.value.is_map());
    let shared = shared.map(|entry| entry.value.clone());
    for entry in node.entries() {
        match &entry.value.content {
            Content::List(items) if is_list(&entry.value) || entry.key == "agents" => {
                let belongs = Belongs::of(&entry.key, &entry.place, from, draft);
                for item in items {
                    agent(draft, item, None, &belongs, shared.as_ref(), notes);
                }
            }
            Content::Map(groups) if entry.key == "agent_groups" => {
                for group in groups {
                    let belongs = Belongs::of(&group.key, &group.place, from, draft);
                    named_agents(draft, group, &belongs, shared.as_ref(), notes);
                }
            }
            _ if SHARED.contains(&entry.key.as_str()) && entry.value.is_map() => {}
            Content::Null if entry.key == "agents" => {}
            _ => {
                let message = format!("`{}` is not used: it is no list of agents", entry.key);
                notes.push(entry.place.warning(message).hint("a list has entries with `name` and `script_path`"));
            }
        }
    }
}

/// A group written as a mapping from names to agents, or as a list.
fn named_agents(draft: &mut Draft, group: &Entry, belongs: &Belongs, shared: Option<&Node>, notes: &mut Notes) {
    for item in group.value.items() {
        agent(draft, item, None, belongs, shared, notes);
    }
    for entry in group.value.entries() {
        agent(draft, &entry.value, Some((&entry.key, &entry.place)), belongs, shared, notes);
    }
}

/// Where the agents of a list belong.
struct Belongs {
    host: Option<Placed<String>>,
    group: Option<Placed<String>>,
}

impl Belongs {
    /// What the including file says, then what the list's key says, then the file's name.
    fn of(key: &str, place: &Place, from: &Included, draft: &mut Draft) -> Self {
        let placed = |value: &str| Placed { place: place.clone(), value: value.to_owned() };
        let named = key.strip_suffix("_agents").map(|name| name.replace(['_', '-'], "").to_lowercase());
        let host_of_key = named.and_then(|named| {
            draft
                .hosts
                .keys()
                .find(|host| host.replace(['_', '-'], "").to_lowercase() == named)
                .map(|host| placed(host))
        });
        let of_file = || from.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = match key {
            "agents" | "services" => of_file().filter(|stem| !PLAIN_STEMS.contains(&stem.as_str())),
            _ if host_of_key.is_some() => None,
            key => Some(key.to_owned()),
        };
        let group = from.group.clone().or_else(|| name.filter(|name| is_name(name)).map(|name| placed(&name)));
        if let Some(group) = group.as_ref().filter(|_| from.group.is_none()) {
            draft.groups.entry(group.value.clone()).or_default();
        }
        Self { host: from.host.clone().or(host_of_key), group }
    }
}

fn agent(
    draft: &mut Draft,
    node: &Node,
    name: Option<(&String, &Place)>,
    belongs: &Belongs,
    shared: Option<&Node>,
    notes: &mut Notes,
) {
    if !node.is_map() {
        let message = format!("an agent is {}, expected a mapping", kind(node));
        notes.push(node.place.error(message).hint("write `- name: …` and `script_path: …`"));
        return;
    }
    let own = node.entries().iter().find(|entry| entry.key == "name");
    let named = own.and_then(|entry| Some((entry.value.written()?, entry.value.place.clone())));
    let Some((name, place)) = name.map(|(name, place)| (name.clone(), place.clone())).or(named) else {
        notes.push(node.place.error("an agent has no `name`").hint("add `name: …`"));
        return;
    };
    if node.get("script_path").or_else(|| node.get("script")).is_none() {
        let message = format!("the agent `{name}` has no `script_path`");
        notes.push(place.error(message).hint("add `script_path: …`, from one of the roots on"));
        return;
    }
    let mut host = belongs.host.clone();
    let mut keys: Vec<(String, Node)> =
        shared.map(|shared| ("environment".to_owned(), shared.clone())).into_iter().collect();
    for entry in node.entries().iter().filter(|entry| entry.key != "name") {
        key(entry, draft, &mut host, &mut keys, notes);
    }
    draft.services.push(ServiceDraft {
        name,
        taken_for_granted: Some(taken_for_granted(&place, node.get("port").is_some())),
        keys: Node::map_at(&place, keys),
        place,
        host,
        group: belongs.group.clone(),
        may_add: false,
    });
}

/// What an agent with a port answers: a JSON request, by which it is seen to be ready and alive.
fn taken_for_granted(place: &Place, has_port: bool) -> Node {
    let yes = Node::at(place.clone(), Content::Bool(true));
    let probe = Node::map_at(place, [("zmq", yes)]);
    Node::map_at(place, has_port.then(|| [("ready", probe.clone()), ("live", probe)]).into_iter().flatten())
}

/// Turns one key of an agent into a key of `fleet.toml`.
fn key(
    entry: &Entry,
    draft: &Draft,
    host: &mut Option<Placed<String>>,
    keys: &mut Vec<(String, Node)>,
    notes: &mut Notes,
) {
    let known = KEYS.iter().find(|(name, _)| *name == entry.key).map(|(_, key)| *key);
    let value = entry.value.clone();
    match known {
        _ if value.content == Content::Null => {}
        Some("host") => {
            let text = value.written().unwrap_or_default();
            if draft.hosts.contains_key(&text) {
                *host = Some(Placed { place: value.place, value: text });
            } else {
                keys.push(("listen".to_owned(), value));
            }
        }
        Some("health") => keys.push(("ports".to_owned(), Node::map_at(&entry.place, [("health", value)]))),
        Some("params") => keys.push(("args".to_owned(), parameters(value))),
        Some("args") => keys.push(("args".to_owned(), arguments(value))),
        Some("dependencies") => keys.push(("dependencies".to_owned(), names(value))),
        Some("environment") => match keys.iter_mut().find(|(key, _)| key == "environment") {
            Some((_, shared)) => *shared = super::merge::shallow(shared, &value),
            None => keys.push(("environment".to_owned(), value)),
        },
        Some(known) => keys.push((known.to_owned(), value)),
        None => notes.push(unknown(entry)),
    }
}

fn unknown(entry: &Entry) -> masque_types::diagnostic::Diagnostic {
    let known = KEYS.iter().map(|(name, _)| *name).chain(["name"]);
    nearest(&entry.key, known).map_or_else(
        || {
            let hint = "`[services.…]` of a `fleet.toml` that includes this file can say more about an agent";
            entry.place.warning(format!("`{}` of an agent is not used", entry.key)).hint(hint)
        },
        |near| entry.place.error(format!("unknown key `{}`", entry.key)).hint(format!("did you mean `{near}`?")),
    )
}

/// One name is a list too.
fn names(node: Node) -> Node {
    match &node.content {
        Content::Text(text) => {
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            let names = names.map(|name| Node::text_at(&node.place, name)).collect();
            Node::at(node.place.clone(), Content::List(names))
        }
        _ => node,
    }
}

/// A text is words between blanks.
fn arguments(node: Node) -> Node {
    match &node.content {
        Content::Text(text) => {
            let words = text.split_whitespace().map(|word| Node::text_at(&node.place, word)).collect();
            Node::at(node.place.clone(), Content::List(words))
        }
        Content::Map(_) => parameters(node),
        _ => node,
    }
}

/// A mapping is options: `name: value` is `--name=value`, and `name: true` is `--name`.
fn parameters(node: Node) -> Node {
    if !node.is_map() {
        return arguments(node);
    }
    let option = |entry: &Entry| match &entry.value.content {
        Content::Bool(true) | Content::Null => Some(format!("--{}", entry.key)),
        Content::Bool(false) => None,
        _ => Some(format!(
            "--{}={}",
            entry.key,
            entry.value.written().unwrap_or_else(|| entry.value.to_json().to_string())
        )),
    };
    let words = node.entries().iter().filter_map(|entry| Some(Node::text_at(&entry.place, option(entry)?))).collect();
    Node::at(node.place.clone(), Content::List(words))
}

/// The directory of a project whose manifest is this file: the one above `config`.
pub(super) fn project(file: &Path) -> &Path {
    let directory = file.parent().unwrap_or(Path::new("."));
    match directory.file_name() {
        Some(name) if name == "config" => directory.parent().unwrap_or(directory),
        _ => directory,
    }
}
