//! The look of finished blocks: paragraphs, headings, lists, quotes, code, tables.
//!
//! Leaves out when a block is finished.

use anstyle::{AnsiColor, Style};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{super::text::wrapped, Line, Looks, code_line, options, table::Table};
use crate::{
    chat::{highlight::Highlighter, text::Span},
    render::style::{BOLD, DIM},
};

const CODE: Style = AnsiColor::Cyan.on_default();
const LINK: Style = AnsiColor::Blue.on_default().underline();

/// The lines of some blocks, with an empty line between them.
pub(super) fn rendered(text: &str, looks: Looks) -> Vec<Line> {
    let mut renderer = Renderer::new(looks);
    for event in Parser::new_ext(text, options()) {
        renderer.take(event);
    }
    renderer.end_text();
    renderer.lines
}

/// What stands at the beginning of the lines of a list's item or a quote.
struct Container {
    /// Of the next line only.
    first: Option<Line>,
    rest: Line,
    /// Whether blocks within it stand apart.
    loose: bool,
}

struct Renderer {
    looks: Looks,
    lines: Vec<Line>,
    containers: Vec<Container>,
    /// The number of the next item of each open list; none when it has no numbers.
    lists: Vec<Option<u64>>,
    /// The text of the open block; `None` is a forced break.
    inline: Vec<Option<Span>>,
    styles: Vec<Style>,
    /// Where the open links lead, and where their texts begin.
    links: Vec<(String, usize)>,
    code: Option<(Highlighter, String)>,
    table: Option<Table>,
    /// Whether an empty line belongs before the next block.
    apart: bool,
}

impl Renderer {
    fn new(looks: Looks) -> Self {
        Self {
            looks,
            lines: Vec::new(),
            containers: Vec::new(),
            lists: Vec::new(),
            inline: Vec::new(),
            styles: Vec::new(),
            links: Vec::new(),
            code: None,
            table: None,
            apart: false,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.say(&text),
            },
            Event::Code(text) => {
                let text = self.marked("`", &text);
                self.say_in(&text, CODE);
            }
            Event::InlineMath(text) | Event::DisplayMath(text) => self.say(&text),
            Event::Html(text) | Event::InlineHtml(text) => self.say_in(text.trim_end_matches('\n'), DIM),
            Event::FootnoteReference(name) => self.say(&format!("[^{name}]")),
            Event::SoftBreak => self.say(" "),
            Event::HardBreak => self.inline.push(None),
            Event::Rule => {
                self.separate();
                let width = self.room().min(40);
                self.put(vec![Line::styled(&"─".repeat(width), DIM)]);
                self.apart = true;
            }
            Event::TaskListMarker(done) => self.say(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.separate(),
            Tag::Heading { level, .. } => self.start_heading(level),
            Tag::BlockQuote(_) => {
                self.separate();
                self.containers.push(Container { first: None, rest: Line::styled("│ ", DIM), loose: true });
            }
            Tag::CodeBlock(kind) => {
                self.end_text();
                self.separate();
                let language = match &kind {
                    CodeBlockKind::Fenced(language) => language.as_ref(),
                    CodeBlockKind::Indented => "",
                };
                self.code = Some((Highlighter::new(language), String::new()));
            }
            Tag::List(number) => {
                self.end_text();
                if self.lists.is_empty() {
                    self.separate();
                }
                self.apart = false;
                self.lists.push(number);
            }
            Tag::Item => self.start_item(),
            Tag::Emphasis => self.start_style(Style::new().italic(), "*"),
            Tag::Strong => self.start_style(BOLD, "**"),
            Tag::Strikethrough => self.start_style(Style::new().strikethrough(), "~~"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push((dest_url.to_string(), self.inline.len()));
                self.styles.push(self.style() | LINK.get_effects());
            }
            Tag::Table(alignments) => {
                self.separate();
                self.table = Some(Table::new(alignments));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.end_text();
                self.apart = true;
            }
            TagEnd::Heading(_) => {
                self.end_text();
                self.styles.pop();
                self.apart = true;
            }
            TagEnd::BlockQuote(_) => {
                self.end_text();
                self.containers.pop();
                self.apart = true;
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.apart = true;
            }
            TagEnd::Item => {
                self.end_text();
                self.end_item();
            }
            TagEnd::Emphasis => self.end_style("*"),
            TagEnd::Strong => self.end_style("**"),
            TagEnd::Strikethrough => self.end_style("~~"),
            TagEnd::Link => self.end_link(""),
            TagEnd::Image => self.end_link("image: "),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(table) = &mut self.table {
                    table.cell(cell);
                }
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                if let Some(table) = &mut self.table {
                    table.end_row();
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let lines = table.lines(self.room());
                    self.put(lines);
                }
                self.apart = true;
            }
            _ => {}
        }
    }

    fn start_heading(&mut self, level: HeadingLevel) {
        self.separate();
        let style = match level {
            HeadingLevel::H1 => BOLD.underline(),
            HeadingLevel::H2 => BOLD,
            _ => BOLD.italic(),
        };
        self.styles.push(style);
        if !self.looks.colour {
            self.say(&format!("{} ", "#".repeat(level as usize)));
        }
    }

    fn start_item(&mut self) {
        let depth = self.lists.len();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ if depth % 2 == 1 => "• ".to_owned(),
            _ => "◦ ".to_owned(),
        };
        if self.apart {
            self.put(vec![Line::default()]);
            self.apart = false;
        }
        let rest = Line::plain(&" ".repeat(marker.chars().count()));
        self.containers.push(Container { first: Some(Line::styled(&marker, DIM)), rest, loose: false });
    }

    fn end_item(&mut self) {
        let Some(item) = self.containers.pop() else { return };
        // An item without text has its mark all the same.
        if let Some(marker) = item.first {
            self.put(vec![marker]);
        }
        self.apart = self.apart && item.loose;
    }

    fn start_style(&mut self, style: Style, mark: &str) {
        if !self.looks.colour {
            self.say(mark);
        }
        self.styles.push(self.style() | style.get_effects());
    }

    fn end_style(&mut self, mark: &str) {
        self.styles.pop();
        if !self.looks.colour {
            self.say(mark);
        }
    }

    fn end_link(&mut self, what: &str) {
        self.styles.pop();
        let Some((target, start)) = self.links.pop() else { return };
        let text: String = self.inline.iter().skip(start).flatten().map(Span::text).collect();
        if text != target && !target.is_empty() {
            self.say_in(&format!(" ({what}{target})"), DIM);
        }
    }

    fn end_code(&mut self) {
        if let Some((mut highlighter, code)) = self.code.take() {
            let lines = code.lines().map(|line| code_line(highlighter.line(line))).collect();
            self.put(lines);
        }
        self.apart = true;
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn marked(&self, mark: &str, text: &str) -> String {
        if self.looks.colour { text.to_owned() } else { format!("{mark}{text}{mark}") }
    }

    fn say(&mut self, text: &str) {
        self.say_in(text, self.style());
    }

    fn say_in(&mut self, text: &str, style: Style) {
        self.inline.push(Some(Span::new(text, style | self.style().get_effects())));
    }

    /// Columns for text within the open containers.
    fn room(&self) -> usize {
        let used: usize = self.containers.iter().map(|container| container.rest.width()).sum();
        self.looks.width.saturating_sub(used).max(8)
    }

    /// An empty line before a block that does not come first.
    fn separate(&mut self) {
        self.end_text();
        if std::mem::take(&mut self.apart) {
            if let Some(container) = self.containers.last_mut() {
                container.loose = true;
            }
            self.put(vec![Line::default()]);
        }
    }

    /// Ends a block of text.
    fn end_text(&mut self) {
        let inline = std::mem::take(&mut self.inline);
        if inline.iter().flatten().any(|span| !span.text().is_empty()) {
            let lines = wrapped(&inline, self.room(), &Line::default(), &Line::default());
            self.put(lines);
        }
    }

    /// Puts lines under each other, behind what the open containers begin their lines with.
    fn put(&mut self, lines: Vec<Line>) {
        for line in lines {
            let mut whole = Line::default();
            for container in &mut self.containers {
                let begin = container.first.take();
                whole.extend(begin.as_ref().unwrap_or(&container.rest));
            }
            whole.extend(&line);
            self.lines.push(whole);
        }
    }
}
