//! Cutting Markdown: headings, fences, tables, lists. Leaves out everything that does not matter for cutting.

use std::ops::Range;

use super::{
    pieces::{Seam, Tiles, lines},
    shape::{Section, one_line},
};

/// The sections of a text: each begins after its heading and ends before the next one.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { headings: Vec::new(), range: 0..text.len(), is_leaf: false }];
    let mut path: Vec<(usize, String)> = Vec::new();
    for heading in headings(text) {
        if let Some(before) = sections.last_mut() {
            before.range.end = heading.range.start;
            before.is_leaf &= path.last().is_none_or(|(level, _)| heading.level <= *level);
        }
        path.retain(|(level, _)| *level < heading.level);
        path.push((heading.level, heading.text));
        let headings = path.iter().map(|(_, text)| text.clone()).collect();
        sections.push(Section { headings, range: heading.range.end..text.len(), is_leaf: true });
    }
    sections
}

struct Heading {
    level: usize,
    text: String,
    range: Range<usize>,
}

fn headings(text: &str) -> Vec<Heading> {
    let lines = lines(text, 0..text.len());
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    let front_matter = front_matter(&lines);
    for (place, (at, line)) in lines.iter().enumerate().skip(front_matter) {
        if let Some(open) = fence {
            if closes(open, line) {
                fence = None;
            }
            continue;
        }
        if let Some(open) = fence_of(line) {
            fence = Some(open);
            continue;
        }
        if let Some((level, text)) = hashed(line) {
            found.push(Heading { level, text, range: *at..at + line.len() });
        } else if let Some(level) = underlined(line)
            && let Some(heading) =
                place.checked_sub(1).filter(|above| *above >= front_matter).and_then(|above| titled(&lines, above))
        {
            found.push(Heading { level, text: one_line(heading.1), range: heading.0..at + line.len() });
        }
    }
    found
}

/// How many lines the settings before the text have.
fn front_matter(lines: &[(usize, &str)]) -> usize {
    if lines.first().is_none_or(|(_, line)| line.trim_end() != "---") {
        return 0;
    }
    lines.iter().skip(1).position(|(_, line)| line.trim_end() == "---").map_or(0, |at| at + 2)
}

/// `## Text ##`
fn hashed(line: &str) -> Option<(usize, String)> {
    let line = line.strip_prefix("   ").or(line.strip_prefix("  ")).or(line.strip_prefix(' ')).unwrap_or(line);
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = line.get(level..)?;
    if !(1..=6).contains(&level) || !(rest.starts_with([' ', '\t']) || rest.trim().is_empty()) {
        return None;
    }
    Some((level, plain(rest.trim().trim_end_matches('#'))))
}

fn underlined(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let made_of = |mark: char| line.len() >= 2 && line.chars().all(|c| c == mark);
    if made_of('=') { Some(1) } else { made_of('-').then_some(2) }
}

/// A line that can be the heading above a row of marks: a paragraph of its own.
fn titled<'a>(lines: &[(usize, &'a str)], place: usize) -> Option<(usize, &'a str)> {
    let (at, line) = lines.get(place)?;
    let alone =
        place.checked_sub(1).and_then(|above| lines.get(above)).is_none_or(|(_, above)| above.trim().is_empty());
    let text = line.trim();
    let words = !text.is_empty() && !text.starts_with(['|', '>', '-', '*', '#']) && underlined(line).is_none();
    (alone && words && !line.starts_with("    ")).then_some((*at, text))
}

/// A heading without the marks around its words.
fn plain(text: &str) -> String {
    let text = text.trim();
    let text = text.rfind("{#").filter(|_| text.ends_with('}')).and_then(|at| text.get(..at)).unwrap_or(text);
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, after)) = link.split_once("](") else { break };
        let Some((_, after)) = after.split_once(')') else { break };
        plain.push_str(before);
        plain.push_str(label);
        rest = after;
    }
    plain.push_str(rest);
    one_line(&plain.replace("**", "").replace('`', ""))
}

/// The marks that open a fence.
fn fence_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ['`', '~'].into_iter().find_map(|mark| {
        let length = line.chars().take_while(|c| *c == mark).count();
        let info = line.get(length..)?;
        (length >= 3 && !(mark == '`' && info.contains('`'))).then(|| line.get(..length)).flatten()
    })
}

fn closes(open: &str, line: &str) -> bool {
    let line = line.trim();
    line.len() >= open.len() && line.starts_with(open) && line.chars().all(|c| open.starts_with(c))
}

/// What the lines of a block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Fence,
    Table,
    Item,
    Paragraph,
}

/// Tiles a section.
pub(super) fn tile(tiles: &mut Tiles<'_>, range: Range<usize>) {
    let lines = lines(tiles.text, range.clone());
    let mut place = 0;
    let mut start = range.start;
    while place < lines.len() {
        let (block, end) = block(&lines, place);
        // Blank lines belong to what is before them.
        let next = (end..lines.len())
            .find(|at| lines.get(*at).is_some_and(|(_, line)| !line.trim().is_empty()))
            .unwrap_or(lines.len());
        let stop = lines.get(next).map_or(range.end, |(at, _)| *at);
        let body = lines.get(place..end).unwrap_or_default();
        push(tiles, block, body, start..stop);
        (place, start) = (next, stop);
    }
}

/// The block that begins at a line, and the line after it.
fn block(lines: &[(usize, &str)], place: usize) -> (Block, usize) {
    let line = |at: usize| lines.get(at).map_or("", |(_, line)| *line);
    if let Some(open) = fence_of(line(place)) {
        let end = (place + 1..lines.len()).find(|at| closes(open, line(*at))).map_or(lines.len(), |at| at + 1);
        return (Block::Fence, end);
    }
    let is_table = |at: usize| line(at).trim_start().starts_with('|');
    if is_table(place) && is_delimiter(line(place + 1)) {
        let end = (place..lines.len()).find(|at| !is_table(*at)).unwrap_or(lines.len());
        return (Block::Table, end);
    }
    let ends = |at: usize| {
        let line = line(at);
        line.trim().is_empty()
            || is_item(line)
            || fence_of(line).is_some()
            || (is_table(at) && is_delimiter(self::line(lines, at + 1)))
    };
    let end = (place + 1..lines.len()).find(|at| ends(*at)).unwrap_or(lines.len());
    (if is_item(line(place)) { Block::Item } else { Block::Paragraph }, end)
}

fn line<'a>(lines: &[(usize, &'a str)], at: usize) -> &'a str {
    lines.get(at).map_or("", |(_, line)| *line)
}

fn is_delimiter(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('|') && line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ")
        || line.starts_with("* ")
        || line.starts_with("+ ")
        || (numbered.len() < line.len() && (numbered.starts_with(". ") || numbered.starts_with(") ")))
}

fn push(tiles: &mut Tiles<'_>, block: Block, body: &[(usize, &str)], range: Range<usize>) {
    match block {
        // An example belongs to the sentence that announces it.
        Block::Fence if tiles.fits(&range) => tiles.push(range, Seam::Sentence, None),
        Block::Fence => push_lines(tiles, body, range),
        Block::Table => push_rows(tiles, body, range),
        Block::Item => tiles.push_sentences(range, Seam::Item),
        Block::Paragraph => tiles.push_sentences(range, Seam::Paragraph),
    }
}

/// A fence that cannot stay whole: cut at its lines, rather at blank ones.
fn push_lines(tiles: &mut Tiles<'_>, body: &[(usize, &str)], range: Range<usize>) {
    let mut blank_before = false;
    for (place, (at, line)) in body.iter().enumerate() {
        let stop = body.get(place + 1).map_or(range.end, |(next, _)| *next);
        let seam = if place == 0 {
            Seam::Paragraph
        } else if blank_before {
            Seam::Sentence
        } else {
            Seam::Line
        };
        tiles.push(*at..stop, seam, None);
        blank_before = line.trim().is_empty();
    }
}

/// The rows of a table, which know its head: the names of the columns and the line below them.
fn push_rows(tiles: &mut Tiles<'_>, body: &[(usize, &str)], range: Range<usize>) {
    let ends = |place: usize| body.get(place + 1).map_or(range.end, |(next, _)| *next);
    let head = range.start..body.get(2).map_or(range.end, |(at, _)| *at);
    tiles.push(head.clone(), Seam::Paragraph, None);
    for (place, (at, _)) in body.iter().enumerate().skip(2) {
        tiles.push(*at..ends(place), Seam::Sentence, Some(&head));
    }
}
