//! From the bytes of a document to text with headings: Markdown, plain text, code, HTML, PDF, office documents, tables,
//! mail.
//!
//! Owns: recognising a format, extraction, and the limits that hostile bytes meet. Leaves out chunks, storage and the
//! process that it runs in: a parser of a format that [`Format::is_hostile`] may crash, spin or eat its memory, so whoever
//! does not trust the bytes runs it in a process that may.

mod archive;
mod core_properties;
mod docx;
mod docx_styles;
mod encoding;
mod error;
mod format;
pub mod html;
mod language;
mod limits;
mod mail;
mod markdown;
mod pdf;
mod pdf_layout;
mod pptx;
mod recognise;
mod table;
mod text;
mod xlsx;
mod xml;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{encoding::decode, text::one_line};
pub use crate::{error::Error, format::Format, limits::Limits, recognise::recognise};

/// What a document says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// Its title, one line: its own, else the name without the extension.
    pub title: String,
    /// What it was recognised as.
    pub format: Format,
    /// Media type of the bytes: `text/markdown`, `text/x-rust`, `application/pdf`.
    pub media_type: String,
    /// Its text. For [`Format::is_markdown`] it is Markdown with `#` headings, else the text as it stands.
    pub text: String,
    /// What else is known: `author`, `created`, `modified`, `language`, `pages`, `slides`, `sheets`, `from`, `to`,
    /// `date`, `attachments`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// What is missing from the text, and why: sentences for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What the parser of one format finds; the rest is the same for all.
#[derive(Debug, Default)]
struct Found {
    title: Option<String>,
    text: String,
    metadata: Map<String, Value>,
    notes: Vec<String>,
}

/// Recognises a document by its content and name, and extracts its text. Blocks: call it on a thread that may.
///
/// # Errors
/// When the bytes are no document that can be read: too large, binary, broken, encrypted, or beyond a limit.
pub fn extract(name: &str, bytes: &[u8], limits: &Limits) -> Result<Extracted, Error> {
    limits.check_input(bytes.len() as u64)?;
    let format = recognise(name, bytes)?;
    let found = match format {
        Format::Pdf => pdf::read(bytes, limits)?,
        Format::Docx => docx::read(bytes, limits)?,
        Format::Pptx => pptx::read(bytes, limits)?,
        Format::Xlsx => xlsx::read(bytes, limits)?,
        Format::Mail => mail::read(bytes, limits)?,
        _ => textual(name, format, bytes, limits)?,
    };
    let mut metadata = found.metadata;
    let language = language::of_name(name).filter(|_| format == Format::Code);
    if let Some(language) = language {
        metadata.insert("language".to_owned(), language.name.into());
    }
    let title = found.title.map(|title| one_line(&title)).filter(|title| !title.is_empty());
    Ok(Extracted {
        title: title.unwrap_or_else(|| stem(name)),
        media_type: language.map_or_else(|| format.media_type().to_owned(), |language| language.media_type()),
        format,
        text: found.text,
        metadata,
        notes: found.notes,
    })
}

/// The formats whose bytes are text.
fn textual(name: &str, format: Format, bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
    let decoded = decode(bytes)?;
    let mut found = match format {
        Format::Html => html::read(&decoded.text)?,
        Format::Csv => table::read(&decoded.text, b',', limits),
        Format::Tsv => table::read(&decoded.text, b'\t', limits),
        Format::Markdown => Found { title: markdown::title(&decoded.text), text: decoded.text, ..Found::default() },
        _ => Found { title: Some(file_name(name).to_owned()), text: decoded.text, ..Found::default() },
    };
    found.notes.extend(decoded.note);
    text::cut(&mut found, limits);
    Ok(found)
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A title for what has none.
fn stem(name: &str) -> String {
    let name = file_name(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    one_line(if stem.is_empty() { name } else { stem })
}
