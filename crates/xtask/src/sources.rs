//! Rules about single source files.

use crate::tree::Tree;

/// Paths of one machine have no place in the repository. Put together here, so that this file does not hold them.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/fa", "rm/"), concat!("../sha", "red")];

/// Faults of single files.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let heads = tree
        .rust()
        .filter(|(_, text)| !has_head(text))
        .map(|(path, _)| format!("{path}:1: begin the file with `//!`: what it owns and what it leaves out"));
    let lints = tree
        .with_ending("Cargo.toml")
        .filter(|(path, text)| path.starts_with("crates/") && !text.contains("[lints]\nworkspace = true"))
        .map(|(path, _)| {
            format!("{path}: add `[lints]` with `workspace = true`: they demand documentation, among others")
        });
    heads.chain(lints).chain(tree.files.iter().flat_map(|(path, text)| machine_paths(path, text))).collect()
}

fn has_head(text: &str) -> bool {
    text.starts_with("//!")
}

fn machine_paths(path: &str, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let found = MACHINE_PATHS.iter().find(|word| line.contains(**word))?;
            Some(format!("{path}:{}: `{found}` is a path of one machine: remove it", index + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_files_without_head_and_with_paths_of_a_machine() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let line = format!("x\ncd {}main\n", MACHINE_PATHS[0]);
        let tree = Tree {
            files: vec![
                file("crates/a/src/lib.rs", "//! Good.\n"),
                file("crates/a/src/b.rs", "fn x() {}\n"),
                file("crates/a/Cargo.toml", "[package]\n"),
                file("docs/x.md", &line),
            ],
        };
        let found = check(&tree);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/b.rs:1:") && found[2].starts_with("docs/x.md:2:"));
    }
}
