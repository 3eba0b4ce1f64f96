//! One manifest as a tree whose places know their file.
//!
//! Owns reading it, with a cap on its size, and faults at places. Leaves out parsing, which is the tree's, and what the
//! keys mean.

use std::{fmt, path::Path, sync::Arc};

use masque_tree::{Limits, MAX_DEPTH, Order, parse_toml, parse_yaml};
use masque_types::diagnostic::Diagnostic;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) file: Option<Arc<str>>,
    pub(super) at: masque_tree::Place,
}

impl Place {
    /// A whole file.
    pub(super) fn whole(path: &Path) -> Self {
        Self { file: Some(path.to_string_lossy().into()), at: masque_tree::Place::FILE }
    }

    /// The file, for messages.
    pub(super) fn file(&self) -> &str {
        self.file.as_deref().unwrap_or("fleet")
    }

    /// An error here.
    pub(super) fn error(&self, message: impl Into<String>) -> Diagnostic {
        self.at.mark(Diagnostic::error(self.file(), message))
    }

    /// A warning here.
    pub(super) fn warning(&self, message: impl Into<String>) -> Diagnostic {
        self.at.mark(Diagnostic::warning(self.file(), message))
    }
}

pub(super) type Node = masque_tree::Node<Place>;
pub(super) type Content = masque_tree::Content<Place>;
pub(super) type Entry = masque_tree::Entry<Place>;

/// Bytes of the largest manifest.
const MAX_BYTES: u64 = 8 << 20;
/// What the tree of the largest manifest may hold.
const LIMITS: Limits = Limits { nodes: 200_000, aliases: 1_000 };

/// Reads and parses a file: TOML and JSON by their endings, everything else as YAML.
pub(super) fn read(path: &Path) -> Result<Node, Diagnostic> {
    let file: Arc<str> = path.to_string_lossy().into();
    let place = |at| Place { file: Some(Arc::clone(&file)), at };
    let text = read_text(path, place)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let tree = match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => parse_toml(text, Order::File).map_err(|fault| place(fault.place).error(fault.message)),
        _ => parse_yaml(text, LIMITS).map_err(|fault| {
            let error = place(fault.place).error(in_our_words(fault.message));
            let tab = indented_by_tab(text, fault.place.line);
            if tab { error.hint("YAML is indented by spaces: replace the tab") } else { error }
        }),
    };
    tree.map(|tree| tree.with_places(&place))
}

fn read_text(path: &Path, place: impl Fn(masque_tree::Place) -> Place) -> Result<String, Diagnostic> {
    let whole = place(masque_tree::Place::FILE);
    let cannot = |error: &dyn fmt::Display| whole.error(format!("cannot read it: {error}"));
    let size = fs_err::metadata(path).map_err(|error| cannot(&error))?.len();
    if size > MAX_BYTES {
        let message = format!("it has {size} bytes, and a manifest may have {MAX_BYTES}");
        return Err(whole.error(message).hint("is this the right file? Otherwise split it with `include`"));
    }
    let bytes = fs_err::read(path).map_err(|error| cannot(&error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        place(masque_tree::Place::of(line, 1)).error("this is not UTF-8").hint("save the file as UTF-8")
    })
}

fn indented_by_tab(text: &str, line: u32) -> bool {
    let near = text.lines().skip((line as usize).saturating_sub(2)).take(2);
    near.into_iter().any(|line| line.trim_start_matches(' ').starts_with('\t'))
}

/// The sentence of the parser, which speaks of its caps in words for programmers.
fn in_our_words(message: String) -> String {
    if message.starts_with("budget breached") {
        let most = LIMITS.nodes;
        return format!("it has more than {most} values, once its aliases are put in, or too many aliases");
    }
    if message.starts_with("recursion limit") {
        return format!("nested more than {MAX_DEPTH} deep");
    }
    message
}

/// What kind of value it is, for messages.
pub(super) const fn kind(node: &Node) -> &'static str {
    match node.content {
        Content::Null => "empty",
        _ => node.kind(),
    }
}
