//! A document's text put together from its chunks, for whoever reads it whole. Leaves out reading them.

use masque_types::memory::Chunk;

/// What two chunks have in common by chance is shorter than this, in bytes.
const LEAST_OVERLAP: usize = 8;

/// The text of all chunks, in order, with the headings where they change. What neighbours have in common stands once.
#[must_use]
pub fn whole(chunks: &[Chunk]) -> String {
    let mut text = String::new();
    let mut before: Option<&Chunk> = None;
    for chunk in chunks {
        let same = before.is_some_and(|before| before.headings == chunk.headings);
        if !same && !chunk.headings.is_empty() {
            let separator = if text.is_empty() { "" } else { "\n\n" };
            text.push_str(&format!("{separator}# {}\n", chunk.headings.join(" › ")));
        }
        let known = before.map_or(0, |before| overlap(before, chunk));
        if known == 0 && !text.is_empty() {
            text.push('\n');
        }
        text.push_str(chunk.text.get(known..).unwrap_or_default());
        before = Some(chunk);
    }
    text
}

/// Bytes at the beginning of a chunk that stand at the end of the one before.
fn overlap(before: &Chunk, chunk: &Chunk) -> usize {
    if chunk.lines.0 > before.lines.1 {
        return 0;
    }
    let most = before.text.len().min(chunk.text.len());
    let is_shared = |bytes: &usize| chunk.text.get(..*bytes).is_some_and(|start| before.text.ends_with(start));
    (LEAST_OVERLAP..=most).rev().find(is_shared).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{ChunkSpec, Text, chunks};

    #[test]
    fn a_document_is_put_together_without_repetitions() {
        let paragraph =
            |n: usize| format!("Paragraph {n} says that pump {n} has {n} valves and is checked on day {n}.");
        let body = (0..60).map(paragraph).collect::<Vec<_>>().join("\n\n");
        let text = format!("# Pumps\n\n{body}\n\n# Tanks\n\nThere are two tanks.\n");
        let spec = ChunkSpec::new(120, 30).unwrap();
        let cut = chunks(&Text { title: "Plant", media_type: "text/markdown", text: &text }, &spec);
        assert!(cut.len() > 6);
        let whole = whole(&cut);
        for n in 0..60 {
            assert_eq!(whole.matches(&paragraph(n)).count(), 1, "{whole}");
        }
        assert!(whole.starts_with("# Plant › Pumps\n") && whole.contains("# Plant › Tanks\n"), "{whole}");
    }
}
