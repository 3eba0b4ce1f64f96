//! What a document is: by its content first, by its name where the content leaves it open.

use crate::{Error, Format, archive, encoding, language};

/// How far the mark of a PDF may stand from the beginning, as readers accept it.
const PDF_MARK_WITHIN: usize = 1024;
/// Old office files and encrypted new ones.
const COMPOUND_FILE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// Headers of which a mail has one first.
const MAIL_HEADERS: [&str; 11] = [
    "return-path",
    "received",
    "from",
    "date",
    "message-id",
    "mime-version",
    "delivered-to",
    "subject",
    "to",
    "x-original-to",
    "dkim-signature",
];

/// What a document is.
///
/// # Errors
/// When it is neither text nor a document that is read; the message says what it looks like.
pub fn recognise(name: &str, bytes: &[u8]) -> Result<Format, Error> {
    let start = bytes.get(..PDF_MARK_WITHIN).unwrap_or(bytes);
    if start.windows(5).any(|window| window == b"%PDF-") && !start.starts_with(b"#") {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return archive::recognise(bytes);
    }
    if bytes.starts_with(COMPOUND_FILE) {
        let what = "an old or an encrypted Office document";
        return Err(Error::Unsupported { what, instead: "DOCX, XLSX or PPTX without a password" });
    }
    let extension = extension(name);
    if (extension == "eml" || extension.is_empty()) && is_mail(start) {
        return Ok(Format::Mail);
    }
    let text = encoding::decode(sample(bytes))?.text;
    Ok(by_name(name, &extension).unwrap_or_else(|| by_text(&text)))
}

/// The beginning of a document. A character that is cut at its end is no fault of the text.
fn sample(bytes: &[u8]) -> &[u8] {
    let Some(start) = bytes.get(..1 << 16) else { return bytes };
    match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_none() => start.get(..error.valid_up_to()).unwrap_or(start),
        _ => start,
    }
}

fn extension(name: &str) -> String {
    crate::file_name(name).rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// What text with this name is.
fn by_name(name: &str, extension: &str) -> Option<Format> {
    let format = match extension {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "json" | "jsonl" | "ndjson" | "json5" | "jsonc" | "geojson" | "ipynb" => Format::Json,
        "yaml" | "yml" => Format::Yaml,
        "toml" => Format::Toml,
        _ if language::of_name(name).is_some() => Format::Code,
        _ => return None,
    };
    Some(format)
}

/// What text is whose name says nothing.
fn by_text(text: &str) -> Format {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        Format::Html
    } else if start.starts_with("#!") {
        Format::Code
    } else {
        Format::Text
    }
}

/// Whether it begins with the headers of a mail.
fn is_mail(start: &[u8]) -> bool {
    let Some(line) = start.split(|byte| *byte == b'\n').next() else { return false };
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let name = String::from_utf8_lossy(line.get(..colon).unwrap_or_default()).to_ascii_lowercase();
    MAIL_HEADERS.contains(&name.as_str()) || (name.starts_with("x-") && name.len() > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides_before_the_name() {
        let check = |name: &str, bytes: &[u8], format: Format| assert_eq!(recognise(name, bytes), Ok(format), "{name}");
        check("a.md", b"# Title", Format::Markdown);
        check("a.md", b"%PDF-1.7\n", Format::Pdf);
        check("a.md", b"# About %PDF-1.7", Format::Markdown);
        check("a.pdf", b"just words", Format::Text);
        check("a.doc", b"<html><p>exported</p></html>", Format::Html);
        check("a.rs", b"fn main() {}", Format::Code);
        check("dir/Makefile", b"all:\n", Format::Code);
        check("run", b"#!/bin/sh\n", Format::Code);
        check("data.CSV", b"a,b\n", Format::Csv);
        check("mail", b"From: a@b\nSubject: x\n\nhi", Format::Mail);
        check("note.txt", b"From: a@b\nSubject: x\n\nhi", Format::Text);
        check("x.yml", b"a: 1", Format::Yaml);
        check("empty", b"", Format::Text);
    }

    #[test]
    fn a_character_that_the_sample_cuts_is_no_fault() {
        let mut text = "a".repeat((1 << 16) - 1);
        text.push_str("ü and more");
        assert_eq!(recognise("a.txt", text.as_bytes()), Ok(Format::Text));
        let letters = "日本語".repeat(1 << 14);
        assert_eq!(recognise("a.txt", letters.as_bytes()), Ok(Format::Text));
    }

    #[test]
    fn what_is_no_document_is_named() {
        let elf = [b"\x7fELF\x02\x01\x01\0".as_slice(), &[0; 64]].concat();
        assert!(recognise("notes.md", &elf).unwrap_err().to_string().contains("executable"));
        let old = [COMPOUND_FILE, &[0; 64]].concat();
        assert!(recognise("a.doc", &old).unwrap_err().to_string().contains("old or an encrypted"));
    }
}
