//! The commands of a session: one entry each, in the order in which help lists them.
//!
//! Leaves out how a line is read.

mod account;
mod authority;
mod calls;
mod help;
mod kept;
mod people;
mod settings;

use std::{future::Future, pin::Pin};

use masque_app::{
    Error,
    commands::{TextCommand, of_skills},
};

use super::{
    input,
    session::{After, Session},
};
use crate::chat::text::{self, Line};

/// What comes of a command, once it is awaited.
type Done<'a> = Pin<Box<dyn Future<Output = Result<After, Error>> + 'a>>;

/// What a command takes: this is what is completed behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Text,
    Persona,
    Model,
    Mode,
    Session,
}

/// A command.
pub(crate) struct Command {
    /// The word behind the slash.
    pub(crate) name: &'static str,
    /// Its arguments, for people.
    pub(crate) hint: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    pub(crate) takes: Takes,
    run: for<'a> fn(&'a mut Session<'_>, &'a str) -> Done<'a>,
}

/// Other words for commands.
const OTHER_WORDS: [(&str, &str); 4] = [("?", "help"), ("exit", "quit"), ("q", "quit"), ("new", "clear")];

/// All commands, in the order in which help lists them.
pub(crate) const ALL: &[Command] = &[
    help::HELP,
    people::PERSONA,
    people::HANDOFF,
    settings::MODEL,
    settings::MODE,
    authority::TOOLS,
    authority::MCP,
    authority::WHY,
    authority::APPROVALS,
    account::CONTEXT,
    account::MEMORY,
    account::BUDGET,
    calls::EXPAND,
    calls::DIFF,
    kept::SAVE,
    kept::RESUME,
    kept::FORK,
    kept::CLEAR,
    kept::END,
    kept::QUIT,
];

/// The command of a name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    let name = OTHER_WORDS.iter().find(|(other, _)| *other == name).map_or(name, |(_, name)| name);
    ALL.iter().find(|command| command.name == name)
}

/// The commands from files and skills that no built-in one hides.
pub(crate) fn texts(session: &Session<'_>) -> Vec<TextCommand> {
    let mut texts: Vec<TextCommand> = Vec::new();
    for text in session.texts.iter().cloned().chain(of_skills(&session.front.persona.skills)) {
        if find(&text.name).is_none() && !texts.iter().any(|known| known.name == text.name) {
            texts.push(text);
        }
    }
    texts
}

/// Does a command. An unknown one is an error that names the nearest.
pub(crate) async fn run(session: &mut Session<'_>, name: &str, rest: &str) -> Result<After, Error> {
    if let Some(command) = find(name) {
        return (command.run)(session, rest).await;
    }
    let texts = texts(session);
    if let Some(text) = texts.iter().find(|text| text.name == name) {
        let words = text.filled(rest);
        return session.turn(&words).await;
    }
    let known = ALL.iter().map(|command| command.name).chain(texts.iter().map(|text| text.name.as_str()));
    let error = Error::usage(format!("there is no command /{name}"));
    Err(match input::nearest(name, known) {
        Some(near) => error.hint(format!("did you mean /{near}?")),
        None => error.hint("/help lists all"),
    })
}

/// Rows under each other; the last column is as wide as it likes.
fn rows<const N: usize>(rows: &[[String; N]]) -> Vec<Line> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = text::width(cell).max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let mut line = Line::plain("  ");
        for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
            let free = if place + 1 == N { 0 } else { width.saturating_sub(text::width(cell)) + 2 };
            line.push(cell, anstyle::Style::new());
            line.push(&" ".repeat(free), anstyle::Style::new());
        }
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_words_and_everything_is_explained() {
        for (place, command) in ALL.iter().enumerate() {
            assert!(command.name.chars().all(|letter| letter.is_ascii_lowercase()), "{}", command.name);
            assert!(ALL.iter().skip(place + 1).all(|other| other.name != command.name), "{}", command.name);
            assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
            assert_eq!(command.hint.is_empty(), command.takes == Takes::Nothing, "{}", command.name);
        }
        for (word, name) in OTHER_WORDS {
            assert!(ALL.iter().all(|command| command.name != word), "{word}");
            assert_eq!(find(word).map(|command| command.name), Some(name));
        }
    }

    #[test]
    fn help_and_the_book_list_every_command() {
        let help: Vec<String> = help::lines(&[], 80).iter().map(Line::text).collect();
        let page = include_str!("../../../../../../docs/src/chat.md");
        for command in ALL {
            let called = format!("/{}", command.name);
            assert!(help.iter().any(|line| line.trim_start().starts_with(&called)), "help lacks {called}");
            assert!(page.contains(&format!("| `{called}")), "docs/src/chat.md lacks {called}");
        }
    }
}
