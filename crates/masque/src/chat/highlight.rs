//! Code in colours of the terminal's own palette, so that it can be read on any background.
//!
//! The grammars are loaded when the first code is shown, and once. Leaves out where code begins and ends.

use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::text::{Line, Span};

/// Bytes of a line that are looked at; longer ones are data, not code.
const LINE_BYTES: usize = 2_000;

/// Colours the lines of one block of code, one after the other.
pub(crate) struct Highlighter {
    /// Absent for a language that is not known.
    state: Option<(ParseState, ScopeStack)>,
}

impl Highlighter {
    /// A highlighter for the language that a block names: `rust`, `py`, `Dockerfile`.
    pub(crate) fn new(language: &str) -> Self {
        let name = language.split([',', ' ', '{']).next().unwrap_or_default();
        Self { state: find(name).map(|syntax| (ParseState::new(syntax), ScopeStack::new())) }
    }

    /// The next line, without its line break.
    pub(crate) fn line(&mut self, text: &str) -> Line {
        // Removed here, a control character cannot split a token either.
        let clean = Span::new(text, Style::new());
        let coloured = self.coloured(clean.text());
        coloured.unwrap_or_else(|| {
            let mut line = Line::default();
            line.push_span(clean);
            line
        })
    }

    fn coloured(&mut self, text: &str) -> Option<Line> {
        let (state, scopes) = self.state.as_mut().filter(|_| text.len() <= LINE_BYTES)?;
        let with_break = format!("{text}\n");
        let changes = state.parse_line(&with_break, syntaxes()).ok()?;
        let mut line = Line::default();
        let mut done = 0;
        for (at, change) in changes {
            line.push(text.get(done..at.min(text.len())).unwrap_or_default(), style_of(scopes));
            scopes.apply(&change).ok()?;
            done = at.min(text.len());
        }
        line.push(text.get(done..).unwrap_or_default(), style_of(scopes));
        Some(line)
    }
}

fn syntaxes() -> &'static SyntaxSet {
    static SYNTAXES: OnceLock<SyntaxSet> = OnceLock::new();
    SYNTAXES.get_or_init(two_face::syntax::extra_newlines)
}

fn find(name: &str) -> Option<&'static SyntaxReference> {
    if name.is_empty() {
        return None;
    }
    syntaxes().find_syntax_by_token(name).filter(|syntax| syntax.name != "Plain Text")
}

/// The style of the innermost scope that has one.
fn style_of(scopes: &ScopeStack) -> Style {
    let styled = |scope: &Scope| styles().iter().find(|(prefix, _)| prefix.is_prefix_of(*scope));
    scopes.as_slice().iter().rev().find_map(styled).map(|(_, style)| *style).unwrap_or_default()
}

/// Which scopes have a style; the first that fits counts.
fn styles() -> &'static [(Scope, Style)] {
    static STYLES: OnceLock<Vec<(Scope, Style)>> = OnceLock::new();
    STYLES.get_or_init(|| {
        let of = |colour: AnsiColor| colour.on_default();
        let styles = [
            ("comment", Style::new().dimmed().italic()),
            ("string", of(AnsiColor::Green)),
            ("constant", of(AnsiColor::Cyan)),
            ("keyword.operator", Style::new()),
            ("keyword", of(AnsiColor::Magenta)),
            ("storage", of(AnsiColor::Magenta)),
            ("entity.name.function", of(AnsiColor::Blue)),
            ("entity.name.tag", of(AnsiColor::Blue)),
            ("entity.name", of(AnsiColor::Yellow)),
            ("support.function", of(AnsiColor::Blue)),
            ("support", of(AnsiColor::Yellow)),
            ("variable.function", of(AnsiColor::Blue)),
            ("markup.inserted", of(AnsiColor::Green)),
            ("markup.deleted", of(AnsiColor::Red)),
            ("markup.heading", Style::new().bold()),
            ("meta.diff.range", of(AnsiColor::Cyan)),
        ];
        styles.into_iter().filter_map(|(scope, style)| Some((Scope::new(scope).ok()?, style))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(language: &str, code: &str, expected: &str) {
        let mut highlighter = Highlighter::new(language);
        let lines: Vec<_> = code.lines().map(|line| highlighter.line(line).written(true)).collect();
        assert_eq!(lines.join("\n").replace('\u{1b}', "^"), expected);
    }

    #[test]
    fn known_languages_are_coloured_and_state_goes_over_lines() {
        check("rust", "let a = 1;", "^[35mlet^[0m a = ^[36m1^[0m;");
        check("python", "\"\"\"a\nb\"\"\"", "^[2m^[3m\"\"\"a^[0m\n^[2m^[3mb\"\"\"^[0m");
        check("toml", "a = \"b\"", "^[34ma^[0m = ^[32m\"b\"^[0m");
        check("nonsense", "let a = 1;", "let a = 1;");
        check("", "let\u{1b}[2J", "let\u{fffd}[2J");
    }
}
