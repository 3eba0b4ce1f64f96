//! From a chunk to the section around it. Leaves out reading the chunks.

use masque_types::memory::Chunk;

use super::Section;

/// The section around a chunk: its neighbours below the same headings, nearest first, as long as they fit. Nothing when
/// that is no more than the chunk.
pub(super) fn around(chunks: &[Chunk], ordinal: u32, tokens: u32) -> Option<Section> {
    let place = chunks.iter().position(|chunk| chunk.ordinal == ordinal)?;
    let centre = chunks.get(place)?;
    let (mut first, mut last, mut used) = (place, place, centre.tokens);
    let fits = |at: Option<usize>, used: u32| {
        let chunk = at.and_then(|at| chunks.get(at))?;
        (chunk.headings == centre.headings && used.saturating_add(chunk.tokens) <= tokens).then_some(chunk.tokens)
    };
    loop {
        let before = fits(first.checked_sub(1), used);
        if let Some(tokens) = before {
            (first, used) = (first - 1, used + tokens);
        }
        let after = fits(last.checked_add(1), used);
        if let Some(tokens) = after {
            (last, used) = (last + 1, used + tokens);
        }
        if before.is_none() && after.is_none() {
            break;
        }
    }
    (first < last).then(|| joined(chunks.get(first..=last).unwrap_or_default()))
}

/// Joins chunks that follow each other, without what they repeat.
pub(super) fn joined(chunks: &[Chunk]) -> Section {
    let mut section = Section { text: String::new(), lines: chunks.first().map_or((1, 1), |chunk| chunk.lines) };
    for (place, chunk) in chunks.iter().enumerate() {
        if place == 0 {
            section.text.push_str(&chunk.text);
            continue;
        }
        let body = without_head(chunk);
        let repeated = if chunk.lines.0 > section.lines.1 { 0 } else { repeated(&section.text, body) };
        if repeated == 0 {
            let gap = chunk.lines.0.saturating_sub(section.lines.1) as usize;
            section.text.push_str(&if gap == 0 { " ".to_owned() } else { "\n".repeat(gap) });
        }
        section.text.push_str(body.get(repeated..).unwrap_or_default());
        section.lines.1 = section.lines.1.max(chunk.lines.1);
    }
    section
}

/// A chunk has more lines than its place when it repeats the head of a table.
fn without_head(chunk: &Chunk) -> &str {
    let place = (chunk.lines.1 - chunk.lines.0.min(chunk.lines.1)) as usize + 1;
    let extra = chunk.text.lines().count().saturating_sub(place);
    let mut rest = chunk.text.as_str();
    for _ in 0..extra {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// How many bytes at the beginning of a text repeat the end of the one before, from the beginning of a word on.
fn repeated(before: &str, text: &str) -> usize {
    let repeats = |length: &usize| {
        let beginning = text.get(..*length).filter(|beginning| before.ends_with(beginning));
        let rest = beginning.and_then(|_| before.get(..before.len() - length));
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(char::is_whitespace))
    };
    (1..=text.len().min(before.len())).rev().find(repeats).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::{ChunkSpec, Text, chunks};

    proptest! {
        #[test]
        fn chunks_join_to_the_text_that_they_were_cut_from(
            sentences in proptest::collection::vec("[A-Z][a-z]{2,8}( [a-z]{2,8}){3,9}[.]( |\n|\n\n)", 1..60), overlap in 0usize..16,
        ) {
            let text: String = sentences.concat();
            let spec = ChunkSpec::new(48, overlap).unwrap();
            let cut = chunks(&Text { title: "T", media_type: "text/plain", text: &text }, &spec);
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(squeezed(&joined(&cut).text), squeezed(&text));
        }
    }

    #[test]
    fn the_head_of_a_table_is_joined_once() {
        let rows: String = (0..40).map(|row| format!("| {row} | value {row} |\n")).collect();
        let text = format!("| a | b |\n|---|---|\n{rows}");
        let cut = chunks(&Text { title: "T", media_type: "text/csv", text: &text }, &ChunkSpec::new(60, 0).unwrap());
        assert_eq!(joined(&cut).text, text.trim_end());
        assert_eq!(around(&cut, 1, 200).unwrap().lines.0, 1);
        assert!(around(&cut, 1, 60).is_none());
    }
}
