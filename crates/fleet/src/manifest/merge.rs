//! What a service says, over what its group and the fleet say for all.

use super::{
    keys::CHECKS,
    node::{Content, Entry, Node},
};

/// Mappings of a service whose entries are put together; every other value replaces what stands below it.
const DEEP: [&str; 6] = ["environment", "ports", "restart", "stop", "limits", "logs"];
/// Keys of which the stronger side's one takes the place of both.
const PROGRAMS: [&str; 3] = ["command", "script", "image"];

/// The keys of a service over those of its defaults.
pub(super) fn over(defaults: &Node, keys: &Node) -> Node {
    let mut entries: Vec<Entry> = defaults.entries().to_vec();
    if PROGRAMS.iter().any(|key| keys.get(key).is_some()) {
        entries.retain(|entry| !PROGRAMS.contains(&entry.key.as_str()));
    }
    for entry in keys.entries() {
        let Some(below) = entries.iter_mut().find(|below| below.key == entry.key) else {
            entries.push(entry.clone());
            continue;
        };
        below.place = entry.place.clone();
        below.value = match entry.key.as_str() {
            "ready" | "live" => probe(&below.value, &entry.value),
            key if DEEP.contains(&key) && below.value.is_map() && entry.value.is_map() => {
                shallow(&below.value, &entry.value)
            }
            _ => entry.value.clone(),
        };
    }
    let place = if keys.entries().is_empty() { &defaults.place } else { &keys.place };
    Node::at(place.clone(), Content::Map(entries))
}

/// Takes out of what was put together the probes that have a rhythm and no check, unless the service itself says them.
pub(super) fn without_idle_probes(mut merged: Node, own: &Node) -> Node {
    let is_check = |entry: &Entry| CHECKS.contains(&entry.key.as_str());
    let is_idle = |entry: &Entry| {
        let probe = matches!(entry.key.as_str(), "ready" | "live") && entry.value.is_map();
        probe && own.get(&entry.key).is_none() && !entry.value.entries().iter().any(is_check)
    };
    if let Some(entries) = merged.entries_mut() {
        entries.retain(|entry| !is_idle(entry));
    }
    merged
}

/// A probe with another check keeps the rhythm that stands below it, and nothing of the check.
fn probe(below: &Node, above: &Node) -> Node {
    if !below.is_map() || !above.is_map() {
        return above.clone();
    }
    let replaces = above.entries().iter().any(|entry| CHECKS.contains(&entry.key.as_str()));
    let kept = below.entries().iter().filter(|entry| !(replaces && CHECKS.contains(&entry.key.as_str()))).cloned();
    shallow(&Node::at(below.place.clone(), Content::Map(kept.collect())), above)
}

/// The entries of both, the upper ones for keys that both have.
pub(super) fn shallow(below: &Node, above: &Node) -> Node {
    let mut entries = below.entries().to_vec();
    for entry in above.entries() {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry.clone(),
            None => entries.push(entry.clone()),
        }
    }
    Node::at(above.place.clone(), Content::Map(entries))
}
