//! YAML, JSON and TOML as a tree whose nodes know their file, line and column.
//!
//! Owns parsing, with caps on size, depth and repetition. Leaves out what the keys mean.

use std::{fmt, ops::Range, path::Path, sync::Arc};

use masque_types::diagnostic::Diagnostic;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};
use serde_saphyr::{Location, Spanned};
use toml::de::{DeTable, DeValue};

/// A place in a file: line and column from 1; zero means the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) file: Option<Arc<str>>,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// The file, for messages.
    pub(super) fn file(&self) -> &str {
        self.file.as_deref().unwrap_or("fleet")
    }

    /// An error here.
    pub(super) fn error(&self, message: impl Into<String>) -> Diagnostic {
        self.mark(Diagnostic::error(self.file(), message))
    }

    /// A warning here.
    pub(super) fn warning(&self, message: impl Into<String>) -> Diagnostic {
        self.mark(Diagnostic::warning(self.file(), message))
    }

    fn mark(&self, diagnostic: Diagnostic) -> Diagnostic {
        if self.line == 0 { diagnostic } else { diagnostic.at(self.line, self.column.max(1)) }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Null,
    Bool(bool),
    /// A number, and how it is written where that differs: `3.10`, `022`.
    Number(Number, Option<String>),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

/// Deep enough for any real file, and far from the end of the stack.
const MAX_DEPTH: usize = 32;
/// Bytes of the largest manifest.
const MAX_BYTES: u64 = 8 << 20;
/// Values of the largest manifest, after aliases are put in.
const MAX_NODES: usize = 200_000;

/// Reads and parses a file: TOML and JSON by their endings, everything else as YAML.
pub(super) fn read(path: &Path) -> Result<Node, Diagnostic> {
    let file: Arc<str> = path.to_string_lossy().into();
    let whole = Place { file: Some(Arc::clone(&file)), line: 0, column: 0 };
    let cannot = |error: &dyn fmt::Display| whole.error(format!("cannot read it: {error}"));
    let size = fs_err::metadata(path).map_err(|error| cannot(&error))?.len();
    if size > MAX_BYTES {
        let message = format!("it has {size} bytes, and a manifest may have {MAX_BYTES}");
        return Err(whole.error(message).hint("is this the right file? Otherwise split it with `include`"));
    }
    let bytes = fs_err::read(path).map_err(|error| cannot(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let place = Place { line: narrow(line), column: 1, ..whole.clone() };
        place.error("this is not UTF-8").hint("save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => parse_toml(text, &file),
        _ => parse_yaml(text, &file),
    }
}

/// Parses one YAML document. JSON is YAML, but for tabs, which are put right here.
pub(super) fn parse_yaml(text: &str, file: &Arc<str>) -> Result<Node, Diagnostic> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH, max_nodes: MAX_NODES, max_aliases: 1_000,
            max_documents: 2,
        },
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
    };
    let spanned: Result<Spanned<Content>, _> = serde_saphyr::from_str_with_options(text, options);
    let spanned = spanned.map_err(|error| {
        let (line, column) = error.location().map(at).unwrap_or_default();
        let place = Place { file: Some(Arc::clone(file)), line, column };
        let fault = place.error(plain_message(&error.without_snippet().to_string()));
        if indented_by_tab(text, line) { fault.hint("YAML is indented by spaces: replace the tab") } else { fault }
    })?;
    let mut node = Node::from(spanned);
    let lines: Vec<&str> = text.lines().collect();
    complete(&mut node, file, &lines);
    Ok(node)
}

fn indented_by_tab(text: &str, line: u32) -> bool {
    let near = text.lines().skip((line as usize).saturating_sub(2)).take(2);
    near.into_iter().any(|line| line.trim_start_matches(' ').starts_with('\t'))
}

/// Puts the file into every place, and into numbers how they are written.
fn complete(node: &mut Node, file: &Arc<str>, lines: &[&str]) {
    node.place.file = Some(Arc::clone(file));
    match &mut node.content {
        Content::Number(number, written) => {
            let line = lines.get((node.place.line as usize).saturating_sub(1));
            let rest: String = line
                .map(|line| line.chars().skip((node.place.column as usize).saturating_sub(1)).collect())
                .unwrap_or_default();
            let token = rest.split([' ', ',', ']', '}', '#', '\t']).next().unwrap_or_default();
            let other = token.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
            *written = (other && token != number.to_string()).then(|| token.to_owned());
        }
        Content::List(items) => items.iter_mut().for_each(|item| complete(item, file, lines)),
        Content::Map(entries) => {
            for entry in entries {
                entry.place.file = Some(Arc::clone(file));
                complete(&mut entry.value, file, lines);
            }
        }
        Content::Null | Content::Bool(_) | Content::Text(_) => {}
    }
}

/// The parser's sentence without the place that it repeats, on one line.
fn plain_message(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = match first.split_once(": ") {
        Some((head, rest)) if head.starts_with("line ") => rest,
        _ => first,
    };
    if first.starts_with("budget breached") {
        return format!("it has more than {MAX_NODES} values, once its aliases are put in, or too many aliases");
    }
    if first.starts_with("recursion limit") {
        return format!("nested more than {MAX_DEPTH} deep");
    }
    // The advice that follows is for programmers.
    let first = first.split_once(", set ").map_or(first, |(fault, _)| fault);
    first.rsplit_once(" at line ").map_or(first, |(front, _)| front).trim_end_matches(',').to_owned()
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn at(location: Location) -> (u32, u32) {
    let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    (narrow(location.line()), narrow(location.column()))
}

/// Parses one TOML document.
pub(super) fn parse_toml(text: &str, file: &Arc<str>) -> Result<Node, Diagnostic> {
    let places = Places::of(text, file);
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or_else(|| places.at(&(0..0)), |span| places.at(&span));
        place.error(error.message().lines().collect::<Vec<_>>().join(", "))
    })?;
    let root = table.span();
    places.table(table.get_ref(), &root, 0)
}

/// Where the lines of a text begin.
struct Places<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, file: &'a Arc<str>) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file, text, starts: std::iter::once(0).chain(after).collect() }
    }

    fn at(&self, span: &Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..span.start).map_or(0, |before| before.chars().count()) + 1;
        Place { file: Some(Arc::clone(self.file)), line: narrow(line), column: narrow(column) }
    }

    fn table(&self, table: &DeTable<'_>, span: &Range<usize>, depth: usize) -> Result<Node, Diagnostic> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let place = self.at(&key.span());
            let value = self.value(value.get_ref(), &value.span(), depth + 1)?;
            entries.push(Entry { key: key.get_ref().to_string(), place, value });
        }
        // The parser sorts; the order of the file is what people mean.
        entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
        Ok(Node { place: self.at(span), content: Content::Map(entries) })
    }

    fn value(&self, value: &DeValue<'_>, span: &Range<usize>, depth: usize) -> Result<Node, Diagnostic> {
        let place = self.at(span);
        if depth > MAX_DEPTH {
            return Err(place.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        let content = match value {
            DeValue::String(text) => Content::Text(text.to_string()),
            DeValue::Boolean(value) => Content::Bool(*value),
            DeValue::Datetime(value) => Content::Text(value.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or_else(
                |_| Content::Text(number.as_str().to_owned()),
                |whole| Content::Number(whole.into(), None),
            ),
            DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64).map_or_else(
                || Content::Text(number.as_str().to_owned()),
                |number_value| Content::Number(number_value, Some(number.as_str().to_owned())),
            ),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.value(item.get_ref(), &item.span(), depth + 1));
                Content::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => return self.table(table, span, depth),
        };
        Ok(Node { place, content })
    }
}

impl Node {
    /// A value that stands for what is written at a place.
    pub(super) const fn new(place: Place, content: Content) -> Self {
        Self { place, content }
    }

    /// A text that stands for what is written at a place.
    pub(super) fn text(place: &Place, text: impl Into<String>) -> Self {
        Self::new(place.clone(), Content::Text(text.into()))
    }

    /// A mapping that stands for what is written at a place.
    pub(super) fn map<K: Into<String>>(place: &Place, entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| Entry { key: key.into(), place: value.place.clone(), value })
            .collect();
        Self::new(place.clone(), Content::Map(entries))
    }

    /// The value of a key, where this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries, where this is a mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entries to be changed, where this is a mapping.
    pub(super) const fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, where this is a list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The text, where this is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, a number or a boolean as it is written.
    pub(super) fn written(&self) -> Option<String> {
        match &self.content {
            Content::Text(text) => Some(text.clone()),
            Content::Number(_, Some(written)) => Some(written.clone()),
            Content::Number(number, None) => Some(number.to_string()),
            Content::Bool(value) => Some(value.to_string()),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Whether this is a mapping.
    pub(super) const fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// What kind of value it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "empty",
            Content::Bool(_) => "a boolean",
            Content::Number(..) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// The value without places.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value, _) => Value::Number(value.clone()),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }
}

impl From<Spanned<Content>> for Node {
    fn from(spanned: Spanned<Content>) -> Self {
        let (line, column) = at(spanned.referenced);
        Self { place: Place { file: None, line, column }, content: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Number(value.into(), None))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Number(value.into(), None))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        // JSON has no infinity and no NaN; as a text such a value is refused where a number is expected.
        let number = Number::from_f64(value).map(|number| Content::Number(number, None));
        Ok(number.unwrap_or_else(|| Content::Text(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Content>>()? {
            list.push(item.into());
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Content>>()? {
            let value = Node::from(value);
            let (line, column) = at(key.referenced);
            let place = if line == 0 { value.place.clone() } else { Place { file: None, line, column } };
            map.push(Entry { key: key.value, place, value });
        }
        Ok(Content::Map(map))
    }
}
