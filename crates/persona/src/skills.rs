//! Skills: the `SKILL.md` files of a persona's own directory, and those that its file names.
//!
//! Owns finding and reading them, leniently: a skill that is wrong is left out with a word. Leaves out when their
//! instructions enter a context.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_tree::{Content, Node, Place};
use masque_types::persona::Skill;

use crate::{
    file::{self, Fault},
    front_matter::{is_name, split_commas},
    notes::Notes,
    section::texts_of,
    sibling::{Sibling, leads_out_of_project},
};

const FILE: &str = "SKILL.md";
const MAX_DESCRIPTION: usize = 1024;
const MOST: usize = 100;

/// The persona's skills by name: all of its own directory, and the named ones from the shared places.
pub(crate) fn read(named: Option<Node>, sibling: &mut Sibling, notes: &mut Notes) -> Vec<Skill> {
    let mut skills = BTreeMap::new();
    for directory in own(sibling) {
        take(&directory, sibling, &mut skills, notes);
    }
    for (name, place) in names(named, notes) {
        if skills.contains_key(&name) {
            continue;
        }
        let found = is_name(&name).then(|| find(&name, &sibling.skill_places)).flatten();
        match found {
            Some(directory) => take(&directory, sibling, &mut skills, notes),
            None => {
                let message = format!("no skill is called `{name}`; it is left out");
                let hint =
                    "put it into `.agents/skills/<name>/SKILL.md`, or into `skills/` of the user's configuration";
                notes.warning(place, message, hint);
            }
        }
    }
    skills.into_values().collect()
}

fn names(node: Option<Node>, notes: &mut Notes) -> Vec<(String, Place)> {
    let Some(node) = node else { return Vec::new() };
    let place = node.place;
    match node.content {
        Content::Text(text) => split_commas(&text).map(|name| (name, place)).collect(),
        content => texts_of(Node { place, content }, "skills", notes).unwrap_or_default(),
    }
}

/// The directories below `skills/` beside the persona's file.
fn own(sibling: &Sibling) -> Vec<PathBuf> {
    let Some(directory) = sibling.directory.as_ref().map(|directory| directory.join("skills")) else {
        return Vec::new();
    };
    let Ok(entries) = fs_err::read_dir(directory) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join(FILE).exists()).take(MOST).collect();
    found.sort();
    found
}

fn find(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().map(|place| place.join(name)).find(|directory| directory.join(FILE).exists())
}

fn take(directory: &Path, sibling: &mut Sibling, skills: &mut BTreeMap<String, Skill>, notes: &mut Notes) {
    let path = directory.join(FILE);
    let text = match text_of(&path) {
        Ok(text) => text,
        Err(fault) => {
            let hint = fault.hint.unwrap_or("correct or remove it");
            notes.of_file(&path, |notes| {
                notes.warning(fault.place, format!("the file {}; the skill is left out", fault.message), hint);
            });
            return;
        }
    };
    let skill = notes.of_file(&path, |notes| parse(directory, &text, notes));
    if let Some(skill) = skill.filter(|_| skills.len() < MOST) {
        sibling.read.push(skill.name.clone().into_bytes());
        sibling.read.push(text.into_bytes());
        skills.entry(skill.name.clone()).or_insert(skill);
    }
}

fn text_of(path: &Path) -> Result<String, Fault> {
    if leads_out_of_project(path) {
        return Err(Fault::new("leads out of the project", "put the skill itself there, or among your own skills"));
    }
    file::read_text(path)
}

fn parse(directory: &Path, text: &str, notes: &mut Notes) -> Option<Skill> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !is_name(&name) {
        let message = "the skill's directory has no name of lower-case letters, digits and `-`; the skill is left out";
        notes.warning(Place::FILE, message, "rename the directory");
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(parts) = file::split(text) else {
        let hint = "begin it with a line `---`, `name:`, `description:` and a line `---`";
        notes.warning(Place::START, "a skill needs front matter; the skill is left out", hint);
        return None;
    };
    let front = match file::parse_front(parts.front, notes) {
        Ok(front) => front,
        Err(error) => {
            let message = format!("the front matter is not YAML: {}; the skill is left out", error.message);
            notes.warning(error.place, message, "check indentation, quotes and brackets at this place");
            return None;
        }
    };
    let description = description(front, &name, notes);
    let (content, source) = (parts.prompt.trim().to_owned(), directory.display().to_string());
    Some(Skill { name, description, content, source })
}

fn description(front: Node, directory_name: &str, notes: &mut Notes) -> String {
    let text_at = |key: &str| front.get(key).and_then(Node::as_text).map(str::trim).filter(|text| !text.is_empty());
    if let Some(other) = text_at("name").filter(|name| *name != directory_name) {
        let message =
            format!("the skill says that its name is `{other}`; the directory's name `{directory_name}` counts");
        notes.warning(front.place, message, "give both the same name");
    }
    let Some(text) = text_at("description") else {
        notes.warning(front.place, "the skill has no `description`", "say what it does and when to use it");
        return String::new();
    };
    if text.chars().count() > MAX_DESCRIPTION {
        let message = format!("the description of a skill should have at most {MAX_DESCRIPTION} letters");
        notes.warning(front.place, message, "it is always in the context: move details into the text");
    }
    text.to_owned()
}

/// Reads a front matter for nothing but its description.
#[cfg(test)]
fn parse_text(name: &str, text: &str) -> (Option<Skill>, usize) {
    let mut notes = Notes::new(FILE);
    let skill = parse(Path::new(name), text, &mut notes);
    (skill, notes.diagnostics.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_read_leniently() {
        let (skill, said) = parse_text("pdf", "---\nname: pdf\ndescription: Reads: pages\n---\n# Do\n");
        assert_eq!(skill.unwrap().description, "Reads: pages");
        assert_eq!(said, 1, "the colon is mended with a word");
        let long = format!("---\nname: other\ndescription: {}\nlicense: x\n---\nText", "a".repeat(2000));
        let (skill, said) = parse_text("pdf", &long);
        assert_eq!((skill.unwrap().name.as_str(), said), ("pdf", 2));
        for wrong in ["no front", "---\nname: [\n---\n"] {
            assert!(matches!(parse_text("pdf", wrong), (None, 1)), "{wrong}");
        }
        assert!(parse_text("Not A Name", "---\nname: x\n---\n").0.is_none());
    }
}
