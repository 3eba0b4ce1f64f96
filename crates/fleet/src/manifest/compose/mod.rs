//! Compose files of Docker and Podman: each of their services becomes a service in a container of its own.
//!
//! Owns which keys mean what, and tells those that mean nothing here. What the services become are keys of
//! `fleet.toml`.

mod container;
mod health;
mod interpolate;
mod process;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::model::{Container, Network, Shared};

use super::{
    draft::{Draft, GroupDraft, ServiceDraft, placed_text},
    fleet_file::{Included, absolute},
    node::{Content, Entry, Node, Place, kind},
    notes::{Notes, nearest},
    shapes::Placed,
};

/// What a service of a Compose file becomes, while its keys are read.
struct Reading<'a> {
    notes: &'a mut Notes,
    /// The directory of the file.
    directory: &'a Path,
    environment: &'a BTreeMap<String, String>,
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
    let file = File {
        from,
        directory: &directory,
        environment,
        tasks: tasks(services),
        has_default_network: node.get("networks").is_some_and(|networks| networks.get("default").is_some()),
    };
    for entry in services {
        if !entry.value.is_map() {
            let message = format!("the service `{}` is {}, expected a mapping", entry.key, kind(&entry.value));
            notes.push(entry.place.error(message).hint("write at least `image: …`"));
            continue;
        }
        service(draft, entry, &file, notes);
    }
    for entry in node.entries() {
        top_level(draft, entry, notes);
    }
}

/// What holds for all services of a file.
struct File<'a> {
    from: &'a Included,
    directory: &'a Path,
    environment: &'a BTreeMap<String, String>,
    /// Services for whose end another one waits.
    tasks: BTreeSet<String>,
    /// Whether the network of services that name none has settings.
    has_default_network: bool,
}

/// The services that come to their end: another one waits for it.
fn tasks(services: &[Entry]) -> BTreeSet<String> {
    let needs = services.iter().filter_map(|service| service.value.get("depends_on")).flat_map(Node::entries);
    let condition = |need: &Entry| need.value.get("condition").and_then(Node::written);
    let completed = needs.filter(|need| condition(need).as_deref() == Some("service_completed_successfully"));
    completed.map(|need| need.key.clone()).collect()
}

/// What stands beside the services.
fn top_level(draft: &mut Draft, entry: &Entry, notes: &mut Notes) {
    let key = entry.key.as_str();
    match key {
        "services" | "version" | "name" => {}
        key if key.starts_with("x-") => {}
        "networks" => entry.value.entries().iter().for_each(|entry| shared(&mut draft.networks, key, entry, notes)),
        "volumes" => entry.value.entries().iter().for_each(|entry| shared(&mut draft.volumes, key, entry, notes)),
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

/// A volume or a network that has a name of its own, or that somebody else makes.
fn shared(known: &mut BTreeMap<String, Shared>, kind: &str, entry: &Entry, notes: &mut Notes) {
    let (mut name, mut external) = (None, false);
    for setting in entry.value.entries() {
        match (setting.key.as_str(), &setting.value.content) {
            ("name", _) => name = setting.value.written(),
            ("external", Content::Bool(value)) => external = *value,
            // The form of old files.
            ("external", Content::Map(_)) => {
                external = true;
                name = setting.value.get("name").and_then(Node::written).or(name);
            }
            ("driver", Content::Text(driver)) if matches!(driver.as_str(), "local" | "bridge") => {}
            (other, _) => {
                let message = format!("`{other}` of `{}` under `{kind}` is not kept", entry.key);
                let hint = format!(
                    "make it by hand with its settings, and write `external: true` and its `name` under `{kind}`"
                );
                notes.push(setting.place.warning(message).hint(hint));
            }
        }
    }
    if name.is_none() && !external {
        return;
    }
    let new = Shared { name: name.unwrap_or_else(|| entry.key.clone()), external };
    if known.insert(entry.key.clone(), new.clone()).is_some_and(|old| old != new) {
        let message = format!("`{}` under `{kind}` is something else in another file", entry.key);
        notes.push(
            entry
                .place
                .error(message)
                .hint("rename one of the two: names of volumes and networks hold in the whole fleet"),
        );
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

fn service(draft: &mut Draft, entry: &Entry, file: &File<'_>, notes: &mut Notes) {
    let (directory, environment) = (file.directory, file.environment);
    let container = Container::default();
    let mut reading = Reading { notes, directory, environment, name: &entry.key, keys: Vec::new(), container };
    if entry.value.get("image").is_none() && entry.value.get("build").is_none() {
        let message = format!("`{}` has neither `image` nor `build`", entry.key);
        reading.notes.push(entry.place.error(message).hint("add `image: …`"));
        return;
    }
    for key in entry.value.entries().iter().filter(|key| key.value.content != Content::Null) {
        read_key(&mut reading, key);
    }
    whole(&mut reading, entry, file);
    let (keys, mut container) = (reading.keys, reading.container);
    for published in &mut container.publish {
        // What is above the end is told with the service's own port.
        let more = |port: u16| port.saturating_add(draft.port_offset);
        published.machine = published.machine.map(|(first, last)| (more(first), more(last)));
    }
    let keys = Node::map_at(&entry.place, keys);
    let group = group(draft, entry, file.from, notes);
    draft.groups.insert(group.clone(), GroupDraft::of_container(container));
    draft.services.push(ServiceDraft {
        name: entry.key.clone(),
        place: entry.place.clone(),
        host: file.from.host.clone(),
        group: Some(Placed { place: entry.place.clone(), value: group }),
        taken_for_granted: None,
        keys: interpolate::protect(&keys),
        may_add: false,
    });
}

/// What several keys say together.
fn whole(reading: &mut Reading<'_>, entry: &Entry, file: &File<'_>) {
    process::restart(reading, entry);
    if reading.container.network.is_none() && file.has_default_network {
        reading.container.network = Some(Network::Named("default".to_owned()));
    }
    let ports = entry.value.get("ports").unwrap_or(&entry.value);
    container::listening(reading, &ports.place);
    if file.tasks.contains(&entry.key) {
        reading.set("kind", Node::text_at(&entry.place, "task"));
    }
}

/// The name of the service's own group. Another host may have a service of that name, with another container.
fn group(draft: &Draft, entry: &Entry, from: &Included, notes: &mut Notes) -> String {
    if !draft.groups.contains_key(&entry.key) {
        return entry.key.clone();
    }
    let with_host = from.host.as_ref().map(|host| format!("{}.{}", host.value, entry.key));
    with_host.filter(|name| !draft.groups.contains_key(name)).unwrap_or_else(|| {
        let message =
            format!("there is a group `{0}` already, and the service `{0}` needs one for its container", entry.key);
        notes.push(entry.place.error(message).hint("rename the group in `fleet.toml`, or one of the two services"));
        entry.key.clone()
    })
}

fn read_key(reading: &mut Reading<'_>, entry: &Entry) {
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
        "healthcheck" => health::read(reading, value),
        "deploy" => process::deploy(reading, value),
        "mem_limit" => process::limit(reading, "memory", value),
        "cpus" => process::limit(reading, "cpus", value),
        "pids_limit" => process::limit(reading, "processes", value),
        "stop_signal" => process::stop(reading, "signal", value),
        "stop_grace_period" => process::stop(reading, "grace", value),
        "user" => reading.set("user", value.clone()),
        "working_dir" => reading.set("directory", value.clone()),
        "profiles" => reading.set("start", Node::text_at(&entry.place, "standby")),
        "container_name" if value.as_text() == Some(reading.name) => {}
        // Read with `deploy`, which has the last word.
        "restart" => {}
        "labels" | "annotations" => reading.lost(&entry.place, &format!("`{}`", entry.key)),
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
