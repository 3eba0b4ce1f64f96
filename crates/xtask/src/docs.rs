//! Documents: every path that they name exists, every page of the book is in its summary.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// First steps of paths that can only mean this repository.
const OWN_DIRECTORIES: [&str; 3] = ["crates/", "docs/", ".ci/"];

/// Faults of the documents.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut findings: Vec<String> = documents(tree).flat_map(|(path, text)| missing_paths(tree, path, text)).collect();
    findings.extend(documents(tree).flat_map(|(path, text)| broken_links(tree, path, text)));
    findings.extend(summary(tree));
    findings
}

/// The documents for people: those at the root, and the book. Personas and snapshots are data.
fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.with_ending(".md").filter(|(path, _)| !path.contains('/') || path.starts_with("docs/"))
}

fn missing_paths(tree: &Tree, path: &str, text: &str) -> Vec<String> {
    in_backticks(text)
        .filter(|(_, word)| OWN_DIRECTORIES.iter().any(|own| word.starts_with(own)) && is_plain(word))
        .filter(|(_, word)| !tree.has(without_line(word)))
        .map(|(line, word)| format!("{path}:{line}: `{word}` does not exist: correct or remove it"))
        .collect()
}

/// The words in single backticks outside of code blocks, with their lines.
fn in_backticks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(line, content)| content.split('`').skip(1).step_by(2).map(move |word| (line, word)))
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        (!in_block && !fence).then_some((index + 1, line))
    })
}

/// No pattern, no placeholder, no command.
fn is_plain(word: &str) -> bool {
    !word.contains(['*', '<', '{', ' ', '…', '$'])
}

fn without_line(word: &str) -> &str {
    word.split_once(':').map_or(word, |(path, _)| path)
}

/// Links to files, from the directory of the document on.
fn broken_links(tree: &Tree, path: &str, text: &str) -> Vec<String> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    links(text)
        .filter(|(_, target)| {
            !target.contains("://") && !target.starts_with(['#', '<']) && !target.starts_with("mailto:")
        })
        .filter(|(_, target)| {
            let file = target.split_once('#').map_or(*target, |(file, _)| file);
            !tree.has(&joined(directory, file))
        })
        .map(|(line, target)| format!("{path}:{line}: the link to `{target}` leads nowhere: correct or remove it"))
        .collect()
}

fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(line, content)| {
        let targets = content.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        targets.map(move |target| (line, target))
    })
}

fn joined(directory: &str, target: &str) -> String {
    let mut steps: Vec<&str> = directory.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn summary(tree: &Tree) -> Vec<String> {
    const SUMMARY: &str = "docs/src/SUMMARY.md";
    let Some((_, text)) = tree.with_ending(SUMMARY).next() else { return Vec::new() };
    let listed: BTreeSet<String> = links(text).map(|(_, target)| joined("docs/src", target)).collect();
    tree.with_ending(".md")
        .filter(|(path, _)| path.starts_with("docs/src/") && *path != SUMMARY && !listed.contains(*path))
        .map(|(path, _)| format!("{path}: the page is not in {SUMMARY}: add or remove it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_paths_links_and_pages_that_lead_nowhere() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let tree = Tree {
            files: vec![
                file(
                    "README.md",
                    "`crates/a/src` and `crates/a/src/lib.rs:7`, `crates/b`\n[x](docs/src/x.md#top)\n```\n`docs/no`\n```\n",
                ),
                file("crates/a/src/lib.rs", "//! Here.\n"),
                file("docs/src/SUMMARY.md", "- [X](x.md)\n- [Y](./y.md)\n"),
                file("docs/src/x.md", "[up](../../README.md) `docs/<name>` [web](https://example.com)\n"),
                file("docs/src/z.md", ""),
            ],
        };
        assert_eq!(
            check(&tree),
            [
                "README.md:1: `crates/b` does not exist: correct or remove it",
                "docs/src/SUMMARY.md:2: the link to `./y.md` leads nowhere: correct or remove it",
                "docs/src/z.md: the page is not in docs/src/SUMMARY.md: add or remove it",
            ]
        );
    }
}
