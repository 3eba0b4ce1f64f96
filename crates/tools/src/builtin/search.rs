//! `fs.search`: text in files, by the libraries of ripgrep.

use std::{io, path::Path};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use ignore::types::TypesBuilder;
use masque_types::tool::{EffectClass, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Builtin, Call, Run, schema_of,
    walk::{self, Ignored},
};
use crate::{
    failure::{Failure, Outcome, arguments},
    stop::Stop,
};

const DEFAULT_MATCHES: usize = 200;
const MOST_MATCHES: usize = 2_000;
const MOST_CONTEXT: usize = 10;
/// Characters of a line that are shown.
const LINE_CHARACTERS: usize = 500;
/// Bytes of the whole answer.
const ANSWER_BYTES: usize = 256 * 1024;

pub(super) const TOOL: Builtin = Builtin {
    name: "fs.search",
    description: "Searches text in the files of the workspace with a regular expression (Rust syntax, as ripgrep), \
                  line by line. Gives `path:line: text` for each match and `path-line- text` for context lines, \
                  sorted by path. Binary files, what .gitignore names and `.git` are left out. Narrow it with `path`, \
                  `glob` or `file_type`; set `literal` to search for text with special characters as it is.",
    effect: EffectClass::Pure,
    schema: schema_of::<Arguments>,
    run: Run::Blocking(run),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The regular expression, or the text when `literal` is set.
    pattern: String,
    /// The directory or file to search, relative to the workspace; all of it when absent.
    #[serde(default)]
    path: Option<String>,
    /// Only files whose path matches this pattern, for example `*.rs` or `src/**`.
    #[serde(default)]
    glob: Option<String>,
    /// Only files of this type, for example `rust`, `py`, `md` (the type names of ripgrep).
    #[serde(default)]
    file_type: Option<String>,
    /// Lines to show before and after each match; at most 10.
    #[serde(default)]
    context: Option<usize>,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: Option<bool>,
    /// Whether the pattern is plain text.
    #[serde(default)]
    literal: Option<bool>,
    /// The largest number of matches to return; 200 when absent, at most 2000.
    #[serde(default)]
    max_results: Option<usize>,
    /// Whether to search files that .gitignore names too.
    #[serde(default)]
    include_ignored: Option<bool>,
}

fn run(call: &Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    let start = call.workspace.relative(asked.path.as_deref().unwrap_or("."))?;
    let matcher = matcher(&asked)?;
    let glob = asked.glob.as_deref().map(walk::path_matcher).transpose()?;
    let mut builder = walk::builder(call, &start, Ignored::from(asked.include_ignored))?;
    if let Some(name) = &asked.file_type {
        builder.types(types(name)?);
    }
    let context = asked.context.unwrap_or(0).min(MOST_CONTEXT);
    let mut searcher = SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .line_number(true)
        .before_context(context)
        .after_context(context)
        .build();
    let most = asked.max_results.unwrap_or(DEFAULT_MATCHES).clamp(1, MOST_MATCHES);
    let mut found = Found { stop: call.stop.clone(), left: most, ..Found::default() };
    for entry in builder.build().flatten() {
        call.stop.check()?;
        let path = walk::relative(&call.workspace, &entry);
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        if !is_file || glob.as_ref().is_some_and(|glob| !glob.is_match(path)) {
            continue;
        }
        found.search(call, &mut searcher, &matcher, path);
        if found.is_full() {
            break;
        }
    }
    Ok(found.output(most))
}

fn matcher(asked: &Arguments) -> Outcome<RegexMatcher> {
    RegexMatcherBuilder::new()
        .case_insensitive(asked.ignore_case.unwrap_or(false))
        .fixed_strings(asked.literal.unwrap_or(false))
        .line_terminator(Some(b'\n'))
        .build(&asked.pattern)
        .map_err(|error| {
            Failure::new(format!("the pattern is not valid: {error}; set `literal` to search for it as plain text"))
        })
}

fn types(name: &str) -> Outcome<ignore::types::Types> {
    TypesBuilder::new().add_defaults().select(name).build().map_err(|_| {
        Failure::new(format!("there is no file type `{name}`; use a name such as rust, py, js, md, or use `glob`"))
    })
}

/// The lines found so far.
#[derive(Debug, Default)]
struct Found {
    text: String,
    path: String,
    left: usize,
    skipped: usize,
    stop: Stop,
}

impl Found {
    fn search(&mut self, call: &Call, searcher: &mut Searcher, matcher: &RegexMatcher, path: &Path) {
        self.path = walk::display(path);
        // Opened by the guarded way again: the walk only gave a name.
        let searched = call.workspace.open_file(path).and_then(|(file, _)| {
            searcher.search_file(matcher, &file, &mut *self).map_err(|error| Failure::new(error.to_string()))
        });
        if searched.is_err() {
            self.skipped += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.left == 0 || self.text.len() > ANSWER_BYTES
    }

    fn push(&mut self, mark: char, number: Option<u64>, bytes: &[u8]) {
        use std::fmt::Write as _;
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        let number = number.unwrap_or(0);
        let _ = write!(self.text, "{}{mark}{number}{mark} ", self.path);
        match line.char_indices().nth(LINE_CHARACTERS) {
            Some((end, _)) => {
                self.text.push_str(line.get(..end).unwrap_or(line));
                self.text.push_str(" [cut]");
            }
            None => self.text.push_str(line),
        }
        self.text.push('\n');
    }

    fn output(self, most: usize) -> ToolOutput {
        let full = self.is_full();
        let mut text = self.text;
        if text.is_empty() {
            text.push_str("[no match; try ignore_case, a shorter pattern, or include_ignored]");
        }
        if full {
            let shown = most - self.left;
            text.push_str(&format!("[stopped after {shown} matches: narrow the search, or raise max_results]"));
        }
        if self.skipped > 0 {
            text.push_str(&format!("\n[{} files could not be read]", self.skipped));
        }
        ToolOutput::text(text)
    }
}

impl Sink for &mut Found {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.push(':', found.line_number(), found.bytes());
        self.left -= 1;
        Ok(!self.is_full() && !self.stop.is_set())
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        self.push('-', context.line_number(), context.bytes());
        Ok(!self.stop.is_set())
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        self.text.push_str("--\n");
        Ok(true)
    }
}
