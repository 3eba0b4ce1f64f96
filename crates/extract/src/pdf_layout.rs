//! From glyphs on pages to text: lines, paragraphs, headings by their size. Leaves out reading the file.
//!
//! The order is the one in which the page is drawn, which nearly every program makes the order of reading, in columns too.

use std::collections::{BTreeMap, HashMap};

use crate::{Found, Limits, text::Text};

/// A letter on a page, in points; `y` grows upwards.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Glyph {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) size: f64,
    pub(crate) width: f64,
    pub(crate) text: String,
}

/// The letters of a page in the order of drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) height: f64,
    pub(crate) glyphs: Vec<Glyph>,
}

/// A gap of this part of the size between letters is a space.
const SPACE: f64 = 0.18;
/// A step up or down of this part of the size is another line.
const STEP: f64 = 0.5;
/// Lines further apart than this many sizes are different paragraphs.
const PARAGRAPH: f64 = 1.75;
/// Text of this many times the size of most text is a heading.
const HEADING: f64 = 1.14;
/// Sizes of headings that are told apart.
const LEVELS: usize = 4;
/// Longer lines are no headings, whatever their size.
const LONGEST_HEADING: usize = 160;

#[derive(Debug, Clone, PartialEq)]
struct Line {
    text: String,
    y: f64,
    size: f64,
}

/// The text of the pages and their first heading.
pub(crate) fn write(pages: &[Page], limits: &Limits) -> (Found, Option<String>) {
    let mut pages: Vec<Vec<Line>> = pages.iter().map(lines).collect();
    leave_out_repeated(&mut pages);
    let body = usual_size(&pages);
    let levels = heading_sizes(&pages, body);
    let (mut text, mut title) = (Text::new(limits), None);
    let mut paragraph = String::new();
    for page in &pages {
        let mut before: Option<&Line> = None;
        for line in page {
            let level = levels.iter().position(|size| *size == rounded(line.size) && is_heading(line, body));
            // A sentence goes on over the page's end.
            let joins = before.map_or(level.is_none(), |before| belong_together(before, line));
            if !joins {
                flush(&mut text, &mut paragraph);
            }
            match level {
                Some(level) => {
                    // A heading over several lines goes on where it stood.
                    add_line(&mut paragraph, &line.text);
                    let goes_on = next_of(page, line).is_some_and(|next| belong_together(line, next));
                    if !goes_on {
                        title = title.or_else(|| (level == 0).then(|| paragraph.clone()));
                        text.heading(level + 1, &std::mem::take(&mut paragraph));
                    }
                }
                None => add_line(&mut paragraph, &line.text),
            }
            before = Some(line);
        }
        if paragraph.ends_with(['.', '!', '?', ':', ';']) || text.is_full() {
            flush(&mut text, &mut paragraph);
        }
    }
    flush(&mut text, &mut paragraph);
    (text.into_found(), title)
}

fn next_of<'p>(page: &'p [Line], line: &Line) -> Option<&'p Line> {
    let at = page.iter().position(|other| std::ptr::eq(other, line))?;
    page.get(at + 1)
}

fn flush(text: &mut Text, paragraph: &mut String) {
    text.paragraph(&std::mem::take(paragraph));
}

/// Puts a line behind others; a word that was divided at the end of a line becomes whole.
fn add_line(paragraph: &mut String, line: &str) {
    let letter_before_hyphen = paragraph.strip_suffix('-').and_then(|rest| rest.chars().next_back());
    let is_divided =
        letter_before_hyphen.is_some_and(char::is_alphabetic) && line.chars().next().is_some_and(char::is_lowercase);
    if is_divided {
        paragraph.pop();
    } else if !paragraph.is_empty() {
        paragraph.push(' ');
    }
    paragraph.push_str(line);
}

fn belong_together(before: &Line, line: &Line) -> bool {
    let gap = before.y - line.y;
    let is_same_size = rounded(before.size) == rounded(line.size);
    let is_item = line.text.starts_with(['•', '–', '▪', '◦', '‣', '●']);
    is_same_size && !is_item && gap > 0.0 && gap < PARAGRAPH * line.size.max(before.size)
}

/// The lines of a page.
fn lines(page: &Page) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut open: Option<(Line, f64)> = None;
    for glyph in &page.glyphs {
        let continues = open.as_ref().is_some_and(|(line, end)| {
            let size = glyph.size.max(line.size).max(1.0);
            (line.y - glyph.y).abs() < STEP * size && glyph.x > end - size
        });
        match &mut open {
            Some((line, end)) if continues => {
                if glyph.x - *end > SPACE * glyph.size && !line.text.ends_with(' ') {
                    line.text.push(' ');
                }
                line.text.push_str(&glyph.text);
                *end = glyph.x + glyph.width;
            }
            _ => {
                lines.extend(open.take().map(|(line, _)| line));
                let line = Line { text: glyph.text.clone(), y: glyph.y, size: glyph.size };
                open = Some((line, glyph.x + glyph.width));
            }
        }
    }
    lines.extend(open.map(|(line, _)| line));
    for line in &mut lines {
        line.text = crate::text::one_line_of_any_length(&line.text);
    }
    lines.retain(|line| !line.text.is_empty());
    lines
}

/// Leaves out what stands first or last on most pages: running titles and page numbers.
fn leave_out_repeated(pages: &mut [Vec<Line>]) {
    const FEWEST_PAGES: usize = 3;
    if pages.len() < FEWEST_PAGES {
        return;
    }
    let plain = |line: &Line| line.text.replace(|letter: char| letter.is_ascii_digit(), "0");
    for take in [<[Line]>::first, <[Line]>::last] as [fn(&[Line]) -> Option<&Line>; 2] {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for line in pages.iter().filter_map(|page| take(page)) {
            *counts.entry(plain(line)).or_default() += 1;
        }
        for page in pages.iter_mut() {
            let is_repeated =
                |line: &Line| counts.get(&plain(line)).is_some_and(|count| count * 2 > pages_count(&counts));
            let Some(at) = take(page).filter(|line| is_repeated(line)).map(|line| place_of(page, line)) else {
                continue;
            };
            page.remove(at);
        }
    }
}

fn pages_count(counts: &HashMap<String, usize>) -> usize {
    counts.values().sum::<usize>().max(3)
}

fn place_of(page: &[Line], line: &Line) -> usize {
    page.iter().position(|other| std::ptr::eq(other, line)).unwrap_or(0)
}

/// The size that most letters have.
fn usual_size(pages: &[Vec<Line>]) -> f64 {
    let mut letters: BTreeMap<i64, usize> = BTreeMap::new();
    for line in pages.iter().flatten() {
        *letters.entry(rounded(line.size)).or_default() += line.text.len();
    }
    letters.into_iter().max_by_key(|(_, count)| *count).map_or(0.0, |(size, _)| size as f64 / 2.0)
}

/// The largest sizes of headings, the largest first.
fn heading_sizes(pages: &[Vec<Line>], body: f64) -> Vec<i64> {
    let mut sizes: Vec<i64> =
        pages.iter().flatten().filter(|line| is_heading(line, body)).map(|line| rounded(line.size)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes.truncate(LEVELS);
    sizes
}

fn is_heading(line: &Line, body: f64) -> bool {
    line.size > body * HEADING
        && line.text.len() <= LONGEST_HEADING
        && line.text.chars().filter(|letter| letter.is_alphabetic()).count() > 1
}

/// A size in halves of a point, so that sizes can be compared.
fn rounded(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of lines: size, distance to the line above, words.
    fn page(lines: &[(f64, f64, &str)]) -> Page {
        let mut y = 800.0;
        let mut glyphs = Vec::new();
        for (size, step, words) in lines {
            y -= step;
            let mut x = 72.0;
            for word in words.split(' ') {
                for letter in word.chars() {
                    glyphs.push(Glyph { x, y, size: *size, width: 0.5 * size, text: letter.to_string() });
                    x += 0.5 * size;
                }
                x += 0.25 * size;
            }
        }
        Page { height: 842.0, glyphs }
    }

    fn check(pages: &[Page], expected: &str) {
        let (found, _) = write(pages, &Limits::default());
        assert_eq!(found.text, expected);
    }

    #[test]
    fn sizes_make_headings_and_gaps_make_paragraphs() {
        let page = page(&[
            (20.0, 0.0, "A Long"),
            (20.0, 24.0, "Title"),
            (10.0, 40.0, "First line of the para-"),
            (10.0, 12.0, "graph goes on."),
            (10.0, 24.0, "Second one."),
            (14.0, 30.0, "Section"),
            (10.0, 20.0, "# no heading"),
        ]);
        check(
            std::slice::from_ref(&page),
            "# A Long Title\n\nFirst line of the paragraph goes on.\n\nSecond one.\n\n## Section\n\n\\# no heading\n",
        );
        assert_eq!(write(&[page], &Limits::default()).1.as_deref(), Some("A Long Title"));
    }

    #[test]
    fn running_titles_are_left_out_and_sentences_cross_pages() {
        let pages: Vec<Page> = (0..4)
            .map(|number: usize| {
                page(&[
                    (8.0, 0.0, &format!("Report 2024 page {number}")),
                    (10.0, 40.0, &format!("Body of {number} goes")),
                    (10.0, 12.0, ["on", "further", "and", "ends"][number]),
                ])
            })
            .collect();
        check(&pages, "Body of 0 goes on Body of 1 goes further Body of 2 goes and Body of 3 goes ends\n");
    }
}
