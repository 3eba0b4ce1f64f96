//! `masque.secrets`: which secrets the persona's programs may use, and where they may go.
//!
//! Leaves out the values and granting them. A wrong entry is always an error: a scope must not widen by a slip.

use masque_tree::{Content, Node, Place};
use masque_types::persona::{Injection, SandboxSpec, SecretGrant};

use crate::{
    host,
    notes::Notes,
    section::{Section, nearest},
};

/// Variables that decide how programs start: a placeholder there would break them, or worse.
const RESERVED: [&str; 5] = ["PATH", "HOME", "SHELL", "USER", "TMPDIR"];
const RESERVED_FAMILIES: [&str; 3] = ["LD_", "MASQUE_", "DYLD_"];

/// Reads the list.
pub(crate) fn read(section: &mut Section, sandbox: &SandboxSpec, notes: &mut Notes) -> Vec<SecretGrant> {
    let path = section.path("secrets");
    let Some(node) = section.take("secrets") else { return Vec::new() };
    let Content::List(items) = node.content else {
        let hint = "write `- { name: TOKEN, hosts: [example.org] }` lines below it";
        notes.error(node.place, format!("`{path}` is {}, expected a list", node.kind()), hint);
        return Vec::new();
    };
    let mut grants: Vec<SecretGrant> = Vec::new();
    for item in items {
        let place = item.place;
        let Some(grant) = grant(item, &path, notes) else { continue };
        if grants.iter().any(|other| other.name == grant.name) {
            notes.error(place, format!("the secret `{}` stands twice", grant.name), "put all hosts into one entry");
            continue;
        }
        check_reach(&grant, sandbox, place, notes);
        grants.push(grant);
    }
    grants
}

fn grant(node: Node, path: &str, notes: &mut Notes) -> Option<SecretGrant> {
    let place = node.place;
    let mut part = Section::of(node, path, notes)?;
    let name = part.text("name", notes);
    let inject = part.text("inject", notes);
    let hosts = part.texts("hosts", notes).unwrap_or_default();
    part.refuse_rest(&["name", "inject", "hosts"], notes);
    let Some((name, name_place)) = name else {
        notes.error(place, "a secret needs `name`", "write `{ name: TOKEN, hosts: [example.org] }`");
        return None;
    };
    check_name(&name, name_place, notes);
    let inject = inject.map_or(Some(Injection::Header), |(text, place)| injection(&text, place, notes))?;
    let hosts = hosts.into_iter().filter_map(|(text, place)| exact_host(&text, place, notes)).collect::<Vec<_>>();
    match (inject, hosts.is_empty()) {
        (Injection::Header, true) => {
            let message = format!("the secret `{name}` names no host, so it could be sent nowhere");
            notes.error(place, message, "add `hosts: [example.org]` with the hosts that it is for");
        }
        (Injection::Environment, false) => {
            let message = format!("the program sees the secret `{name}`: hosts cannot bind it");
            notes.error(place, message, "remove `hosts`, or `inject: environment`");
        }
        _ => {}
    }
    Some(SecretGrant { name, inject, hosts })
}

fn check_name(name: &str, place: Place, notes: &mut Notes) {
    if !is_variable(name) {
        let message = format!("`{name}` is no name of a secret");
        notes.error(place, message, "use upper-case letters, digits and `_`, beginning with a letter: `ZENODO_TOKEN`");
    } else if RESERVED.contains(&name) || RESERVED_FAMILIES.iter().any(|family| name.starts_with(family)) {
        let message = format!("`{name}` is a variable that programs need for themselves");
        notes.error(place, message, "give the secret another name");
    }
}

pub(crate) fn is_variable(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn injection(text: &str, place: Place, notes: &mut Notes) -> Option<Injection> {
    match text {
        "header" => Some(Injection::Header),
        "environment" => Some(Injection::Environment),
        other => {
            let near = nearest(other, ["header", "environment"].into_iter());
            let hint = near
                .map_or_else(|| "write `header` or `environment`".to_owned(), |near| format!("did you mean `{near}`?"));
            notes.error(place, format!("`{other}` is no way to put a secret in"), hint);
            None
        }
    }
}

fn exact_host(text: &str, place: Place, notes: &mut Notes) -> Option<String> {
    match host::exact(text) {
        Ok(host) => Some(host),
        Err(hint) => {
            notes.error(place, format!("`{text}` is no host that a secret can be bound to"), hint);
            None
        }
    }
}

/// A secret that the sandbox cannot deliver is a slip worth saying.
fn check_reach(grant: &SecretGrant, sandbox: &SandboxSpec, place: Place, notes: &mut Notes) {
    if sandbox.network && grant.inject == Injection::Header {
        let message = format!("`net.allow: [\"*\"]` has no broker that could put the secret `{}` in", grant.name);
        notes.warning(place, message, "list the hosts under `masque.sandbox.net.allow` instead of `*`");
        return;
    }
    let reachable = |host: &String| sandbox.hosts.iter().any(|pattern| host::covers(pattern, host));
    if let Some(host) = grant.hosts.iter().find(|host| !reachable(host)) {
        let message =
            format!("the secret `{}` is for `{host}`, which programs in the sandbox cannot reach", grant.name);
        notes.warning(place, message, format!("add `{host}` to `masque.sandbox.net.allow`"));
    }
}
