//! From drafts to the fleet: hosts and groups of the services, unique names, defaults and variables put in, dependencies
//! found.

use std::collections::{BTreeMap, BTreeSet};

use masque_types::diagnostic::Diagnostic;

use crate::model::{Dependency, Fallback, Fleet, Host, ServiceId};

use super::{
    draft::{Draft, GroupDraft, ServiceDraft, nothing, placed_text},
    keys::{DependencyKeys, FallbackKeys, ServiceKeys},
    merge,
    node::{Node, Place},
    notes::{Notes, suggestion},
    script::Roots,
    service::{self, Ports, Surroundings},
    shapes::{Placed, Short},
    typed::read,
    variables::Scope,
};

/// The host of a fleet whose files name none.
pub(super) const LOCAL: &str = "local";

/// The fleet that the drafts say.
pub(super) fn resolve(mut draft: Draft, scope: &Scope<'_>, notes: &mut Notes) -> Fleet {
    if draft.hosts.is_empty() {
        draft.hosts.insert(LOCAL.to_owned(), Host::default());
    }
    let services = std::mem::take(&mut draft.services);
    let placed: Vec<(ServiceId, ServiceDraft)> =
        services.into_iter().filter_map(|service| place(service, &mut draft, notes)).collect();
    let placed = unique(add_to_declared(placed, &draft, notes), notes);
    let roots = roots(&draft, placed.iter().map(|(_, service)| service));
    let names = Names::of(placed.iter().map(|(id, _)| id), &draft);
    let name = name(&draft, notes);
    let mut services = Vec::with_capacity(placed.len());
    for (id, service) in &placed {
        let around = Whole { draft: &draft, roots: &roots, names: &names, scope, fleet: &name };
        services.extend(around.read(id.clone(), service, notes));
    }
    if services.is_empty() && !notes.has_errors() {
        let file = draft.sources.first().map(|path| path.to_string_lossy().into());
        let whole = Place { file, at: masque_tree::Place::FILE };
        notes.push(whole.error("there are no services").hint("declare one under `[services.NAME]`"));
    }
    Fleet {
        name,
        sources: draft.sources,
        directory: draft.directory,
        roots: roots.0,
        hosts: draft.hosts,
        groups: draft.groups.into_iter().map(|(name, group)| (name, group.group)).collect(),
        volumes: draft.volumes,
        networks: draft.networks,
        services,
        places: placed.iter().filter_map(|(id, service)| Some((id.clone(), shown(&service.place)?))).collect(),
    }
}

/// A place as the fleet keeps it, for messages after the files were read.
fn shown(place: &Place) -> Option<crate::model::Place> {
    Some(crate::model::Place { file: place.file.clone()?, line: place.at.line, column: place.at.column })
}

/// Whether a text can name a host, a group, a service or a fleet.
pub(super) fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

/// What to do about a text that can name nothing.
pub(super) const NAME_HINT: &str = "use letters, digits, `-`, `_` and `.`, and begin with a letter or a digit";

fn name(draft: &Draft, notes: &mut Notes) -> String {
    let Some(name) = &draft.name else {
        let directory = draft.directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain: String = directory
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' })
            .collect();
        let plain = plain.trim_start_matches(['-', '.']).to_owned();
        return if is_name(&plain) { plain } else { "fleet".to_owned() };
    };
    if !is_name(&name.value) {
        notes.push(name.place.error(format!("`{}` cannot be the name of a fleet", name.value)).hint(NAME_HINT));
    }
    name.value.clone()
}

/// Finds the host and the group of a service.
fn place(mut service: ServiceDraft, draft: &mut Draft, notes: &mut Notes) -> Option<(ServiceId, ServiceDraft)> {
    if !is_name(&service.name) {
        let message = format!("`{}` cannot be the name of a service", service.name);
        notes.push(service.place.error(message).hint(NAME_HINT));
        return None;
    }
    let group = service.group.clone().or_else(|| placed_text(&service.keys, "group"));
    let group = group.or_else(|| placed_text(draft.defaults.as_ref()?, "group"));
    if let Some(group) = &group
        && !draft.groups.contains_key(&group.value)
    {
        let known = suggestion(&group.value, draft.groups.keys().map(String::as_str));
        let hint = if draft.groups.is_empty() { format!("declare `[groups.{}]`", group.value) } else { known };
        notes.push(group.place.error(format!("there is no group `{}`", group.value)).hint(hint));
    }
    let own = service.host.clone().or_else(|| placed_text(&service.keys, "host"));
    let of_group = group.as_ref().and_then(|group| draft.groups.get(&group.value)).and_then(|group| group.host.clone());
    let host = own.clone().or_else(|| of_group.clone()).or_else(|| placed_text(draft.defaults.as_ref()?, "host"));
    if let (Some(own), Some(of_group)) = (&own, &of_group)
        && own.value != of_group.value
    {
        notes.push(apart(&own.place, &service.name, &own.value, &of_group.value));
    }
    service.group = group;
    let host = match host {
        Some(host) if draft.hosts.contains_key(&host.value) => host.value,
        Some(host) => {
            let hint = suggestion(&host.value, draft.hosts.keys().map(String::as_str));
            notes.push(host.place.error(format!("there is no host `{}`", host.value)).hint(hint));
            return None;
        }
        None => only_host(&service, draft, notes)?,
    };
    Some((ServiceId::new(host, service.name.clone()), service))
}

fn apart(place: &Place, service: &str, host: &str, of_group: &str) -> Diagnostic {
    let message = format!("`{service}` is on `{host}`, and its group is on `{of_group}`");
    place.error(message).hint("all services of a group are on one host")
}

/// Tells when a service is put into the group of another host.
fn fits(group: &Placed<String>, service: &ServiceId, draft: &Draft, notes: &mut Notes) {
    let of_group = draft.groups.get(&group.value).and_then(|group| group.host.as_ref());
    if let Some(of_group) = of_group.filter(|host| host.value != service.host) {
        notes.push(apart(&group.place, &service.name, &service.host, &of_group.value));
    }
}

fn only_host(service: &ServiceDraft, draft: &Draft, notes: &mut Notes) -> Option<String> {
    let mut hosts = draft.hosts.keys();
    match (hosts.next(), hosts.next()) {
        (Some(only), None) => Some(only.clone()),
        // A service that only adds to another one is where that one is.
        _ if service.may_add && !service.has_program() => Some(String::new()),
        _ => {
            let known: Vec<&str> = draft.hosts.keys().map(String::as_str).collect();
            let message = format!("`{}` does not say on which host it runs", service.name);
            let hint = format!("add `host = …` to it, to its group or to `[defaults]`: {}", known.join(", "));
            notes.push(service.place.error(message).hint(hint));
            None
        }
    }
}

/// Puts services of `fleet.toml` that say nothing to execute over those of the same name in included files.
fn add_to_declared(
    placed: Vec<(ServiceId, ServiceDraft)>,
    draft: &Draft,
    notes: &mut Notes,
) -> Vec<(ServiceId, ServiceDraft)> {
    let (adds, mut declared): (Vec<_>, Vec<_>) =
        placed.into_iter().partition(|(_, service)| service.may_add && !service.has_program());
    for (id, add) in adds {
        let named = add.host.is_some() || add.keys.get("host").is_some();
        let mut fitting: Vec<_> = declared
            .iter_mut()
            .filter(|(known, service)| !service.may_add && known.name == id.name && (!named || known.host == id.host))
            .collect();
        if fitting.len() > 1 {
            let hosts: Vec<String> = fitting.iter().map(|(known, _)| format!("`{known}`")).collect();
            let message = format!("`{}` is on several hosts", id.name);
            notes.push(add.place.error(message).hint(format!("write {}", hosts.join(" or "))));
        } else if let Some((known, service)) = fitting.pop() {
            service.keys = merge::over(&service.keys, &add.keys);
            // What holds for all takes no service out of the group that its own file put it into.
            if let Some(group) = placed_text(&add.keys, "group") {
                fits(&group, known, draft, notes);
                service.group = Some(group);
            }
        } else if id.host.is_empty() {
            let message = format!("`{}` says nothing to execute, and no included file declares it", id.name);
            notes.push(add.place.error(message).hint("add `command = \"…\"` or `script = \"….py\"`"));
        } else {
            declared.push((id, add));
        }
    }
    declared
}

fn unique(placed: Vec<(ServiceId, ServiceDraft)>, notes: &mut Notes) -> Vec<(ServiceId, ServiceDraft)> {
    let mut first: BTreeMap<ServiceId, Place> = BTreeMap::new();
    placed
        .into_iter()
        .filter(|(id, service)| {
            let known = first.get(id).cloned();
            let twice = known.is_some();
            if twice {
                let message = format!("`{}` is declared twice on `{}`", id.name, id.host);
                let hint = known.map_or_else(
                    || "rename one of them".to_owned(),
                    |place| {
                        format!(
                            "the first is in {}, line {}: rename one, or put one on another host",
                            place.file(),
                            place.at.line
                        )
                    },
                );
                notes.push(service.place.error(message).hint(hint));
            } else {
                first.insert(id.clone(), service.place.clone());
            }
            !twice
        })
        .collect()
}

fn roots<'a>(draft: &Draft, services: impl Iterator<Item = &'a ServiceDraft> + Clone) -> Roots {
    match &draft.roots {
        Some(roots) => Roots(roots.clone()),
        None => {
            let scripts = services.filter_map(|service| service.keys.get("script")?.as_text());
            Roots::guess(&draft.directory, scripts)
        }
    }
}

/// Words for a script that a service says itself, and that nothing takes: it has no script.
fn idle_words(service: &ServiceDraft, merged: &Node, notes: &mut Notes) {
    let Some(what) = ["command", "image"].into_iter().find(|key| merged.get(key).is_some()) else { return };
    let of_scripts = |key: &str| matches!(key, "args" | "interpreter");
    for entry in service.keys.entries().iter().filter(|entry| of_scripts(&entry.key)) {
        if merged.get("script").is_none() {
            let message = format!("`{}` is for a `script`, and `{}` has `{what}` instead", entry.key, service.name);
            notes.push(entry.place.error(message).hint("write these words into `command`, or name the `script`"));
        }
    }
}

/// The names of all services.
struct Names<'a> {
    hosts: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Names<'a> {
    fn of(ids: impl Iterator<Item = &'a ServiceId>, draft: &'a Draft) -> Self {
        let mut hosts: BTreeMap<&str, BTreeSet<&str>> =
            draft.hosts.keys().map(|host| (host.as_str(), BTreeSet::new())).collect();
        for id in ids {
            hosts.entry(&id.host).or_default().insert(&id.name);
        }
        Self { hosts }
    }

    /// Whom a name means for somebody on that host. What exists nowhere is on the own host.
    fn find(&self, name: &str, own: &str) -> Result<ServiceId, (String, String)> {
        if let Some((host, name)) = name.split_once('/') {
            if !self.hosts.contains_key(host) {
                return Err((format!("there is no host `{host}`"), suggestion(host, self.hosts.keys().copied())));
            }
            return Ok(ServiceId::new(host, name));
        }
        if !is_name(name) {
            return Err((format!("`{name}` cannot be the name of a service"), NAME_HINT.to_owned()));
        }
        let has = |host: &&str| self.hosts.get(*host).is_some_and(|names| names.contains(name));
        let others: Vec<&str> = self.hosts.keys().copied().filter(has).collect();
        match others.as_slice() {
            _ if has(&own) => Ok(ServiceId::new(own, name)),
            [] => Ok(ServiceId::new(own, name)),
            [only] => Ok(ServiceId::new(*only, name)),
            several => {
                let choice: Vec<String> = several.iter().map(|host| format!("`{host}/{name}`")).collect();
                Err((format!("`{name}` is on several other hosts"), format!("write {}", choice.join(" or "))))
            }
        }
    }
}

/// What all services are read in.
struct Whole<'a> {
    draft: &'a Draft,
    roots: &'a Roots,
    names: &'a Names<'a>,
    scope: &'a Scope<'a>,
    fleet: &'a str,
}

impl Whole<'_> {
    fn read(&self, id: ServiceId, service: &ServiceDraft, notes: &mut Notes) -> Option<crate::model::Service> {
        let group = service.group.as_ref().map(|group| group.value.clone());
        let group_draft = group.as_ref().and_then(|group| self.draft.groups.get(group));
        let merged = self.merged(service, group_draft);
        idle_words(service, &merged, notes);
        let host = self.draft.hosts.get(&id.host);
        let around = Surroundings {
            directory: &self.draft.directory,
            roots: self.roots,
            host,
            port_offset: self.draft.port_offset,
            container: group_draft.and_then(|group| group.group.container.as_ref()),
            place: &service.place,
            faulty: false,
        };
        let scope = self.scope_of(&id, group.as_deref(), &merged, &around);
        let told = notes.count();
        let expanded = scope.expand_tree(&merged, notes);
        let mut keys: ServiceKeys = read(&expanded, notes)?;
        let around = Surroundings { faulty: notes.count() > told, ..around };
        let dependencies = keys.dependencies.take().unwrap_or_default();
        let fallback = keys.fallback.take().unwrap_or_default();
        let own = id.host.clone();
        let mut read = service::read(id, group, keys, &around, notes);
        read.dependencies = self.dependencies(dependencies, &own, notes);
        read.fallback = fallback
            .into_iter()
            .filter_map(|fallback| self.fallback(fallback.value, &fallback.place, &own, notes))
            .collect();
        Some(read)
    }

    fn merged(&self, service: &ServiceDraft, group: Option<&GroupDraft>) -> Node {
        let below = nothing(&service.place);
        let layers = [
            service.taken_for_granted.as_ref(),
            self.draft.defaults.as_ref(),
            group.and_then(|group| group.defaults.as_ref()),
            Some(&service.keys),
        ];
        let mut merged = layers.into_iter().flatten().fold(below, |below, above| merge::over(&below, above));
        merged.place = service.place.clone();
        merge::without_idle_probes(merged, &service.keys)
    }

    /// The variables of one service. What is wrong with its ports is told when all of it is read.
    fn scope_of(&self, id: &ServiceId, group: Option<&str>, merged: &Node, around: &Surroundings<'_>) -> Scope<'_> {
        let mut scope = self.scope.clone();
        scope.add("fleet.name", self.fleet);
        scope.add("fleet.directory", self.draft.directory.to_string_lossy());
        scope.add("service.name", &id.name);
        scope.add("service.host", &id.host);
        scope.add("host.name", &id.host);
        scope.add(
            "host.address",
            around.host.and_then(|host| host.address.clone()).unwrap_or_else(|| "127.0.0.1".to_owned()),
        );
        scope.add("group.name", group.unwrap_or_default());
        let numbers = ["port", "ports", "health_port_offset"];
        let entries = numbers.iter().filter_map(|key| Some((*key, merged.get(key)?.clone())));
        let mut silent = Notes::default();
        let numbers = scope.expand_tree(&Node::map_at(&merged.place, entries), &mut silent);
        if let Some(keys) = read::<ServiceKeys>(&numbers, &mut silent) {
            let ports = Ports::of(&keys, around, &mut silent);
            if let Some(port) = ports.port {
                scope.add("service.port", port.to_string());
            }
            if let Some(port) = ports.health() {
                scope.add("service.health_port", port.to_string());
            }
            for (name, port) in &ports.others {
                scope.add(&format!("service.ports.{name}"), port.to_string());
            }
        }
        scope
    }

    fn dependencies(
        &self,
        keys: Vec<Placed<Short<String, DependencyKeys>>>,
        own: &str,
        notes: &mut Notes,
    ) -> Vec<Dependency> {
        let mut found: Vec<Dependency> = Vec::with_capacity(keys.len());
        for keys in keys {
            let Some(dependency) = self.dependency(keys.value, &keys.place, own, notes) else { continue };
            if found.iter().any(|known| known.on == dependency.on) {
                notes.push(
                    keys.place
                        .warning(format!("the dependency on `{}` is there twice", dependency.on))
                        .hint("remove one"),
                );
            } else {
                found.push(dependency);
            }
        }
        found
    }

    fn dependency(
        &self,
        keys: Short<String, DependencyKeys>,
        place: &Place,
        own: &str,
        notes: &mut Notes,
    ) -> Option<Dependency> {
        let keys = match keys {
            Short::Short(name) => return self.find(&name, place, own, notes).map(Dependency::on),
            Short::Long(keys) => keys,
        };
        let usual = Dependency::on(self.find(&keys.on, place, own, notes)?);
        let fallback = keys.fallback.unwrap_or_default();
        Some(Dependency {
            condition: keys.condition.unwrap_or_default(),
            required: keys.required.unwrap_or(true),
            fallback: fallback.into_iter().filter_map(|keys| self.fallback(keys, place, own, notes)).collect(),
            on_loss: keys.on_loss.unwrap_or_default(),
            grace: keys.grace.map_or(usual.grace, |span| span.0),
            ..usual
        })
    }

    fn fallback(
        &self,
        keys: Short<String, FallbackKeys>,
        place: &Place,
        own: &str,
        notes: &mut Notes,
    ) -> Option<Fallback> {
        match keys {
            Short::Short(name) => self.find(&name, place, own, notes).map(Fallback::Service),
            Short::Long(keys) => Some(Fallback::Environment(keys.environment)),
        }
    }

    fn find(&self, name: &str, place: &Place, own: &str, notes: &mut Notes) -> Option<ServiceId> {
        self.names.find(name, own).map_err(|(message, hint)| notes.push(place.error(message).hint(hint))).ok()
    }
}
