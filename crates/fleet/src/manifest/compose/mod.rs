//! Compose files of Docker and Podman: each of their services becomes a service in a container of its own.
//!
//! Owns which keys mean what, and tells those that mean nothing here. What the services become are keys of
//! `fleet.toml`.

mod container;
mod health;
mod interpolate;
mod process;
mod words;

use std::{collections::BTreeMap, path::Path};

use crate::model::Container;

use super::{
    draft::{Draft, GroupDraft, ServiceDraft, placed_text},
    fleet_file::{Included, absolute},
    node::{Content, Entry, Node, Place},
    notes::{Notes, nearest},
    shapes::Placed,
};

/// What a service of a Compose file becomes, while its keys are read.
struct Reading<'a> {
    notes: &'a mut Notes,
    /// The directory of the file.
    directory: &'a Path,
    /// Name of the service.
    name: &'a str,
    keys: Vec<(String, Node)>,
    container: Container,
}

impl Reading<'_> {
    fn set(&mut self, key: &str, value: Node) {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value));
    }

    fn lost(&mut self, place: &Place, what: &str) {
        let message = format!("{what} of `{}` is not kept", self.name);
        self.notes.push(place.warning(message).hint("remove it, or keep starting this service by Compose"));
    }
}

/// Reads a file into the draft.
pub(super) fn read_into(
    draft: &mut Draft,
    node: &Node,
    from: &Included,
    environment: &BTreeMap<String, String>,
    notes: &mut Notes,
) {
    let node = interpolate::tree(node, environment, notes);
    name(draft, &node);
    let directory = absolute(from.path.parent().unwrap_or(Path::new(".")));
    let services = node.get("services").map(Node::entries).unwrap_or_default();
    for entry in services {
        if !entry.value.is_map() {
            let message = format!("the service `{}` is {}, expected a mapping", entry.key, entry.value.kind());
            notes.push(entry.place.error(message).hint("write at least `image: …`"));
            continue;
        }
        service(draft, entry, from, &directory, notes);
    }
    for entry in node.entries() {
        top_level(entry, notes);
    }
}

/// What stands beside the services.
fn top_level(entry: &Entry, notes: &mut Notes) {
    let key = entry.key.as_str();
    match key {
        "services" | "version" | "name" => {}
        key if key.starts_with("x-") => {}
        "networks" | "volumes" => {
            for inner in entry.value.entries() {
                let settings: Vec<&str> = inner.value.entries().iter().map(|entry| entry.key.as_str()).collect();
                if !settings.is_empty() && settings != ["external"] {
                    let message = format!("the settings of `{}` under `{key}` are not kept", inner.key);
                    notes.push(inner.place.warning(message).hint("make it by hand, with these settings"));
                }
            }
        }
        _ => {
            let near = nearest(key, ["services", "networks", "volumes", "version", "name"]);
            let message = format!("`{key}` is not kept");
            let warning = entry.place.warning(message);
            notes.push(
                near.map_or_else(|| warning.clone(), |near| warning.clone().hint(format!("did you mean `{near}`?"))),
            );
        }
    }
}

/// The name of the project.
fn name(draft: &mut Draft, node: &Node) {
    if let Some(name) = placed_text(node, "name")
        && draft.name.is_none()
    {
        draft.name = Some(name);
    }
}

fn service(draft: &mut Draft, entry: &Entry, from: &Included, directory: &Path, notes: &mut Notes) {
    let mut reading = Reading { notes, directory, name: &entry.key, keys: Vec::new(), container: Container::default() };
    if entry.value.get("image").is_none() && entry.value.get("build").is_none() {
        let message = format!("`{}` has neither `image` nor `build`", entry.key);
        reading.notes.push(entry.place.error(message).hint("add `image: …`"));
        return;
    }
    for key in entry.value.entries().iter().filter(|key| key.value.content != Content::Null) {
        read_key(&mut reading, key, &entry.value);
    }
    if entry.value.get("restart").is_none() {
        // What Compose does where nothing is said.
        reading.set("restart", Node::text(&entry.place, "never"));
    }
    let (keys, container) = (reading.keys, reading.container);
    let keys = Node::map(&entry.place, keys);
    draft.groups.insert(entry.key.clone(), GroupDraft::of_container(container));
    draft.services.push(ServiceDraft {
        name: entry.key.clone(),
        place: entry.place.clone(),
        host: from.host.clone(),
        group: Some(Placed { place: entry.place.clone(), value: entry.key.clone() }),
        taken_for_granted: None,
        keys: interpolate::protect(keys),
        may_add: false,
    });
}

fn read_key(reading: &mut Reading<'_>, entry: &Entry, service: &Node) {
    let value = &entry.value;
    match entry.key.as_str() {
        "image" => {
            reading.container.image = value.written();
            reading.set("image", value.clone());
        }
        "build" => container::build(reading, value),
        "command" => process::command(reading, value),
        "entrypoint" => reading.container.entrypoint = Some(words::of(reading.notes, value)),
        "environment" => process::environment(reading, value),
        "env_file" => process::environment_files(reading, value),
        "ports" => container::ports(reading, value),
        "volumes" => container::volumes(reading, value),
        "networks" => container::networks(reading, value),
        "network_mode" => container::network_mode(reading, value),
        "devices" | "gpus" => container::devices(reading, entry),
        "depends_on" => process::depends_on(reading, value),
        "healthcheck" => health::read(reading, value, service.get("ports")),
        "restart" => process::restart(reading, value),
        "deploy" => process::deploy(reading, value),
        "mem_limit" => process::limit(reading, "memory", value),
        "cpus" => process::limit(reading, "cpus", value),
        "pids_limit" => process::limit(reading, "processes", value),
        "stop_signal" => process::stop(reading, "signal", value),
        "stop_grace_period" => process::stop(reading, "grace", value),
        "user" => reading.set("user", value.clone()),
        "working_dir" => reading.set("directory", value.clone()),
        "profiles" => reading.set("start", Node::text(&entry.place, "standby")),
        "container_name" if value.as_text() == Some(reading.name) => {}
        "labels" | "annotations" => {}
        key if key.starts_with("x-") => {}
        key => unknown(reading, entry, key),
    }
}

/// Keys of Compose that are read here.
const KNOWN: [&str; 24] = [
    "image",
    "build",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "ports",
    "volumes",
    "networks",
    "network_mode",
    "devices",
    "depends_on",
    "healthcheck",
    "restart",
    "deploy",
    "mem_limit",
    "cpus",
    "pids_limit",
    "stop_signal",
    "stop_grace_period",
    "user",
    "working_dir",
    "profiles",
    "labels",
];

fn unknown(reading: &mut Reading<'_>, entry: &Entry, key: &str) {
    match nearest(key, KNOWN).filter(|near| strsim::damerau_levenshtein(near, key) <= 2) {
        Some(near) => {
            let error = entry.place.error(format!("unknown key `{key}` of `{}`", reading.name));
            reading.notes.push(error.hint(format!("did you mean `{near}`?")));
        }
        None => reading.lost(&entry.place, &format!("`{key}`")),
    }
}
