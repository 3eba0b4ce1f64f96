//! From the bytes of an answer to text for a model. Leaves out how they were fetched.

use std::rc::Rc;

use encoding_rs::{Encoding, UTF_8};
use htmd::{HtmlToMarkdown, Node};

use crate::failure::{Failure, Outcome};

/// Elements within elements that are converted; deeper pages are attacks or mistakes and would exhaust the stack.
const DEEPEST: usize = 512;

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
    let converter = HtmlToMarkdown::builder()
        .skip_tags(vec!["script", "style", "noscript", "svg", "iframe", "template", "object", "canvas"])
        .build();
    let failed = |error: std::io::Error| Failure::new(format!("the page could not be converted: {error}"));
    // Parsing takes time with the square of the depth: look before.
    if open_elements(html) > DEEPEST {
        return Err(too_deep());
    }
    let tree = converter.html_to_tree(html).map_err(failed)?;
    if is_deeper_than(&tree, DEEPEST) {
        return Err(too_deep());
    }
    Ok(converter.tree_to_markdown(&tree))
}

fn too_deep() -> Failure {
    Failure::new("the page nests its elements too deeply to be converted; fetch it with raw=true")
}

/// Elements that have no end tag, or whose end tag is often left out because the next one ends them.
const SELF_ENDING: [&str; 30] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "param", "p",
    "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "optgroup", "colgroup", "html", "head",
    "body",
];

/// The largest number of elements that are open at once, by a glance at the tags.
fn open_elements(html: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let (is_end, after) = after.strip_prefix('/').map_or((false, after), |after| (true, after));
        let length = after.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (name, after) = after.split_at(length);
        let name = name.to_ascii_lowercase();
        rest = match name.as_str() {
            "script" | "style" if !is_end => after_end_tag(after, &name),
            _ => after,
        };
        if name.is_empty() || matches!(name.as_str(), "script" | "style") || SELF_ENDING.contains(&name.as_str()) {
            continue;
        }
        open = if is_end { open.saturating_sub(1) } else { open + 1 };
        most = most.max(open);
    }
    most
}

/// The rest behind the content of an element that holds no tags.
fn after_end_tag<'h>(html: &'h str, name: &str) -> &'h str {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after;
        }
        rest = after;
    }
    ""
}

fn is_deeper_than(tree: &Rc<Node>, limit: usize) -> bool {
    let mut open = vec![(Rc::clone(tree), 0)];
    while let Some((node, depth)) = open.pop() {
        if depth > limit {
            return true;
        }
        open.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), depth + 1)));
    }
    false
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
        assert!(markdown(&"<div>".repeat(100_000)).is_err());
        assert!(markdown(&"<b><p>".repeat(100_000)).is_err());
        let page = "<script>'<b>'</script><div><p>one<p>two<br></div>".repeat(2_000);
        assert!(markdown(&page).is_ok_and(|text| text.contains("one")));
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
