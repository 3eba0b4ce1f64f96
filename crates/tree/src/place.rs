//! Where something stands in a file, and what could not be parsed there.
//!
//! Leaves out which file it is: who reads several of them gives the tree places that know it.

use masque_types::diagnostic::Diagnostic;

/// A place in a file, both from 1; zero means that it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The whole file.
    pub const FILE: Self = Self { line: 0, column: 0 };

    /// The start of the file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place at this line and column.
    #[must_use]
    pub fn of(line: usize, column: usize) -> Self {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { line: narrow(line), column: narrow(column) }
    }

    /// Adds the place to a diagnostic, where it is known.
    #[must_use]
    pub fn mark(self, diagnostic: Diagnostic) -> Diagnostic {
        if self.line == 0 { diagnostic } else { diagnostic.at(self.line, self.column.max(1)) }
    }
}

/// Why a text could not be parsed.
#[derive(Debug, Clone)]
pub struct ParseError {
    /// Where it is wrong.
    pub place: Place,
    /// What is wrong, in the parser's words, on one line.
    pub message: String,
}
