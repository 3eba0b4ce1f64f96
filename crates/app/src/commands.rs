//! A person's own commands: Markdown files in `.masque/commands` of the project and `commands` of the user's
//! configuration, and the skills of a persona.
//!
//! Owns finding, reading and filling them in. Those of a project count only while the project is trusted: they are words
//! that are sent in the person's name. Leaves out the built-in commands, which are the surfaces'.

use std::path::Path;

use masque_types::{diagnostic::Diagnostic, persona::Skill};

use crate::{
    Error,
    host::Host,
    trust::{self, Trust},
};

/// The largest file in bytes.
const FILE_BYTES: u64 = 64 << 10;
/// Files that are read of one directory.
const MOST_FILES: usize = 200;

/// A command that is text with places for its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextCommand {
    /// The word behind the slash. Files below a directory have its name in front: `git:commit`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// What its arguments mean, for people.
    pub argument_hint: String,
    /// What is said.
    pub body: String,
    /// The file.
    pub source: String,
}

/// Commands, and what is wrong with those that cannot be used.
#[derive(Debug, Clone, Default)]
pub struct TextCommands {
    /// The usable ones; a project's come before the user's of the same name.
    pub commands: Vec<TextCommand>,
    /// What was noticed.
    pub diagnostics: Vec<Diagnostic>,
}

/// All commands that a project and its user have.
///
/// # Errors
/// When the list of trusted projects or the project's content cannot be read.
pub fn load(host: &Host, project: &Path) -> Result<TextCommands, Error> {
    let mut found = TextCommands::default();
    let of_project = project.join(".masque/commands");
    if of_project.is_dir() {
        if trust::trust_of(host, project)? == Trust::Trusted {
            collect(&of_project, "", &mut found);
        } else {
            let what = "the commands of this project are not used: it is not trusted";
            let hint = "read them, then: masque trust";
            found.diagnostics.push(Diagnostic::warning(of_project.display().to_string(), what).hint(hint));
        }
    }
    collect(&host.config.join("commands"), "", &mut found);
    Ok(found)
}

/// A persona's skills as commands.
#[must_use]
pub fn of_skills(skills: &[Skill]) -> Vec<TextCommand> {
    let command = |skill: &Skill| TextCommand {
        name: skill.name.clone(),
        description: skill.description.clone(),
        argument_hint: String::new(),
        body: skill.content.clone(),
        source: skill.source.clone(),
    };
    skills.iter().map(command).collect()
}

fn collect(directory: &Path, prefix: &str, found: &mut TextCommands) {
    let Ok(entries) = fs_err::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths.into_iter().take(MOST_FILES) {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.is_dir() && prefix.is_empty() {
            collect(&path, &format!("{stem}:"), found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            match read(&path, format!("{prefix}{stem}")) {
                Ok(command) if found.commands.iter().any(|known| known.name == command.name) => {}
                Ok(command) => found.commands.push(command),
                Err(message) => found.diagnostics.push(Diagnostic::error(path.display().to_string(), message)),
            }
        }
    }
}

fn read(path: &Path, name: String) -> Result<TextCommand, String> {
    let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ':' | '.');
    if !name.chars().all(is_word) {
        return Err(format!("`{name}` cannot be a command: only letters, digits, `-`, `_` and `.`"));
    }
    let bytes = fs_err::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES {
        return Err(format!("it has {bytes} bytes; a command may have {FILE_BYTES}"));
    }
    let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
    let (front, body) = split(&text);
    let value = |key: &str| {
        let line = front.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let first_line = || body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    Ok(TextCommand {
        name,
        description: value("description").unwrap_or_else(first_line),
        argument_hint: value("argument-hint").unwrap_or_default(),
        body: body.trim().to_owned(),
        source: path.display().to_string(),
    })
}

/// Front matter and body.
fn split(text: &str) -> (&str, &str) {
    let Some(rest) = text.strip_prefix("---\n") else { return ("", text) };
    rest.split_once("\n---\n").or_else(|| Some((rest.strip_suffix("\n---")?, ""))).unwrap_or(("", text))
}

impl TextCommand {
    /// What is said with these arguments: `$ARGUMENTS` stands for all of them, `$1` to `$9` for one each. A text without
    /// such places gets them at its end.
    #[must_use]
    pub fn filled(&self, arguments: &str) -> String {
        let words = words(arguments);
        let mut filled = String::new();
        let mut rest = self.body.as_str();
        let mut placed = false;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let digit = after.chars().next().and_then(|letter| letter.to_digit(10)).filter(|digit| *digit > 0);
            let is_number = after.chars().nth(1).is_some_and(|letter| letter.is_ascii_digit());
            if let Some(after) = after.strip_prefix("ARGUMENTS") {
                filled.push_str(arguments);
                (rest, placed) = (after, true);
            } else if let Some(digit) = digit.filter(|_| !is_number) {
                filled.push_str(words.get(digit as usize - 1).map_or("", String::as_str));
                (rest, placed) = (after.get(1..).unwrap_or_default(), true);
            } else {
                filled.push('$');
                rest = after;
            }
        }
        filled.push_str(rest);
        if !placed && !arguments.is_empty() {
            filled.push_str("\n\n");
            filled.push_str(arguments);
        }
        filled
    }
}

/// The words of a line; quotes hold several together.
#[must_use]
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, arguments: &str, expected: &str) {
        let command = TextCommand {
            name: "x".into(),
            description: String::new(),
            argument_hint: String::new(),
            body: body.into(),
            source: String::new(),
        };
        assert_eq!(command.filled(arguments), expected);
    }

    #[test]
    fn arguments_take_their_places() {
        check("Fix $1 in $2, all: $ARGUMENTS.", "bug 'the file'", "Fix bug in the file, all: bug 'the file'.");
        check("Costs $5 or $10, $HOME, $", "", "Costs  or $10, $HOME, $");
        check("Review the code.", "only a.rs", "Review the code.\n\nonly a.rs");
        check("Say $1", "", "Say ");
        // What is filled in is not looked at again.
        check("$1 $2", "$2 b", "$2 b");
    }

    #[test]
    fn a_project_s_commands_need_trust_and_come_first() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::for_tests(root.path());
        let project = root.path().join("project");
        let write = |path: &Path, text: &str| {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write(&host.config.join("commands/fix.md"), "Fix it, says the user.\n");
        write(
            &host.config.join("commands/git/commit.md"),
            "---\ndescription: Commits\nargument-hint: \"[message]\"\n---\nCommit: $1\n",
        );
        write(&project.join(".masque/commands/fix.md"), "Fix it, says the project.\n");
        write(&project.join(".masque/commands/a b.md"), "no\n");
        let untrusted = load(&host, &project).unwrap();
        assert_eq!(
            untrusted.commands.iter().map(|command| command.body.as_str()).collect::<Vec<_>>(),
            ["Fix it, says the user.", "Commit: $1"]
        );
        assert!(untrusted.diagnostics[0].to_string().contains("not trusted"));
        let commit = &untrusted.commands[1];
        assert_eq!((commit.name.as_str(), commit.description.as_str()), ("git:commit", "Commits"));
        assert_eq!(commit.argument_hint, "[message]");
    }
}
