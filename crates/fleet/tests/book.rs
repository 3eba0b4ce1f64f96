//! What the book shows of manifests is right: each block of TOML is a manifest without an unknown key or a wrong value.

use std::path::Path;

use masque_fleet::manifest::{self, Variables};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/fleet.md");

/// The blocks of TOML of a page, with their lines, without those for Masque's own configuration.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((place, line)) = lines.next() {
        let depth = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("```toml") {
            let inside = lines.by_ref().map(|(_, line)| line.get(depth..).unwrap_or_default());
            let text: Vec<&str> = inside.take_while(|line| *line != "```").collect();
            blocks.push((place + 1, text.join("\n")));
        }
    }
    blocks.retain(|(_, text)| !text.starts_with("[fleet]"));
    blocks
}

#[test]
fn manifests_of_the_book_have_no_unknown_key_and_no_wrong_value() {
    let page = fs_err::read_to_string(Path::new(BOOK)).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() > 5, "{} blocks", blocks.len());
    for (line, text) in blocks {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("fleet.toml");
        // Parts of a manifest: what they name stands elsewhere, and their keys of hosts are shortened.
        fs_err::write(&file, text.replace("ed25519:…", "")).unwrap();
        let loaded = manifest::load(&[file], &Variables::default());
        let told: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        let elsewhere = ["there is no service", "there are no services", "matches no file", "no file", "is not there"];
        let wrong =
            told.iter().filter(|told| told.contains("error") && !elsewhere.iter().any(|known| told.contains(known)));
        assert_eq!(wrong.count(), 0, "fleet.md, block at line {line}: {told:#?}");
    }
}
