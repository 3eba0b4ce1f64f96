//! What can be completed: commands, what they take, and files of the workspace behind an `@`.
//!
//! Leaves out the menu.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use masque_types::policy::Mode;
use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::commands::{self, Takes};

/// Names that are offered for one directory.
const MOST: usize = 200;

/// What can be completed now; the session changes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) workspace: PathBuf,
    pub(crate) personas: Vec<(String, String)>,
    pub(crate) models: Vec<String>,
    pub(crate) sessions: Vec<(String, String)>,
    /// Commands from files and skills: name and description.
    pub(crate) texts: Vec<(String, String)>,
}

/// Completes from what is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Completions(Arc<Mutex<Known>>);

impl Completions {
    /// Changes what is known.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Completer for Completions {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        CompletionResult::fresh(known.suggestions(line.get(..position).unwrap_or(line)))
    }
}

impl Known {
    fn suggestions(&self, line: &str) -> Vec<Suggestion> {
        let word = line.rfind(char::is_whitespace).map_or(line, |blank| line.get(blank + 1..).unwrap_or_default());
        let start = line.len() - word.len();
        if let Some(path) = word.strip_prefix('@') {
            return self.files(path, start);
        }
        let Some(command) = line.strip_prefix('/') else { return Vec::new() };
        match command.split_once(char::is_whitespace) {
            None => suggest(self.commands(), "/", command, start),
            Some((name, arguments)) if !arguments.trim_start().contains(char::is_whitespace) => {
                suggest(self.arguments(name), "", word, start)
            }
            Some(_) => Vec::new(),
        }
    }

    fn commands(&self) -> Vec<(String, String)> {
        let built_in = commands::ALL.iter().map(|command| (command.name.to_owned(), command.about.to_owned()));
        built_in.chain(self.texts.iter().cloned()).collect()
    }

    fn arguments(&self, command: &str) -> Vec<(String, String)> {
        let plain = |names: &[String]| names.iter().map(|name| (name.clone(), String::new())).collect();
        match commands::find(command).map(|command| command.takes) {
            Some(Takes::Persona) => self.personas.clone(),
            Some(Takes::Model) => plain(&self.models),
            Some(Takes::Session) => self.sessions.clone(),
            Some(Takes::Mode) => Mode::ALL.iter().map(|mode| (mode.name().to_owned(), String::new())).collect(),
            Some(Takes::Nothing | Takes::Text) | None => Vec::new(),
        }
    }

    /// Names in the directory that a path leads to. Hidden ones are offered to whoever types their dot.
    fn files(&self, path: &str, start: usize) -> Vec<Suggestion> {
        let (directory, beginning) = path.rsplit_once('/').map_or(("", path), |(directory, name)| (directory, name));
        let base = self.workspace.join(directory);
        if Path::new(path).is_absolute() || path.split('/').any(|step| step == "..") {
            return Vec::new();
        }
        let Ok(entries) = fs_err::read_dir(base) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let is_offered = name.starts_with(beginning) && (!name.starts_with('.') || beginning.starts_with('.'));
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                is_offered.then(|| if is_directory { format!("{name}/") } else { name })
            })
            .collect();
        names.sort();
        names.truncate(MOST);
        let whole = |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        names
            .iter()
            .map(|name| Suggestion {
                value: format!("@{}", whole(name)),
                span: Span::new(start, start + path.len() + 1),
                append_whitespace: !name.ends_with('/'),
                ..Suggestion::default()
            })
            .collect()
    }
}

fn suggest(names: Vec<(String, String)>, mark: &str, typed: &str, start: usize) -> Vec<Suggestion> {
    let matching = names.into_iter().filter(|(name, _)| name.starts_with(typed));
    matching
        .map(|(name, about)| Suggestion {
            span: Span::new(start, start + mark.len() + typed.len()),
            value: format!("{mark}{name}"),
            description: (!about.is_empty()).then_some(about),
            append_whitespace: true,
            ..Suggestion::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: &Known, line: &str, expected: &[&str]) {
        let found = known.suggestions(line);
        assert_eq!(found.iter().map(|found| found.value.as_str()).collect::<Vec<_>>(), expected, "{line}");
        assert!(found.iter().all(|found| found.span.end == line.len()), "{line}: {found:?}");
    }

    #[test]
    fn commands_their_arguments_and_files_are_completed() {
        let root = tempfile::tempdir().unwrap();
        for file in ["src/main.rs", "src/more.rs", "README.md", ".env"] {
            fs_err::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs_err::write(root.path().join(file), "").unwrap();
        }
        let known = Known {
            workspace: root.path().into(),
            personas: vec![("architect".into(), "Designs".into()), ("tester".into(), String::new())],
            models: vec!["a/b".into()],
            sessions: vec![("plan".into(), String::new())],
            texts: vec![("fix".into(), "Fixes".into())],
        };
        check(&known, "/per", &["/persona"]);
        check(&known, "/fi", &["/fix"]);
        check(&known, "/persona ", &["architect", "tester"]);
        check(&known, "/handoff te", &["tester"]);
        check(&known, "/persona tester do ", &[]);
        check(&known, "/mode a", &["accept-edits", "auto"]);
        check(&known, "/model ", &["a/b"]);
        check(&known, "/resume p", &["plan"]);
        check(&known, "look at @", &["@README.md", "@src/"]);
        check(&known, "look at @src/m", &["@src/main.rs", "@src/more.rs"]);
        check(&known, "@.", &["@.env"]);
        check(&known, "@../", &[]);
        check(&known, "plain words", &[]);
        for command in commands::ALL {
            check(&known, &format!("/{}", command.name), &all_beginning_with(command.name));
        }
    }

    fn all_beginning_with(name: &str) -> Vec<&'static str> {
        let names = commands::ALL.iter().map(|command| command.name).filter(|known| known.starts_with(name));
        names.map(|name| &*format!("/{name}").leak()).collect()
    }
}
