//! `/help`.

use anstyle::Style;
use masque_app::commands::TextCommand;

use super::{ALL, Command, Done, Takes, texts};
use crate::{
    chat::{
        screen,
        text::{Line, Span, wrapped},
    },
    cli::chat::session::{After, Session},
    render::style::{BOLD, DIM},
};

/// Columns of the names, where the terminal is wide enough for two columns.
const NAMES: usize = 28;

/// Keys, and what they do.
const KEYS: [(&str, &str); 7] = [
    ("Tab", "completes commands, names and @files"),
    ("Alt-Enter, Ctrl-J", "begins another line; so does a line that ends with \\"),
    ("Up, Ctrl-R", "earlier lines; one that begins with a blank is not kept"),
    ("Ctrl-O", "shows the last call whole"),
    ("Ctrl-C", "stops the turn, or clears the line; twice leaves"),
    ("Ctrl-D", "leaves; the session is kept"),
    ("@path", "sends a file of the workspace along"),
];

pub(super) const HELP: Command =
    Command { name: "help", hint: "", about: "Show this list", takes: Takes::Nothing, run: help };

fn help<'a>(session: &'a mut Session<'_>, _: &'a str) -> Done<'a> {
    Box::pin(async move {
        let lines = lines(&texts(session), screen::size().columns);
        session.view.lines(&lines);
        Ok(After::Stay)
    })
}

/// The whole help.
pub(super) fn lines(texts: &[TextCommand], columns: usize) -> Vec<Line> {
    let mut lines = vec![Line::styled("Commands", BOLD)];
    for command in ALL {
        let name = format!("/{} {}", command.name, command.hint);
        entry(&mut lines, name.trim_end(), command.about, columns);
    }
    if !texts.is_empty() {
        lines.extend([Line::default(), Line::styled("From files and skills", BOLD)]);
        for text in texts {
            let name = format!("/{} {}", text.name, text.argument_hint);
            entry(&mut lines, name.trim_end(), &text.description, columns);
        }
    }
    lines.extend([Line::default(), Line::styled("Keys", BOLD)]);
    for (keys, what) in KEYS {
        entry(&mut lines, keys, what, columns);
    }
    lines
}

/// Name and meaning beside each other, or under each other in a narrow terminal.
fn entry(lines: &mut Vec<Line>, name: &str, about: &str, columns: usize) {
    let width = columns.saturating_sub(1);
    let about = [Some(Span::new(about, DIM))];
    let is_wide = columns >= 70 && name.chars().count() < NAMES;
    let (first, rest) = if is_wide {
        (Line::plain(&format!("  {name:<NAMES$}")), Line::plain(&" ".repeat(NAMES + 2)))
    } else {
        let name = [Some(Span::new(name, Style::new()))];
        lines.extend(wrapped(&name, width, &Line::plain("  "), &Line::plain("    ")));
        (Line::plain("    "), Line::plain("    "))
    };
    lines.extend(wrapped(&about, width, &first, &rest));
}
