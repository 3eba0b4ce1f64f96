//! `fleet.toml`: its head, its groups and services, and the files that it includes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::model::{Build, Container, Group, Host, Network, Published, Shared};

use super::{
    draft::{Draft, GroupDraft, ServiceDraft},
    keys::{ContainerKeys, FleetKeys, GroupKeys, HostKeys, IncludeKeys, OneOrMany, SharedKeys},
    mount,
    node::{Entry, Node, Place},
    notes::Notes,
    resolve::{NAME_HINT, is_name},
    script::clean,
    shapes::{Placed, Short},
    typed::read,
    variables::Scope,
};

/// A file that another one includes.
#[derive(Debug, Clone)]
pub(super) struct Included {
    pub(super) path: PathBuf,
    pub(super) host: Option<Placed<String>>,
    pub(super) group: Option<Placed<String>>,
}

/// Reads a file into the draft; comes back with what it includes.
pub(super) fn read_into(
    draft: &mut Draft,
    node: &Node,
    path: &Path,
    scope: &mut Scope<'_>,
    notes: &mut Notes,
) -> Vec<Included> {
    if let Some(variables) = node.get("variables") {
        scope.define(variables, notes);
    }
    let parts = Parts::of(node);
    let head = scope.expand_tree(&parts.head, notes);
    let keys: FleetKeys = read(&head, notes).unwrap_or_default();
    let here = path.parent().unwrap_or(Path::new("."));
    let directory = keys.directory.as_ref().map_or_else(|| here.to_owned(), |directory| here.join(&directory.value));
    draft.directory = absolute(&directory);
    if let Some(directory) = &keys.directory
        && !draft.directory.is_dir()
    {
        notes.push(directory.place.error(format!("there is no directory {}", draft.directory.display())));
    }
    draft.name = keys.name;
    draft.roots = keys.roots.map(|roots| roots.iter().map(|root| clean(&draft.directory.join(root))).collect());
    draft.port_offset = keys.port_offset.unwrap_or(0);
    draft.defaults = parts.defaults;
    for (name, keys) in keys.hosts.unwrap_or_default() {
        check_name(&name, "host", node.get("hosts"), notes);
        draft.hosts.insert(name, host(keys, notes));
    }
    let places = Here { directory: draft.directory.clone(), home: scope.expand("${env:HOME}").ok() };
    for (name, keys) in keys.groups.unwrap_or_default() {
        check_name(&name, "group", node.get("groups"), notes);
        let defaults = parts.group_defaults.iter().find(|(group, _)| *group == name).map(|(_, node)| node.clone());
        draft.groups.insert(name, group(keys, defaults, &places, notes));
    }
    draft.volumes = shared(keys.volumes);
    draft.networks = shared(keys.networks);
    draft.services.extend(parts.services.iter().map(|entry| service(entry, scope, notes)));
    let included = keys.include.unwrap_or_default();
    included.into_iter().flat_map(|include| files(include, here, notes)).collect()
}

/// A file as parts that are read at different times.
struct Parts {
    head: Node,
    defaults: Option<Node>,
    group_defaults: Vec<(String, Node)>,
    services: Vec<Entry>,
}

impl Parts {
    fn of(node: &Node) -> Self {
        let mut head = node.clone();
        let mut defaults = None;
        let mut services = Vec::new();
        let mut group_defaults = Vec::new();
        if let Some(entries) = head.entries_mut() {
            let services_at = entries.iter().position(|entry| entry.key == "services" && entry.value.is_map());
            let table = services_at.map(|at| entries.remove(at));
            services.extend(table.iter().flat_map(|entry| entry.value.entries().to_vec()));
            entries.retain(|entry| entry.key != "variables" || !entry.value.is_map());
            defaults = take_defaults(entries);
            let groups = entries.iter_mut().filter(|entry| entry.key == "groups");
            for group in groups.filter_map(|entry| entry.value.entries_mut()).flatten() {
                let found = group.value.entries_mut().and_then(take_defaults);
                group_defaults.extend(found.map(|node| (group.key.clone(), node)));
            }
        }
        Self { head, defaults, group_defaults, services }
    }
}

fn take_defaults(entries: &mut Vec<Entry>) -> Option<Node> {
    let at = entries.iter().position(|entry| entry.key == "defaults" && entry.value.is_map())?;
    Some(entries.remove(at).value)
}

fn check_name(name: &str, what: &str, table: Option<&Node>, notes: &mut Notes) {
    if !is_name(name) {
        let entry = table.and_then(|table| table.entries().iter().find(|entry| entry.key == name));
        let place = entry.map(|entry| entry.place.clone()).unwrap_or_default();
        notes.push(place.error(format!("`{name}` cannot be the name of a {what}")).hint(NAME_HINT));
    }
}

/// The path without `.` and `..`, from the root on.
pub(super) fn absolute(path: &Path) -> PathBuf {
    clean(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

fn host(keys: HostKeys, notes: &mut Notes) -> Host {
    // An empty variable says nothing.
    let address = keys.address.filter(|address| !address.is_empty());
    let link = keys.link.filter(|link| !link.value.is_empty()).and_then(|link| {
        let whole = match (link.value.parse::<u16>(), &address) {
            (Ok(port), Some(address)) => Some(format!("{address}:{port}")),
            (Ok(_), None) => None,
            (Err(_), _) => Some(link.value.clone()).filter(|text| {
                text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            }),
        };
        if whole.is_none() {
            let hint = "write for example `192.0.2.1:7400`, or a port where the host has an `address`";
            notes.push(link.place.error(format!("`{}` is no address with a port", link.value)).hint(hint));
        }
        whole
    });
    let key = keys.key.filter(|key| !key.value.is_empty()).filter(|key| {
        let digits = key.value.strip_prefix("ed25519:").unwrap_or_default();
        let good = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !good {
            let hint = "write `ed25519:` and the 64 hexadecimal digits that the host's supervisor shows";
            notes.push(key.place.error("this is no public key").hint(hint));
        }
        good
    });
    Host {
        address,
        link,
        key: key.map(|key| key.value),
        memory_bytes: keys.memory.map(|size| size.0),
        environment: keys.environment.unwrap_or_default(),
    }
}

fn shared(keys: Option<BTreeMap<String, SharedKeys>>) -> BTreeMap<String, Shared> {
    let named = keys.into_iter().flatten().map(|(key, keys)| {
        let name = keys.name.unwrap_or_else(|| key.clone());
        (key, Shared { name, external: keys.external.unwrap_or(false) })
    });
    named.collect()
}

/// The ports of one text; what says none is told.
fn published(text: &Placed<String>, notes: &mut Notes) -> Vec<Published> {
    Published::all(&text.value).unwrap_or_else(|| {
        let message = format!("`{}` says no ports that the machine passes on", text.value);
        notes.push(
            text.place.error(message).hint("write `\"8080:80\"`, in quotes: the machine's port, then the container's"),
        );
        Vec::new()
    })
}

/// Where paths begin.
struct Here {
    directory: PathBuf,
    home: Option<String>,
}

impl Here {
    /// A volume with an absolute path; what has none is told.
    fn volume(&self, volume: &Placed<String>, notes: &mut Notes) -> Option<String> {
        let absolute = mount::absolute(&volume.value, &self.directory, self.home.as_ref());
        absolute.map_err(|fault| notes.push(volume.place.error(fault).hint("write the whole path"))).ok()
    }
}

fn group(keys: GroupKeys, defaults: Option<Node>, here: &Here, notes: &mut Notes) -> GroupDraft {
    let container = keys.container.map(|keys| container(keys, here, notes));
    GroupDraft { group: Group { description: keys.description, container }, host: keys.host, defaults }
}

fn container(keys: ContainerKeys, here: &Here, notes: &mut Notes) -> Container {
    let build = keys.build.map(|build| match build {
        Short::Short(context) => Build { context: clean(&here.directory.join(context)), file: None },
        Short::Long(keys) => {
            Build { context: clean(&here.directory.join(keys.context)), file: keys.file.map(PathBuf::from) }
        }
    });
    let paths = |texts: Option<BTreeMap<String, String>>| {
        texts.into_iter().flatten().map(|(from, to)| (from.into(), to.into())).collect()
    };
    Container {
        image: keys.image,
        base: keys.base,
        build,
        entrypoint: keys.entrypoint,
        packages: keys.packages.unwrap_or_default(),
        requirements: keys.requirements.map(PathBuf::from),
        copy: paths(keys.copy),
        links: paths(keys.links),
        volumes: keys.volumes.iter().flatten().filter_map(|volume| here.volume(volume, notes)).collect(),
        network: keys.network.map(Network::from),
        aliases: keys.aliases.unwrap_or_default(),
        address: keys.address,
        devices: keys.devices.unwrap_or_default(),
        publish: keys.publish.iter().flatten().flat_map(|text| published(text, notes)).collect(),
    }
}

fn service(entry: &Entry, scope: &Scope<'_>, notes: &mut Notes) -> ServiceDraft {
    let (host, name) = match entry.key.split_once('/') {
        Some((host, name)) => (Some(Placed { place: entry.place.clone(), value: host.to_owned() }), name),
        None => (None, entry.key.as_str()),
    };
    let mut keys = entry.value.clone();
    // Where a service belongs is decided before its own variables are known.
    for place in keys.entries_mut().into_iter().flatten().filter(|entry| matches!(entry.key.as_str(), "host" | "group"))
    {
        place.value = scope.expand_tree(&place.value, notes);
    }
    ServiceDraft {
        name: name.to_owned(),
        place: entry.place.clone(),
        host,
        group: None,
        taken_for_granted: None,
        keys,
        may_add: true,
    }
}

/// The files that an entry of `include` means.
fn files(include: Placed<Short<String, IncludeKeys>>, here: &Path, notes: &mut Notes) -> Vec<Included> {
    let place = include.place;
    let keys = match include.value {
        Short::Short(pattern) => IncludeKeys { files: OneOrMany::One(pattern), host: None, group: None },
        Short::Long(keys) => keys,
    };
    let mut found = Vec::new();
    for pattern in keys.files.into_vec() {
        let paths = matching(here, &pattern);
        if paths.is_empty() {
            notes.push(no_files(&place, &pattern));
        }
        found.extend(paths.into_iter().map(|path| Included {
            path,
            host: keys.host.clone(),
            group: keys.group.clone(),
        }));
    }
    found
}

fn no_files(place: &Place, pattern: &str) -> masque_types::diagnostic::Diagnostic {
    place.error(format!("no file is `{pattern}`")).hint("paths begin at the directory of this file")
}

/// The files of a pattern, sorted; a path without wildcards is itself.
fn matching(here: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { here.to_owned() }];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        paths = paths.iter().flat_map(|path| step(path, part)).collect();
    }
    paths.retain(|path| path.is_file());
    paths
}

fn step(path: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[', '{']) {
        return vec![path.join(part)];
    }
    let entries = fs_err::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| !name.starts_with('.') && fast_glob::glob_match(part, name)).collect();
    names.sort();
    names.into_iter().map(|name| path.join(name)).collect()
}
