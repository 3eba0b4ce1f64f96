//! `AGENTS.md`: what a project tells whoever works in it.
//!
//! Owns finding the files between the project's root and a directory, and their bounds. Leaves out putting them into a
//! context: there, a later one in the list speaks over an earlier one.

use std::path::{Component, Path, PathBuf};

use masque_types::{diagnostic::Diagnostic, instruction::Instruction};

use crate::file;

/// The files that are read, the first that exists in each directory. The others are those of single programs; where the
/// common one stands, it speaks for them.
const NAMES: [&str; 3] = ["AGENTS.md", "CLAUDE.md", "GEMINI.md"];

/// All instructions together are not longer. The nearest ones are kept whole first.
const MAX_BYTES: usize = 64 << 10;

/// The instructions for work in a directory, from the project's root down: the nearest stands last and wins where two
/// disagree. Never fails: what cannot be read is in the diagnostics.
#[must_use]
pub fn instructions(project: &Path, directory: &Path) -> (Vec<Instruction>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut diagnostics = Vec::new();
    let mut left = MAX_BYTES;
    for place in places(project, directory) {
        match read(project, &place) {
            Ok(Some((path, text))) => {
                let source = path.strip_prefix(project).unwrap_or(&path).display().to_string();
                let kept = bounded(text, &mut left, &path, &mut diagnostics);
                found.extend(kept.map(|text| Instruction::new(source, text)));
            }
            Ok(None) => {}
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    found.reverse();
    (found, diagnostics)
}

/// The directories from the nearest up to the project's root; only the given one when it is not inside.
fn places(project: &Path, directory: &Path) -> Vec<PathBuf> {
    let inside = directory
        .strip_prefix(project)
        .is_ok_and(|below| below.components().all(|step| matches!(step, Component::Normal(_) | Component::CurDir)));
    if !inside {
        return vec![directory.to_owned()];
    }
    directory.ancestors().take_while(|place| place.starts_with(project)).map(Path::to_owned).collect()
}

fn read(project: &Path, place: &Path) -> Result<Option<(PathBuf, String)>, Diagnostic> {
    for name in NAMES {
        let path = place.join(name);
        let label = path.display().to_string();
        match file::read_text(&path) {
            Ok(text) if leads_out(project, place, &path) => {
                drop(text);
                let message = "the file leads out of the project; it is left out";
                return Err(Diagnostic::warning(label, message).hint("put the text into the project"));
            }
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => return Ok(Some((path, text))),
            Err(fault) if fault.missing => {}
            Err(fault) => {
                let diagnostic = Diagnostic::warning(label, format!("the file {}; it is left out", fault.message));
                return Err(diagnostic.hint(fault.hint.unwrap_or("correct or remove it")));
            }
        }
    }
    Ok(None)
}

/// Whether a link makes a file of somewhere else, with whatever stands there, part of the context.
fn leads_out(project: &Path, place: &Path, path: &Path) -> bool {
    let root = if place.starts_with(project) { project } else { place };
    match (fs_err::canonicalize(root), fs_err::canonicalize(path)) {
        (Ok(root), Ok(target)) => !target.starts_with(root),
        _ => true,
    }
}

fn bounded(text: String, left: &mut usize, path: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    if text.len() <= *left {
        *left -= text.len();
        return Some(text.to_owned());
    }
    let end = text.floor_char_boundary(*left);
    *left = 0;
    let message = format!("instructions are larger than {} KiB together; what is beyond is left out", MAX_BYTES >> 10);
    let hint = "keep what every task needs, and move the rest into files that can be read";
    diagnostics.push(Diagnostic::warning(path.display().to_string(), message).hint(hint));
    let kept = text.get(..end).unwrap_or_default();
    (!kept.is_empty()).then(|| format!("{kept}\n\n[shortened: the whole text is in the file]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        root
    }

    fn found(root: &Path, below: &str) -> Vec<String> {
        let (found, _) = instructions(root, &root.join(below));
        found.into_iter().map(|found| format!("{}: {}", found.source, found.text)).collect()
    }

    #[test]
    fn the_nearest_stands_last_and_others_speak_only_where_none_is() {
        let root = tree(&[
            ("AGENTS.md", "root"),
            ("CLAUDE.md", "not read"),
            ("a/GEMINI.md", "gemini"),
            ("a/b/CLAUDE.md", "claude"),
            ("a/b/c/AGENTS.md", "\u{feff}leaf\n"),
            ("x/AGENTS.md", "elsewhere"),
            ("e/AGENTS.md", "  \n"),
            ("e/CLAUDE.md", "instead"),
        ]);
        let expected = ["AGENTS.md: root", "a/GEMINI.md: gemini", "a/b/CLAUDE.md: claude", "a/b/c/AGENTS.md: leaf"];
        assert_eq!(found(root.path(), "a/b/c"), expected);
        assert_eq!(found(root.path(), "e"), ["AGENTS.md: root", "e/CLAUDE.md: instead"]);
        assert!(found(&root.path().join("x"), "../a").is_empty(), "what is beside the project is none of it");
        assert!(found(Path::new("/nonexistent"), "x").is_empty());
    }

    #[test]
    fn links_out_of_the_project_and_odd_files_are_left_out_with_a_word() {
        let root = tree(&[("secret", "key"), ("project/x", ""), ("project/b/AGENTS.md/x", "")]);
        let project = root.path().join("project");
        std::os::unix::fs::symlink("../secret", project.join("AGENTS.md")).unwrap();
        let (found, diagnostics) = instructions(&project, &project.join("b"));
        assert!(found.is_empty());
        let said: String = diagnostics.iter().map(ToString::to_string).collect();
        assert!(said.contains("leads out of the project") && said.contains("not a regular file"), "{said}");
    }

    #[test]
    fn all_together_are_bounded_and_the_nearest_is_whole() {
        let far = "é".repeat(MAX_BYTES);
        let root = tree(&[("AGENTS.md", &far), ("a/AGENTS.md", "near")]);
        let (found, diagnostics) = instructions(root.path(), &root.path().join("a"));
        assert_eq!(found[1].text, "near");
        assert!(found[0].text.len() < MAX_BYTES + 100 && found[0].text.ends_with("in the file]"));
        assert_eq!(diagnostics.len(), 1);
    }
}
