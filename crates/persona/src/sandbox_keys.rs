//! `masque.sandbox`: what the persona asks of its sandbox.
//!
//! Leaves out enforcing it. A wrong value here is always an error: a restriction must not vanish.

use std::path::{Component, Path};

use masque_tree::{Content, Place, units};
use masque_types::persona::{Backend, ContainerSpec, SandboxLimits, SandboxSpec};

use crate::{
    host,
    masque_keys::check_glob,
    notes::Notes,
    section::{Section, nearest},
};

/// Reads the section.
pub(crate) fn read(mut section: Section, notes: &mut Notes) -> SandboxSpec {
    let mut spec = SandboxSpec { backend: backend(&mut section, notes), ..SandboxSpec::default() };
    let place = section.place_of("container");
    spec.container = section.section("container", notes).and_then(|part| container(part, notes));
    if spec.backend == Backend::Container && spec.container.is_none() {
        let hint = "write `container: { image: … }` beside it";
        notes.error(section.place, "the container backend needs a container", hint);
    } else if spec.backend == Backend::Process && spec.container.is_some() {
        let hint = "write `backend: auto`, or remove `container`";
        notes.error(place, "`backend: process` leaves the container out", hint);
    }
    if let Some(mut files) = section.section("fs", notes) {
        spec.rw = files.texts("rw", notes).map(|paths| keep(paths, writable, notes));
        spec.ro = keep(files.texts("ro", notes).unwrap_or_default(), readable, notes);
        spec.deny = keep(files.texts("deny", notes).unwrap_or_default(), hidden, notes);
        files.refuse_rest(&["rw", "ro", "deny"], notes);
    }
    if let Some(mut net) = section.section("net", notes) {
        (spec.network, spec.hosts) = network(net.texts("allow", notes).unwrap_or_default(), notes);
        net.refuse_rest(&["allow"], notes);
    }
    if let Some(part) = section.section("limits", notes) {
        spec.limits = limits(part, notes);
    }
    section.refuse_rest(&["backend", "container", "fs", "net", "limits"], notes);
    spec
}

fn backend(section: &mut Section, notes: &mut Notes) -> Backend {
    let Some((backend, place)) = section.text("backend", notes) else { return Backend::Auto };
    match backend.as_str() {
        "auto" => return Backend::Auto,
        "process" => return Backend::Process,
        "container" => return Backend::Container,
        "none" => {
            let hint = "remove the key; whoever starts a run may say `--sandbox none`";
            notes.error(place, "a persona cannot ask for no sandbox", hint);
        }
        other => {
            let near = nearest(other, ["auto", "process", "container"].into_iter());
            let hint = near.map_or_else(
                || "write `auto`, `process` or `container`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            notes.error(place, format!("there is no sandbox backend `{other}`"), hint);
        }
    }
    Backend::Auto
}

fn container(mut part: Section, notes: &mut Notes) -> Option<ContainerSpec> {
    let image = part.text("image", notes);
    let shared = part.flag("shared", notes).unwrap_or(false);
    let runtime = part.text("runtime", notes);
    let place = part.place;
    part.refuse_rest(&["image", "shared", "runtime"], notes);
    if let Some((name, place)) = &runtime
        && !is_plain(name, "")
    {
        notes.error(*place, format!("`{name}` is no name of a runtime"), "write for example `runtime: runsc`");
    }
    match image {
        Some((image, _)) if is_plain(&image, "/:@") => {
            Some(ContainerSpec { image, shared, runtime: runtime.map(|(name, _)| name) })
        }
        Some((image, place)) => {
            notes.error(
                place,
                format!("`{image}` is no image"),
                "write for example `image: docker.io/library/python:3.13`",
            );
            None
        }
        None => {
            notes.error(place, "a container needs `image`", "write for example `image: docker.io/library/python:3.13`");
            None
        }
    }
}

fn is_plain(name: &str, further: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter) || further.contains(letter);
    (1..=255).contains(&name.len()) && !name.starts_with('-') && name.chars().all(plain)
}

type Check = fn(&str) -> Result<(), &'static str>;

fn keep(paths: Vec<(String, Place)>, check: Check, notes: &mut Notes) -> Vec<String> {
    for (path, place) in &paths {
        if let Err(hint) = check(path) {
            notes.error(*place, format!("the path `{path}` cannot be used here"), hint);
        }
        check_glob(path, *place, notes);
    }
    paths.into_iter().map(|(path, _)| path).collect()
}

fn writable(path: &str) -> Result<(), &'static str> {
    let inside = Path::new(path).components().all(|step| matches!(step, Component::Normal(_) | Component::CurDir));
    let plain = !path.is_empty() && !path.contains('*');
    if inside && plain {
        Ok(())
    } else {
        Err("`rw` names directories inside the workspace, without patterns: `.`, `data`")
    }
}

fn readable(path: &str) -> Result<(), &'static str> {
    let clean = Path::new(path).components().all(|step| !matches!(step, Component::ParentDir));
    if Path::new(path).is_absolute() && clean { Ok(()) } else { Err("`ro` names absolute paths: `/usr/share/dict`") }
}

fn hidden(path: &str) -> Result<(), &'static str> {
    let clean = Path::new(path).components().all(|step| matches!(step, Component::Normal(_)));
    if clean && !path.is_empty() {
        Ok(())
    } else {
        Err("`deny` names paths or patterns from the workspace on: `.env`, `**/*.pem`")
    }
}

/// Whether the whole network is allowed, and else the hosts.
fn network(allow: Vec<(String, Place)>, notes: &mut Notes) -> (bool, Vec<String>) {
    if allow.iter().any(|(host, _)| host.trim() == "*") {
        if let Some((host, place)) = allow.iter().find(|(host, _)| host.trim() != "*") {
            let message = format!("`{host}` says nothing beside `*`, which allows the whole network");
            notes.warning(*place, message, "remove `*` to allow single hosts only");
        }
        return (true, Vec::new());
    }
    let mut hosts = Vec::new();
    for (text, place) in allow {
        match host::pattern(&text) {
            Ok(host) if !hosts.contains(&host) => hosts.push(host),
            Ok(_) => {}
            Err(hint) => notes.error(place, format!("`{text}` is no host"), hint),
        }
    }
    (false, hosts)
}

fn limits(mut part: Section, notes: &mut Notes) -> SandboxLimits {
    let limits = SandboxLimits {
        memory_bytes: size(&mut part, "memory", notes),
        pids: part.whole_u32("pids", notes),
        tmp_bytes: size(&mut part, "tmp", notes),
    };
    if let Some(wall) = part.take("wall") {
        notes.error(wall.place, "a sandbox has no limit `wall`", "write it as `masque.budget.wall`");
    }
    part.refuse_rest(&["memory", "pids", "tmp"], notes);
    limits
}

fn size(part: &mut Section, key: &'static str, notes: &mut Notes) -> Option<u64> {
    let node = part.take(key)?;
    let bytes = match &node.content {
        Content::Text(text) => units::bytes(text),
        Content::Number(number, _) => number.as_u64(),
        _ => None,
    };
    let bytes = bytes.filter(|bytes| *bytes > 0);
    if bytes.is_none() {
        notes.error(node.place, format!("`{}` is no size", part.path(key)), format!("write for example `{key}: 2GiB`"));
    }
    bytes
}
