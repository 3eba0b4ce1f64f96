//! `masque.sandbox`: what the persona asks of its sandbox.
//!
//! Leaves out enforcing it. A wrong value here is always an error: a restriction must not vanish.

use std::path::{Component, Path};

use masque_types::persona::{SandboxLimits, SandboxSpec};

use crate::{
    masque_keys::check_glob,
    node::{Content, Place},
    notes::Notes,
    section::{Section, nearest},
    units,
};

/// Reads the section.
pub(crate) fn read(mut section: Section, notes: &mut Notes) -> SandboxSpec {
    check_backend(&mut section, notes);
    let mut spec = SandboxSpec::default();
    if let Some(mut files) = section.section("fs", notes) {
        spec.rw = files.texts("rw", notes).map(|paths| keep(paths, writable, notes));
        spec.ro = keep(files.texts("ro", notes).unwrap_or_default(), readable, notes);
        spec.deny = keep(files.texts("deny", notes).unwrap_or_default(), hidden, notes);
        refuse_rest(files, &["rw", "ro", "deny"], notes);
    }
    if let Some(mut net) = section.section("net", notes) {
        spec.network = network(net.texts("allow", notes).unwrap_or_default(), notes);
        refuse_rest(net, &["allow"], notes);
    }
    if let Some(part) = section.section("limits", notes) {
        spec.limits = limits(part, notes);
    }
    refuse_rest(section, &["backend", "fs", "net", "limits"], notes);
    spec
}

fn check_backend(section: &mut Section, notes: &mut Notes) {
    let Some((backend, place)) = section.text("backend", notes) else { return };
    match backend.as_str() {
        "auto" | "process" => {}
        "none" => {
            let hint = "remove the key; whoever starts a run may say `--sandbox none`";
            notes.error(place, "a persona cannot ask for no sandbox", hint);
        }
        other => notes.error(place, format!("there is no sandbox backend `{other}`"), "write `auto` or `process`"),
    }
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

fn network(allow: Vec<(String, Place)>, notes: &mut Notes) -> bool {
    let whole = allow.iter().any(|(host, _)| host == "*");
    if let Some((_, place)) = allow.first().filter(|_| !whole) {
        let message = "programs in the sandbox get no network: single hosts cannot be allowed yet";
        let hint = "tools of Masque (`web.fetch`, MCP servers over HTTP) work without it; `allow: [\"*\"]` gives programs the whole network";
        notes.warning(*place, message, hint);
    }
    whole
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
    refuse_rest(part, &["memory", "pids", "tmp"], notes);
    limits
}

fn size(part: &mut Section, key: &'static str, notes: &mut Notes) -> Option<u64> {
    let node = part.take(key)?;
    let bytes = match &node.content {
        Content::Text(text) => units::bytes(text),
        Content::Number(number) => number.as_u64(),
        _ => None,
    };
    let bytes = bytes.filter(|bytes| *bytes > 0);
    if bytes.is_none() {
        notes.error(node.place, format!("`{}` is no size", part.path(key)), format!("write for example `{key}: 2GiB`"));
    }
    bytes
}

fn refuse_rest(section: Section, known: &[&str], notes: &mut Notes) {
    let prefix = section.path("");
    for entry in section.rest() {
        let near = nearest(&entry.key, known.iter().copied());
        let hint =
            near.map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        notes.error(entry.place, format!("unknown key `{prefix}{}`: it could be a restriction", entry.key), hint);
    }
}
