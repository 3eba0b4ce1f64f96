//! `masque.delegate` and `masque.memory`: whom a persona may call, and what it remembers.

use masque_tree::Place;
use masque_types::persona::{Delegation, MemorySpec};

use crate::{
    front_matter::is_name,
    notes::Notes,
    section::Section,
    tool_names::{self, Use},
};

const MAX_DEPTH: u32 = 16;
const MAX_PARALLEL: u32 = 64;
const MAX_INJECTED: u32 = 100;

/// Reads `delegate`. A key that is not understood could have been a restriction.
pub(crate) fn delegate(mut section: Section, notes: &mut Notes) -> Delegation {
    let to = section.texts("to", notes).unwrap_or_default();
    for (name, place) in &to {
        if !is_name(&name.replace(['*', '?'], "x")) {
            let message = format!("`{name}` can be the name of no persona");
            notes.error(*place, message, "write names such as `engineer`, or patterns such as `data-*`");
        }
    }
    let delegation = Delegation {
        to: to.into_iter().map(|(name, _)| name).collect(),
        depth: bounded(&mut section, "depth", MAX_DEPTH, notes),
        parallel: bounded(&mut section, "parallel", MAX_PARALLEL, notes),
        grants: section.texts("grants", notes).map(|names| {
            names.into_iter().map(|(name, place)| tool_names::canonical(&name, place, Use::Grant, notes)).collect()
        }),
        history: section.flag("history", notes).unwrap_or(false),
    };
    section.refuse_rest(&["to", "depth", "parallel", "grants", "history"], notes);
    delegation
}

fn bounded(section: &mut Section, key: &'static str, most: u32, notes: &mut Notes) -> Option<u32> {
    let place = section.place_of(key);
    let number = section.whole_u32(key, notes)?;
    if !(1..=most).contains(&number) {
        let message = format!("`{}` is not between 1 and {most}", section.path(key));
        notes.error(place, message, "remove the key for the usual value");
        return None;
    }
    Some(number)
}

/// Reads `memory`.
pub(crate) fn memory(mut section: Section, notes: &mut Notes) -> MemorySpec {
    let scopes = section.texts("scopes", notes).unwrap_or_default();
    for (scope, place) in &scopes {
        check_scope(scope, *place, notes);
    }
    let memory = MemorySpec {
        scopes: scopes.into_iter().map(|(scope, _)| scope).collect(),
        inject: section.whole_u32("inject", notes).map(|count| count.min(MAX_INJECTED)),
    };
    section.refuse_rest(&["scopes", "inject"], notes);
    memory
}

fn check_scope(scope: &str, place: Place, notes: &mut Notes) {
    let known = matches!(scope, "private" | "project") || scope.strip_prefix("room:").is_some_and(is_name);
    if !known {
        let message = format!("`{scope}` is no memory");
        notes.error(place, message, "write `private`, `project` or `room:<name>`");
    }
}
