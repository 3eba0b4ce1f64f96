//! Markdown while it streams in: finished blocks come out once, as styled lines; the open block can be looked at.
//!
//! The text is taken line by line, so that what comes out does not depend on where it was cut into pieces. A block is
//! finished when the next one begins, or earlier where nothing can be added to it any more; fenced code comes out line
//! by line. Leaves out the look of one block (`block`), and the terminal.

mod block;
mod table;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

use super::{
    highlight::Highlighter,
    text::{Line, Looks, is_harmful},
};

/// Markdown that is not yet complete.
pub(crate) struct Markdown {
    looks: Looks,
    /// The beginning of a line.
    partial: String,
    /// The whole lines of the open block.
    open: String,
    /// The block of code that is open.
    fence: Option<Fence>,
    /// Whether a block came out, so that the next one stands apart from it.
    began: bool,
}

struct Fence {
    mark: char,
    length: usize,
    /// Columns that the fence is indented; the code loses as many.
    indent: usize,
    highlighter: Highlighter,
}

/// What stands at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ends with a blank line.
    Prose,
    /// Ends with its last line.
    Line,
    Fenced,
    /// Ends when another block begins.
    Other,
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

impl Markdown {
    pub(crate) fn new(looks: Looks) -> Self {
        Self { looks, partial: String::new(), open: String::new(), fence: None, began: false }
    }

    /// A whole text at once.
    pub(crate) fn rendered(text: &str, looks: Looks) -> Vec<Line> {
        let mut markdown = Self::new(looks);
        let mut lines = markdown.push(text);
        lines.extend(markdown.finish());
        lines
    }

    /// What comes out from now on has this width.
    pub(crate) fn set_width(&mut self, width: usize) {
        self.looks.width = width;
    }

    /// Takes a piece of text; gives the lines that are finished.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Line> {
        let mut finished = Vec::new();
        for letter in text.chars() {
            match letter {
                '\n' => {
                    let line = std::mem::take(&mut self.partial);
                    self.take_line(&line, &mut finished);
                }
                // Windows line ends; elsewhere it would move the cursor.
                '\r' => {}
                '\t' => self.partial.push('\t'),
                letter if is_harmful(letter) => self.partial.push('\u{fffd}'),
                letter => self.partial.push(letter),
            }
        }
        finished
    }

    /// The end of the text: the lines of what was open.
    pub(crate) fn finish(&mut self) -> Vec<Line> {
        let mut finished = Vec::new();
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.take_line(&line, &mut finished);
        }
        self.fence = None;
        let open = std::mem::take(&mut self.open);
        self.give_out(&open, &mut finished);
        self.began = false;
        finished
    }

    /// The lines of what is open now, as they would come out if nothing followed.
    pub(crate) fn preview(&self) -> Vec<Line> {
        if let Some(fence) = &self.fence {
            let is_end = fence.is_closed_by(&self.partial) || self.partial.is_empty();
            return if is_end { Vec::new() } else { vec![code_line(Line::plain(fence.stripped(&self.partial)))] };
        }
        let text = format!("{}{}", self.open, self.partial);
        let mut lines = block::rendered(&text, self.looks);
        while lines.pop_if(|last| last.is_empty()).is_some() {}
        if self.began && !lines.is_empty() {
            lines.insert(0, Line::default());
        }
        lines
    }

    fn take_line(&mut self, line: &str, finished: &mut Vec<Line>) {
        if let Some(fence) = &mut self.fence {
            if fence.is_closed_by(line) {
                self.fence = None;
            } else {
                let code = fence.highlighter.line(fence.stripped(line));
                finished.push(code_line(code));
            }
            return;
        }
        let start = self.open.len();
        self.open.push_str(line);
        self.open.push('\n');
        let Some((last, kind, language)) = last_block(&self.open) else {
            // Only blank lines.
            self.open.clear();
            return;
        };
        if kind == Kind::Fenced && last >= start {
            self.give_out_before(start, finished);
            self.open.clear();
            self.separate(finished);
            self.fence = Some(Fence::new(line, &language));
            return;
        }
        let ended = match kind {
            Kind::Line => true,
            Kind::Prose => line.trim().is_empty(),
            Kind::Fenced | Kind::Other => false,
        };
        let end = if ended { self.open.len() } else { last };
        self.give_out_before(end, finished);
    }

    fn give_out_before(&mut self, end: usize, finished: &mut Vec<Line>) {
        let rest = self.open.split_off(end);
        let done = std::mem::replace(&mut self.open, rest);
        self.give_out(&done, finished);
    }

    fn give_out(&mut self, text: &str, finished: &mut Vec<Line>) {
        let lines = block::rendered(text, self.looks);
        if !lines.is_empty() {
            self.separate(finished);
            finished.extend(lines);
        }
    }

    fn separate(&mut self, finished: &mut Vec<Line>) {
        if std::mem::replace(&mut self.began, true) {
            finished.push(Line::default());
        }
    }
}

impl Fence {
    fn new(line: &str, language: &str) -> Self {
        let fence = line.trim_start();
        let mark = fence.chars().next().unwrap_or('`');
        let length = fence.chars().take_while(|letter| *letter == mark).count();
        Self { mark, length, indent: line.len() - fence.len(), highlighter: Highlighter::new(language) }
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let fence = line.trim_start_matches(' ');
        let (indent, fence) = (line.len() - fence.len(), fence.trim_end());
        indent <= 3 && fence.len() >= self.length && fence.chars().all(|letter| letter == self.mark)
    }

    fn stripped<'a>(&self, line: &'a str) -> &'a str {
        let blanks = line.bytes().take(self.indent).take_while(|byte| *byte == b' ').count();
        line.get(blanks..).unwrap_or(line)
    }
}

/// Code stands two columns in.
fn code_line(code: Line) -> Line {
    let mut line = Line::plain("  ");
    line.extend(&code);
    line
}

/// Where the last block of a text begins, what it is, and the language that it names.
fn last_block(text: &str) -> Option<(usize, Kind, String)> {
    let mut depth = 0_usize;
    let mut last = None;
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        if depth == 0 && !matches!(event, Event::End(_)) {
            last = Some((range.start, kind(&event), language(&event)));
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // Indented blocks are said to begin behind their blanks; the line belongs to them whole.
    last.map(|(start, kind, language)| {
        let line = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        (line, kind, language)
    })
}

const fn kind(event: &Event<'_>) -> Kind {
    match event {
        Event::Start(Tag::Paragraph | Tag::Table(_) | Tag::BlockQuote(_)) => Kind::Prose,
        Event::Start(Tag::Heading { .. }) | Event::Rule => Kind::Line,
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => Kind::Fenced,
        _ => Kind::Other,
    }
}

fn language(event: &Event<'_>) -> String {
    match event {
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => language.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
