//! What was noticed while one file was read: diagnostics and unknown keys.
//!
//! Leaves out deciding what is wrong: the readers of the keys do that.

use std::{collections::BTreeMap, path::Path};

use masque_tree::{Node, Place};
use masque_types::diagnostic::{Diagnostic, Severity};
use serde_json::Value;

/// The notes of one persona: its file and the files beside it.
#[derive(Debug)]
pub(crate) struct Notes {
    file: String,
    /// Everything found so far.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Keys that Masque does not know, by dotted path, with their values.
    pub(crate) unknown: BTreeMap<String, Value>,
}

impl Notes {
    /// Notes about `file`.
    pub(crate) fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), diagnostics: Vec::new(), unknown: BTreeMap::new() }
    }

    /// Goes on with another file and returns the name of the one before.
    pub(crate) fn turn_to(&mut self, file: impl Into<String>) -> String {
        std::mem::replace(&mut self.file, file.into())
    }

    /// Notes what is found in another file.
    pub(crate) fn of_file<T>(&mut self, file: &Path, found: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.turn_to(file.display().to_string());
        let result = found(self);
        self.turn_to(before);
        result
    }

    /// The persona cannot be used as it is.
    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = Diagnostic::error(&self.file, message).hint(hint);
        self.diagnostics.push(place.mark(diagnostic));
    }

    /// The persona works, but perhaps not as its author thinks.
    pub(crate) fn warning(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = Diagnostic::warning(&self.file, message).hint(hint);
        self.diagnostics.push(place.mark(diagnostic));
    }

    /// Keeps a key that Masque does not know.
    pub(crate) fn unknown(&mut self, path: String, place: Place, value: &Node, hint: impl Into<String>) {
        self.warning(place, format!("unknown key `{path}`; it is kept and has no effect"), hint);
        self.unknown.insert(path, value.to_json());
    }

    /// Keeps a key that is known and means nothing here. `what` is the begin of the sentence.
    pub(crate) fn unused(&mut self, path: String, place: Place, value: &Node, what: &str, hint: impl Into<String>) {
        self.warning(place, format!("{what}; it is kept and has no effect"), hint);
        self.unknown.insert(path, value.to_json());
    }

    /// Whether an error was noted: then there is no persona.
    pub(crate) fn has_errors(&self) -> bool {
        self.error_count() > 0
    }

    /// How many errors were noted.
    pub(crate) fn error_count(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }
}
