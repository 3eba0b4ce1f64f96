//! `masque.hooks`: programs of the persona's own directory, with their content.
//!
//! Leaves out running them. A hook can be a guard, so whatever is wrong with one is an error.

use masque_types::persona::{Hook, Hooks};

use crate::{notes::Notes, section::Section, sibling::Sibling};

const MAX_BYTES: usize = 64 << 10;

/// Reads the section.
pub(crate) fn read(mut section: Section, sibling: &mut Sibling, notes: &mut Notes) -> Hooks {
    let hooks = Hooks {
        on_activate: hook(&mut section, "on_activate", sibling, notes),
        on_deactivate: hook(&mut section, "on_deactivate", sibling, notes),
        pre_tool_use: hook(&mut section, "pre_tool_use", sibling, notes),
        post_tool_use: hook(&mut section, "post_tool_use", sibling, notes),
    };
    section.refuse_rest(&["on_activate", "on_deactivate", "pre_tool_use", "post_tool_use"], notes);
    hooks
}

fn hook(section: &mut Section, key: &'static str, sibling: &mut Sibling, notes: &mut Notes) -> Option<Hook> {
    let (path, place) = section.text(key, notes)?;
    let content = sibling.named(&path, "the hook", place, notes)?;
    if content.len() > MAX_BYTES {
        let message = format!("the hook `{path}` is larger than {} KiB", MAX_BYTES >> 10);
        notes.error(place, message, "let it start a program of the workspace");
        return None;
    }
    if !content.starts_with("#!") {
        let message = format!("the hook `{path}` does not say what runs it");
        notes.error(place, message, "begin it with a line such as `#!/bin/sh`");
        return None;
    }
    Some(Hook { path, content })
}
