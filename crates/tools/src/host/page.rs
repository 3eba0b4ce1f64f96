//! From the bytes of an answer to text for a model. Leaves out how they were fetched, and converting pages.

use encoding_rs::{Encoding, UTF_8};
use masque_extract::html::{self, Part};

use crate::failure::{Failure, Outcome};

/// What kind of content it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Text,
}

/// The kind of a content type; an absent one is guessed from the bytes.
///
/// # Errors
/// For what is no text, with what it is.
pub(super) fn kind(content_type: &str, bytes: &[u8]) -> Outcome<Kind> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (main, sub) = essence.split_once('/').unwrap_or((&essence, ""));
    let textual = ["json", "xml", "yaml", "javascript", "x-javascript", "toml", "x-yaml", "x-ndjson", "x-sh", "sql"];
    match (main, sub) {
        ("text", "html") | ("application", "xhtml+xml") => Ok(Kind::Html),
        ("text", _) => Ok(Kind::Text),
        ("application", sub) if textual.contains(&sub) || sub.ends_with("+json") || sub.ends_with("+xml") => {
            Ok(Kind::Text)
        }
        ("", _) if !bytes.contains(&0) => {
            let start: String = String::from_utf8_lossy(bytes).trim_start().chars().take(15).collect();
            let start = start.to_ascii_lowercase();
            Ok(if start.starts_with("<!doctype html") || start.starts_with("<html") { Kind::Html } else { Kind::Text })
        }
        _ => Err(Failure::new(format!(
            "the address answers with {}, which is no text; look for a page or a text version of it",
            if essence.is_empty() { "binary data" } else { &essence }
        ))),
    }
}

/// The text in its declared character set, UTF-8 when none is declared.
pub(super) fn decode(content_type: &str, bytes: &[u8]) -> String {
    let label = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    let encoding = label.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    encoding.decode(bytes).0.into_owned()
}

/// A page as Markdown, without scripts, styles and drawings. Blocks: call it on a thread that may.
///
/// # Errors
/// When the page cannot be converted.
pub(super) fn markdown(html: &str) -> Outcome<String> {
    html::to_markdown(html, Part::Whole)
        .map_err(|error| Failure::new(format!("the page could not be converted: {error}; fetch it with raw=true")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_markdown_without_scripts() {
        let html = "<html><head><title>T</title><style>x{}</style></head><body><h1>Hi</h1><script>evil()</script><p>a <a href=\"/b\">b</a></p></body></html>";
        let text = markdown(html).unwrap();
        assert!(
            text.contains("# Hi") && text.contains("[b](/b)") && !text.contains("evil") && !text.contains("x{}"),
            "{text}"
        );
    }

    #[test]
    fn a_page_made_to_exhaust_the_stack_is_refused() {
        assert!(markdown(&"<div>".repeat(100_000)).unwrap_err().to_string().contains("raw=true"));
    }

    #[test]
    fn kinds_and_character_sets() {
        assert_eq!(kind("text/html; charset=utf-8", b""), Ok(Kind::Html));
        assert_eq!(kind("application/ld+json", b""), Ok(Kind::Text));
        assert_eq!(kind("", b" <!DOCTYPE html><p>"), Ok(Kind::Html));
        assert!(kind("application/pdf", b"").is_err() && kind("", b"\0").is_err() && kind("image/png", b"x").is_err());
        assert_eq!(decode("text/plain; charset=ISO-8859-1", b"caf\xe9"), "café");
        assert_eq!(decode("text/plain", "café".as_bytes()), "café");
    }
}
