//! Keys of a Compose service about its process: command, environment, dependencies, restart, limits.

use super::{
    super::{
        node::{Content, Entry, Node, Place},
        units,
    },
    Reading, words,
};

/// What is executed in the image.
pub(super) fn command(reading: &mut Reading<'_>, value: &Node) {
    let words = words::of(reading.notes, value);
    let words = words.into_iter().map(|word| Node::text_at(&value.place, word)).collect();
    reading.set("command", Node::at(value.place.clone(), Content::List(words)));
}

/// Variables as a mapping or a list; a name without value is passed on.
pub(super) fn environment(reading: &mut Reading<'_>, value: &Node) {
    let bare_names = value.entries().iter().filter(|entry| entry.value.content == Content::Null);
    let mut passed: Vec<Node> = bare_names.map(|entry| Node::text_at(&entry.place, entry.key.clone())).collect();
    let bare_items = value.items().iter().filter(|item| item.as_text().is_some_and(|text| !text.contains('=')));
    passed.extend(bare_items.cloned());
    if !passed.is_empty() {
        reading.set("pass", Node::at(value.place.clone(), Content::List(passed)));
    }
    let pairs = words::pairs(value);
    add_environment(reading, &value.place, pairs, Order::Stronger);
}

/// Whose value holds when a variable is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Stronger,
    Weaker,
}

fn add_environment(reading: &mut Reading<'_>, place: &Place, pairs: Vec<(String, String)>, order: Order) {
    let known = reading.keys.iter().position(|(key, _)| key == "environment").map(|at| reading.keys.remove(at).1);
    let mut entries: Vec<Entry> = known.map(|node| node.entries().to_vec()).unwrap_or_default();
    for (key, value) in pairs {
        let value = Node::text_at(place, value);
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) if order == Order::Stronger => entry.value = value,
            Some(_) => {}
            None => entries.push(Entry { key, place: place.clone(), value }),
        }
    }
    reading.set("environment", Node::at(place.clone(), Content::Map(entries)));
}

/// Files with `NAME=value` lines; what `environment` says is stronger.
pub(super) fn environment_files(reading: &mut Reading<'_>, value: &Node) {
    let single = std::slice::from_ref(value);
    let files = if value.items().is_empty() { single } else { value.items() };
    // Of two files the later one is stronger.
    for file in files.iter().rev() {
        let path = file.get("path").unwrap_or(file);
        let Some(name) = path.written() else { continue };
        let required = file.get("required").is_none_or(|required| required.content != Content::Bool(false));
        match fs_err::read_to_string(reading.directory.join(&name)) {
            Ok(text) => add_environment(reading, &path.place, lines(&text), Order::Weaker),
            Err(_) if !required => {}
            Err(error) => {
                let message = format!("cannot read the variables of `{}`: {error}", reading.name);
                reading.notes.push(path.place.error(message).hint("make the file, or write `required: false`"));
            }
        }
    }
}

/// The pairs of a file with variables. Of a name that is there twice the last one counts.
fn lines(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        let plain = || value.split_once(" #").map_or(value, |(value, _)| value).trim_end();
        pairs.retain(|(known, _)| known != name.trim());
        pairs.push((name.trim().to_owned(), quoted.unwrap_or_else(plain).to_owned()));
    }
    pairs
}

/// Dependencies: a list of names that must have been started, or a mapping with conditions.
pub(super) fn depends_on(reading: &mut Reading<'_>, value: &Node) {
    let mut dependencies = Vec::new();
    for item in value.items() {
        let Some(name) = item.written() else { continue };
        let started = Node::text_at(&item.place, "started");
        dependencies
            .push(Node::map_at(&item.place, [("on", Node::text_at(&item.place, name)), ("condition", started)]));
    }
    for entry in value.entries() {
        dependencies.push(dependency(reading, entry));
    }
    reading.set("dependencies", Node::at(value.place.clone(), Content::List(dependencies)));
}

fn dependency(reading: &mut Reading<'_>, entry: &Entry) -> Node {
    let mut keys = vec![("on", Node::text_at(&entry.place, entry.key.clone()))];
    let mut condition = "started";
    for key in entry.value.entries() {
        match (key.key.as_str(), key.value.written().as_deref()) {
            ("condition", Some("service_started")) => condition = "started",
            ("condition", Some("service_healthy")) => condition = "ready",
            ("condition", Some("service_completed_successfully")) => condition = "completed",
            ("condition", other) => {
                let message = format!("`{}` is no condition", other.unwrap_or_default());
                let hint = "known: service_started, service_healthy, service_completed_successfully";
                reading.notes.push(key.value.place.error(message).hint(hint));
            }
            ("required", _) => keys.push(("required", key.value.clone())),
            ("restart", Some("true")) => keys.push(("on_loss", Node::text_at(&key.place, "restart"))),
            ("restart", _) => {}
            (other, _) => reading.lost(&key.place, &format!("`{other}` of a dependency")),
        }
    }
    keys.push(("condition", Node::text_at(&entry.place, condition)));
    Node::map_at(&entry.place, keys)
}

/// When it is started again: by `deploy.restart_policy`, by `restart`, or never, as Compose does it where nothing is said.
pub(super) fn restart(reading: &mut Reading<'_>, service: &Entry) {
    let policy = service.value.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
    if let Some(policy) = policy {
        restart_policy(reading, policy);
    } else if let Some(value) = service.value.get("restart").filter(|value| value.content != Content::Null) {
        restart_word(reading, value);
    } else {
        reading.set("restart", Node::text_at(&service.place, "never"));
    }
}

fn restart_policy(reading: &mut Reading<'_>, value: &Node) {
    let condition = value.get("condition").and_then(Node::written).unwrap_or_else(|| "any".to_owned());
    let attempts = value.get("max_attempts");
    // Engines count only the starts after failures.
    let count = attempts.and_then(Node::written).filter(|_| condition == "on-failure");
    for entry in value.entries() {
        match entry.key.as_str() {
            "condition" => {}
            "max_attempts" if count.is_some() => {}
            other => reading.lost(&entry.place, &format!("`deploy.restart_policy.{other}`")),
        }
    }
    let text = count.map_or_else(|| condition.clone(), |count| format!("{condition}:{count}"));
    let place = value.get("condition").map_or(&value.place, |condition| &condition.place);
    restart_word(reading, &Node::text_at(place, text));
}

fn restart_word(reading: &mut Reading<'_>, value: &Node) {
    let text = match value.content {
        // YAML of the older kind reads `no` as this.
        Content::Bool(false) => "no".to_owned(),
        _ => value.written().unwrap_or_default(),
    };
    let (policy, count) = text.split_once(':').map_or((text.as_str(), None), |(policy, count)| (policy, Some(count)));
    let policy = match policy {
        "no" | "none" => "never",
        "always" | "any" | "unless-stopped" => "always",
        "on-failure" => "on_failure",
        _ => {
            let message = format!("`{text}` does not say when to restart");
            let hint = "known: no, always, unless-stopped, on-failure, on-failure:5";
            reading.notes.push(value.place.error(message).hint(hint));
            return;
        }
    };
    let policy = Node::text_at(&value.place, policy);
    // Without a count there is no end to it.
    let limit = Node::text_at(&value.place, count.unwrap_or("0"));
    reading.set("restart", Node::map_at(&value.place, [("policy", policy), ("limit", limit)]));
}

/// One limit of the service.
pub(super) fn limit(reading: &mut Reading<'_>, key: &str, value: &Node) {
    let value = match key {
        "memory" => match value.written().map(|text| memory(&text)) {
            Some(Some(bytes)) => Node::text_at(&value.place, bytes.to_string()),
            _ => value.clone(),
        },
        _ => value.clone(),
    };
    let known = reading.keys.iter().position(|(known, _)| known == "limits").map(|at| reading.keys.remove(at).1);
    let mut entries = known.map(|node| node.entries().to_vec()).unwrap_or_default();
    entries.retain(|entry| entry.key != key);
    let place = value.place.clone();
    entries.push(Entry { key: key.to_owned(), place: place.clone(), value });
    reading.set("limits", Node::at(place, Content::Map(entries)));
}

/// Sizes of Compose: `512M` and `512mb` are both counted in 1024.
fn memory(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let binary = lower.strip_suffix('b').filter(|rest| rest.ends_with(['k', 'm', 'g', 't']));
    units::bytes(binary.unwrap_or(&lower))
}

/// What `deploy` says about limits; the rest is for clusters.
pub(super) fn deploy(reading: &mut Reading<'_>, value: &Node) {
    for entry in value.entries() {
        match entry.key.as_str() {
            "resources" => resources(reading, &entry.value),
            // Read with `restart`.
            "restart_policy" => {}
            other => reading.lost(&entry.place, &format!("`deploy.{other}`")),
        }
    }
}

fn resources(reading: &mut Reading<'_>, value: &Node) {
    for entry in value.get("limits").map(Node::entries).unwrap_or_default() {
        match entry.key.as_str() {
            "memory" | "cpus" => limit(reading, &entry.key, &entry.value),
            "pids" => limit(reading, "processes", &entry.value),
            other => reading.lost(&entry.place, &format!("the limit `{other}`")),
        }
    }
    for entry in value.get("reservations").map(Node::entries).unwrap_or_default() {
        let nvidia = |item: &Node| item.get("driver").and_then(Node::as_text) == Some("nvidia");
        if entry.key == "devices" && entry.value.items().iter().all(nvidia) {
            reading.container.devices.push("nvidia.com/gpu=all".to_owned());
        } else {
            reading.lost(&entry.place, &format!("the reservation of `{}`", entry.key));
        }
    }
}

/// How it is ended.
pub(super) fn stop(reading: &mut Reading<'_>, key: &str, value: &Node) {
    let known = reading.keys.iter().position(|(known, _)| known == "stop").map(|at| reading.keys.remove(at).1);
    let mut entries = known.map(|node| node.entries().to_vec()).unwrap_or_default();
    entries.push(Entry { key: key.to_owned(), place: value.place.clone(), value: value.clone() });
    reading.set("stop", Node::at(value.place.clone(), Content::Map(entries)));
}
